//! A pod is in ambient mode, and the ztunnel of its node says why mTLS in its place fails.
//!
//! Names: the cause that the words point to. Rests on 3.3 (ztunnel's log).

use super::Conclusion;
use crate::{
    mesh::PodRef,
    triage::{
        CallAtOnce, Confidence, FixName, Scenario, Side,
        diagnosis_input::DiagnosisInput,
        ends::end_of,
        log_hints::SEVERAL,
        ztunnel_log::{Said, of_late, side_of},
    },
};

/// A line that says why.
struct Told<'a> {
    pod: &'a PodRef,
    scenario: Scenario,
    meaning: &'static str,
    line: &'a str,
}

pub(super) fn judge(input: &DiagnosisInput<'_>) -> Option<Conclusion> {
    let told: Vec<Told<'_>> = told(input);
    let times = |scenario: Scenario| told.iter().filter(|one| one.scenario == scenario).count();
    // The newest line that stands for something that goes on. A certificate that was not fetched is told once a try.
    let enough = |scenario: Scenario| match scenario {
        Scenario::IstiodCa => 1,
        _ => usize::try_from(SEVERAL).unwrap_or(usize::MAX),
    };
    let scenario = told.iter().rev().map(|one| one.scenario).find(|scenario| times(*scenario) >= enough(*scenario))?;
    let mut pods: Vec<PodRef> = Vec::new();
    let (mut reasons, mut sides) = (Vec::new(), Vec::new());
    for one in told.iter().rev().filter(|one| one.scenario == scenario) {
        if !pods.contains(one.pod) {
            pods.push(one.pod.clone());
            reasons.push(format!("the ztunnel of the node of {}: {}: «{}»", one.pod, one.meaning, end_of(one.line)));
        }
        sides.push(side_of(one.line));
    }
    let mut conclusion = Conclusion::new(scenario, reasons);
    let of_one_side = |side: &Side| sides.iter().all(|one| one == side);
    conclusion.side = [Side::Client, Side::Server].into_iter().find(of_one_side).unwrap_or(Side::Unknown);
    conclusion.pods = pods;
    conclusion.confidence = Confidence::Medium;
    conclusion.call_at_once = match scenario {
        Scenario::Network => Some(CallAtOnce::L3),
        _ => Some(CallAtOnce::L2),
    };
    Some(conclusion.advise_against(
        &[FixName::RestartPod, FixName::RestartSpireAgent, FixName::SyncTrustBundle],
        "ztunnel holds the certificate of a pod in ambient mode, and has it from istiod: neither that pod nor SPIRE is at fault",
    ))
}

fn told<'a>(input: &'a DiagnosisInput<'_>) -> Vec<Told<'a>> {
    let mut told = Vec::new();
    for (pod, _) in &input.pods {
        let Some((log, at)) = pod.ztunnel_log.as_ref().and_then(|log| Some((log.value()?, log.at()))) else { continue };
        told.extend(of_late(log, at).filter_map(|(line, said)| match said {
            Said::Failed(scenario, meaning) => Some(Told { pod: &pod.pod, scenario, meaning, line }),
            Said::Connected | Said::Unclear => None,
        }));
    }
    told
}
