//! Nobody answers, and no TLS reason stands in the proxies' logs.
//!
//! Names: network. Rests on 3.3 (proxy's log).

use super::Conclusion;
use crate::triage::{CallAtOnce, Confidence, Scenario, diagnosis_input::DiagnosisInput, envoy::TlsReason};

/// So many refused calls speak of the network: fewer are a rollout of the peer.
pub(super) const UNREACHABLE_LEAST: u64 = 3;

pub(super) fn judge(input: &DiagnosisInput<'_>) -> Option<Conclusion> {
    let times = input.several(TlsReason::Unreachable).filter(|times| *times >= UNREACHABLE_LEAST)?;
    let reasons = vec![format!("{times} connections were refused or closed without a TLS reason")];
    let mut conclusion = Conclusion::new(Scenario::Network, reasons);
    conclusion.confidence = Confidence::Medium;
    conclusion.call_at_once = Some(CallAtOnce::L3);
    Some(conclusion)
}
