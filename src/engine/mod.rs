//! Inbox, dispatch of effects, clock and concurrency limits. Knows no adapter.
//!
//! Requests come in through the [`Inbox`], which answers after commit. The effects that decisions asked for are claimed
//! when they are due and handed to the adapter that can perform them ([`Perform`]); what they came to is decided on and
//! stored in one transaction with the end of the effect.

mod accepted;
mod alarm;
mod alarm_pages;
mod answers;
mod backoff;
mod build;
mod change;
mod clock_set;
mod command;
mod commit;
mod counts;
mod crash;
mod deliver;
mod delivery_batch;
mod dispatch;
mod draw_progress;
mod finish;
mod health;
mod inbox;
mod join_storm;
mod joined;
mod limits;
mod missing;
mod on_start;
mod overdue;
mod perform;
mod progress;
mod pulse;
mod shared;
mod store_bodies;
mod storm;
mod storm_brake;
mod submit_error;
mod switch;
mod take_all;
mod time;
mod trouble;
mod turns;
mod waiting_bodies;

pub use accepted::Accepted;
pub use build::{EVIDENCE_KEPT, Engine, EngineBuilder};
pub use counts::{Ended, Window, Windows};
pub use crash::{CrashPoint, Crasher};
pub use health::EngineHealth;
pub use inbox::Inbox;
pub use perform::{Done, Perform, PerformError, Task};
pub use progress::{ChecksSoFar, Progress};
pub use pulse::Lifeless;
pub use submit_error::SubmitError;
pub use time::ClockJumps;

pub use crate::incident::{Delivery, MessageRef};

#[cfg(test)]
pub(crate) mod tests;
