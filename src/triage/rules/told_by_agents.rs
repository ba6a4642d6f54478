//! An agent does not get through to its server, and the end of what it logs says why: too many registration entries, or a bundle of
//! its own that does not lead to the server's certificate. Neither the network nor a restart has to do with it.
//!
//! Names: registration or trust bundle mismatch. Rests on 2.2 (agents) and 2.3 (agent's log).

use super::Conclusion;
use crate::{
    mesh::NodeName,
    triage::{
        AgentEvidence, CallAtOnce, Confidence, FixName, Scenario,
        agent_log::{Sign, entries, is_about_others},
        agent_words::{SERVER_NOT_TRUSTED, TOO_MUCH, has},
        diagnosis_input::DiagnosisInput,
        ends::end_of,
        examine::spire_agent::{AgentState, CUT_OFF_LEAST},
        words::Tool,
    },
};

pub(super) fn judge(input: &DiagnosisInput<'_>) -> Option<Conclusion> {
    if !input.spire_matters() {
        return None;
    }
    let does_not_renew = |state: &AgentState| !matches!(state, AgentState::Works(_));
    let told: Vec<(&NodeName, Scenario, &str, &str)> = input
        .agents
        .iter()
        .filter(|(_, judged)| does_not_renew(&judged.state))
        .filter_map(|(agent, judged)| {
            let (scenario, meaning, line) = told_by(agent, &judged.state)?;
            Some((&agent.node, scenario, meaning, line))
        })
        .collect();
    let (_, scenario, ..) = *told.first()?;
    let same = told.iter().filter(|(_, one, ..)| *one == scenario);
    let reason = |(node, _, meaning, line): &(&NodeName, Scenario, &str, &str)| {
        format!("the SPIRE agent of {node}: {meaning}: «{}»", end_of(line))
    };
    let mut conclusion = Conclusion::new(scenario, same.clone().map(reason).collect());
    conclusion.nodes = same.map(|(node, ..)| (*node).clone()).collect();
    conclusion.pods = input.pods_on(&conclusion.nodes);
    conclusion.confidence = Confidence::Medium;
    conclusion.consequences = input.consequences(true);
    conclusion.call_at_once = Some(CallAtOnce::L2);
    let why = match scenario {
        Scenario::Registration => "the server would send the agent as much again, and a new one has no SVIDs in memory",
        _ => {
            "a new agent would start from the same bundle: clear its data directory, or mend the bundle that it starts from"
        }
    };
    Some(conclusion.advise_against(&[FixName::RestartSpireAgent, FixName::RestartPod], why))
}

/// What an agent says of its own way to the server since it last did well, by its newest line that tells, where it says so again
/// and again or is seen not to work.
fn told_by<'a>(agent: &'a AgentEvidence, state: &AgentState) -> Option<(Scenario, &'static str, &'a str)> {
    let all = entries(agent.log.value()?);
    let failures = all.iter().rev().take_while(|entry| !matches!(entry.sign, Sign::Renewal | Sign::Well));
    let own = failures.map(|entry| entry.line).filter(|line| !is_about_others(line));
    let telling: Vec<&str> = own.filter(|line| line.contains(TOO_MUCH) || has(line, &SERVER_NOT_TRUSTED)).collect();
    let newest = telling.first().filter(|_| state.is_faulty() || telling.len() >= CUT_OFF_LEAST)?;
    let row = Tool::SpireAgent.most_telling(newest)?;
    Some((row.points_to.scenario()?, row.meaning, newest))
}
