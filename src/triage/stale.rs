//! Rules 1 and 2: an SVID is over or overdue, and the agent of each pod's own node tells whose fault that is.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    Confidence, FixName, Scenario, Side,
    certificate::Life,
    diagnosis::{Conclusion, Scene, SeenPod},
    envoy::TlsReason,
    examine::{Holding, Issuer, Stuck},
    restartable::{RESTARTS_MOST, too_many, why_not_restarted},
    spire::AgentState,
};
use crate::mesh::{NodeName, PodRef};

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

fn names(pods: &[&SeenPod<'_>]) -> Vec<PodRef> {
    pods.iter().map(|(pod, _)| pod.pod.clone()).collect()
}

impl Scene<'_> {
    fn stale_where(&self, stale: fn(&Holding) -> bool) -> Vec<&SeenPod<'_>> {
        self.pods.iter().filter(|(_, found)| stale(&found.holding) && found.issuer.may_be_spire()).collect()
    }

    fn by_agent<'s>(&'s self, stale: &[&'s SeenPod<'s>]) -> ByAgent<'s> {
        let mut by = ByAgent::default();
        for seen in stale {
            let (pod, found) = seen;
            let in_the_file = found.stuck == Some(Stuck::Proxy);
            match self.agent_of(pod.node.as_ref()) {
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

    /// Certificates that istiod issued, where no certificate of SPIRE is over.
    pub(super) fn istiod_alone(&self, now: Timestamp) -> Option<Conclusion> {
        let spires = |(_, found): &SeenPod<'_>| found.holding.is_over() && found.issuer.may_be_spire();
        if self.pods.iter().any(spires) { None } else { self.istiod_issued(now, &[]) }
    }

    /// Certificates that istiod issued, or may have: SPIRE is context, and restarts are refused.
    pub(super) fn istiod_issued(&self, now: Timestamp, explained: &[PodRef]) -> Option<Conclusion> {
        let over = |(pod, found): &&SeenPod<'_>| {
            found.holding.is_over() && !found.issuer.may_be_spire() && !explained.contains(&pod.pod)
        };
        let istiod: Vec<_> = self.pods.iter().filter(over).collect();
        if istiod.is_empty() {
            return None;
        }
        let known = istiod.iter().all(|(_, found)| found.issuer == Issuer::Istiod);
        let who = if known {
            "the certificate is over, and istiod issued it, not SPIRE".to_owned()
        } else {
            let unread: Vec<String> =
                self.unread_config_maps().map(|map| format!("{}: {}", map.what, map.why)).collect();
            format!(
                "the certificate is over, and whether istiod or SPIRE issued it is not known ({})",
                unread.join("; ")
            )
        };
        let mut reasons = vec![who, "istiod and port 15012 were not checked by this version".to_owned()];
        reasons.extend(istiod.iter().map(|seen| stale_sentence(seen, now)));
        let mut conclusion = Conclusion::of(Scenario::Inconclusive, reasons);
        conclusion.confidence = Confidence::Medium;
        conclusion.pods = names(&istiod);
        conclusion.consequences = self.consequences(false);
        Some(conclusion.never(
            &[FixName::RestartSpireAgent, FixName::SyncTrustBundle, FixName::RestartPod],
            if known {
                "istiod issued this certificate: nothing in SPIRE can cure it, and istiod was not checked"
            } else {
                "who issued this certificate is not known: where it is istiod, nothing in SPIRE can cure it"
            },
        ))
    }

    /// The leaf is over, or ended a moment ago. Pods of the same target that are only overdue have the same cause, and will
    /// be over soon.
    pub(super) fn expired(&self, now: Timestamp, explained: &[PodRef]) -> Option<Conclusion> {
        let mut stale = self.stale_where(|holding| holding.is_over() || holding.is_overdue());
        stale.retain(|(pod, _)| !explained.contains(&pod.pod));
        let over = stale.iter().any(|(_, found)| found.holding.is_over());
        if !over && !stale.iter().any(|(_, found)| has_ended(&found.holding, now)) {
            return None;
        }
        // Within what clocks may differ by, nothing is certain.
        let most = if over { Confidence::High } else { Confidence::Medium };
        Some(self.stale(&stale, now, most))
    }

    /// The leaf is in date and should have been renewed: a warning, which explains no failing call.
    pub(super) fn overdue(&self, now: Timestamp) -> Option<Conclusion> {
        let stale = self.stale_where(Holding::is_overdue);
        if stale.is_empty() {
            return None;
        }
        let mut conclusion = self.stale(&stale, now, Confidence::Medium);
        if conclusion.fixes.is_empty() {
            conclusion.scenario = Scenario::Inconclusive;
        }
        conclusion.consequences = self.consequences(false);
        conclusion.reasons.push("no certificate is over yet, so this alone explains no failing call".to_owned());
        Some(conclusion)
    }

    fn stale(&self, stale: &[&SeenPod<'_>], now: Timestamp, most: Confidence) -> Conclusion {
        let by = self.by_agent(stale);
        let conclusion =
            if by.broken.is_empty() { self.not_picked_up(&by, now, most) } else { self.agents_fault(&by, now, most) };
        Conclusion { affected: names(stale), ..conclusion }
    }

    /// Rule 2. Pods of other nodes, whose agent works, can be restarted all the same.
    fn agents_fault(&self, by: &ByAgent<'_>, now: Timestamp, most: Confidence) -> Conclusion {
        let mut reasons = self.agent_reasons();
        reasons.extend(by.broken.iter().map(|seen| stale_sentence(seen, now)));
        let mut conclusion = Conclusion::of(Scenario::SpireAgent, reasons);
        // An agent that says nothing may have nothing to say: its entries are gone.
        let silent = |(pod, _): &&SeenPod<'_>| matches!(self.agent_of(pod.node.as_ref()), Some(AgentState::Silent(_)));
        conclusion.confidence = if by.broken.iter().all(silent) { most.min(Confidence::Medium) } else { most };
        conclusion.nodes = by.broken.iter().filter_map(|(pod, _)| pod.node.clone()).collect();
        conclusion.nodes.sort();
        conclusion.nodes.dedup();
        conclusion.consequences = self.consequences(false);
        conclusion.fixes = vec![FixName::RestartSpireAgent];
        let nodes: Vec<&str> = conclusion.nodes.iter().map(NodeName::as_str).collect();
        let nodes = nodes.join(", ");
        if by.works.is_empty() {
            conclusion.pods = names(&by.broken);
            let reason = format!("the SPIRE agent of {nodes} does not work: a restarted pod would get no SVID");
            conclusion = conclusion.never(&[FixName::RestartPod], &reason);
        } else {
            let (back, kept) = self.restartable_of(&by.works);
            let others: Vec<String> = back.iter().map(|(pod, _)| pod.pod.to_string()).collect();
            conclusion.reasons.extend(by.works.iter().map(|seen| stale_sentence(seen, now)));
            if back.is_empty() {
                conclusion.pods = names(&by.works);
            } else {
                conclusion.reasons.push(format!(
                    "restart-pod fits only {}, whose own agent works; the pods of {nodes} wait for their agent",
                    others.join(", ")
                ));
                conclusion.pods = names(&back);
            }
            conclusion = offer_restart(conclusion, &back, &kept);
        }
        conclusion.reasons.extend(by.unknown.iter().map(|(seen, why)| unknown_sentence(seen, why, now)));
        conclusion.never(&[FixName::SyncTrustBundle], "no bundle is at fault")
    }

    /// Rule 1. Only pods whose own agent works are restarted.
    fn not_picked_up(&self, by: &ByAgent<'_>, now: Timestamp, most: Confidence) -> Conclusion {
        let mut reasons: Vec<String> = by.works.iter().map(|seen| stale_sentence(seen, now)).collect();
        reasons.extend(self.why_it_can_be_had(&by.works));
        reasons.extend(by.unknown.iter().map(|(seen, why)| unknown_sentence(seen, why, now)));
        let mut conclusion = Conclusion::of(Scenario::ExpiredCertificate, reasons);
        conclusion.side = self.reachable_side();
        conclusion.confidence = Confidence::Low;
        if by.works.is_empty() {
            conclusion.pods = by.unknown.iter().map(|((pod, _), _)| pod.pod.clone()).collect();
            let reason = "it is not known whether the node's SPIRE agent works: a restarted pod might get no SVID";
            conclusion = conclusion.never(&[FixName::RestartPod], reason);
        } else {
            let (back, kept) = self.restartable_of(&by.works);
            conclusion.pods = names(if back.is_empty() { &by.works } else { &back });
            conclusion = offer_restart(conclusion, &back, &kept);
            let peers_see_it = by.works.iter().all(|(_, found)| found.decided_by_what_peers_see);
            let sure = by.unknown.is_empty() && peers_see_it;
            conclusion.confidence = if sure { most } else { most.min(Confidence::Medium) };
        }
        conclusion
            .never(
                &[FixName::RestartSpireAgent],
                "the agent was not seen to be at fault: a restart would disturb every pod of its node",
            )
            .never(&[FixName::SyncTrustBundle, FixName::EnforceStrictMtls], "neither bundles nor modes are at fault")
    }

    /// Why each of these pods would get a new SVID: a sentence a node, so that its agent's log is quoted once.
    fn why_it_can_be_had(&self, works: &[&SeenPod<'_>]) -> Vec<String> {
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
            match self.agent_of(node) {
                Some(AgentState::Works(why)) => {
                    let pods = pods.join(", ");
                    format!(
                        "the SPIRE agent of {name} works ({why}): the workload of {pods} did not pick up its new SVID"
                    )
                }
                _ => format!("the SPIRE agent of {name} was not judged"),
            }
        }));
        reasons
    }

    /// Stale pods that a restart brings back, and those that the fix would certainly refuse, with why.
    fn restartable_of<'s>(&self, works: &[&'s SeenPod<'s>]) -> (Vec<&'s SeenPod<'s>>, Vec<String>) {
        let (mut back, mut kept) = (Vec::new(), Vec::new());
        for seen in works {
            let (pod, protected) = (&seen.0, &self.evidence.expectations.protected);
            let kind = pod.controller.as_deref().map(|controller| controller.split('/').next().unwrap_or_default());
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

    fn reachable_side(&self) -> Side {
        let client = self.times(TlsReason::OwnExpired) > 0 || self.is_refused_without_a_reason();
        let server = self.pods.iter().any(|(pod, _)| {
            pod.stats.value().and_then(|stats| stats.server.connection_error).is_some_and(|errors| errors > 0)
        });
        match (client, server) {
            (true, true) => Side::Both,
            (true, false) => Side::Client,
            (false, true) => Side::Server,
            (false, false) => Side::Unknown,
        }
    }
}

