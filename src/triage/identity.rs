//! Rules 5, 7 and 8: the identity is missing or another one, the chain does not lead to the bundle, or a clock is wrong.

use super::{
    CallAtOnce, Confidence, FixName, PodEvidence, Scenario, Side,
    agent_log::{Sign, entries},
    certificate::Life,
    diagnosis::{Conclusion, Scene, SeenPod},
    envoy::TlsReason,
    examine::{Chain, Holding},
    spire::AgentState,
};

/// So many lines of a kind page somebody: one alone may be a client that went astray.
pub(super) const REPEATED: usize = 2;

impl Scene<'_> {
    /// Rule 8.
    pub(super) fn not_yet_valid(&self) -> Option<Conclusion> {
        let future: Vec<_> = self
            .pods
            .iter()
            .filter(|(_, found)| matches!(found.holding, Holding::Svid { life: Life::NotYet { .. }, .. }))
            .collect();
        if future.is_empty() {
            return None;
        }
        let reasons = vec![format!("{} SVID(s) begin in the future: a clock is wrong", future.len())];
        let mut conclusion = Conclusion::of(Scenario::ClockSkew, reasons);
        conclusion.pods = future.iter().map(|(pod, _)| pod.pod.clone()).collect();
        conclusion.nodes = future.iter().filter_map(|(pod, _)| pod.node.clone()).collect();
        conclusion.confidence = if future.len() > 1 { Confidence::High } else { Confidence::Medium };
        conclusion.call_at_once = Some(CallAtOnce::L3);
        Some(conclusion.never(&[FixName::RestartPod], "a new SVID would begin in the future as well"))
    }

    /// Rule 7, where the proxy never got an SVID: with a working agent no registration entry fits, and no restart helps.
    pub(super) fn no_identity(&self) -> Option<Conclusion> {
        let without: Vec<&SeenPod<'_>> =
            self.pods.iter().filter(|(_, found)| found.holding == Holding::NoSecret).collect();
        let state = |pod: &PodEvidence| self.agent_of(pod.node.as_ref());
        let pods = without.iter().map(|(pod, _)| pod.pod.clone()).collect();
        let mut reasons: Vec<String> =
            without.iter().map(|(pod, _)| format!("the proxy of {} has never got an SVID", pod.pod)).collect();
        let (first, _) = without.first()?;
        let broken: Vec<_> =
            without.iter().filter(|(pod, _)| matches!(state(pod), Some(AgentState::Broken(_)))).collect();
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
        let works = without.iter().any(|(pod, _)| matches!(state(pod), Some(AgentState::Works(_))));
        let scenario = if works || refused.is_some() { Scenario::IdentityMismatch } else { Scenario::Inconclusive };
        let mut conclusion = Conclusion::of(scenario, reasons);
        conclusion.pods = pods;
        match refused {
            Some((line, true)) => conclusion.reasons.push(format!("its agent says about this workload: {line}")),
            Some((line, false)) => {
                conclusion.confidence = Confidence::Medium;
                conclusion.reasons.push(format!("its agent says, without naming a workload: {line}"));
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
            let next =
                "look for its registration entry: `spire-server entry show -spiffeID …`, its selectors and parent";
            conclusion.reasons.push(next.to_owned());
            conclusion.call_at_once = Some(CallAtOnce::L2);
        }
        Some(conclusion.never(
            &[FixName::RestartPod, FixName::RestartSpireAgent],
            "no registration entry seems to fit this workload: a restart would get no SVID either",
        ))
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

    /// Rule 7, and a leaf of another trust domain.
    pub(super) fn wrong_identity(&self) -> Option<Conclusion> {
        let foreign = |chain: &Chain| matches!(chain, Chain::Foreign(_));
        let own: Vec<_> =
            self.pods.iter().filter(|(_, found)| found.expected_instead.is_some() || foreign(&found.chain)).collect();
        let peers = self.times(TlsReason::PeerIdentity);
        if own.is_empty() && peers == 0 {
            return None;
        }
        let mut reasons = Vec::new();
        for (pod, found) in &own {
            if let Some(expected) = &found.expected_instead {
                let what = "that its service account stands for";
                reasons.push(format!("{} does not hold the identity {expected} {what}", pod.pod));
            }
            if let Chain::Foreign(why) = &found.chain {
                reasons.push(format!("{}: {why}", pod.pod));
            }
        }
        if peers > 0 {
            reasons.push(format!(
                "a peer's chain is fine, but its identity is not the expected one (SAN), in {peers} line(s) of the log"
            ));
        }
        let mut conclusion = Conclusion::of(Scenario::IdentityMismatch, reasons);
        conclusion.pods = own.iter().map(|(pod, _)| pod.pod.clone()).collect();
        conclusion.side = if own.is_empty() { Side::Peer } else { Side::Unknown };
        if !own.is_empty() || peers >= REPEATED {
            conclusion.call_at_once = Some(CallAtOnce::L2);
        } else {
            conclusion.confidence = Confidence::Low;
        }
        let reason = "the certificate is in date; a new one would carry the same identity";
        let conclusion = conclusion.never(&[FixName::RestartPod, FixName::RestartSpireAgent], reason);
        Some(conclusion.never(&[FixName::SyncTrustBundle], "no bundle makes this identity the expected one"))
    }

    /// Rule 5.
    pub(super) fn broken_chain(&self) -> Option<Conclusion> {
        let why = |chain: &Chain| match chain {
            Chain::Broken(why) => Some(why.clone()),
            _ => None,
        };
        let broken: Vec<_> = self.pods.iter().filter_map(|(pod, found)| Some((pod, why(&found.chain)?))).collect();
        let distrust =
            self.times(TlsReason::PeerUnknownAuthority).saturating_add(self.times(TlsReason::OwnUnknownAuthority));
        if broken.is_empty() && distrust == 0 {
            return None;
        }
        let mut reasons: Vec<String> =
            broken.iter().map(|(pod, why)| format!("the chain of {} {why}", pod.pod)).collect();
        if distrust > 0 {
            reasons.push(format!(
                "one side does not trust the other's authority, in {distrust} line(s) of the proxy's log"
            ));
        }
        reasons.push("which hop lacks which root is not compared by this version, so no fix is offered".to_owned());
        let mut conclusion = Conclusion::of(Scenario::TrustBundleMismatch, reasons);
        conclusion.pods = broken.iter().map(|(pod, _)| pod.pod.clone()).collect();
        let one_line_only = broken.is_empty() && distrust < REPEATED;
        conclusion.confidence = if one_line_only { Confidence::Low } else { Confidence::Medium };
        Some(conclusion)
    }
}
