//! Names of incidents and of stored evidence.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The name of an incident, as `INC-42`: short enough to type on a phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IncidentId(pub u32);

impl IncidentId {
    /// No name yet: the journal gives the next number in the transaction that opens the incident, so that an opening that
    /// came to nothing leaves no gap.
    pub const UNNUMBERED: Self = Self(0);
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "INC-{}", self.0)
    }
}

/// The text is not the name of an incident.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an incident is named like INC-42")]
pub struct NotAnIncidentId;

impl FromStr for IncidentId {
    type Err = NotAnIncidentId;

    /// Reads `INC-42`, `inc-42` and `42`.
    fn from_str(text: &str) -> Result<Self, NotAnIncidentId> {
        let digits = text.get(..4).filter(|start| start.eq_ignore_ascii_case("inc-")).map_or(text, |_| &text[4..]);
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if plain { digits.parse().map(Self).map_err(|_| NotAnIncidentId) } else { Err(NotAnIncidentId) }
    }
}

/// The SHA-256 of stored evidence, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EvidenceDigest(pub String);