/// Offers a restart where the fix would not refuse it, and says why where it would.
fn offer_restart(mut conclusion: Conclusion, back: &[&SeenPod<'_>], kept: &[String]) -> Conclusion {
    if back.is_empty() {
        return conclusion.never(&[FixName::RestartPod], &kept.join("; "));
    }
    conclusion.fixes.push(FixName::RestartPod);
    conclusion.reasons.extend(kept.iter().map(|why| format!("restart-pod leaves one out: {why}")));
    conclusion
}

fn unknown_sentence(seen: &SeenPod<'_>, why: &str, now: Timestamp) -> String {
    format!("{}; whether the SPIRE agent of its node works is not known: {why}", stale_sentence(seen, now))
}

/// Whether its last moment has passed by our clock; within what clocks may differ by it is not yet called over.
fn has_ended(holding: &Holding, now: Timestamp) -> bool {
    matches!(holding, Holding::Svid { svid, .. } if svid.not_after < now)
}

pub(super) fn stale_sentence((pod, found): &SeenPod<'_>, now: Timestamp) -> String {
    match &found.holding {
        Holding::Svid { life: Life::Over { since }, source, .. } => {
            let minutes = now.duration_since(*since).as_mins();
            format!("the SVID of {} ended {minutes} min ago ({source})", pod.pod)
        }
        Holding::Svid { life: Life::Left { until, .. }, source, .. } if *until < now => {
            let seconds = now.duration_since(*until).as_secs();
            format!(
                "the SVID of {} should have been renewed by now; it ended {seconds} s ago, which clocks may differ by: \
                 peers may refuse it already ({source})",
                pod.pod
            )
        }
        Holding::Svid { life: Life::Left { until, .. }, source, .. } => {
            format!("the SVID of {} should have been renewed by now; it ends at {until:.0} ({source})", pod.pod)
        }
        _ => format!("the proxy of {} has never got an SVID", pod.pod),
    }
}
