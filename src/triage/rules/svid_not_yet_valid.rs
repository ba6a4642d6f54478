//! An SVID begins in the future.
//!
//! Names: clock skew. Rests on 1.1 (dates).

use super::Conclusion;
use crate::{
    mesh::PodRef,
    triage::{
        CallAtOnce, Confidence, FixName, Scenario,
        certificate::Validity,
        diagnosis_input::{DiagnosisInput, SeenPod},
        examine::Holding,
    },
};

/// An SVID that begins within what clocks may differ by is taken as valid, since Envoy's clock may be right. Envoy itself allows
/// nothing, so that peers whose clocks are behind refuse it until then.
pub(super) fn soon(input: &DiagnosisInput<'_>) -> Option<Conclusion> {
    let begins = |(_, found): &&SeenPod<'_>| match &found.holding {
        Holding::Svid { svid, .. } => svid.not_before > input.now(),
        _ => false,
    };
    let early: Vec<&SeenPod<'_>> = input.pods.iter().filter(begins).collect();
    if early.is_empty() {
        return None;
    }
    let reasons = vec![
        format!("{} SVID(s) begin some seconds from now by our clock: clocks of nodes differ", early.len()),
        "peers whose clock is behind refuse it until then: that heals by itself, and comes back with each new certificate"
            .to_owned(),
    ];
    let mut conclusion = Conclusion::new(Scenario::ClockSkew, reasons);
    conclusion.pods = early.iter().map(|(pod, _)| pod.pod.clone()).collect();
    conclusion.nodes = early.iter().filter_map(|(pod, _)| pod.node.clone()).collect();
    conclusion.confidence = Confidence::Low;
    Some(conclusion.advise_against(&[FixName::RestartPod], "a new SVID would begin in the future as well"))
}

pub(super) fn judge(input: &DiagnosisInput<'_>, explained: &[PodRef]) -> Option<Conclusion> {
    let future: Vec<_> = input
        .pods
        .iter()
        .filter(|(_, found)| matches!(found.holding, Holding::Svid { validity: Validity::NotYet { .. }, .. }))
        .filter(|(pod, _)| !explained.contains(&pod.pod))
        .collect();
    if future.is_empty() {
        return None;
    }
    let reasons = vec![format!("{} SVID(s) begin in the future: a clock is wrong", future.len())];
    let mut conclusion = Conclusion::new(Scenario::ClockSkew, reasons);
    conclusion.pods = future.iter().map(|(pod, _)| pod.pod.clone()).collect();
    conclusion.nodes = future.iter().filter_map(|(pod, _)| pod.node.clone()).collect();
    conclusion.confidence = if future.len() > 1 { Confidence::High } else { Confidence::Medium };
    conclusion.call_at_once = Some(CallAtOnce::L3);
    Some(conclusion.advise_against(&[FixName::RestartPod], "a new SVID would begin in the future as well"))
}
