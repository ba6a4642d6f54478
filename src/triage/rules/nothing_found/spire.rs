//! What keeps SPIRE from being in order.

use super::why_no_server;
use crate::triage::{
    SharedFact, StatedReason,
    diagnosis_input::DiagnosisInput,
    examine::{
        spire_agent::{AgentState, not_signed},
        spire_server::server_check,
    },
};

pub(super) fn open_questions(input: &DiagnosisInput<'_>) -> Vec<StatedReason> {
    let mut open = Vec::new();
    for (agent, judged) in &input.agents {
        let of_agent = |words: String| SharedFact::SpireAgent(agent.node.clone()).stated(words);
        open.extend(not_signed(agent).map(|what| of_agent(format!("the SPIRE agent of {} {what}", agent.node))));
        match &judged.state {
            AgentState::Works(_) => {}
            AgentState::Unknown(why) => {
                let remedy = judged.remedy.iter().fold(String::new(), |_, remedy| format!("; {remedy}"));
                open.push(of_agent(format!("the SPIRE agent of {} could not be judged: {why}{remedy}", agent.node)));
            }
            AgentState::Broken(why) | AgentState::Silent(why) | AgentState::CannotReachServer(why) => {
                let yet = "though no SVID shows it yet";
                open.push(of_agent(format!("the SPIRE agent of {} does not work, {yet}: {why}", agent.node)));
            }
        }
    }
    for server in &input.evidence.servers {
        let says_no = server.healthcheck.value().is_some_and(|check| !check.healthy);
        if says_no || !server.ready {
            let row = server_check(server, input.renews());
            let remedy = row.remedy.map_or_else(String::new, |remedy| format!("; {remedy}"));
            let words = format!("the SPIRE server {}: {}{remedy}", server.pod, row.summary);
            open.push(SharedFact::SpireServerHealth.stated(words));
        }
    }
    if input.evidence.servers.is_empty()
        && let Some(why) = why_no_server(input)
    {
        open.push(SharedFact::NoSpireServer.stated(why));
    }
    open
}
