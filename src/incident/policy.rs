//! The rules that decisions are made by, from the configuration.

use jiff::SignedDuration;

use super::Destination;
use crate::{approval, escalation};

/// Everything that decisions need to know from the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The ladder; copied into each incident when it opens.
    pub escalation: escalation::Policy,
    /// Who must approve.
    pub approval: approval::Rule,
    /// Where cards and posts go; copied into each incident when it opens.
    pub channels: Vec<Destination>,
    /// How long all alerts must stay resolved before an incident closes.
    pub hold: SignedDuration,
    /// Firing within this time after closing reopens the same incident.
    pub flap: SignedDuration,
    /// Firing that is not repeated for this long is shown as stale.
    pub stale_after: SignedDuration,
    /// More openings a minute than this are one storm.
    pub storm_per_minute: u32,
    /// How long the counters are watched after a fix.
    pub verification_window: SignedDuration,
    /// How long a replacement pod may take to become Ready with a fresh SVID.
    pub replacement_within: SignedDuration,
    /// Whether fixes may run at all (invariant 10).
    pub writes_enabled: bool,
}
