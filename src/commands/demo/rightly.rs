//! How the night of each scenario ends if the bot does what it is for.

use crate::{escalation::LevelNumber, simulate::world::Scenario as Night, triage::Scenario};

/// The right end of a night.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RightEnd {
    /// Nothing was broken, and nobody hears anything.
    Quiet,
    /// The causes were named one after the other, each was mended, and the incident closed by itself.
    Mended(&'static [Scenario]),
    /// The runbook has no fix: the cause was named, and this level was called.
    Called(Scenario, LevelNumber),
}

/// The right end of a night with this broken.
pub(super) fn right_end(night: Night) -> RightEnd {
    let (second, third) = (LevelNumber(2), LevelNumber(3));
    match night {
        Night::Healthy => RightEnd::Quiet,
        Night::ExpiredCertificate
        | Night::ExpiredCertificateTls12
        | Night::ExpiredCertificateNativeSidecar
        | Night::ProxyKeepsOldSvid => RightEnd::Mended(&[Scenario::ExpiredCertificate]),
        Night::SpireAgent | Night::AgentStuckButGreen => RightEnd::Mended(&[Scenario::SpireAgent]),
        Night::ExpiredCertificateAgentFrozen => RightEnd::Mended(&[Scenario::SpireAgent, Scenario::ExpiredCertificate]),
        Night::SpireServer => RightEnd::Called(Scenario::SpireServer, second),
        Night::WrongIdentity => RightEnd::Called(Scenario::IdentityMismatch, second),
        Night::NoRegistrationEntry => RightEnd::Called(Scenario::Registration, second),
        Night::ServerPortBlocked => RightEnd::Called(Scenario::Network, third),
        Night::ClockSkew => RightEnd::Called(Scenario::ClockSkew, third),
        Night::IstioConfiguration => RightEnd::Called(Scenario::IstioConfiguration, second),
        Night::IstiodIssued | Night::TrustBundle => RightEnd::Called(Scenario::TrustBundleMismatch, second),
    }
}
