//! Each SPIRE agent, judged by healthcheck, log *and* time.
//!
//! A green healthcheck alone proves little (spire issues 4316, 5297), and an old renewal proves nothing about a
//! certificate that should have been renewed since: a good sign must be newer than what it is to prove. Silence is a sign
//! as well, where the log is known to reach back far enough and an SVID has ended meanwhile.

mod by_its_sync;
mod rows;

pub(in crate::triage) use rows::{agent_check, agents_check, failures_in_its_log, not_signed, not_understood};

use jiff::Timestamp;

use crate::triage::{
    AgentEvidence, AgentPod, Gathered, Healthcheck, LogExcerpt,
    agent_log::{Entry, Sign, entries, names},
    ends::end_of,
};

/// What an agent is, as far as could be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentState {
    /// It renews.
    Works(String),
    /// It does not.
    Broken(String),
    /// It says nothing, good or bad, while SVIDs of its node run out.
    Silent(String),
    /// It cannot reach the SPIRE server.
    CannotReachServer(String),
    /// Too little was seen, or the signs contradict each other.
    Unknown(String),
}

impl AgentState {
    /// Whether the fault is its own.
    pub fn is_faulty(&self) -> bool {
        matches!(self, Self::Broken(_) | Self::Silent(_))
    }
}

/// An SVID that an agent should have renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::triage) struct Due {
    pub(in crate::triage) spiffe_id: String,
    /// Since when: half of its life.
    pub(in crate::triage) since: Timestamp,
    /// Whether it has ended meanwhile.
    pub(in crate::triage) over: bool,
}

/// What the pods of a node say of its agent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::triage) struct Expected {
    /// What it should have renewed.
    pub(in crate::triage) due: Vec<Due>,
    /// When the newest SVID of the node was issued.
    pub(in crate::triage) newest: Option<Timestamp>,
}

/// How one agent was judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::triage) struct Judged {
    pub(in crate::triage) state: AgentState,
    pub(in crate::triage) remedy: Option<String>,
}

impl Judged {
    fn plain(state: AgentState) -> Self {
        Self { state, remedy: None }
    }
}

/// How often the server must not be reached after the last good sign: one failed sync heals by itself.
pub(in crate::triage) const CUT_OFF_LEAST: usize = 2;

fn quoted(entry: &Entry<'_>) -> String {
    format!("its log says: {}", end_of(entry.line))
}

/// What the log says about the agent: only what came after the last good sign counts against it, and only a renewal
/// that is newer than what is due speaks for it, unless a failure came after that. `None` when it says neither.
pub(in crate::triage) fn by_its_log(log: &LogExcerpt, due: &[Due]) -> Option<AgentState> {
    let every = entries(log);
    let tells = |entry: &&Entry<'_>| entry.sign != Sign::NoIdentity && !entry.sign.speaks_against_a_renewal();
    let all: Vec<Entry<'_>> = every.iter().filter(tells).copied().collect();
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
    let proven_by = |proof: &Entry<'_>| {
        let newer = every.iter().rev().take_while(|entry| !std::ptr::eq(entry.line, proof.line));
        match newer.into_iter().find(|entry| entry.sign.speaks_against_a_renewal()) {
            Some(failure) => AgentState::Unknown(then_failed(failure)),
            None => AgentState::Works(quoted(proof)),
        }
    };
    let Some(oldest) = due.iter().map(|due| due.since).min() else { return Some(proven_by(good)) };
    let own = |entry: &&Entry<'_>| {
        let renewed_after = |due: &Due| names(entry.line, &due.spiffe_id) && entry.at.is_some_and(|at| at >= due.since);
        entry.sign == Sign::Renewal && due.iter().any(renewed_after)
    };
    let any = |entry: &&Entry<'_>| entry.sign == Sign::Renewal && entry.at.is_some_and(|at| at >= oldest);
    let proof = all.iter().rev().find(own).or_else(|| all.iter().rev().find(any))?;
    Some(proven_by(proof))
}

/// What a failure means that came after the agent had asked for an SVID, or when it should have.
fn then_failed(failure: &Entry<'_>) -> String {
    let what = match failure.sign {
        Sign::NotSigned => "the SPIRE server refused to sign an SVID that it asked for",
        _ => "something failed after it was last seen at work",
    };
    format!("{what}; {}", quoted(failure))
}

