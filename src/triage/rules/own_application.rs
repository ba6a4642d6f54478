//! The application behind the proxy does not answer it. TLS did not fail.
//!
//! Names: application. Rests on 3.3 (proxy's log).

use super::{Conclusion, unreachable::UNREACHABLE_LEAST};
use crate::triage::{Confidence, FixName, Scenario, Side, diagnosis_input::DiagnosisInput, envoy::TlsReason};

pub(super) fn judge(input: &DiagnosisInput<'_>) -> Option<Conclusion> {
    let times = input.several(TlsReason::OwnApplication).filter(|times| *times >= UNREACHABLE_LEAST)?;
    let reasons = vec![format!("{}, in {times} line(s) of the log", TlsReason::OwnApplication.words())];
    let mut conclusion = Conclusion::new(Scenario::Application, reasons);
    conclusion.side = Side::Server;
    conclusion.pods = input.pods_that_log(TlsReason::OwnApplication);
    conclusion.confidence = Confidence::Medium;
    Some(conclusion.advise_against(
        &[FixName::RestartSpireAgent, FixName::SyncTrustBundle, FixName::EnforceStrictMtls],
        "the call got through the proxy: neither identities nor modes are at fault",
    ))
}
