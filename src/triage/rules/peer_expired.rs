//! Our own side is in order, and the proxies' logs say that a peer's certificate is over.
//!
//! Names: expired certificate, at a peer. Rests on 3.3 (proxy's log) and 1.1 (dates).

use super::Conclusion;
use crate::triage::{Confidence, FixName, Scenario, Side, diagnosis_input::DiagnosisInput, envoy::TlsReason};

pub(super) fn judge(input: &DiagnosisInput<'_>) -> Option<Conclusion> {
    let times = input.several(TlsReason::PeerExpired)?;
    let own = if input.dates_are_fine() {
        "the certificates of this service are in date"
    } else {
        "no certificate of this service was seen to be over"
    };
    let reasons = vec![
        format!("{own}, and its proxies say in {times} line(s) that a peer's is over"),
        "look at the peer: `target INC NAMESPACE WORKLOAD` with the service that is called".to_owned(),
    ];
    let mut conclusion = Conclusion::new(Scenario::ExpiredCertificate, reasons);
    conclusion.side = Side::Peer;
    conclusion.confidence = Confidence::Medium;
    Some(conclusion.advise_against(
        &[FixName::RestartPod, FixName::EnforceStrictMtls],
        "the fault is on the peer's side: a restart here cures nothing",
    ))
}