/// What it means that the log shows no renewal that proves anything: silence where the log reaches back past the time
/// when the SVID of a workload was due, that SVID has ended, nothing newer was issued on the node, and nobody was refused;
/// else an open question, with what could not be seen.
fn without_proof(agent: &AgentEvidence, log: &LogExcerpt, expected: &Expected) -> AgentState {
    let green = agent.healthcheck.value().is_some_and(|check| check.healthy);
    let green = if green { "its healthcheck is green, which proves little; " } else { "" };
    let over = expected.due.iter().filter(|due| due.over).min_by_key(|due| due.since);
    let Some(due) = over.or_else(|| expected.due.iter().min_by_key(|due| due.since)) else {
        return AgentState::Unknown(format!("{green}its log shows no renewal that proves that it works"));
    };
    let (whose, since) = (&due.spiffe_id, due.since);
    let nothing = format!("{green}its log shows no renewal since {since:.0}, when that of {whose} was due");
    let undated = entries(log).iter().any(|entry| entry.sign == Sign::Renewal && entry.at.is_none());
    let said = entries(log).into_iter().filter(|entry| entry.at.is_none_or(|at| at >= since));
    let said: Vec<Entry<'_>> = said.collect();
    let has_said = |sign| said.iter().any(|entry| entry.sign == sign);
    if let Some(failure) = said.iter().rev().find(|entry| entry.sign.speaks_against_a_renewal()) {
        return AgentState::Unknown(format!("{nothing}, and {}", then_failed(failure)));
    }
    let why = match log.reaches {
        _ if log.cut || undated => "not all of its lines could be read or dated".to_owned(),
        None => "how far back the log reaches is not known".to_owned(),
        Some(reaches) if reaches > since => format!("the log was read back to {reaches:.0} only"),
        Some(_) if expected.newest.is_some_and(|newest| newest >= since) => {
            "another SVID of the node was issued since".to_owned()
        }
        Some(_) if has_said(Sign::NoIdentity) => {
            "it refuses an identity to a workload: there may be no registration entry".to_owned()
        }
        Some(_) if has_said(Sign::CannotReach) => "it says once that the SPIRE server could not be reached".to_owned(),
        Some(_) if over.is_none() => "no SVID of the node is over yet".to_owned(),
        Some(reaches) => {
            let entry = format!("if only {whose} is on that node, see whether its registration entry is still there");
            return AgentState::Silent(format!(
                "{nothing}, nor for any other workload, though the log reaches back to {reaches:.0}, and that SVID is \
                 over; {entry}"
            ));
        }
    };
    AgentState::Unknown(format!("{nothing}, and {why}"))
}

/// Judges one agent by what it should have renewed. `matching` is how many pods its selector matches anywhere in SPIRE's
/// namespace, if that is known.
pub(in crate::triage) fn judge(agent: &AgentEvidence, expected: &Expected, matching: Option<u32>) -> Judged {
    if agent.pod == AgentPod::Absent {
        return no_pod(matching);
    }
    let log = agent.log.value().and_then(|log| by_its_log(log, &expected.due));
    let log = by_its_sync::judge(agent, log, expected);
    let log = match log {
        Some(state @ (AgentState::CannotReachServer(_) | AgentState::Broken(_))) => return Judged::plain(state),
        other => other,
    };
    if !agent.ready {
        let nothing_seen = agent.healthcheck.value().is_none() && agent.log.value().is_none();
        if nothing_seen && matches!(agent.pod, AgentPod::NotListed(_)) {
            return Judged::plain(AgentState::Unknown(why_unseen(&agent.healthcheck, &agent.log)));
        }
        let restarts = agent.restarts;
        let crash =
            agent.crash.as_ref().map_or_else(String::new, |crash| format!("; its container {}", crash.sentence()));
        return Judged::plain(AgentState::Broken(format!("its pod is not Ready ({restarts} restart(s){crash})")));
    }
    match (agent.healthcheck.value(), log) {
        (Some(Healthcheck { healthy: false, output }), Some(AgentState::Works(why) | AgentState::Unknown(why))) => {
            Judged {
                state: AgentState::Unknown(format!(
                    "the signs contradict each other: its healthcheck says \"{}\", its pod is Ready, and {why}",
                    end_of(output.trim())
                )),
                remedy: Some("see whether mesh.agent_socket in the configuration names this agent's socket".to_owned()),
            }
        }
        (Some(Healthcheck { healthy: false, output }), _) => {
            Judged::plain(AgentState::Broken(format!("its healthcheck says: {}", end_of(output.trim()))))
        }
        (_, Some(state)) => Judged::plain(state),
        (green, None) => Judged::plain(match agent.log.value() {
            Some(log) if green.is_some() || !expected.due.is_empty() => without_proof(agent, log, expected),
            _ if green.is_some() => {
                let why = missing(&agent.log).unwrap_or_default();
                AgentState::Unknown(format!("its healthcheck is green, which proves little, and {why}"))
            }
            _ => AgentState::Unknown(why_unseen(&agent.healthcheck, &agent.log)),
        }),
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
