//! Pods of the target do not start, and neither SPIRE nor the mesh keeps them from it: an image, a volume, no node, an
//! application that crashes.
//!
//! Names: application. Rests on 1.0 (pod's start).

use super::Conclusion;
use crate::{
    mesh::PodRef,
    triage::{
        Confidence, FixName, Scenario, Side,
        diagnosis_input::{DiagnosisInput, SeenPod},
    },
};

pub(super) fn judge(input: &DiagnosisInput<'_>) -> Option<Conclusion> {
    let kept = |(pod, _): &SeenPod<'_>| {
        let by = pod.start.as_ref()?.kept_by(input.now())?;
        let why = || format!("{} does not start: {} ({})", pod.pod, by.sentence(), by.next_look(&pod.pod));
        (by.goes_on() && !by.is_of_the_proxy()).then(|| (pod.pod.clone(), why(), by.is_a_crash()))
    };
    let kept: Vec<(PodRef, String, bool)> = input.pods.iter().filter_map(kept).collect();
    if kept.is_empty() {
        return None;
    }
    let reasons = kept.iter().map(|(_, why, _)| why.clone()).collect();
    let mut conclusion = Conclusion::new(Scenario::Application, reasons);
    conclusion.side = Side::Server;
    // What an application missed when it ended may be a certificate.
    let crashed = kept.iter().any(|(_, _, crash)| *crash);
    conclusion.confidence = if crashed { Confidence::Low } else { Confidence::Medium };
    conclusion.pods = kept.into_iter().map(|(pod, ..)| pod).collect();
    Some(conclusion.advise_against(
        &[FixName::RestartPod, FixName::RestartSpireAgent, FixName::SyncTrustBundle],
        "a new pod would not start either",
    ))
}
