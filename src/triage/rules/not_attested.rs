//! A proxy has no SVID, and the agent of its node says that it could not find out who the workload is. The registration entry may
//! be in order, and no restart helps.
//!
//! Names: workload attestation. Rests on 1.1 (dates) and 2.3 (agent's log).

use super::Conclusion;
use crate::{
    mesh::{NodeName, PodRef},
    triage::{
        CallAtOnce, Confidence, FixName, Redacted, Scenario,
        agent_log::could_not_attest_a_workload,
        diagnosis_input::{DiagnosisInput, SeenPod},
        ends::end_of,
        examine::Holding,
    },
};

pub(super) fn judge(input: &DiagnosisInput<'_>, explained: &[PodRef]) -> Option<Conclusion> {
    let without: Vec<(&SeenPod<'_>, &NodeName, &str)> = input
        .pods
        .iter()
        .filter(|(pod, found)| found.holding == Holding::NoSecret || pod.has_no_svid())
        .filter(|(pod, _)| !explained.contains(&pod.pod))
        .filter_map(|seen| {
            let node = seen.0.node.as_ref()?;
            Some((seen, node, said_by_the_agent(input, node)?))
        })
        .collect();
    let (_, _, line) = without.first()?;
    let mut reasons: Vec<String> = without.iter().map(|((pod, _), ..)| format!("{} has no SVID", pod.pod)).collect();
    reasons.push(format!("the agent of its node could not find out who a workload is: «{}»", end_of(line)));
    let mut conclusion = Conclusion::new(Scenario::WorkloadAttestation, reasons);
    conclusion.confidence = Confidence::Medium;
    conclusion.pods = without.iter().map(|((pod, _), ..)| pod.pod.clone()).collect();
    conclusion.nodes = without.iter().map(|(_, node, _)| (*node).clone()).collect();
    conclusion.nodes.sort();
    conclusion.nodes.dedup();
    conclusion.call_at_once = Some(CallAtOnce::L2);
    Some(conclusion.advise_against(
        &[FixName::RestartPod, FixName::RestartSpireAgent],
        "the agent would ask the kubelet again and get no answer: each new pod would wait for its SVID as well",
    ))
}

/// The newest line in which the agent of a node says so.
fn said_by_the_agent<'a>(input: &DiagnosisInput<'a>, node: &NodeName) -> Option<&'a str> {
    let (agent, _) = input.agents.iter().find(|(agent, _)| agent.node == *node)?;
    let lines = agent.log.value()?.lines.iter().map(Redacted::as_str);
    lines.rev().find(|line| could_not_attest_a_workload(line))
}
