//! The storm brake: counts openings, and says which of them are more than people can be called about in a minute.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

/// The stretch over which openings are counted.
const MINUTE: SignedDuration = SignedDuration::from_mins(1);
/// How many opening times are kept: far above any sensible brake.
const KEPT_MOST: usize = 10_000;
/// Counts openings. A count that is lost with the process is read from the journal again at the start.
#[derive(Debug, Default)]
pub(super) struct StormBrake {
    openings: Mutex<VecDeque<Timestamp>>,
    raised: Notify,
}

/// The openings of one body: counted before they are stored, so that bodies that come at once cannot all be the last
/// before the brake; given back when they are not stored after all.
#[derive(Debug)]
pub(super) struct Openings<'a> {
    brake: &'a StormBrake,
    at: Timestamp,
    count: usize,
    quiet: usize,
}

impl Openings<'_> {
    /// Counts one more, and says whether it is one too many: it is then quiet.
    pub(super) fn add(&mut self, per_minute: u32) -> bool {
        let quiet = self.brake.count(self.at, per_minute);
        self.count = self.count.saturating_add(1);
        self.quiet = self.quiet.saturating_add(usize::from(quiet));
        quiet
    }

    /// They were stored. Whether any of them is quiet.
    pub(super) fn keep(mut self) -> bool {
        self.count = 0;
        self.quiet > 0
    }
}

impl Drop for Openings<'_> {
    fn drop(&mut self) {
        self.brake.give_back(self.at, self.count);
    }
}

impl StormBrake {
    pub(super) fn opened(&self, at: Timestamp) {
        self.lock().push_back(at);
    }

    pub(super) fn openings(&self, at: Timestamp) -> Openings<'_> {
        Openings { brake: self, at, count: 0, quiet: 0 }
    }

    /// The clock was set.
    pub(super) fn clock_set(&self, by: SignedDuration) {
        for opened in self.lock().iter_mut() {
            *opened = opened.saturating_add(by).unwrap_or(*opened);
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Timestamp>> {
        self.openings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one opening, and says whether there were as many already as people can be called about in a minute.
    fn count(&self, now: Timestamp, per_minute: u32) -> bool {
        let mut openings = self.lock();
        while openings.front().is_some_and(|first| now.duration_since(*first) > MINUTE) {
            openings.pop_front();
        }
        let rages = openings.len() >= usize::try_from(per_minute).unwrap_or(usize::MAX);
        if openings.len() >= KEPT_MOST {
            openings.pop_front();
        }
        openings.push_back(now);
        rages
    }

    fn give_back(&self, at: Timestamp, count: usize) {
        let mut openings = self.lock();
        for _ in 0..count {
            let Some(place) = openings.iter().rposition(|opened| *opened == at) else { return };
            openings.remove(place);
        }
    }

    /// Forgets what was counted, as after a quiet minute.
    #[cfg(test)]
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    /// There is more to show of a storm.
    pub(super) fn notify(&self) {
        self.raised.notify_one();
    }

    /// Waits until there is more to show of a storm.
    pub(super) async fn notified(&self) {
        self.raised.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three_in_the_morning() -> Timestamp {
        "2026-11-24T03:00:00Z".parse().unwrap()
    }

    #[test]
    fn of_64_bodies_that_come_at_once_only_as_many_are_called_about_as_the_brake_lets_through() {
        let brake = StormBrake::default();
        let loud = std::thread::scope(|scope| {
            let bodies: Vec<_> = (0..64)
                .map(|_| {
                    scope.spawn(|| {
                        let mut openings = brake.openings(three_in_the_morning());
                        let quiet = openings.add(10);
                        openings.keep();
                        quiet
                    })
                })
                .collect();
            bodies.into_iter().map(|body| body.join().unwrap()).filter(|quiet| !quiet).count()
        });
        assert_eq!(loud, 10);
    }

    #[test]
    fn a_body_that_was_not_stored_takes_no_place_before_the_brake() {
        let brake = StormBrake::default();
        for _ in 0..20 {
            let mut openings = brake.openings(three_in_the_morning());
            assert!(!openings.add(2));
            assert!(!openings.add(2));
        }
    }

    #[test]
    fn an_event_storm_of_160_alerts_in_one_body_calls_about_ten_and_a_minute_later_about_the_next() {
        let brake = StormBrake::default();
        let mut body = brake.openings(three_in_the_morning());
        let loud = (0..160).filter(|_| !body.add(10)).count();
        assert_eq!(loud, 10);
        assert!(body.keep());
        let mut next = brake.openings(three_in_the_morning() + SignedDuration::from_secs(61));
        assert!(!next.add(10));
    }

    #[test]
    fn a_clock_that_is_set_back_an_hour_keeps_the_brake_on_no_longer_than_its_minute() {
        for hours in [-1, 1] {
            let (brake, by) = (StormBrake::default(), SignedDuration::from_hours(hours));
            let mut body = brake.openings(three_in_the_morning());
            assert!(!body.add(1));
            body.keep();
            brake.clock_set(by);
            let mut at_once = brake.openings(three_in_the_morning() + by + SignedDuration::from_secs(59));
            assert!(at_once.add(1), "{hours} h");
            drop(at_once);
            let mut later = brake.openings(three_in_the_morning() + by + SignedDuration::from_secs(61));
            assert!(!later.add(1), "{hours} h");
        }
    }
}
