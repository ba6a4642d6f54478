//! An agent does not get through to its server, and the end of what it logs says why: too many registration entries, or a bundle of
//! its own that does not lead to the server's certificate. Neither the network nor a restart has to do with it.
//!
//! Names: registration or trust bundle mismatch. Rests on 2.2 (agents) and 2.3 (agent's log).

use super::Conclusion;
use crate::{
    mesh::NodeName,
    triage::{
        AgentEvidence, CallAtOnce, Confidence, FixName, Scenario,
        agent_log::{Sign, entries},
        agent_words::{FEDERATION, KUBELET, WORKLOAD_ATTESTOR, has},
        diagnosis_input::DiagnosisInput,
        ends::end_of,
        examine::spire_agent::AgentState,
        words::Tool,
    },
};

pub(super) fn judge(input: &DiagnosisInput<'_>) -> Option<Conclusion> {
    let does_not_renew = |state: &AgentState| !matches!(state, AgentState::Works(_));
    let told: Vec<(&NodeName, Scenario, &str, &str)> = input
        .agents
        .iter()
        .filter(|(_, judged)| does_not_renew(&judged.state))
        .filter_map(|(agent, _)| {
            let (scenario, meaning, line) = told_by(agent)?;
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

/// What the newest failure of an agent says about its own way to the server, since it last did well.
fn told_by(agent: &AgentEvidence) -> Option<(Scenario, &'static str, &str)> {
    let log = agent.log.value()?;
    let is_good = |sign: Sign| matches!(sign, Sign::Renewal | Sign::Well);
    let all = entries(log);
    let failures = all.iter().rev().take_while(|entry| !is_good(entry.sign));
    let about_others = |line: &str| has(line, &FEDERATION) || has(line, &KUBELET) || has(line, &WORKLOAD_ATTESTOR);
    let own = failures.map(|entry| entry.line).filter(|line| !about_others(line));
    own.into_iter().find_map(|line| {
        let row = Tool::SpireAgent.most_telling(line)?;
        let scenario = row.points_to.scenario().filter(|_| line.contains(TOO_MUCH) || is_about_trust(line))?;
        matches!(scenario, Scenario::Registration | Scenario::TrustBundleMismatch).then_some((
            scenario,
            row.meaning,
            line,
        ))
    })
}

/// gRPC's words for an answer over its limit: all entries of one agent come in one.
const TOO_MUCH: &str = "received message larger than max";

fn is_about_trust(line: &str) -> bool {
    has(line, &crate::triage::agent_words::SERVER_NOT_TRUSTED)
}
