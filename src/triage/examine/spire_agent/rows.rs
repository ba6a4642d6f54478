//! Runbook steps 2.2 and 2.3: the rows of an agent.

use super::{AgentState, Judged};
use crate::triage::{
    AgentEvidence, Check, CheckId, CheckResult, Crash, Evidence, Subject,
    agent_log::{Sign, entries},
    ends::end_of,
    not_understood::Unclear,
};

/// What an agent wrote of failures that no rule knows.
pub(in crate::triage) fn not_understood(agent: &AgentEvidence) -> Option<Unclear> {
    let entries = agent.log.value().map(entries).unwrap_or_default();
    Unclear::of(entries.iter().filter(|entry| entry.sign == Sign::NotUnderstood).map(|entry| entry.line))
}

/// What an agent wrote of SVIDs that the server refused to sign, the newest.
pub(in crate::triage) fn not_signed(agent: &AgentEvidence) -> Option<String> {
    let entries = agent.log.value().map(entries).unwrap_or_default();
    let newest = entries.iter().rev().find(|entry| entry.sign == Sign::NotSigned)?;
    Some(format!("says that the SPIRE server refused to sign an SVID: «{}»", end_of(newest.line)))
}

/// Step 2.3, where the log speaks of SVIDs that were refused, or of failures that no rule knows: rows of their own, whatever
/// the agent's state is.
pub(in crate::triage) fn failures_in_its_log(agent: &AgentEvidence) -> Vec<Check> {
    let row = |what: String, remedy: &str| Check {
        id: CheckId::AgentLog,
        subject: Subject::SpireAgent(agent.node.clone()),
        result: CheckResult::Inconclusive,
        summary: format!("its log {what}"),
        source: agent.log.source().to_owned(),
        observed_at: agent.log.at(),
        remedy: Some(remedy.to_owned()),
    };
    let refused = not_signed(agent).map(|what| {
        row(what, "look at the registration entry that the line names, and at the SPIRE server's log of that time")
    });
    let unclear = not_understood(agent).map(|unclear| {
        row(unclear.sentence(), "read that line, and report it with the version of SPIRE so that it is known next time")
    });
    refused.into_iter().chain(unclear).collect()
}

/// Step 2.2: one row for all agents, where they could be listed.
pub(in crate::triage) fn agents_check(evidence: &Evidence) -> Option<Check> {
    let fleet = evidence.agent_fleet.as_ref().filter(|fleet| fleet.agents > 0)?;
    let result = match (fleet.ready == fleet.agents, fleet.cut) {
        (true, false) => CheckResult::Pass,
        (true, true) => CheckResult::Inconclusive,
        (false, _) => CheckResult::Fail,
    };
    Some(Check {
        id: CheckId::SpireAgents,
        subject: Subject::SpireAgents,
        result,
        summary: fleet.sentence(),
        source: "pods of the SPIRE agent".to_owned(),
        observed_at: evidence.gathered_at,
        remedy: None,
    })
}

/// Step 2.2: one row an agent.
pub(in crate::triage) fn agent_check(agent: &AgentEvidence, judged: &Judged) -> Check {
    let (result, summary, remedy) = match &judged.state {
        AgentState::Works(why) => (CheckResult::Pass, format!("it renews; {why}"), None),
        AgentState::Broken(why) | AgentState::Silent(why) => {
            let remedy = "runbook scenario 2: restart the SPIRE agent of this node".to_owned();
            (CheckResult::Fail, why.clone(), Some(remedy))
        }
        AgentState::CannotReachServer(why) => {
            let remedy = "see whether the SPIRE server answers on its port from this node".to_owned();
            (CheckResult::Fail, format!("it cannot reach the SPIRE server; {why}"), Some(remedy))
        }
        AgentState::Unknown(why) => (CheckResult::Inconclusive, why.clone(), judged.remedy.clone()),
    };
    let crash = agent.crash.as_ref().filter(|crash| crash.is_of_late(agent.log.at()));
    let crash = crash.map(Crash::sentence).filter(|sentence| !summary.contains(sentence));
    let summary = crash.map_or_else(|| summary.clone(), |crash| format!("{summary}; its container {crash}"));
    Check {
        id: CheckId::SpireAgent,
        subject: Subject::SpireAgent(agent.node.clone()),
        result,
        summary,
        source: format!("{}; {}", agent.healthcheck.source(), agent.log.source()),
        observed_at: agent.healthcheck.at().max(agent.log.at()),
        remedy,
    }
}
