//! Our proxies speak TLS to a peer that speaks plaintext.
//!
//! Names: Istio configuration, at a peer. Rests on 3.3 (proxy's log).

use super::Conclusion;
use crate::triage::{Confidence, FixName, Scenario, Side, diagnosis_input::DiagnosisInput, envoy::TlsReason};

pub(super) fn judge(input: &DiagnosisInput<'_>) -> Option<Conclusion> {
    let times = input.several(TlsReason::PeerSpeaksPlaintext)?;
    let reasons = vec![
        format!("we speak TLS to a peer that speaks plaintext, in {times} line(s) of the log"),
        "compare the modes of both sides (runbook step 3): this version does not compute them".to_owned(),
    ];
    let mut conclusion = Conclusion::new(Scenario::IstioConfiguration, reasons);
    conclusion.side = Side::Peer;
    conclusion.confidence = Confidence::Medium;
    Some(conclusion.advise_against(
        &[FixName::RestartPod, FixName::RestartSpireAgent],
        "the modes of the two sides disagree: no certificate is at fault",
    ))
}
