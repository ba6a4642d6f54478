//! Whether the restart of the agents at fault is offered: shared by the rules that name scenario 2.

use super::Conclusion;
use crate::{
    mesh::NodeName,
    triage::{AGENTS_MOST, FixName, diagnosis_input::DiagnosisInput, repeated_by_a_restart, too_many_agents},
};

/// Offers the restart of the agents of its nodes, unless the fix would certainly refuse it.
pub(super) fn offer_restart(mut conclusion: Conclusion, input: &DiagnosisInput<'_>) -> Conclusion {
    let repeated = |node: &NodeName| Some(format!("the agent of {node}: {}", repeated_on(input, node)?));
    let mut against: Vec<String> = conclusion.nodes.iter().filter_map(repeated).collect();
    if conclusion.nodes.len() > AGENTS_MOST {
        against.push(too_many_agents(conclusion.nodes.len()));
    }
    if against.is_empty() {
        conclusion.fixes.push(FixName::RestartSpireAgent);
        return conclusion;
    }
    conclusion.advise_against(&[FixName::RestartSpireAgent], &against.join("; "))
}

fn repeated_on(input: &DiagnosisInput<'_>, node: &NodeName) -> Option<String> {
    let (agent, _) = input.agents.iter().find(|(agent, _)| agent.node == *node)?;
    let lines: Vec<&str> = agent.log.value()?.lines.iter().map(|line| &**line).collect();
    repeated_by_a_restart(&lines.join("\n"))
}
