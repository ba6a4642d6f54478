//! Waits of different lengths, so that replicas do not come back all at once.

use std::time::Duration;

/// A wait between half of it and all of it.
pub(super) fn jittered(wait: Duration) -> Duration {
    wait / 2 + part_of(wait / 2)
}

/// A part of a wait, between nothing and all of it.
pub(super) fn part_of(wait: Duration) -> Duration {
    let mut byte = [0_u8; 1];
    // Without randomness the whole wait is as good.
    let share = getrandom::fill(&mut byte).map_or(255, |()| u32::from(byte[0]));
    wait * share / 255
}
