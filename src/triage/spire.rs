//! Runbook step 2: the rows of SPIRE's agents and server, and how healthy a server is.

use super::{
    AgentEvidence, Check, CheckId, CheckResult, Gathered, Healthcheck, Missing, Redacted, ServerEvidence, Subject,
    agent::Judged,
    agent_log::{Sign, entries},
    ends::end_of,
    not_understood::Unclear,
};

pub use super::agent::AgentState;

/// What an agent wrote of failures that no rule knows.
pub(super) fn not_understood(agent: &AgentEvidence) -> Option<Unclear> {
    let entries = agent.log.value().map(entries).unwrap_or_default();
    Unclear::of(entries.iter().filter(|entry| entry.sign == Sign::NotUnderstood).map(|entry| entry.line))
}

/// What an agent wrote of SVIDs that the server refused to sign, the newest.
pub(super) fn not_signed(agent: &AgentEvidence) -> Option<String> {
    let entries = agent.log.value().map(entries).unwrap_or_default();
    let newest = entries.iter().rev().find(|entry| entry.sign == Sign::NotSigned)?;
    Some(format!("says that the SPIRE server refused to sign an SVID: «{}»", end_of(newest.line)))
}

/// Step 2.3, where the log speaks of SVIDs that were refused, or of failures that no rule knows: rows of their own, whatever
/// the agent's state is.
pub(super) fn failures_in_its_log(agent: &AgentEvidence) -> Vec<Check> {
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

/// Step 2.2: one row an agent.
pub(super) fn agent_check(agent: &AgentEvidence, judged: &Judged) -> Check {
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

/// Whether a server pod is healthy: `None` when that could not be seen, or when a Ready pod says no while an agent
/// `renews`, which it can only do with a server.
pub(super) fn server_health(server: &ServerEvidence, renews: bool) -> Option<bool> {
    match server.healthcheck.value() {
        Some(check) if !check.healthy && server.ready && renews => None,
        Some(check) => Some(check.healthy && server.ready),
        None if !server.ready => Some(false),
        None => None,
    }
}

/// Step 2.1: one row a server pod.
pub(super) fn server_check(server: &ServerEvidence, renews: bool) -> Check {
    let said = server.healthcheck.value().filter(|check| !check.healthy).map(|check| end_of(check.output.trim()));
    let (result, summary, remedy) = match (&server.healthcheck, server_health(server, renews), said) {
        (_, Some(true), _) => (CheckResult::Pass, "it says that it is healthy".to_owned(), None),
        (_, Some(false), Some(said)) => (CheckResult::Fail, format!("its healthcheck says: {said}"), None),
        (_, Some(false), None) => (CheckResult::Fail, "its pod is not Ready".to_owned(), None),
        (_, None, Some(said)) => {
            let summary = format!("its healthcheck says \"{said}\", while it is Ready and an agent renews");
            let remedy = "see whether mesh.server_socket in the configuration names this server's socket".to_owned();
            (CheckResult::Inconclusive, summary, Some(remedy))
        }
        (Gathered::Missing { reason, .. }, None, None) => (CheckResult::Inconclusive, reason.sentence(), None),
        (Gathered::Seen { .. }, None, None) => (CheckResult::Inconclusive, "nothing was seen".to_owned(), None),
    };
    Check {
        id: CheckId::SpireServer,
        subject: Subject::SpireServerPod(server.pod.clone()),
        result,
        summary,
        source: server.healthcheck.source().to_owned(),
        observed_at: server.healthcheck.at(),
        remedy,
    }
}

/// Reads a healthcheck's output and exit code.
pub fn read_healthcheck(exit_code: i32, stdout: &str, stderr: &str) -> Healthcheck {
    let output = if stdout.trim().is_empty() { stderr } else { stdout };
    Healthcheck { healthy: exit_code == 0, output: end_of(&Redacted::new(output.trim())).into() }
}

/// The row of a server that could not be listed.
pub fn servers_unseen(reason: &Missing, at: jiff::Timestamp) -> Check {
    Check {
        id: CheckId::SpireServer,
        subject: Subject::SpireServer,
        result: CheckResult::Inconclusive,
        summary: reason.sentence(),
        source: "pods of the SPIRE server".to_owned(),
        observed_at: at,
        remedy: None,
    }
}
