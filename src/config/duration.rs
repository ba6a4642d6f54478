//! Times as people write them: `15m`, `1h30m`, `400d`.

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, de::Error};

/// A time, as `15m`, `1h 30m`, `90s` or `400d` (days of 24 hours); more than zero, and less than a hundred years.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeSpan(pub SignedDuration);

const DAY: SignedDuration = SignedDuration::from_hours(24);
/// The longest time that the configuration takes: nobody waits longer, and the sum with any clock does not overflow.
const MOST: SignedDuration = SignedDuration::from_hours(100 * 365 * 24);

impl<'de> Deserialize<'de> for TimeSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || D::Error::custom(format!("{text:?} is not a time: write 15m, 1h30m or 90s"));
        let days = text.strip_suffix('d').and_then(|count| count.parse::<i32>().ok());
        let span: SignedDuration = match days {
            Some(days) => DAY.checked_mul(days).ok_or_else(wrong)?,
            None => text.parse().map_err(|_| wrong())?,
        };
        if span > SignedDuration::ZERO && span <= MOST { Ok(Self(span)) } else { Err(wrong()) }
    }
}
