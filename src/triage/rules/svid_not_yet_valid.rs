//! An SVID begins in the future.
//!
//! Names: clock skew. Rests on 1.1 (dates).

use super::Conclusion;
use crate::{
    mesh::PodRef,
    triage::{
        CallAtOnce, Confidence, FixName, Scenario, certificate::Validity, diagnosis_input::DiagnosisInput,
        examine::Holding,
    },
};

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
