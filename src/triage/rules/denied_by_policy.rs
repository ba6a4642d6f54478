//! An AuthorizationPolicy refuses callers. TLS did not fail.
//!
//! Names: Istio configuration, at a peer. Rests on 3.3 (proxy's log).

use super::Conclusion;
use crate::triage::{Confidence, FixName, Scenario, Side, diagnosis_input::DiagnosisInput, envoy::TlsReason};

pub(super) fn judge(input: &DiagnosisInput<'_>) -> Option<Conclusion> {
    let times = input.several(TlsReason::DeniedByPolicy)?;
    let reasons = vec![
        format!("{}, in {times} line(s) of the log", TlsReason::DeniedByPolicy.words()),
        "compare the principals of the AuthorizationPolicy with who calls, and see whether the caller has a sidecar"
            .to_owned(),
    ];
    let mut conclusion = Conclusion::new(Scenario::IstioConfiguration, reasons);
    conclusion.side = Side::Peer;
    conclusion.pods = input.pods_that_log(TlsReason::DeniedByPolicy);
    conclusion.confidence = Confidence::Medium;
    Some(conclusion.advise_against(
        &[FixName::RestartPod, FixName::RestartSpireAgent, FixName::SyncTrustBundle],
        "the call was refused by a policy: no certificate is at fault",
    ))
}
