//! Times as people write them: `15m`, `1h30m`.

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, de::Error};

/// A time, as `15m`, `1h 30m` or `90s`; more than zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub SignedDuration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || D::Error::custom(format!("{text:?} is not a time: write 15m, 1h30m or 90s"));
        let span: SignedDuration = text.parse().map_err(|_| wrong())?;
        if span > SignedDuration::ZERO { Ok(Self(span)) } else { Err(wrong()) }
    }
}
