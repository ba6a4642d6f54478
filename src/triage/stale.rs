//! Rules 1 and 2: an SVID is over, overdue or absent, and the agent of its node tells whose fault that is.

use jiff::Timestamp;

use super::{
    Confidence, FixName, Never, PodEvidence, Scenario, Side,
    certificate::Life,
    diagnosis::{Conclusion, Scene},
    envoy::TlsReason,
    examine::{Examined, Holding, Issuer},
    spire::AgentState,
};
use crate::mesh::NodeName;

impl Scene<'_> {
    /// Rules 1 and 2: the leaf is over or overdue; the agent of its node tells which.
    pub(super) fn stale_svids(&self, now: Timestamp) -> Option<Conclusion> {
        let stale = self.stale();
        let (first, _) = stale.first()?;
        if stale.iter().any(|(_, found)| found.issuer == Issuer::Istiod) {
            return Some(self.istiod_issued(&stale));
        }
        let broken: Vec<_> = stale
            .iter()
            .filter_map(|(pod, _)| self.agent_of(pod.node.as_ref()))
            .filter(|(_, state)| matches!(state, AgentState::Broken(_)))
            .collect();
        let svids: Vec<String> = stale.iter().map(|(pod, found)| stale_sentence(pod, found, now)).collect();
        if !broken.is_empty() {
            let mut reasons = self.agent_reasons();
            reasons.extend(svids);
            let mut conclusion = Conclusion::of(Scenario::SpireAgent, reasons);
            conclusion.pods = stale.iter().map(|(pod, _)| pod.pod.clone()).collect();
            conclusion.nodes = broken.iter().map(|(agent, _)| agent.node.clone()).collect();
            conclusion.nodes.dedup();
            conclusion.consequences = self.consequences(false);
            conclusion.fixes = vec![FixName::RestartSpireAgent];
            let nodes: Vec<&str> = conclusion.nodes.iter().map(NodeName::as_str).collect();
            let reason =
                format!("the SPIRE agent of {} does not work: a restarted pod would get no SVID", nodes.join(", "));
            return Some(
                conclusion
                    .never(&[FixName::RestartPod], &reason)
                    .never(&[FixName::SyncTrustBundle], "no bundle is at fault"),
            );
        }
        let agent = self.agent_of(first.node.as_ref()).map(|(_, state)| state);
        Some(expired(&stale, svids, agent, self.reachable_side()))
    }

    fn istiod_issued(&self, stale: &[&(&PodEvidence, Examined)]) -> Conclusion {
        let reasons = vec![
            "the certificate is over, and istiod issued it, not SPIRE".to_owned(),
            "istiod and port 15012 were not checked by this version".to_owned(),
        ];
        let mut conclusion = Conclusion::of(Scenario::Inconclusive, reasons);
        conclusion.pods = stale.iter().map(|(pod, _)| pod.pod.clone()).collect();
        conclusion.consequences = self.consequences(false);
        conclusion.never(
            &[FixName::RestartSpireAgent, FixName::SyncTrustBundle, FixName::RestartPod],
            "istiod issued this certificate: nothing in SPIRE can cure it, and istiod was not checked",
        )
    }

    fn reachable_side(&self) -> Side {
        let reasons = || self.pods.iter().flat_map(|(_, found)| &found.reasons);
        let client = reasons().any(|reason| matches!(reason, TlsReason::OwnExpired | TlsReason::CutAfterHandshake));
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

fn expired(
    stale: &[&(&PodEvidence, Examined)],
    svids: Vec<String>,
    agent: Option<&AgentState>,
    side: Side,
) -> Conclusion {
    let mut conclusion = Conclusion::of(Scenario::ExpiredCertificate, svids);
    conclusion.pods = stale.iter().map(|(pod, _)| pod.pod.clone()).collect();
    conclusion.side = side;
    match agent {
        Some(AgentState::Works(why)) => {
            conclusion
                .reasons
                .push(format!("the SPIRE agent of its node works ({why}): the workload did not pick up its new SVID"));
            conclusion.fixes = vec![FixName::RestartPod];
        }
        Some(AgentState::Unknown(why)) => {
            conclusion.confidence = Confidence::Low;
            conclusion.reasons.push(format!("whether the SPIRE agent of its node works could not be seen: {why}"));
            conclusion.never.push(Never {
                fix: FixName::RestartPod,
                reason: "it is not known whether the node's SPIRE agent works: a restarted pod might get no SVID"
                    .to_owned(),
            });
        }
        _ => {
            conclusion.confidence = Confidence::Low;
            conclusion.reasons.push("the SPIRE agent of its node was not seen".to_owned());
            conclusion.never.push(Never {
                fix: FixName::RestartPod,
                reason: "the node's SPIRE agent was not seen: a restarted pod might get no SVID".to_owned(),
            });
        }
    }
    conclusion
        .never(
            &[FixName::RestartSpireAgent],
            "the agent is not at fault: a restart would disturb every pod of its node",
        )
        .never(&[FixName::SyncTrustBundle, FixName::EnforceStrictMtls], "neither bundles nor modes are at fault")
}

fn stale_sentence(pod: &PodEvidence, found: &Examined, now: Timestamp) -> String {
    match &found.holding {
        Holding::Svid { life: Life::Over { since }, source, .. } => {
            let minutes = now.duration_since(*since).as_mins();
            format!("the SVID of {} ended {minutes} min ago ({source})", pod.pod)
        }
        Holding::Svid { life: Life::Left { until, .. }, source, .. } => {
            format!("the SVID of {} should have been renewed by now; it ends at {until:.0} ({source})", pod.pod)
        }
        _ => format!("the proxy of {} has never got an SVID", pod.pod),
    }
}
