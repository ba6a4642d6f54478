//! The names of the runbook's fixes.

use serde::{Deserialize, Serialize};

/// A fix of the runbook's "Resolution Procedures", by the name that people type after `/mtls fix`.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum FixName {
    /// Scenario 1: restart the pods that hold a stale SVID, one after the other.
    RestartPod,
    /// Scenario 2: restart the SPIRE agent of one node.
    RestartSpireAgent,
    /// Scenario 3: bring the trust bundle ConfigMap up to date.
    SyncTrustBundle,
    /// Scenario 3: restart the workloads that hold an old bundle.
    RolloutRestart,
    /// Scenario 4: set PeerAuthentication to STRICT.
    EnforceStrictMtls,
    /// Scenario 4: set a DestinationRule to ISTIO_MUTUAL.
    SetDestinationruleIstioMutual,
    /// Not a fix of its own: the restart of a *peer's* pod, named only to say that it must not be done.
    RestartPodOfPeer,
}

impl FixName {
    /// The name as people type it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The fixes that this version of the bot can carry out itself.
    pub const CARRIED_OUT: [Self; 2] = [Self::RestartPod, Self::RestartSpireAgent];

    /// Reads the name that somebody typed. The restart of a peer's pod is no fix that anybody can ask for.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|fix| *fix != Self::RestartPodOfPeer)
    }
}
