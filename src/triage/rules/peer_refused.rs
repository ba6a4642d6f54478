//! We refuse a peer's certificate, and the proxy does not say which check failed: older ones never do. The counters tell identities
//! from the rest.
//!
//! Names: identity mismatch, trust bundle mismatch, or inconclusive where the counters do not tell. Rests on 3.3 (proxy's log) and
//! 4.1, 4.2 (counters).

use super::Conclusion;
use crate::triage::{
    CallAtOnce, Confidence, FixName, ProxyStats, Scenario, Side, TlsCounters, diagnosis_input::DiagnosisInput,
    envoy::TlsReason,
};

pub(super) fn judge(input: &DiagnosisInput<'_>) -> Option<Conclusion> {
    let times = input.several(TlsReason::PeerRefused)?;
    let words = format!("{}, in {times} line(s) of the log", TlsReason::PeerRefused.words());
    let (by_identity, by_the_rest) =
        (count(input, |one| one.fail_verify_san), count(input, |one| one.fail_verify_error));
    let (scenario, why) = match (by_identity, by_the_rest) {
        (Some(1..), Some(0) | None) => (
            Scenario::IdentityMismatch,
            "its counters do: the identity (ssl.fail_verify_san counts, ssl.fail_verify_error does not)",
        ),
        (Some(0) | None, Some(1..)) => (
            Scenario::TrustBundleMismatch,
            "its counters do in part: dates or authority (ssl.fail_verify_error counts, ssl.fail_verify_san does not); \
             compare the peer's authority first, then its dates",
        ),
        _ => (
            Scenario::Inconclusive,
            "its counters do not tell either: compare the peer's dates, authority and identity",
        ),
    };
    let mut conclusion = Conclusion::new(scenario, vec![words, why.to_owned()]);
    conclusion.side = Side::Peer;
    conclusion.confidence = Confidence::Low;
    conclusion.pods = input.pods_that_log(TlsReason::PeerRefused);
    conclusion.call_at_once = Some(CallAtOnce::L2);
    Some(conclusion.advise_against(
        &[FixName::RestartPod, FixName::RestartSpireAgent],
        "it is the peer's certificate that is refused: a restart here cures nothing",
    ))
}

/// The failures of all proxies of one kind; `None` where none of them counts that kind.
fn count(input: &DiagnosisInput<'_>, kind: fn(&TlsCounters) -> Option<u64>) -> Option<u64> {
    let stats = input.pods.iter().filter_map(|(pod, _)| pod.stats.value());
    let sides = stats.flat_map(|stats: &ProxyStats| std::iter::once(&stats.server).chain(stats.clients.values()));
    sides.filter_map(kind).reduce(u64::saturating_add)
}
