//! Whose fault a stale SVID is: shared by the rules about one that is over and one that is overdue. The agent of each pod's own
//! node decides.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Conclusion, agent_restart};
use crate::{
    mesh::{ControllerRef, NodeName, PodRef},
    triage::{
        Confidence, FixName, Scenario, Side,
        certificate::Validity,
        diagnosis_input::{DiagnosisInput, SeenPod},
        envoy::TlsReason,
        examine::{Holding, Stuck, spire_agent::AgentState},
        restartable::{RESTARTS_MOST, too_many, why_not_restarted},
    },
};

/// Stale pods by what the agent of their own node is.
#[derive(Default)]
struct ByAgent<'s> {
    /// It works, or has put the new SVID into the file: the workload did not pick it up.
    works: Vec<&'s SeenPod<'s>>,
    /// It does not work.
    broken: Vec<&'s SeenPod<'s>>,
    /// Not known, with why.
    unknown: Vec<(&'s SeenPod<'s>, String)>,
}

pub(super) fn names(pods: &[&SeenPod<'_>]) -> Vec<PodRef> {
    pods.iter().map(|(pod, _)| pod.pod.clone()).collect()
}

/// The pods with an SVID of SPIRE's that is stale in that way.
pub(super) fn pods_where<'s>(input: &'s DiagnosisInput<'_>, stale: fn(&Holding) -> bool) -> Vec<&'s SeenPod<'s>> {
    input.pods.iter().filter(|(_, found)| stale(&found.holding) && found.issuer.may_be_spire()).collect()
}

fn by_agent<'s>(input: &'s DiagnosisInput<'_>, stale: &[&'s SeenPod<'s>]) -> ByAgent<'s> {
    let mut by = ByAgent::default();
    for seen in stale {
        let (pod, found) = seen;
        let in_the_file = found.stuck == Some(Stuck::Proxy);
        match input.agent_of(pod.node.as_ref()) {
            Some(AgentState::Broken(_) | AgentState::Silent(_) | AgentState::CannotReachServer(_)) => {
                by.broken.push(seen);
            }
            Some(AgentState::Works(_)) => by.works.push(seen),
            _ if in_the_file => by.works.push(seen),
            Some(AgentState::Unknown(why)) => by.unknown.push((seen, why.clone())),
            None => by.unknown.push((seen, "it was not seen".to_owned())),
        }
    }
    by
}

/// Whose fault it is that these SVIDs are stale; no surer than `most`.
pub(super) fn conclude(input: &DiagnosisInput<'_>, stale: &[&SeenPod<'_>], most: Confidence) -> Conclusion {
    let by = by_agent(input, stale);
    let conclusion =
        if by.broken.is_empty() { not_picked_up(input, &by, most) } else { agents_fault(input, &by, most) };
    Conclusion { affected: names(stale), ..conclusion }
}

/// Scenario 2. Pods of other nodes, whose agent works, can be restarted all the same.
fn agents_fault(input: &DiagnosisInput<'_>, by: &ByAgent<'_>, most: Confidence) -> Conclusion {
    let now = input.now();
    let mut reasons = input.agent_reasons();
    reasons.extend(by.broken.iter().map(|seen| stale_sentence(seen, now).into()));
    let mut conclusion = Conclusion::new(Scenario::SpireAgent, reasons);
    // An agent that says nothing may have nothing to say: its entries are gone.
    let silent = |(pod, _): &&SeenPod<'_>| matches!(input.agent_of(pod.node.as_ref()), Some(AgentState::Silent(_)));
    conclusion.confidence = if by.broken.iter().all(silent) { most.min(Confidence::Medium) } else { most };
    conclusion.nodes = by.broken.iter().filter_map(|(pod, _)| pod.node.clone()).collect();
    conclusion.nodes.sort();
    conclusion.nodes.dedup();
    conclusion.consequences = input.consequences(false);
    conclusion = agent_restart::offer_restart(conclusion, input);
    let nodes: Vec<&str> = conclusion.nodes.iter().map(NodeName::as_str).collect();
    let nodes = nodes.join(", ");
    if by.works.is_empty() {
        conclusion.pods = names(&by.broken);
        let reason = format!("the SPIRE agent of {nodes} does not work: a restarted pod would get no SVID");
        conclusion = conclusion.advise_against(&[FixName::RestartPod], &reason);
    } else {
        let (back, kept) = restartable_of(input, &by.works);
        let others: Vec<String> = back.iter().map(|(pod, _)| pod.pod.to_string()).collect();
        conclusion.reasons.extend(by.works.iter().map(|seen| stale_sentence(seen, now).into()));
        if back.is_empty() {
            conclusion.pods = names(&by.works);
        } else {
            let others = others.join(", ");
            let only = format!(
                "restart-pod fits only {others}, whose own agent works; the pods of {nodes} wait for their agent"
            );
            conclusion.reasons.push(only.into());
            conclusion.pods = names(&back);
        }
        conclusion = offer_restart(conclusion, &back, &kept);
    }
    conclusion.reasons.extend(by.unknown.iter().map(|(seen, why)| unknown_sentence(seen, why, now).into()));
    conclusion.advise_against(&[FixName::SyncTrustBundle], "no bundle is at fault")
}

