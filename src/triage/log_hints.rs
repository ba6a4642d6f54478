//! What the proxies' logs lean to: which cause a sign speaks for, and how many signs of late it takes to name one.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::{
    Scenario,
    diagnosis_input::DiagnosisInput,
    envoy::{SignCount, TlsReason},
    examine::Examined,
};

/// Signs that are older than this when the log is read name no cause. A fault that goes on is met by every call, so that
/// with traffic enough to raise an alert (its rates look back five minutes) it is logged in each such stretch; what was
/// not, is over or has another cause. Lines without a time count: the log is read ten minutes back at most.
pub(super) const RECENT: SignedDuration = SignedDuration::from_mins(5);

/// So many lines of a kind name a cause: one alone may be a client that went astray, or the moment of a rollout.
pub(super) const SEVERAL: u64 = 2;

/// The cause that a sign speaks for, where it speaks for one. Those that it does not name need another look: at our own
/// certificate (peers say that it is over; it was never got or is not shown), or at the caller.
pub(super) fn scenario_hinted_by(reason: TlsReason) -> Option<Scenario> {
    match reason {
        TlsReason::PeerExpired => Some(Scenario::ExpiredCertificate),
        TlsReason::PeerNotYetValid => Some(Scenario::ClockSkew),
        TlsReason::PeerIdentity | TlsReason::PeerNotAnSvid => Some(Scenario::IdentityMismatch),
        TlsReason::NotRegistered => Some(Scenario::Registration),
        TlsReason::PeerUnknownAuthority
        | TlsReason::OwnUnknownAuthority
        | TlsReason::NoBundleForDomain
        | TlsReason::AuthorityExpired => Some(Scenario::TrustBundleMismatch),
        TlsReason::PeerSpeaksPlaintext | TlsReason::FileAskedOfSpire | TlsReason::DeniedByPolicy => {
            Some(Scenario::IstioConfiguration)
        }
        TlsReason::Unreachable => Some(Scenario::Network),
        TlsReason::OwnExpired
        | TlsReason::OwnRejected
        | TlsReason::CutAfterHandshake
        | TlsReason::NoSecret
        | TlsReason::PeerWithoutCertificate
        | TlsReason::OwnCertificateWanted
        | TlsReason::PlaintextToUs
        | TlsReason::PeerRefused
        | TlsReason::OwnApplication => None,
    }
}

impl Examined {
    /// How often the proxy logged a reason, whenever that was.
    pub(super) fn times(&self, reason: TlsReason) -> u64 {
        self.counted(|sign| sign.reason == reason)
    }

    /// How often, of signs that were still logged shortly before the log was read.
    pub(super) fn recently(&self, reason: TlsReason) -> u64 {
        let is_recent = |last| self.log_read_at.duration_since(last) <= RECENT;
        self.counted(|sign| sign.reason == reason && sign.last.is_none_or(is_recent))
    }

    fn counted(&self, pick: impl Fn(&SignCount) -> bool) -> u64 {
        self.signs.iter().filter(|sign| pick(sign)).map(|sign| sign.count).fold(0, u64::saturating_add)
    }
}

impl DiagnosisInput<'_> {
    /// How often the proxies logged a reason, all together, whenever that was.
    pub(super) fn times(&self, reason: TlsReason) -> u64 {
        self.pods.iter().map(|(_, found)| found.times(reason)).fold(0, u64::saturating_add)
    }

    /// Whether peers refused what our side showed, and did not say why. Under TLS 1.3 they never do.
    pub(super) fn is_refused_without_a_reason(&self) -> bool {
        self.times(TlsReason::CutAfterHandshake) > 0 || self.times(TlsReason::OwnRejected) > 0
    }

    /// How often of late, if that is often enough to name a cause.
    pub(super) fn several(&self, reason: TlsReason) -> Option<u64> {
        let times = self.pods.iter().map(|(_, found)| found.recently(reason)).fold(0, u64::saturating_add);
        (times >= SEVERAL).then_some(times)
    }

    /// The signs that are enough to name `scenario`, with how often they were logged of late.
    pub(super) fn hints(&self, scenario: Scenario) -> BTreeMap<TlsReason, u64> {
        let counted = |reason: TlsReason| Some((reason, self.several(reason)?));
        self.reasons(scenario).filter_map(counted).collect()
    }

    /// Whether a sign speaks for `scenario` at all, be it one and old: then it is not ruled out.
    pub(super) fn is_hinted(&self, scenario: Scenario) -> bool {
        self.reasons(scenario).next().is_some()
    }

    /// The signs that speak for a cause and are too few, or too old, to name it.
    pub(super) fn too_few(&self) -> Vec<String> {
        let signs = self.pods.iter().flat_map(|(_, found)| &found.signs).map(|sign| sign.reason);
        let few = signs.filter(|reason| scenario_hinted_by(*reason).is_some() && self.several(*reason).is_none());
        let minutes = RECENT.as_mins();
        let sentence = |reason: TlsReason| {
            let (words, times) = (reason.words(), self.times(reason));
            let ask = format!("fewer than {SEVERAL} of them in the last {minutes} min: look again whether it goes on");
            format!("{words}, in {times} line(s) of the proxies' logs, {ask}")
        };
        few.collect::<BTreeSet<_>>().into_iter().map(sentence).collect()
    }

    fn reasons(&self, scenario: Scenario) -> impl Iterator<Item = TlsReason> {
        let signs = self.pods.iter().flat_map(|(_, found)| &found.signs).map(|sign| sign.reason);
        signs.filter(move |reason| scenario_hinted_by(*reason) == Some(scenario))
    }
}
