//! The clock that everything above the pure rooms is handed, so that a night passes in a second in tests and demos.

mod sped;
mod steady;
mod virtual_clock;

use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use sped::{RATE_LIMITS, SpedClock};
pub use steady::{Machine, Sources, SteadyClock};
pub use virtual_clock::VirtualClock;

/// A source of time. There is one a process; the simulated mesh and the bot share it.
///
/// What it shows may differ from the computer's wall clock for a moment: when that jumps, this one goes on as before until
/// somebody who has moved the stored deadlines sets it ([`Clock::set_by`]).
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
    /// Returns at `moment` as it is shown now, or at once when it has passed. Setting the clock meanwhile changes nothing.
    async fn sleep_until(&self, moment: Timestamp);

    /// The time as it would be shown had this clock never been set: for ages that are kept in memory only.
    fn steady(&self) -> Timestamp {
        self.now()
    }

    /// How far the wall clock has jumped away from what is shown; negative when it was set back. Small differences, as time
    /// synchronisation makes them all day, are followed and not told.
    fn jump(&self) -> Option<SignedDuration> {
        None
    }

    /// Shows so much more from now on.
    fn set_by(&self, _by: SignedDuration) {}

    /// What is kept so that a later process can tell whether the clock was set between the two.
    fn mark(&self) -> Mark {
        Mark { shown: self.now(), running: None }
    }

    /// By how much the clock was set since `mark` was made by an earlier process, as far as that can be known: exactly
    /// within one boot of the machine, and else only that it was set back, and by no less than this.
    fn set_since(&self, mark: &Mark) -> Option<SignedDuration> {
        let back = self.now().duration_since(mark.shown);
        (back <= -JUMPS_FROM).then_some(back)
    }
}

/// What a clock showed, and how long its machine had been running then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// What was shown.
    pub shown: Timestamp,
    /// How long the machine had been running, and since which boot.
    pub running: Option<Running>,
}

/// How long a machine has been running since a boot, suspended time included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The kernel's name of the boot.
    pub boot: String,
    /// How long, in microseconds.
    pub micros: i64,
}

/// A difference between the two clocks from which on it is a jump. Time synchronisation steps by less all the time, and
/// nobody's window is the worse for it.
pub const JUMPS_FROM: SignedDuration = SignedDuration::from_secs(2);

fn moved(moment: Timestamp, by: SignedDuration) -> Timestamp {
    moment.saturating_add(by).unwrap_or(if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX })
}

/// The computer's wall clock, for commands that keep nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep_until(&self, moment: Timestamp) {
        // A negative distance converts to an error, and there is then nothing to wait for.
        let wait = Duration::try_from(moment.duration_since(self.now())).unwrap_or_default();
        tokio::time::sleep(wait).await;
    }
}
