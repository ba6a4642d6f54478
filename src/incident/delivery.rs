//! Messages of ours on a platform, as the journal remembers them.

use super::Destination;

/// A message of ours on a platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRef {
    /// The platform's id of the message (Slack's `ts`).
    pub id: String,
    /// The version of the incident that was drawn.
    pub version: u64,
}

/// What the journal remembers of a message, by its slot: `card`, or the key of the effect that posted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Where it is.
    pub to: Destination,
    /// `card` for the root message, else the key of the effect.
    pub slot: String,
    pub message: MessageRef,
}
