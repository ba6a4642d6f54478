//! Runbook step 2: SPIRE's agents and server, judged by healthcheck, log *and* time.
//!
//! A green healthcheck alone proves little (spire issues 4316, 5297), and an old renewal proves nothing about a
//! certificate that should have been renewed since: a good sign must be newer than what it is to prove.

use jiff::Timestamp;

use super::{
    AgentEvidence, Check, CheckResult, Gathered, Healthcheck, LogExcerpt, Missing, ServerEvidence,
    agent_log::{Entry, Sign, entries, sign_of},
};

pub use super::agent_log::telling_lines;

/// What an agent is, as far as could be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentState {
    /// It renews.
    Works(String),
    /// It does not.
    Broken(String),
    /// It cannot reach the SPIRE server.
    CannotReachServer(String),
    /// Too little was seen, or the signs contradict each other.
    Unknown(String),
}

/// An SVID that an agent should have renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    /// Whose.
    pub(super) spiffe_id: String,
    /// Since when: half of its life.
    pub(super) since: Timestamp,
}

/// How one agent was judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) state: AgentState,
    pub(super) remedy: Option<String>,
}

impl Judged {
    fn plain(state: AgentState) -> Self {
        Self { state, remedy: None }
    }
}

/// How often the server must not be reached after the last good sign: one failed sync heals by itself.
const CUT_OFF_LEAST: usize = 2;

/// Whether a line of an agent's log says anything about its health or its workloads.
pub fn is_telling(line: &str) -> bool {
    sign_of(line).is_some()
}

fn shortened(line: &str) -> String {
    const MOST: usize = 160;
    let mut short: String = line.chars().take(MOST).collect();
    if line.chars().count() > MOST {
        short.push('…');
    }
    short
}

fn quoted(entry: &Entry<'_>) -> String {
    format!("its log says: {}", shortened(entry.line))
}

/// What the log says about the agent: only what came after the last good sign counts against it, and only a renewal
/// that is newer than what is due speaks for it.
fn by_its_log(log: &LogExcerpt, due: &[Due]) -> Option<AgentState> {
    let all: Vec<Entry<'_>> = entries(log).into_iter().filter(|entry| entry.sign != Sign::NoIdentity).collect();
    let is_good = |entry: &&Entry<'_>| matches!(entry.sign, Sign::Renewal | Sign::Well);
    let since_good = || all.iter().rev().take_while(|entry| !is_good(entry));
    if let Some(bad) = since_good().find(|entry| entry.sign == Sign::Bad) {
        return Some(AgentState::Broken(quoted(bad)));
    }
    let cut_off = since_good().count();
    if let Some(newest) = since_good().next().filter(|_| cut_off >= CUT_OFF_LEAST) {
        return Some(AgentState::CannotReachServer(quoted(newest)));
    }
    let good = all.iter().rev().find(is_good)?;
    let Some(oldest) = due.iter().map(|due| due.since).min() else { return Some(AgentState::Works(quoted(good))) };
    let own = |entry: &&Entry<'_>| {
        let renewed_after = |due: &Due| {
            let names_it = entry.line.contains(&format!("{}\"", due.spiffe_id));
            names_it && entry.at.is_some_and(|at| at >= due.since)
        };
        entry.sign == Sign::Renewal && due.iter().any(renewed_after)
    };
    let any = |entry: &&Entry<'_>| entry.sign == Sign::Renewal && entry.at.is_some_and(|at| at >= oldest);
    let proof = all.iter().rev().find(own).or_else(|| all.iter().rev().find(any));
    Some(proof.map_or_else(
        || {
            let why = format!("it has renewed nothing since {oldest:.0}, when a renewal was due; {}", quoted(good));
            AgentState::Unknown(why)
        },
        |proof| AgentState::Works(quoted(proof)),
    ))
}

/// Judges one agent by itself, without what it should have renewed.
pub fn agent_state(agent: &AgentEvidence) -> AgentState {
    judge(agent, &[], Some(1)).state
}

/// The name that stands for an agent pod that could not be listed.
const NOT_LISTED: &str = "not-listed";

/// Judges one agent by what it should have renewed. `matching` is how many pods its selector matches anywhere in SPIRE's
/// namespace, if that is known.
pub(super) fn judge(agent: &AgentEvidence, due: &[Due], matching: Option<u32>) -> Judged {
    let Some(pod) = &agent.pod else { return no_pod(matching) };
    let log = agent.log.value().and_then(|log| by_its_log(log, due));
    let log = match log {
        Some(state @ (AgentState::CannotReachServer(_) | AgentState::Broken(_))) => return Judged::plain(state),
        other => other,
    };
    if !agent.ready {
        let nothing_seen = agent.healthcheck.value().is_none() && agent.log.value().is_none();
        if nothing_seen && pod.name.as_str() == NOT_LISTED {
            return Judged::plain(AgentState::Unknown(why_unseen(&agent.healthcheck, &agent.log)));
        }
        let restarts = agent.restarts;
        return Judged::plain(AgentState::Broken(format!("its pod is not Ready ({restarts} restart(s))")));
    }
    match (agent.healthcheck.value(), log) {
        (Some(Healthcheck { healthy: false, output }), Some(AgentState::Works(why))) => Judged {
            state: AgentState::Unknown(format!(
                "the signs contradict each other: its healthcheck says \"{}\", its pod is Ready, and {why}",
                shortened(output.trim())
            )),
            remedy: Some("see whether mesh.agent_socket in the configuration names this agent's socket".to_owned()),
        },
        (Some(Healthcheck { healthy: false, output }), _) => {
            Judged::plain(AgentState::Broken(format!("its healthcheck says: {}", shortened(output.trim()))))
        }
        (_, Some(state)) => Judged::plain(state),
        (Some(_), None) => Judged::plain(AgentState::Unknown(
            "its healthcheck is green, and its log shows no renewal that proves it".to_owned(),
        )),
        (None, None) => Judged::plain(AgentState::Unknown(why_unseen(&agent.healthcheck, &agent.log))),
    }
}

fn no_pod(matching: Option<u32>) -> Judged {
    if matching.is_some_and(|pods| pods > 0) {
        return Judged::plain(AgentState::Broken("no SPIRE agent pod runs on this node".to_owned()));
    }
    Judged {
        state: AgentState::Unknown("the agent's selector matches no pod: no agent runs, or it is wrong".to_owned()),
        remedy: Some("see whether mesh.agent_selector and mesh.spire_namespace in the configuration fit".to_owned()),
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
pub(super) fn agent_check(agent: &AgentEvidence, judged: &Judged) -> Check {
    let (result, summary, remedy) = match &judged.state {
        AgentState::Works(why) => (CheckResult::Pass, format!("it renews; {why}"), None),
        AgentState::Broken(why) => {
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
        id: "2.2-spire-agent".to_owned(),
        subject: format!("agent of {}", agent.node),
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
    let said = server.healthcheck.value().filter(|check| !check.healthy).map(|check| shortened(check.output.trim()));
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
        id: "2.1-spire-server".to_owned(),
        subject: server.pod.to_string(),
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
