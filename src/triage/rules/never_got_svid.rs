//! A proxy never got an SVID. Where the agent of its node works, no registration entry fits the workload, and no restart helps.
//!
//! Names: registration, or the SPIRE agent where it is faulty, or inconclusive where neither shows. Rests on 1.1 (dates),
//! 2.2 (agents), 2.3 (agent's log) and 3.3 (proxy's log).

use super::{Conclusion, agent_restart, not_registered::LOOK_FOR_ENTRY};
use crate::{
    mesh::{NodeName, PodRef},
    triage::{
        CallAtOnce, Confidence, FixName, PodEvidence, Scenario, SharedFact,
        agent_log::{Sign, could_not_attest_a_workload, entries},
        diagnosis_input::{DiagnosisInput, SeenPod},
        envoy::TlsReason,
        examine::{Holding, spire_agent::AgentState},
        log_hints::SEVERAL,
    },
};

pub(super) fn judge(input: &DiagnosisInput<'_>, explained: &[PodRef]) -> Option<Conclusion> {
    let is_open = |(pod, _): &&SeenPod<'_>| !explained.contains(&pod.pod);
    let is_without = |(pod, found): &&SeenPod<'_>| found.holding == Holding::NoSecret || has_no_entry(input, pod);
    let without: Vec<&SeenPod<'_>> = input.pods.iter().filter(is_without).filter(is_open).collect();
    if without.is_empty() {
        return None;
    }
    Some(agents_fault(input, &without).unwrap_or_else(|| no_entry(input, &without)))
}

fn about_these(scenario: Scenario, without: &[&SeenPod<'_>]) -> Conclusion {
    let reason = |(pod, found): &&SeenPod<'_>| match &found.holding {
        Holding::NoSecret => format!("the proxy of {} has never got an SVID", pod.pod),
        _ if pod.sidecar => format!("the proxy of {} serves no certificate", pod.pod),
        _ => format!("{} has no SVID in its file, and no proxy", pod.pod),
    };
    let mut conclusion = Conclusion::new(scenario, without.iter().map(reason).collect::<Vec<String>>());
    conclusion.pods = without.iter().map(|(pod, _)| pod.pod.clone()).collect();
    conclusion
}

/// The node's agent does not work.
fn agents_fault(input: &DiagnosisInput<'_>, without: &[&SeenPod<'_>]) -> Option<Conclusion> {
    let is_faulty = |(pod, _): &&&SeenPod<'_>| input.agent_of(pod.node.as_ref()).is_some_and(AgentState::is_faulty);
    let broken: Vec<_> = without.iter().filter(is_faulty).collect();
    if broken.is_empty() {
        return None;
    }
    let mut conclusion = about_these(Scenario::SpireAgent, without);
    conclusion.reasons.extend(input.agent_reasons());
    conclusion.nodes = broken.iter().filter_map(|(pod, _)| pod.node.clone()).collect();
    conclusion.nodes.sort();
    conclusion.nodes.dedup();
    conclusion = agent_restart::offer_restart(conclusion, input);
    let why_no_restart = "the node's agent does not work: it would get no SVID again";
    Some(conclusion.advise_against(&[FixName::RestartPod], why_no_restart))
}

/// No agent is seen at fault: then it is the registration entry, as far as anything speaks of it.
fn no_entry(input: &DiagnosisInput<'_>, without: &[&SeenPod<'_>]) -> Conclusion {
    let refused = without.iter().find_map(|(pod, _)| refused(input, pod));
    let told = without.iter().map(|(_, found)| found.recently(TlsReason::NotRegistered)).max().unwrap_or(0);
    let told = told >= SEVERAL;
    let works = |(pod, _): &&SeenPod<'_>| matches!(input.agent_of(pod.node.as_ref()), Some(AgentState::Works(_)));
    let (confidence, why) = match refused {
        Some((line, true)) => (Confidence::High, format!("its agent says about this workload: {line}")),
        Some((line, false)) => (Confidence::Medium, format!("its agent says, without naming a workload: {line}")),
        None if told => (Confidence::Medium, TlsReason::NotRegistered.words().to_owned()),
        None if without.iter().any(works) => {
            (Confidence::Medium, "the agent of its node issues for others, and never for it".to_owned())
        }
        None => {
            let node = without.first().and_then(|(pod, _)| pod.node.as_ref()).map_or("its node", NodeName::as_str);
            (Confidence::Low, format!("whether the SPIRE agent of {node} works is not known"))
        }
    };
    let is_known = confidence > Confidence::Low;
    let scenario = if is_known { Scenario::Registration } else { Scenario::Inconclusive };
    let mut conclusion = about_these(scenario, without);
    conclusion.confidence = confidence;
    conclusion.reasons.push(why.into());
    if is_known {
        conclusion.reasons.push(SharedFact::LookForEntry.stated(LOOK_FOR_ENTRY));
        conclusion.call_at_once = Some(CallAtOnce::L2);
    }
    conclusion.advise_against(
        &[FixName::RestartPod, FixName::RestartSpireAgent],
        "no registration entry seems to fit this workload: a restart would get no SVID either",
    )
}

/// Whether a pod was seen to have no SVID, and the agent of its node says that it issues no identity, to it or to
/// somebody whom it does not name. Where the agent could not learn who a workload is, that is the cause, and not an entry.
fn has_no_entry(input: &DiagnosisInput<'_>, pod: &PodEvidence) -> bool {
    let log = input.agents.iter().find(|(agent, _)| Some(&agent.node) == pod.node.as_ref());
    let log = log.and_then(|(agent, _)| agent.log.value());
    let attests = log.is_some_and(|log| !log.lines.iter().any(|line| could_not_attest_a_workload(line)));
    pod.has_no_svid() && attests && refused(input, pod).is_some()
}

/// What the agent of a pod's node says about an identity that it did not issue, and whether it names this workload.
/// Lines about other workloads are no evidence for this one.
fn refused(input: &DiagnosisInput<'_>, pod: &PodEvidence) -> Option<(String, bool)> {
    let (agent, _) = input.agents.iter().find(|(agent, _)| Some(&agent.node) == pod.node.as_ref())?;
    let log = agent.log.value()?;
    let account = pod.service_account.as_ref().map_or_else(String::new, ToString::to_string);
    let path = format!("/ns/{}/sa/{account}\"", pod.pod.namespace);
    let own = [pod.uid.to_string(), pod.pod.name.to_string(), path];
    let lines: Vec<&str> =
        entries(log).iter().filter(|entry| entry.sign == Sign::NoIdentity).map(|entry| entry.line).collect();
    let names_it = |line: &&&str| own.iter().any(|own| line.contains(own.as_str()));
    let names_nobody = |line: &&&str| !["spiffe://", "pod-", "pod_", "k8s:"].iter().any(|word| line.contains(word));
    let named = lines.iter().rev().find(names_it).map(|line| ((*line).to_owned(), true));
    named.or_else(|| lines.iter().rev().find(names_nobody).map(|line| ((*line).to_owned(), false)))
}
