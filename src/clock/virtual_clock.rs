//! A clock for tests: a night passes in a moment.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use super::{Clock, moved};

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub struct VirtualClock(watch::Sender<Hands>);

#[derive(Debug, Clone, Copy)]
struct Hands {
    shown: Timestamp,
    /// By how much it was set in all.
    set: SignedDuration,
    /// How far the wall clock has jumped away from it.
    jump: SignedDuration,
}

impl Hands {
    fn steady(self) -> Timestamp {
        moved(self.shown, -self.set)
    }
}

impl VirtualClock {
    /// A clock that shows `start`.
    pub fn starting_at(start: Timestamp) -> Self {
        let (set, jump) = (SignedDuration::ZERO, SignedDuration::ZERO);
        Self(watch::Sender::new(Hands { shown: start, set, jump }))
    }

    /// Moves the clock to `moment` and wakes those who waited for it.
    pub fn set(&self, moment: Timestamp) {
        self.0.send_modify(|hands| hands.shown = moment);
    }

    /// Moves the clock on.
    pub fn advance(&self, by: SignedDuration) {
        self.0.send_modify(|hands| hands.shown = moved(hands.shown, by));
    }

    /// Somebody sets the wall clock; what this one shows stays until it is set too.
    pub fn wall_jumps(&self, by: SignedDuration) {
        self.0.send_modify(|hands| hands.jump = hands.jump.saturating_add(by));
    }

    /// Returns when it was set in all by so much.
    pub async fn was_set(&self, by: SignedDuration) {
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|hands| hands.set == by).await;
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.0.borrow().shown
    }

    async fn sleep_until(&self, moment: Timestamp) {
        let wakes = moved(moment, -self.0.borrow().set);
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|hands| hands.steady() >= wakes).await;
    }

    fn steady(&self) -> Timestamp {
        self.0.borrow().steady()
    }

    fn jump(&self) -> Option<SignedDuration> {
        let jump = self.0.borrow().jump;
        (!jump.is_zero()).then_some(jump)
    }

    fn set_by(&self, by: SignedDuration) {
        self.0.send_modify(|hands| {
            hands.shown = moved(hands.shown, by);
            hands.set = hands.set.saturating_add(by);
            hands.jump = hands.jump.saturating_sub(by);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_virtual_clock_wakes_those_whose_time_has_come() {
        let clock = std::sync::Arc::new(VirtualClock::starting_at(Timestamp::UNIX_EPOCH));
        let due = Timestamp::from_second(60).unwrap();
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(due).await }
        });
        clock.advance(SignedDuration::from_secs(59));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(SignedDuration::from_secs(1));
        sleeper.await.unwrap();
    }
}
