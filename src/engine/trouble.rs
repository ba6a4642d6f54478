//! Trouble that goes on: said when it begins or changes, and then once a minute. Eight rooms that cannot reach the journal
//! would else fill a disk with one sentence, perhaps the disk under the journal.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How often it is said while it goes on.
const SAID_EVERY: Duration = Duration::from_mins(1);

/// What was said last, and when.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<Option<(String, Instant)>>);

impl Trouble {
    fn lock(&self) -> MutexGuard<'_, Option<(String, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether to say this at `now`; a `true` counts as said.
    pub(super) fn is_news(&self, error: &str, now: Instant) -> bool {
        let mut said = self.lock();
        let known = said.as_ref().is_some_and(|(last, at)| last == error && now.duration_since(*at) < SAID_EVERY);
        if !known {
            *said = Some((error.to_owned(), now));
        }
        !known
    }

    /// It is over: the next one is news.
    pub(super) fn over(&self) {
        *self.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_that_goes_on_is_said_once_a_minute_and_at_once_when_it_changes_or_comes_back() {
        let (trouble, now) = (Trouble::default(), Instant::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        let said = [(0, "full"), (0, "full"), (59, "full"), (60, "full"), (61, "read-only"), (62, "read-only")]
            .map(|(seconds, error)| trouble.is_news(error, at(seconds)));
        assert_eq!(said, [true, false, false, true, true, false]);
        trouble.over();
        assert!(trouble.is_news("read-only", at(63)));
    }
}