/// Scenario 1. Only pods whose own agent works are restarted.
fn not_picked_up(input: &DiagnosisInput<'_>, by: &ByAgent<'_>, most: Confidence) -> Conclusion {
    let now = input.now();
    let mut reasons: Vec<String> = by.works.iter().map(|seen| stale_sentence(seen, now)).collect();
    reasons.extend(why_it_can_be_had(input, &by.works));
    reasons.extend(by.unknown.iter().map(|(seen, why)| unknown_sentence(seen, why, now)));
    let mut conclusion = Conclusion::new(Scenario::ExpiredCertificate, reasons);
    conclusion.side = reachable_side(input);
    conclusion.confidence = Confidence::Low;
    if by.works.is_empty() {
        conclusion.pods = by.unknown.iter().map(|((pod, _), _)| pod.pod.clone()).collect();
        let reason = "it is not known whether the node's SPIRE agent works: a restarted pod might get no SVID";
        conclusion = conclusion.advise_against(&[FixName::RestartPod], reason);
    } else {
        let (back, kept) = restartable_of(input, &by.works);
        conclusion.pods = names(if back.is_empty() { &by.works } else { &back });
        conclusion = offer_restart(conclusion, &back, &kept);
        let peers_see_it = by.works.iter().all(|(_, found)| found.served_certificate_seen);
        let sure = by.unknown.is_empty() && peers_see_it;
        conclusion.confidence = if sure { most } else { most.min(Confidence::Medium) };
    }
    conclusion
        .advise_against(
            &[FixName::RestartSpireAgent],
            "the agent was not seen to be at fault: a restart would disturb every pod of its node",
        )
        .advise_against(
            &[FixName::SyncTrustBundle, FixName::EnforceStrictMtls],
            "neither bundles nor modes are at fault",
        )
}

/// Why each of these pods would get a new SVID: a sentence a node, so that its agent's log is quoted once.
fn why_it_can_be_had(input: &DiagnosisInput<'_>, works: &[&SeenPod<'_>]) -> Vec<String> {
    let (mut reasons, mut by_node) = (Vec::new(), BTreeMap::<_, Vec<String>>::new());
    for (pod, found) in works {
        if found.stuck == Some(Stuck::Proxy) {
            reasons.push(format!("the file of {} holds the new SVID: its proxy did not take it", pod.pod));
        } else {
            by_node.entry(pod.node.as_ref()).or_default().push(pod.pod.to_string());
        }
    }
    reasons.extend(by_node.into_iter().map(|(node, pods)| {
        let name = node.map_or("its node", NodeName::as_str);
        match input.agent_of(node) {
            Some(AgentState::Works(why)) => {
                let pods = pods.join(", ");
                format!("the SPIRE agent of {name} works ({why}): the workload of {pods} did not pick up its new SVID")
            }
            _ => format!("the SPIRE agent of {name} was not judged"),
        }
    }));
    reasons
}

/// Stale pods that a restart brings back, and those that the fix would certainly refuse, with why.
fn restartable_of<'s>(input: &DiagnosisInput<'_>, works: &[&'s SeenPod<'s>]) -> (Vec<&'s SeenPod<'s>>, Vec<String>) {
    let (mut back, mut kept) = (Vec::new(), Vec::new());
    for seen in works {
        let (pod, protected) = (&seen.0, &input.evidence.expectations.protected);
        let kind = pod.controller.as_ref().map(ControllerRef::kind);
        match why_not_restarted(&pod.pod.namespace, protected, kind).first() {
            None => back.push(*seen),
            Some(why) => kept.push(format!("{} {why}", pod.pod)),
        }
    }
    if back.len() > RESTARTS_MOST {
        kept.push(too_many(back.len()));
        back.clear();
    }
    (back, kept)
}

fn reachable_side(input: &DiagnosisInput<'_>) -> Side {
    let client = input.times(TlsReason::OwnExpired) > 0 || input.is_refused_without_a_reason();
    let server = input.pods.iter().any(|(pod, _)| {
        pod.stats.value().and_then(|stats| stats.server.connection_error).is_some_and(|errors| errors > 0)
    });
    match (client, server) {
        (true, true) => Side::Both,
        (true, false) => Side::Client,
        (false, true) => Side::Server,
        (false, false) => Side::Unknown,
    }
}

/// Offers a restart where the fix would not refuse it, and says why where it would.
fn offer_restart(mut conclusion: Conclusion, back: &[&SeenPod<'_>], kept: &[String]) -> Conclusion {
    if back.is_empty() {
        return conclusion.advise_against(&[FixName::RestartPod], &kept.join("; "));
    }
    conclusion.fixes.push(FixName::RestartPod);
    conclusion.reasons.extend(kept.iter().map(|why| format!("restart-pod leaves one out: {why}").into()));
    conclusion
}

fn unknown_sentence(seen: &SeenPod<'_>, why: &str, now: Timestamp) -> String {
    format!("{}; whether the SPIRE agent of its node works is not known: {why}", stale_sentence(seen, now))
}

pub(super) fn stale_sentence((pod, found): &SeenPod<'_>, now: Timestamp) -> String {
    match &found.holding {
        Holding::Svid { validity: Validity::Over { since }, source, .. } => {
            let minutes = now.duration_since(*since).as_mins();
            format!("the SVID of {} ended {minutes} min ago ({source})", pod.pod)
        }
        Holding::Svid { validity: Validity::Left { until, .. }, source, .. } if *until < now => {
            let seconds = now.duration_since(*until).as_secs();
            format!(
                "the SVID of {} should have been renewed by now; it ended {seconds} s ago, which clocks may differ by: \
                 peers may refuse it already ({source})",
                pod.pod
            )
        }
        Holding::Svid { validity: Validity::Left { until, .. }, source, .. } => {
            format!("the SVID of {} should have been renewed by now; it ends at {until:.0} ({source})", pod.pod)
        }
        _ => format!("the proxy of {} has never got an SVID", pod.pod),
    }
}
