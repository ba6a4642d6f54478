//! Runbook step 2: SPIRE's agents and server, judged by healthcheck *and* log.
//!
//! A green healthcheck alone proves little (spire issues 4316, 5297), so the agent is judged by its log as well: a
//! renewal or a successful sync is good, and what it complained about after the last good sign is bad.

use super::{AgentEvidence, Check, CheckResult, Gathered, Healthcheck, LogExcerpt, Missing, ServerEvidence};

/// What an agent is, as far as could be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentState {
    /// It renews.
    Works(String),
    /// It does not.
    Broken(String),
    /// It cannot reach the SPIRE server.
    CannotReachServer(String),
    /// Too little was seen.
    Unknown(String),
}

/// Signs in an agent's log that it does its work (SPIRE source, as logged at level info).
const GOOD: [&str; 6] = [
    "Renewing X509-SVID",
    "Creating X509-SVID",
    "Successfully rotated agent SVID",
    "Successfully reattested node",
    "Node attestation was successful",
    "Successfully rotated",
];
/// Signs that its own identity is lost or its plugins fail.
const BAD: [&str; 10] = [
    "Could not reattest agent",
    "Could not rotate agent SVID",
    "Agent is banned",
    "Agent crashed",
    "already expired and reattest agent failed",
    "Agent needs to re-attest",
    "Agent failed re-attestation",
    "rotate agent SVID failed",
    "SVID key recovered, but SVID is expired",
    "service account token has expired",
];
/// Signs that the server cannot be reached.
const CANNOT_REACH: [&str; 9] = [
    "could not open attestation stream to SPIRE server",
    "Failed to retrieve attestation result",
    "Synchronize failed",
    "SVID sync failed",
    "failed to dial",
    "connection refused",
    "i/o timeout",
    "no such host",
    "Error while dialing",
];

/// Whether a line of an agent's log says anything about its health.
pub fn is_telling(line: &str) -> bool {
    has_any(line, &GOOD) || has_any(line, &BAD) || has_any(line, &CANNOT_REACH)
}

fn has_any(line: &str, signs: &[&str]) -> bool {
    signs.iter().any(|sign| line.contains(sign))
}

/// What the log's newest sign says: only what came after the last good one counts against it.
fn newest_sign(log: &LogExcerpt) -> Option<AgentState> {
    let line = log.lines.iter().rev().find(|line| is_telling(line))?;
    let quoted = format!("its log says: {}", shortened(line));
    Some(if has_any(line, &GOOD) {
        AgentState::Works(quoted)
    } else if has_any(line, &BAD) {
        AgentState::Broken(quoted)
    } else {
        AgentState::CannotReachServer(quoted)
    })
}

fn shortened(line: &str) -> String {
    const MOST: usize = 160;
    let mut short: String = line.chars().take(MOST).collect();
    if line.chars().count() > MOST {
        short.push('…');
    }
    short
}

/// Judges one agent.
pub fn agent_state(agent: &AgentEvidence) -> AgentState {
    if agent.pod.is_none() {
        return AgentState::Broken("no SPIRE agent pod runs on this node".to_owned());
    }
    let sign = agent.log.value().and_then(newest_sign);
    match (agent.healthcheck.value(), sign) {
        (_, Some(AgentState::CannotReachServer(why))) => AgentState::CannotReachServer(why),
        (_, Some(AgentState::Broken(why))) => AgentState::Broken(why),
        (Some(Healthcheck { healthy: false, output }), _) => {
            AgentState::Broken(format!("its healthcheck says: {}", shortened(output.trim())))
        }
        (_, Some(AgentState::Works(why))) if agent.ready => AgentState::Works(why),
        (_, Some(AgentState::Works(_))) => AgentState::Broken("its pod is not Ready".to_owned()),
        (Some(_), _) => AgentState::Unknown(
            "its healthcheck is green, and its log shows no renewal or sync that proves it".to_owned(),
        ),
        (None, _) => AgentState::Unknown(why_unseen(&agent.healthcheck, &agent.log)),
    }
}

