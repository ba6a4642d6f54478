//! The proxies' logs say that a peer's certificate has not begun.
//!
//! Names: clock skew, at a peer. Rests on 3.3 (proxy's log).

use super::Conclusion;
use crate::triage::{
    CallAtOnce, Confidence, FixName, Scenario, Side, diagnosis_input::DiagnosisInput, envoy::TlsReason,
};

pub(super) fn judge(input: &DiagnosisInput<'_>) -> Option<Conclusion> {
    let times = input.several(TlsReason::PeerNotYetValid)?;
    let reasons = vec![format!("a peer's certificate has not begun, in {times} line(s) of the log: a clock is wrong")];
    let mut conclusion = Conclusion::new(Scenario::ClockSkew, reasons);
    conclusion.side = Side::Peer;
    conclusion.confidence = Confidence::Medium;
    conclusion.call_at_once = Some(CallAtOnce::L3);
    Some(conclusion.advise_against(&[FixName::RestartPod], "a restart sets no clock"))
}
