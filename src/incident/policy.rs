//! The rules that decisions are made by, from the configuration.

use jiff::SignedDuration;

use super::{Destination, OwnCluster};
use crate::{
    approval,
    escalation::{
        self,
        windows::{FLAP, HOLD, STALE_AFTER},
    },
    triage::FixName,
};

/// Everything that decisions need to know from the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The cluster that is looked after: an incident of another is neither diagnosed nor offered a fix.
    pub cluster: OwnCluster,
    /// The ladder; copied into each incident when it opens.
    pub escalation: escalation::EscalationPolicy,
    /// Who must approve.
    pub approval: approval::ApprovalRule,
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
    /// How long the effect of a step may take to be seen, such as a new pod that is Ready with a fresh SVID.
    pub settled_within: SignedDuration,
    /// Whether fixes may run at all (invariant 10).
    pub writes_enabled: bool,
    /// The fixes that this bot is not given the rights for, on purpose; told to each incident with its verdict.
    pub left_out: Vec<FixName>,
}

impl Policy {
    /// What holds where the configuration names nothing else: one approval within a quarter of an hour, an incident that
    /// closes after five quiet minutes, and no fix at all.
    pub fn usual(escalation: escalation::EscalationPolicy, channels: Vec<Destination>) -> Self {
        let minutes = SignedDuration::from_mins;
        Self {
            cluster: OwnCluster::any(),
            escalation,
            approval: approval::ApprovalRule { needed: 1, expires_after: minutes(15) },
            channels,
            hold: HOLD,
            flap: FLAP,
            stale_after: STALE_AFTER,
            storm_per_minute: 3,
            verification_window: minutes(2),
            settled_within: minutes(5),
            writes_enabled: false,
            left_out: Vec::new(),
        }
    }
}
