//! Our proxies speak TLS to a peer that speaks plaintext.
//!
//! Names: Istio configuration, at a peer. Rests on 3.3 (proxy's log).

use super::Conclusion;
use crate::triage::{
    Confidence, FixName, Scenario, Side, diagnosis_input::DiagnosisInput, envoy::TlsReason,
    examine::istio_objects::ExaminedIstio,
};

pub(super) fn judge(input: &DiagnosisInput<'_>) -> Option<Conclusion> {
    let times = input.several(TlsReason::PeerSpeaksPlaintext)?;
    let reasons = vec![
        format!("we speak TLS to a peer that speaks plaintext, in {times} line(s) of the log"),
        match input.istio.as_ref().map(ExaminedIstio::all_agree) {
            None => "compare the modes of both sides (runbook step 3): they were not computed".to_owned(),
            Some(false) => {
                "compare the modes of both sides: not every call in question could be judged by them".to_owned()
            }
            Some(true) => {
                "the modes of both sides go together by the objects: see whether the proxies have the newest \
                           (istioctl proxy-status)"
                    .to_owned()
            }
        },
    ];
    let mut conclusion = Conclusion::new(Scenario::IstioConfiguration, reasons);
    conclusion.side = Side::Peer;
    conclusion.confidence = Confidence::Medium;
    Some(conclusion.advise_against(
        &[FixName::RestartPod, FixName::RestartSpireAgent],
        "the modes of the two sides disagree: no certificate is at fault",
    ))
}
