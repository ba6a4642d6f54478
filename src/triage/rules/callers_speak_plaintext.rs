//! Callers speak plain HTTP to a port that takes mTLS alone.
//!
//! Names: Istio configuration, at a peer. Rests on 3.3 (proxy's log).

use std::collections::BTreeSet;

use super::Conclusion;
use crate::{
    legible::named,
    mesh::Namespace,
    triage::{
        Confidence, FixName, Redacted, Scenario, Side,
        diagnosis_input::DiagnosisInput,
        envoy::{TlsReason, caller_of, reason_of},
        examine::istio_objects::{ExaminedIstio, Who},
    },
};

/// How many callers are named.
const NAMED_MOST: usize = 10;

pub(super) fn judge(input: &DiagnosisInput<'_>) -> Option<Conclusion> {
    let times = input.several(TlsReason::PlaintextToUs)?;
    let callers: Vec<String> = callers(input).into_iter().collect();
    let from = if callers.is_empty() { String::new() } else { format!(" from {}", named(&callers, NAMED_MOST)) };
    let mut reasons = vec![format!("{times} calls came in plain HTTP{from}, and the port takes mTLS alone")];
    let who = who_they_are(input);
    let see = if who.is_empty() { "see who has these addresses: " } else { "" };
    reasons.extend(who);
    reasons.extend(input.istio.iter().filter_map(outside));
    reasons.push(format!(
        "{see}a pod with a sidecar calls past the mesh (by a pod's address, or a port or headless Service that the mesh does not \
         know), one without is outside of it, and a health checker means no harm"
    ));
    let mut conclusion = Conclusion::new(Scenario::IstioConfiguration, reasons);
    conclusion.side = Side::Peer;
    conclusion.pods = input.pods_that_log(TlsReason::PlaintextToUs);
    conclusion.confidence = Confidence::Low;
    Some(conclusion.advise_against(
        &[FixName::RestartPod, FixName::RestartSpireAgent, FixName::SyncTrustBundle, FixName::EnforceStrictMtls],
        "the callers show no certificate at all: none is at fault",
    ))
}

/// What would let callers in that nothing makes mTLS for.
fn outside(istio: &ExaminedIstio) -> Option<String> {
    let without = istio.refused.iter().find_map(|caller| match &caller.who {
        Who::WithoutSidecar(pod) => Some(pod),
        _ => None,
    })?;
    let mode = istio.modes.first().map_or_else(String::new, |row| format!(" ({})", row.summary));
    let namespace: Namespace = without.namespace.parse().ok()?;
    Some(format!(
        "it works once the caller has a sidecar, or the port takes plain text as well{mode}; to paste for the first: kubectl \
         label namespace {namespace} istio-injection=enabled, and then restart its workload"
    ))
}

/// Who has the addresses, where that was looked for.
fn who_they_are(input: &DiagnosisInput<'_>) -> Vec<String> {
    let refused = input.istio.iter().flat_map(|istio| &istio.refused);
    refused.take(NAMED_MOST).map(ToString::to_string).collect()
}

/// The addresses from which it was called so.
fn callers(input: &DiagnosisInput<'_>) -> BTreeSet<String> {
    let logs = input.pods.iter().filter_map(|(pod, _)| pod.proxy_log.value());
    let lines = logs.flat_map(|log| log.lines.iter().map(Redacted::as_str));
    lines.filter(|line| reason_of(line) == Some(TlsReason::PlaintextToUs)).filter_map(caller_of).collect()
}
