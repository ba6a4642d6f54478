//! Rule 7, where SPIRE issues no identity: no registration entry fits the workload, and no restart helps.

use jiff::Timestamp;

use super::{
    CallAtOnce, Confidence, FixName, PodEvidence, Scenario,
    agent_log::{Sign, entries},
    diagnosis::{Conclusion, Scene, SeenPod},
    envoy::TlsReason,
    examine::{Examined, Holding},
    identity::about_identity,
    leaning::SEVERAL,
    spire::AgentState,
    stale::stale_sentence,
};
use crate::mesh::PodRef;

/// Where somebody looks for a registration entry.
pub(super) const LOOK_FOR_ENTRY: &str =
    "look for its registration entry: `spire-server entry show -spiffeID …`, its selectors and parent";

/// How a SPIRE agent says that it could not learn who a workload is: it then issues nothing, whatever entries there are.
const NOT_ATTESTED: [&str; 5] = [
    "orkload attestation failed",
    "Failed to attest the workload",
    "workload attestor",
    "workload_attestor",
    "Failed to collect all selectors",
];

impl Scene<'_> {
    /// Rule 7, where the proxy never got an SVID: with a working agent no registration entry fits, and no restart helps.
    pub(super) fn no_identity(&self, _now: Timestamp, explained: &[PodRef]) -> Option<Conclusion> {
        let is_open = |(pod, _): &&SeenPod<'_>| !explained.contains(&pod.pod);
        let is_without = |(pod, found): &&SeenPod<'_>| found.holding == Holding::NoSecret || self.has_no_entry(pod);
        let without: Vec<&SeenPod<'_>> = self.pods.iter().filter(is_without).filter(is_open).collect();
        let state = |pod: &PodEvidence| self.agent_of(pod.node.as_ref());
        let pods = without.iter().map(|(pod, _)| pod.pod.clone()).collect();
        let has_got = |found: &Examined| {
            if found.holding == Holding::NoSecret { "has never got an SVID" } else { "serves no certificate" }
        };
        let mut reasons: Vec<String> =
            without.iter().map(|(pod, found)| format!("the proxy of {} {}", pod.pod, has_got(found))).collect();
        let (first, _) = without.first()?;
        let broken: Vec<_> =
            without.iter().filter(|(pod, _)| matches!(state(pod), Some(state) if state.is_faulty())).collect();
        if !broken.is_empty() {
            reasons.extend(self.agent_reasons());
            let mut conclusion = Conclusion::of(Scenario::SpireAgent, reasons);
            conclusion.pods = pods;
            conclusion.nodes = broken.iter().filter_map(|(pod, _)| pod.node.clone()).collect();
            conclusion.fixes = vec![FixName::RestartSpireAgent];
            return Some(
                conclusion.never(&[FixName::RestartPod], "the node's agent does not work: it would get no SVID again"),
            );
        }
        let refused = without.iter().find_map(|(pod, _)| self.refused(pod));
        let told = without.iter().map(|(_, found)| found.recently(TlsReason::NotRegistered)).max().unwrap_or(0);
        let told = told >= SEVERAL;
        let works = without.iter().any(|(pod, _)| matches!(state(pod), Some(AgentState::Works(_))));
        let scenario =
            if works || told || refused.is_some() { Scenario::IdentityMismatch } else { Scenario::Inconclusive };
        let mut conclusion = Conclusion::of(scenario, reasons);
        conclusion.pods = pods;
        match refused {
            Some((line, true)) => conclusion.reasons.push(format!("its agent says about this workload: {line}")),
            Some((line, false)) => {
                conclusion.confidence = Confidence::Medium;
                conclusion.reasons.push(format!("its agent says, without naming a workload: {line}"));
            }
            None if told => {
                conclusion.confidence = Confidence::Medium;
                conclusion.reasons.push(TlsReason::NotRegistered.words().to_owned());
            }
            None if works => {
                conclusion.confidence = Confidence::Medium;
                conclusion.reasons.push("the agent of its node issues for others, and never for it".to_owned());
            }
            None => {
                conclusion.confidence = Confidence::Low;
                let node = first.node.as_ref().map_or("its node", crate::mesh::NodeName::as_str);
                conclusion.reasons.push(format!("whether the SPIRE agent of {node} works is not known"));
            }
        }
        if scenario == Scenario::IdentityMismatch {
            conclusion.reasons.push(LOOK_FOR_ENTRY.to_owned());
            conclusion.call_at_once = Some(CallAtOnce::L2);
        }
        Some(conclusion.never(
            &[FixName::RestartPod, FixName::RestartSpireAgent],
            "no registration entry seems to fit this workload: a restart would get no SVID either",
        ))
    }

    /// Whether the proxy of a pod serves nothing, and the agent of its node says that it issues no identity, to it or to
    /// somebody whom it does not name. Where the agent could not learn who a workload is, that is the cause, and not an entry.
    fn has_no_entry(&self, pod: &PodEvidence) -> bool {
        let serves_nothing = pod.served.value().is_some_and(|served| served.chain.is_empty());
        let has_a_file = pod.svid_file.value().is_some_and(|file| !file.certificates.is_empty());
        let log = self.agents.iter().find(|(agent, _)| Some(&agent.node) == pod.node.as_ref());
        let log = log.and_then(|(agent, _)| agent.log.value());
        let attests =
            log.is_some_and(|log| !log.lines.iter().any(|line| NOT_ATTESTED.iter().any(|words| line.contains(words))));
        serves_nothing && !has_a_file && attests && self.refused(pod).is_some()
    }

    /// What the agent of a pod's node says about an identity that it did not issue, and whether it names this workload.
    /// Lines about other workloads are no evidence for this one.
    fn refused(&self, pod: &PodEvidence) -> Option<(String, bool)> {
        let (agent, _) = self.agents.iter().find(|(agent, _)| Some(&agent.node) == pod.node.as_ref())?;
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

    /// Rule 7, where an SVID is over and its proxy is told again and again that SPIRE has no entry for it: what a restart
    /// would start has none either.
    pub(super) fn not_registered(&self, now: Timestamp, explained: &[PodRef]) -> Option<Conclusion> {
        let told = |found: &Examined| found.holding.is_over() && found.recently(TlsReason::NotRegistered) >= SEVERAL;
        let faulty = |pod: &PodEvidence| self.agent_of(pod.node.as_ref()).is_some_and(AgentState::is_faulty);
        let told: Vec<&SeenPod<'_>> = self
            .pods
            .iter()
            .filter(|(pod, found)| told(found) && !faulty(pod) && !explained.contains(&pod.pod))
            .collect();
        if told.is_empty() {
            return None;
        }
        let times = told.iter().map(|(_, found)| found.recently(TlsReason::NotRegistered)).fold(0, u64::saturating_add);
        let mut reasons = vec![about_identity(TlsReason::NotRegistered, times)];
        reasons.extend(told.iter().map(|seen| stale_sentence(seen, now)));
        reasons.push(LOOK_FOR_ENTRY.to_owned());
        let mut conclusion = Conclusion::of(Scenario::IdentityMismatch, reasons);
        conclusion.confidence = Confidence::Medium;
        conclusion.pods = told.iter().map(|(pod, _)| pod.pod.clone()).collect();
        conclusion.consequences = self.consequences(false);
        conclusion.call_at_once = Some(CallAtOnce::L2);
        Some(conclusion.never(
            &[FixName::RestartPod, FixName::RestartSpireAgent],
            "SPIRE has no registration entry for this workload: a restart would get no SVID either",
        ))
    }
}
