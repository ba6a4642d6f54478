//! Rules 3 and 4: the SPIRE server is unhealthy, or agents cannot reach it.

use super::{
    CallAtOnce, Confidence, FixName, Missing, Scenario,
    diagnosis::{Conclusion, Scene},
    spire::{AgentState, server_health},
};

impl Scene<'_> {
    /// Rule 3: the SPIRE server is unhealthy, and agents or certificates show it.
    pub(super) fn server_unhealthy(&self) -> Option<Conclusion> {
        let suffers = |state: &AgentState| state.is_faulty() || matches!(state, AgentState::CannotReachServer(_));
        let agents_suffer = self.agents.iter().any(|(_, judged)| suffers(&judged.state));
        if !self.spire_matters() || (!agents_suffer && !self.has_stale()) {
            return None;
        }
        let mut reasons = vec![self.why_no_server()?];
        reasons.extend(self.agent_reasons());
        let mut conclusion = Conclusion::of(Scenario::SpireServer, reasons);
        conclusion.consequences = self.consequences(agents_suffer);
        conclusion.call_at_once = Some(CallAtOnce::L2);
        Some(conclusion.never(
            &[FixName::RestartPod, FixName::RestartSpireAgent],
            "the SPIRE server issues nothing now: what is restarted loses the SVID it still has",
        ))
    }

    /// Why no server pod can issue anything, if that was seen.
    pub(super) fn why_no_server(&self) -> Option<String> {
        let servers = &self.evidence.servers;
        if servers.is_empty() {
            let gone = matches!(self.evidence.servers_missing, Some(Missing::Gone { .. }));
            let controllers = &self.evidence.server_controllers;
            return (gone && !controllers.is_empty())
                .then(|| format!("no pod of the SPIRE server runs, though it has {}", controllers.join(", ")));
        }
        let sick = |server| server_health(server, self.renews()) == Some(false);
        if !servers.iter().all(sick) {
            return None;
        }
        let names: Vec<String> = servers.iter().map(|server| server.pod.to_string()).collect();
        Some(format!("every SPIRE server pod is unhealthy ({})", names.join(", ")))
    }

    /// Rule 4: agents cannot reach a server that is healthy.
    pub(super) fn cannot_reach_server(&self) -> Option<Conclusion> {
        let cut_off: Vec<_> = self
            .agents
            .iter()
            .filter(|(_, judged)| matches!(judged.state, AgentState::CannotReachServer(_)))
            .map(|(agent, _)| agent.node.clone())
            .collect();
        if cut_off.is_empty() || !self.spire_matters() {
            return None;
        }
        let healthy = self.evidence.servers.iter().any(|server| server_health(server, self.renews()) == Some(true));
        let mut conclusion = Conclusion::of(Scenario::Network, self.agent_reasons());
        conclusion.nodes = cut_off;
        conclusion.consequences = self.consequences(false);
        conclusion.call_at_once = Some(CallAtOnce::L3);
        if healthy {
            conclusion.reasons.push("the SPIRE server says from its own pod that it is healthy".to_owned());
        } else {
            conclusion.confidence = Confidence::Low;
            conclusion.reasons.push("whether the SPIRE server itself is healthy could not be seen".to_owned());
        }
        let stale = self.pods.iter().filter(|(_, found)| found.holding.is_over() || found.holding.is_overdue());
        conclusion.pods = stale.clone().map(|(pod, _)| pod.pod.clone()).collect();
        let elsewhere = stale.filter(|(pod, _)| matches!(self.agent_of(pod.node.as_ref()), Some(AgentState::Works(_))));
        for (pod, _) in elsewhere {
            let why = "the agent of its own node works: look at it again once the network is mended";
            conclusion.reasons.push(format!("the SVID of {} is stale as well, though {why}", pod.pod));
        }
        Some(conclusion.never(
            &[FixName::RestartPod, FixName::RestartSpireAgent],
            "nothing can be issued while the SPIRE server cannot be reached: a restarted pod would get no SVID",
        ))
    }
}
