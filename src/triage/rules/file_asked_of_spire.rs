//! Istio asks SPIRE for a secret that lies in a file. The workload's own entry and SVID may be in order.
//!
//! Names: Istio configuration. Rests on 3.3 (proxy's log).

use super::Conclusion;
use crate::triage::{CallAtOnce, Confidence, FixName, Scenario, diagnosis_input::DiagnosisInput, envoy::TlsReason};

pub(super) fn judge(input: &DiagnosisInput<'_>) -> Option<Conclusion> {
    // A proxy says it once a configuration and not once a call, so that one line of late is enough.
    let pods = input.pods_that_log(TlsReason::FileAskedOfSpire);
    if pods.is_empty() {
        return None;
    }
    let reasons = vec![
        TlsReason::FileAskedOfSpire.words().to_owned(),
        "look for the DestinationRule or Gateway whose tls names files (caCertificates, clientCertificate), or none at \
         all with mode SIMPLE: calls by it wait for that secret for ever"
            .to_owned(),
    ];
    let mut conclusion = Conclusion::new(Scenario::IstioConfiguration, reasons);
    conclusion.pods = pods;
    conclusion.confidence = Confidence::Medium;
    conclusion.call_at_once = Some(CallAtOnce::L2);
    Some(conclusion.advise_against(
        &[FixName::RestartPod, FixName::RestartSpireAgent, FixName::SyncTrustBundle],
        "SPIRE serves the workload's own certificate: what is asked for besides is none of SPIRE's",
    ))
}
