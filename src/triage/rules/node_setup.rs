//! A pod waits for a volume that only SPIRE's parts on its node can give it: the CSI driver, or the directory of the agent's socket.
//!
//! Names: node set-up. Rests on 1.0 (pod's start) and 2.2 (agents).

use super::Conclusion;
use crate::{
    mesh::{NodeName, PodRef},
    triage::{
        CallAtOnce, CheckId, FixName, Scenario, StatedReason, diagnosis_input::DiagnosisInput,
        examine::spire_agent::AgentState, pod_start::MissingOnNode,
    },
};

pub(super) fn judge(input: &DiagnosisInput<'_>, explained: &[PodRef]) -> Option<Conclusion> {
    let mut reasons: Vec<StatedReason> = Vec::new();
    let (mut pods, mut nodes): (Vec<PodRef>, Vec<NodeName>) = (Vec::new(), Vec::new());
    for (pod, found) in input.pods.iter().filter(|(pod, _)| !explained.contains(&pod.pod)) {
        let missing = pod.start.as_ref().and_then(|start| start.missing_on_node(input.now()));
        let Some((missing, event)) = missing.filter(|(_, event)| event.was_repeated()) else { continue };
        let node = pod.node.as_ref().map_or("its node", NodeName::as_str);
        let what = match missing {
            MissingOnNode::Driver(driver) => format!("the CSI driver {driver} is not there on {node}"),
            MissingOnNode::Socket => format!("the directory of the SPIRE agent's socket is not there on {node}"),
        };
        reasons.push(format!("{} does not start: {what}; {}", pod.pod, event.sentence()).into());
        let row = found.checks.iter().find(|row| row.id == CheckId::PodStart);
        reasons.extend(row.and_then(|row| row.remedy.as_deref()).map(Into::into));
        pods.push(pod.pod.clone());
        nodes.extend(pod.node.clone());
    }
    if pods.is_empty() {
        return None;
    }
    nodes.sort();
    nodes.dedup();
    if nodes.iter().any(|node| input.agent_of(Some(node)).is_some_and(AgentState::is_faulty)) {
        reasons.extend(input.agent_reasons());
    }
    let mut conclusion = Conclusion::new(Scenario::NodeSetup, reasons);
    (conclusion.pods, conclusion.nodes) = (pods, nodes);
    conclusion.call_at_once = Some(CallAtOnce::L2);
    Some(conclusion.advise_against(
        &[FixName::RestartPod, FixName::RestartSpireAgent],
        "a new pod on that node would wait for the same volume",
    ))
}
