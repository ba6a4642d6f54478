//! The SPIRE server issues nothing, and agents or certificates show it already.
//!
//! Names: SPIRE server unhealthy. Rests on 2.1 (every server pod and its log), 2.2 (agents) and 1.1 (dates).

use super::Conclusion;
use crate::triage::{
    CallAtOnce, Confidence, FixName, Missing, Scenario, SharedFact, StatedReason,
    diagnosis_input::DiagnosisInput,
    ends::end_of,
    examine::{spire_agent::AgentState, spire_server::server_health},
    log_hints::SEVERAL,
    server_log::own_faults,
};

pub(super) fn judge(input: &DiagnosisInput<'_>) -> Option<Conclusion> {
    let suffers = |state: &AgentState| state.is_faulty() || matches!(state, AgentState::CannotReachServer(_));
    let agents_suffer = input.agents.iter().any(|(_, judged)| suffers(&judged.state));
    if !input.spire_matters() || (!agents_suffer && !input.has_stale()) {
        return None;
    }
    let (unhealthy, told) = (why_no_server(input), told_by_its_log(input));
    if unhealthy.is_none() && told.is_empty() {
        return None;
    }
    let confidence = if unhealthy.is_some() { Confidence::High } else { Confidence::Medium };
    let stated = |why: String| SharedFact::NoSpireServer.stated(why);
    let of_the_server = unhealthy.into_iter().chain(told).map(stated);
    let reasons: Vec<StatedReason> = of_the_server.chain(input.agent_reasons()).collect();
    let mut conclusion = Conclusion::new(Scenario::SpireServer, reasons);
    conclusion.confidence = confidence;
    conclusion.consequences = input.consequences(agents_suffer);
    conclusion.call_at_once = Some(CallAtOnce::L2);
    Some(conclusion.advise_against(
        &[FixName::RestartPod, FixName::RestartSpireAgent],
        "the SPIRE server issues nothing now: what is restarted loses the SVID it still has",
    ))
}

/// What the servers say of faults of their own, where they say so again and again. Where several run, those that say nothing may
/// well issue: then nothing is said either.
fn told_by_its_log(input: &DiagnosisInput<'_>) -> Vec<String> {
    let told = input.evidence.servers.iter().map(|server| {
        let log = server.log.as_ref()?;
        let (times, words, line) = own_faults(log.value()?, log.at())?;
        let sentence = format!("the SPIRE server {} says: {}: «{}»", server.pod, words.meaning, end_of(line));
        (u64::try_from(times).unwrap_or(u64::MAX) >= SEVERAL).then_some(sentence)
    });
    told.collect::<Option<Vec<String>>>().unwrap_or_default()
}

/// Why no server pod can issue anything, if that was seen.
pub(super) fn why_no_server(input: &DiagnosisInput<'_>) -> Option<String> {
    let servers = &input.evidence.servers;
    if servers.is_empty() {
        let gone = matches!(input.evidence.servers_missing, Some(Missing::Gone { .. }));
        let controllers = &input.evidence.server_controllers;
        return (gone && !controllers.is_empty()).then(|| {
            format!(
                "no pod of the SPIRE server runs, though it has {}",
                controllers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            )
        });
    }
    let sick = |server| server_health(server, input.renews()) == Some(false);
    if !servers.iter().all(sick) {
        return None;
    }
    let names: Vec<String> = servers.iter().map(|server| server.pod.to_string()).collect();
    Some(format!("every SPIRE server pod is unhealthy ({})", names.join(", ")))
}
