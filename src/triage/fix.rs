//! The names of the runbook's fixes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A fix of the runbook's "Resolution Procedures", by the name that people type after `/mtls fix`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
        match self {
            Self::RestartPod => "restart-pod",
            Self::RestartSpireAgent => "restart-spire-agent",
            Self::SyncTrustBundle => "sync-trust-bundle",
            Self::RolloutRestart => "rollout-restart",
            Self::EnforceStrictMtls => "enforce-strict-mtls",
            Self::SetDestinationruleIstioMutual => "set-destinationrule-istio-mutual",
            Self::RestartPodOfPeer => "restart-pod-of-peer",
        }
    }

    /// The fixes that this version of the bot can carry out itself.
    pub const CARRIED_OUT: [Self; 2] = [Self::RestartPod, Self::RestartSpireAgent];

    /// Reads the name that somebody typed.
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::RestartPod,
            Self::RestartSpireAgent,
            Self::SyncTrustBundle,
            Self::RolloutRestart,
            Self::EnforceStrictMtls,
            Self::SetDestinationruleIstioMutual,
        ]
        .into_iter()
        .find(|fix| fix.as_str() == text)
    }
}

impl fmt::Display for FixName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
