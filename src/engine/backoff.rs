//! How long to wait before an effect is tried again.

use jiff::SignedDuration;

/// The first wait; doubled at each attempt.
const FIRST: SignedDuration = SignedDuration::from_secs(2);
/// The longest wait: a platform that comes back is noticed within this.
const LONGEST: SignedDuration = SignedDuration::from_mins(2);

/// The wait after `attempt` (from 1) has failed: doubling, bounded, and spread by half so that many effects that failed
/// together do not come back together. `chance` is a random byte.
pub(super) fn wait(attempt: u32, chance: u8) -> SignedDuration {
    // Sixteen doublings of the first wait are beyond the longest one.
    let doublings = attempt.saturating_sub(1).min(16);
    let full = (FIRST * (1_i32 << doublings)).min(LONGEST);
    full / 2 + full / 2 * i32::from(chance) / 255
}

/// The longest wait for what others hold, and give back without a word.
const LONGEST_BETWEEN_LOOKS: SignedDuration = SignedDuration::from_secs(20);

/// The wait of what has waited for others for `age`, and has done nothing in all that time: half as long again, bounded
/// and spread as above.
pub(super) fn look_again(age: SignedDuration, chance: u8) -> SignedDuration {
    let full = (age / 2).clamp(FIRST, LONGEST_BETWEEN_LOOKS);
    full / 2 + full / 2 * i32::from(chance) / 255
}

/// A random byte; without one (the system has no randomness to give) the middle of the spread.
pub(super) fn chance() -> u8 {
    let mut byte = [128_u8];
    if getrandom::fill(&mut byte).is_err() {
        return 128;
    }
    byte.first().copied().unwrap_or(128)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_others_looks_less_and_less_often_and_every_20_seconds_at_least() {
        let secs = SignedDuration::from_secs;
        for (age, full) in [(0, 2), (-9, 2), (10, 5), (40, 20), (100_000, 20)] {
            assert_eq!((look_again(secs(age), 255), look_again(secs(age), 0)), (secs(full), secs(full) / 2), "{age}");
        }
    }

    #[test]
    fn waits_double_are_spread_and_end_at_two_minutes() {
        assert_eq!(wait(1, 255), FIRST);
        assert_eq!(wait(1, 0), FIRST / 2);
        assert_eq!(wait(3, 255), SignedDuration::from_secs(8));
        for attempt in [10, 31, 32, 33, 1000, u32::MAX] {
            assert_eq!(wait(attempt, 255), LONGEST, "{attempt}");
        }
    }
}
