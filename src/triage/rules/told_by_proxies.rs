//! A proxy, or the agent beside it, says in words that its source explains why it has no certificate that serves: it did not take
//! the one that it was given, or istiod refuses it.
//!
//! Names: rejected secret, istiod's CA, or another cause that the words point to. Rests on 3.3 (proxy's log).

use super::Conclusion;
use crate::{
    mesh::PodRef,
    triage::{
        CallAtOnce, Confidence, FixName, PodEvidence, Redacted, Scenario,
        diagnosis_input::DiagnosisInput,
        ends::end_of,
        envoy::{is_not_understood, is_recent},
        log_hints::SEVERAL,
        words::{Tool, Words},
    },
};

/// A line that a table explains.
struct Told<'a> {
    pod: &'a PodRef,
    scenario: Scenario,
    words: &'static Words,
    line: &'a str,
}

pub(super) fn judge(input: &DiagnosisInput<'_>) -> Option<Conclusion> {
    let told: Vec<Told<'_>> = input.pods.iter().flat_map(|(pod, _)| told_by(pod)).collect();
    let times = |scenario: Scenario| told.iter().filter(|one| one.scenario == scenario).count();
    let scenario = told.iter().map(|one| one.scenario).find(|scenario| times(*scenario) >= enough(*scenario))?;
    let mut same: Vec<&Told<'_>> = told.iter().filter(|one| one.scenario == scenario).collect();
    // The newest of each pod.
    same.reverse();
    let mut pods: Vec<PodRef> = Vec::new();
    let mut reasons = Vec::new();
    for one in same {
        if !pods.contains(one.pod) {
            pods.push(one.pod.clone());
            reasons.push(format!("the proxy of {}: {}: «{}»", one.pod, one.words.meaning, end_of(one.line)));
        }
    }
    let mut conclusion = Conclusion::new(scenario, reasons);
    conclusion.pods = pods;
    conclusion.confidence = Confidence::Medium;
    conclusion.consequences = input.consequences(false);
    conclusion.call_at_once = Some(CallAtOnce::L2);
    let why = "SPIRE issued nothing wrong that was seen: a restart of its agent disturbs every pod of the node";
    Some(conclusion.advise_against(&[FixName::RestartSpireAgent, FixName::SyncTrustBundle], why))
}

/// What is said once an event, and not once a call, needs to be said once.
fn enough(scenario: Scenario) -> usize {
    match scenario {
        Scenario::RejectedSecret | Scenario::IstiodCa => 1,
        _ => usize::try_from(SEVERAL).unwrap_or(usize::MAX),
    }
}

/// The lines of a proxy's log that no rule about calls understands and a table does, oldest first.
pub(super) fn told_by_lines(pod: &PodEvidence) -> impl Iterator<Item = (&str, &'static Words, Scenario)> {
    let read_at = pod.proxy_log.at();
    let lines = pod.proxy_log.value().map(|log| log.lines.as_slice()).unwrap_or_default();
    let of_late = lines.iter().map(Redacted::as_str).filter(move |line| is_recent(line, read_at));
    of_late.filter(|line| is_not_understood(line)).filter_map(|line| {
        let mut words = [Tool::PilotAgent, Tool::Envoy].into_iter().filter_map(|tool| tool.most_telling(line));
        let (words, scenario) = words.find_map(|words| Some((words, words.points_to.scenario()?)))?;
        Some((line, words, scenario))
    })
}

fn told_by(pod: &PodEvidence) -> impl Iterator<Item = Told<'_>> {
    told_by_lines(pod).map(|(line, words, scenario)| Told { pod: &pod.pod, scenario, words, line })
}
