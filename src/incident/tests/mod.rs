//! Nights played on the pure rooms alone: alerts, people and outcomes go in, and the state and the effects are looked at.

mod agent_restart;
mod alerts;
mod beside;
mod calls;
mod causes;
mod closing;
mod clusters;
mod escalation;
mod fixing;
mod proving;
mod races;
pub(crate) mod random_nights;
mod rehearsal;
mod set_aside;
mod stands_for_many;
mod storm;
mod switch;
mod two_platforms;
mod unseeing;
mod voting;
mod working;