fn why_unseen(healthcheck: &Gathered<Healthcheck>, log: &Gathered<LogExcerpt>) -> String {
    let reasons: Vec<String> = [missing(healthcheck), missing(log)].into_iter().flatten().collect();
    if reasons.is_empty() { "its log shows no sign of work".to_owned() } else { reasons.join("; ") }
}

fn missing<T>(gathered: &Gathered<T>) -> Option<String> {
    match gathered {
        Gathered::Missing { reason, source, .. } => Some(format!("{source}: {}", reason.sentence())),
        Gathered::Seen { .. } => None,
    }
}

/// Step 2.2: one row an agent.
pub fn agent_check(agent: &AgentEvidence) -> Check {
    let (result, summary, remedy) = match agent_state(agent) {
        AgentState::Works(why) => (CheckResult::Pass, format!("it renews; {why}"), None),
        AgentState::Broken(why) => {
            (CheckResult::Fail, why, Some("runbook scenario 2: restart the SPIRE agent of this node".to_owned()))
        }
        AgentState::CannotReachServer(why) => {
            let remedy = "see whether the SPIRE server answers on its port from this node".to_owned();
            (CheckResult::Fail, format!("it cannot reach the SPIRE server; {why}"), Some(remedy))
        }
        AgentState::Unknown(why) => (CheckResult::Inconclusive, why, None),
    };
    Check {
        id: "2.2-spire-agent".to_owned(),
        subject: format!("agent of {}", agent.node),
        result,
        summary,
        source: format!("{}; {}", agent.healthcheck.source(), agent.log.source()),
        observed_at: agent.healthcheck.at(),
        remedy,
    }
}

/// Whether a server pod is healthy: `None` when that could not be seen.
pub fn server_health(server: &ServerEvidence) -> Option<bool> {
    match server.healthcheck.value() {
        Some(check) => Some(check.healthy && server.ready),
        None if !server.ready => Some(false),
        None => None,
    }
}

/// Step 2.1: one row a server pod.
pub fn server_check(server: &ServerEvidence) -> Check {
    let (result, summary) = match (&server.healthcheck, server_health(server)) {
        (_, Some(true)) => (CheckResult::Pass, "it says that it is healthy".to_owned()),
        (Gathered::Seen { value, .. }, _) if !value.healthy => {
            (CheckResult::Fail, format!("its healthcheck says: {}", shortened(value.output.trim())))
        }
        (_, Some(false)) => (CheckResult::Fail, "its pod is not Ready".to_owned()),
        (Gathered::Missing { reason, .. }, None) => (CheckResult::Inconclusive, reason.sentence()),
        (Gathered::Seen { .. }, None) => (CheckResult::Inconclusive, "nothing was seen".to_owned()),
    };
    Check {
        id: "2.1-spire-server".to_owned(),
        subject: server.pod.to_string(),
        result,
        summary,
        source: server.healthcheck.source().to_owned(),
        observed_at: server.healthcheck.at(),
        remedy: None,
    }
}

/// Reads a healthcheck's output and exit code.
pub fn read_healthcheck(exit_code: i32, stdout: &str, stderr: &str) -> Healthcheck {
    let output = if stdout.trim().is_empty() { stderr } else { stdout };
    Healthcheck { healthy: exit_code == 0, output: shortened(output.trim()) }
}

/// The row of a server that could not be listed.
pub fn servers_unseen(reason: &Missing, at: jiff::Timestamp) -> Check {
    Check {
        id: "2.1-spire-server".to_owned(),
        subject: "SPIRE server".to_owned(),
        result: CheckResult::Inconclusive,
        summary: reason.sentence(),
        source: "pods of the SPIRE server".to_owned(),
        observed_at: at,
        remedy: None,
    }
}
