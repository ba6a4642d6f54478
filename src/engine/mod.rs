//! Inbox, dispatch of effects, clock and concurrency limits. Knows no adapter.
//!
//! Requests come in through the [`Inbox`], which answers after commit. The effects that decisions asked for are claimed
//! when they are due and handed to the adapter that can perform them ([`Perform`]); what they came to is decided on and
//! stored in one transaction with the end of the effect.

mod alarm;
mod backoff;
mod body;
mod build;
mod clock_set;
mod crash;
mod deliveries;
mod dispatch;
mod finish;
mod health;
mod inbox;
mod late;
mod limits;
mod on_start;
mod perform;
mod progress;
mod pulse;
mod store_bodies;
mod storm;
mod switch;
mod take_all;
mod tally;
mod trouble;
mod turns;

pub use build::{EVIDENCE_KEPT, Engine, EngineBuilder};
pub use clock_set::ClockJumps;
pub use crash::{CrashPoint, Crasher};
pub use health::Health;
pub use inbox::{Accepted, Inbox};
pub use perform::{Done, Perform, PerformError, SubmitError, Task};
pub use progress::{Looked, Progress};
pub use pulse::Lifeless;
pub use tally::{Ended, Window, Windows};

pub use crate::incident::{Delivery, MessageRef};

#[cfg(test)]
mod tests;
