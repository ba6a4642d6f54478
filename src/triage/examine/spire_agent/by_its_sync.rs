//! What an agent itself says of its last synchronisation is better than any log, where its version says it: a log shows tries, and
//! what went wrong before may be over.

use jiff::Timestamp;

use super::{AgentState, Expected};
use crate::triage::{
    AgentEvidence,
    agent_info::Synced,
    agent_log::{Sign, entries},
};

/// The state by its log, put right by what the agent says itself.
pub(super) fn judge(agent: &AgentEvidence, by_log: Option<AgentState>, expected: &Expected) -> Option<AgentState> {
    let Some(info) = agent.info else { return by_log };
    let at = agent.healthcheck.at().max(agent.log.at());
    if let Some(ends) = info.svid_ends.filter(|ends| *ends <= at) {
        return Some(AgentState::Broken(format!("its own SVID ended at {ends:.0}, as it says itself")));
    }
    match info.synced(at) {
        Synced::OfLate(last) if fails_since(agent, last) => by_log,
        Synced::OfLate(last) => Some(after_a_sync(last, by_log, expected)),
        Synced::Unclear => by_log,
        Synced::TooLongAgo(last) => match by_log {
            Some(state @ (AgentState::Broken(_) | AgentState::CannotReachServer(_))) => Some(state),
            _ => Some(AgentState::CannotReachServer(match last {
                Some(last) => format!("its last sync with the SPIRE server was at {last:.0}, as it says itself"),
                None => "it never had a sync with the SPIRE server, as it says itself".to_owned(),
            })),
        },
    }
}

/// It works with its server. That it renewed what a workload still lacks is another question, which its log answers.
fn after_a_sync(last: Timestamp, by_log: Option<AgentState>, expected: &Expected) -> AgentState {
    let said = format!("its last sync with the SPIRE server was at {last:.0}, as it says itself");
    match by_log {
        Some(state @ AgentState::Works(_)) => state,
        Some(AgentState::Unknown(why)) => AgentState::Unknown(format!("{said}, and {why}")),
        _ if expected.due.is_empty() => AgentState::Works(said),
        _ => AgentState::Unknown(format!("{said}, and nothing shows that it renewed what its workloads were due")),
    }
}

/// Whether it speaks of a failure of its own after that.
fn fails_since(agent: &AgentEvidence, last: Timestamp) -> bool {
    let of_its_own = |sign: Sign| matches!(sign, Sign::Bad | Sign::CannotReach);
    let entries = agent.log.value().map(entries).unwrap_or_default();
    entries.iter().any(|entry| of_its_own(entry.sign) && entry.at.is_none_or(|at| at > last))
}
