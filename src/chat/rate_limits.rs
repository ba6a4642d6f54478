//! Doors that a platform has shut: after a 429 nobody knocks there again before its `Retry-After` is over, whichever slot or
//! person it is. When it opens pages go first, and the rest follows in the order of the queue.
//!
//! The doors open in real time (`Instant`) and not on the bot's clock: `Retry-After` is seconds of the platform's, which no demo
//! makes pass faster.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How much longer everything but pages waits: about one message a second and channel gets through.
const PAGES_AHEAD: Duration = Duration::from_secs(1);
/// The most doors that are remembered: methods times channels, so this is never reached unless something is wrong.
const DOORS_MOST: usize = 256;

/// Whose turn it is when a door opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendTurn {
    /// Somebody is called.
    Page,
    /// All the rest.
    Rest,
}

/// The doors of one workspace, by call and channel. Cheap to clone; all clones share them.
#[derive(Debug, Clone, Default)]
pub(in crate::chat) struct RateLimits(Arc<Mutex<BTreeMap<(&'static str, String), Instant>>>);

impl RateLimits {
    /// The platform asked us to wait.
    pub(in crate::chat) fn shut(&self, method: &'static str, channel: &str, until: Instant) {
        let mut doors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if doors.len() < DOORS_MOST || doors.contains_key(&(method, channel.to_owned())) {
            let known = doors.entry((method, channel.to_owned())).or_insert(until);
            *known = until.max(*known);
        }
    }

    /// How long a call still has to wait at `now`; `None` when the door is open.
    pub(in crate::chat) fn wait(
        &self,
        method: &'static str,
        channel: &str,
        turn: SendTurn,
        now: Instant,
    ) -> Option<Duration> {
        let mut doors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        doors.retain(|_, until| now < *until + PAGES_AHEAD);
        let until = *doors.get(&(method, channel.to_owned()))?;
        let opens = if turn == SendTurn::Page { until } else { until + PAGES_AHEAD };
        Some(opens.saturating_duration_since(now)).filter(|wait| !wait.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_429_all_wait_for_the_same_door_pages_go_first_and_other_channels_go_on() {
        let (gates, now) = (RateLimits::default(), Instant::now());
        let seconds = Duration::from_secs;
        gates.shut("chat.postMessage", "C1", now + seconds(30));
        let wait = |turn, at| gates.clone().wait("chat.postMessage", "C1", turn, now + seconds(at));
        assert_eq!(wait(SendTurn::Page, 10), Some(seconds(20)));
        assert_eq!(wait(SendTurn::Rest, 10), Some(seconds(21)));
        assert_eq!(gates.wait("chat.postMessage", "C2", SendTurn::Rest, now), None);
        assert_eq!(gates.wait("chat.update", "C1", SendTurn::Rest, now), None);
        assert_eq!(wait(SendTurn::Page, 30), None, "the page goes first");
        assert_eq!(wait(SendTurn::Rest, 30), Some(seconds(1)));
        assert_eq!(wait(SendTurn::Rest, 31), None);
        gates.shut("chat.postMessage", "C1", now + seconds(60));
        gates.shut("chat.postMessage", "C1", now + seconds(40));
        assert_eq!(wait(SendTurn::Page, 50), Some(seconds(10)), "the longer of two waits counts");
    }
}
