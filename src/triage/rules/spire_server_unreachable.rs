//! Agents cannot reach a SPIRE server that is healthy.
//!
//! Names: network. Rests on 2.2 (agents) and 2.1 (server).

use super::Conclusion;
use crate::triage::{
    CallAtOnce, Confidence, FixName, Scenario, SharedFact,
    diagnosis_input::DiagnosisInput,
    examine::{spire_agent::AgentState, spire_server::server_health},
};

pub(super) fn judge(input: &DiagnosisInput<'_>) -> Option<Conclusion> {
    let cut_off: Vec<_> = input
        .agents
        .iter()
        .filter(|(_, judged)| matches!(judged.state, AgentState::CannotReachServer(_)))
        .map(|(agent, _)| agent.node.clone())
        .collect();
    if cut_off.is_empty() || !input.spire_matters() {
        return None;
    }
    let healthy = input.evidence.servers.iter().any(|server| server_health(server, input.renews()) == Some(true));
    let mut conclusion = Conclusion::new(Scenario::Network, input.agent_reasons());
    conclusion.nodes = cut_off;
    conclusion.consequences = input.consequences(false);
    conclusion.call_at_once = Some(CallAtOnce::L3);
    let server = SharedFact::SpireServerHealth;
    if healthy {
        conclusion.reasons.push(server.stated("the SPIRE server says from its own pod that it is healthy"));
    } else {
        conclusion.confidence = Confidence::Low;
        conclusion.reasons.push(server.stated("whether the SPIRE server itself is healthy could not be seen"));
    }
    let stale = input.pods.iter().filter(|(_, found)| found.holding.is_over() || found.holding.is_overdue());
    conclusion.pods = stale.clone().map(|(pod, _)| pod.pod.clone()).collect();
    let elsewhere = stale.filter(|(pod, _)| matches!(input.agent_of(pod.node.as_ref()), Some(AgentState::Works(_))));
    for (pod, _) in elsewhere {
        let why = "the agent of its own node works: look at it again once the network is mended";
        conclusion.reasons.push(format!("the SVID of {} is stale as well, though {why}", pod.pod).into());
    }
    Some(conclusion.advise_against(
        &[FixName::RestartPod, FixName::RestartSpireAgent],
        "nothing can be issued while the SPIRE server cannot be reached: a restarted pod would get no SVID",
    ))
}
