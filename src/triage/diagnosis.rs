//! From what was seen to one verdict: the root of the chain of causes, the rest as consequences (domain notes, section 6).

use jiff::Timestamp;

use super::{
    AgentEvidence, CallAtOnce, Check, Confidence, Consequence, Evidence, FixName, Never, NotChecked, On, RuledOut,
    Scenario, Side, VERDICT_SCHEMA, Verdict,
    certificate::{Life, OVERDUE_SHARE},
    envoy::TlsReason,
    examine::{Examined, Holding, examine},
    ruled_out,
    spire::{AgentState, agent_check, agent_state, server_check, server_health, servers_unseen},
};
use crate::mesh::{NodeName, PodRef};

/// Everything that the rules look at.
pub(super) struct Scene<'a> {
    pub(super) evidence: &'a Evidence,
    pub(super) pods: Vec<(&'a super::PodEvidence, Examined)>,
    pub(super) agents: Vec<(&'a AgentEvidence, AgentState)>,
}

/// What the rules conclude, before it is dressed.
pub(super) struct Conclusion {
    pub(super) scenario: Scenario,
    pub(super) confidence: Confidence,
    pub(super) side: Side,
    pub(super) pods: Vec<PodRef>,
    pub(super) nodes: Vec<NodeName>,
    pub(super) reasons: Vec<String>,
    pub(super) consequences: Vec<Consequence>,
    pub(super) fixes: Vec<FixName>,
    pub(super) never: Vec<Never>,
    pub(super) call_at_once: Option<CallAtOnce>,
}

impl Conclusion {
    pub(super) fn of(scenario: Scenario, reasons: Vec<String>) -> Self {
        Self {
            scenario,
            confidence: Confidence::High,
            side: Side::Unknown,
            pods: Vec::new(),
            nodes: Vec::new(),
            reasons,
            consequences: Vec::new(),
            fixes: Vec::new(),
            never: Vec::new(),
            call_at_once: None,
        }
    }

    pub(super) fn never(mut self, fixes: &[FixName], reason: &str) -> Self {
        self.never.extend(fixes.iter().map(|fix| Never { fix: *fix, reason: reason.to_owned() }));
        self
    }
}

/// The verdict on what was gathered. The time is that of the evidence, so that a past night is judged as of then.
pub fn diagnose(evidence: &Evidence) -> Verdict {
    let now = evidence.gathered_at;
    let scene = Scene {
        evidence,
        pods: evidence.pods.iter().map(|pod| (pod, examine(pod, evidence, now))).collect(),
        agents: evidence.agents.iter().map(|agent| (agent, agent_state(agent))).collect(),
    };
    let conclusion = scene.conclude(now);
    let ruled_out = ruled_out::ruled_out(&scene, &conclusion);
    let looked_at = evidence.pods.iter().filter(|pod| conclusion.pods.contains(&pod.pod));
    let lives = looked_at.map(|pod| pod.uid.clone()).collect();
    Verdict {
        schema: VERDICT_SCHEMA.to_owned(),
        target: evidence.target.clone(),
        at: now,
        scenario: conclusion.scenario,
        confidence: conclusion.confidence,
        on: On { side: conclusion.side, pods: conclusion.pods, lives, nodes: conclusion.nodes },
        reasons: conclusion.reasons,
        ruled_out,
        consequences: conclusion.consequences,
        checks: scene.checks(now),
        not_checked: scene.not_checked(),
        fixes: conclusion.fixes,
        never: conclusion.never,
        call_at_once: conclusion.call_at_once,
    }
}

impl Scene<'_> {
    fn checks(&self, now: Timestamp) -> Vec<Check> {
        let pods = self.pods.iter().flat_map(|(_, examined)| examined.checks.clone());
        let servers = self.evidence.servers.iter().map(server_check);
        let unseen = self.evidence.servers_missing.as_ref().map(|reason| servers_unseen(reason, now));
        let agents = self.evidence.agents.iter().map(agent_check);
        pods.chain(servers).chain(unseen).chain(agents).collect()
    }

    fn not_checked(&self) -> Vec<NotChecked> {
        let mut list: Vec<NotChecked> = Vec::new();
        if !self.evidence.not_sampled.is_empty() {
            let names: Vec<&str> = self.evidence.not_sampled.iter().map(|pod| pod.name.as_str()).collect();
            let why = "only a sample of the target's pods is looked at (config: triage.sample)".to_owned();
            list.push(NotChecked { what: format!("pods {}", names.join(", ")), why });
        }
        for (pod, _) in self.pods.iter().filter(|(pod, _)| pod.ambient) {
            let why = "it is in ambient mode: ztunnel does its mTLS".to_owned();
            list.push(NotChecked { what: format!("the certificate that serves {}", pod.pod), why });
        }
        let later = "this version does not look at it yet: follow the runbook by hand";
        for what in [
            "the modes in effect of PeerAuthentication and DestinationRule (runbook step 3)",
            "a test connection (runbook step 4)",
            "the trust bundles hop by hop (runbook scenario 3)",
        ] {
            list.push(NotChecked { what: what.to_owned(), why: later.to_owned() });
        }
        list
    }

    /// The pods whose SVID is over, overdue or absent.
    pub(super) fn stale(&self) -> Vec<&(&super::PodEvidence, Examined)> {
        self.pods.iter().filter(|(_, examined)| is_stale(&examined.holding)).collect()
    }

    pub(super) fn agent_of(&self, node: Option<&NodeName>) -> Option<&(&AgentEvidence, AgentState)> {
        self.agents.iter().find(|(agent, _)| Some(&agent.node) == node)
    }

    fn conclude(&self, now: Timestamp) -> Conclusion {
        self.server_unhealthy()
            .or_else(|| self.cannot_reach_server())
            .or_else(|| self.not_yet_valid())
            .or_else(|| self.stale_svids(now))
            .or_else(|| self.wrong_identity())
            .or_else(|| self.broken_chain())
            .or_else(|| self.peers_fault())
            .unwrap_or_else(|| self.nothing_found())
    }

    pub(super) fn consequences(&self, with_agents: bool) -> Vec<Consequence> {
        let agents = with_agents.then_some(Consequence::SpireAgent);
        let expired = self.pods.iter().any(|(_, examined)| {
            matches!(examined.holding, Holding::Svid { life: Life::Over { .. }, .. } | Holding::NoSecret)
        });
        let overdue = self.pods.iter().any(|(_, examined)| is_overdue(&examined.holding));
        let expired = expired.then_some(Consequence::ExpiredCertificate);
        let overdue = (expired.is_none() && overdue).then_some(Consequence::RotationOverdue);
        agents.into_iter().chain(expired).chain(overdue).collect()
    }

    /// Rule 3: the SPIRE server is unhealthy, and agents or certificates show it.
    fn server_unhealthy(&self) -> Option<Conclusion> {
        let sick: Vec<_> = self.evidence.servers.iter().filter(|server| server_health(server) == Some(false)).collect();
        let agents_suffer = self.agents.iter().any(|(_, state)| !matches!(state, AgentState::Works(_)));
        let all_sick = !sick.is_empty() && sick.len() == self.evidence.servers.len();
        if !all_sick || (!agents_suffer && self.stale().is_empty()) {
            return None;
        }
        let names: Vec<String> = sick.iter().map(|server| server.pod.to_string()).collect();
        let mut reasons = vec![format!("every SPIRE server pod is unhealthy ({})", names.join(", "))];
        reasons.extend(self.agent_reasons());
        let mut conclusion = Conclusion::of(Scenario::SpireServer, reasons);
        conclusion.consequences = self.consequences(agents_suffer);
        conclusion.call_at_once = Some(CallAtOnce::L2);
        Some(conclusion.never(
            &[FixName::RestartPod, FixName::RestartSpireAgent],
            "the SPIRE server issues nothing now: what is restarted loses the SVID it still has",
        ))
    }

    /// Rule 4: agents cannot reach a server that is healthy.
    fn cannot_reach_server(&self) -> Option<Conclusion> {
        let cut_off: Vec<_> =
            self.agents.iter().filter(|(_, state)| matches!(state, AgentState::CannotReachServer(_))).collect();
        if cut_off.is_empty() {
            return None;
        }
        let healthy = self.evidence.servers.iter().any(|server| server_health(server) == Some(true));
        let mut conclusion = Conclusion::of(Scenario::Network, self.agent_reasons());
        conclusion.nodes = cut_off.iter().map(|(agent, _)| agent.node.clone()).collect();
        conclusion.consequences = self.consequences(false);
        conclusion.call_at_once = Some(CallAtOnce::L3);
        if healthy {
            conclusion.reasons.push("the SPIRE server says from its own pod that it is healthy".to_owned());
        } else {
            conclusion.confidence = Confidence::Low;
            conclusion.reasons.push("whether the SPIRE server itself is healthy could not be seen".to_owned());
        }
        Some(conclusion.never(
            &[FixName::RestartPod, FixName::RestartSpireAgent],
            "nothing can be issued while the SPIRE server cannot be reached: a restarted pod would get no SVID",
        ))
    }

    pub(super) fn agent_reasons(&self) -> Vec<String> {
        let reason = |(agent, state): &(&AgentEvidence, AgentState)| match state {
            AgentState::Broken(why) => Some(format!("the SPIRE agent of {} is broken: {why}", agent.node)),
            AgentState::CannotReachServer(why) => {
                Some(format!("the SPIRE agent of {} cannot reach the SPIRE server: {why}", agent.node))
            }
            AgentState::Works(_) | AgentState::Unknown(_) => None,
        };
        self.agents.iter().filter_map(reason).collect()
    }

    /// Rule 8.
    fn not_yet_valid(&self) -> Option<Conclusion> {
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

    /// Rule 7, and a leaf of another trust domain.
    fn wrong_identity(&self) -> Option<Conclusion> {
        let own: Vec<_> = self.pods.iter().filter(|(_, found)| found.expected_instead.is_some()).collect();
        let peers = self.pods.iter().any(|(_, found)| found.reasons.contains(&TlsReason::PeerIdentity));
        if own.is_empty() && !peers {
            return None;
        }
        let mut reasons: Vec<String> = own
            .iter()
            .filter_map(|(pod, found)| {
                let expected = found.expected_instead.as_ref()?;
                Some(format!("{} does not hold the identity {expected} that its service account stands for", pod.pod))
            })
            .collect();
        if peers {
            reasons.push("a peer's chain is fine, but its identity is not the expected one (SAN)".to_owned());
        }
        let mut conclusion = Conclusion::of(Scenario::IdentityMismatch, reasons);
        conclusion.pods = own.iter().map(|(pod, _)| pod.pod.clone()).collect();
        conclusion.side = if own.is_empty() { Side::Peer } else { Side::Unknown };
        conclusion.call_at_once = Some(CallAtOnce::L2);
        Some(conclusion.never(
            &[FixName::RestartPod, FixName::RestartSpireAgent],
            "the certificate is in date; a new one would carry the same identity",
        ))
    }

    /// Rule 5.
    fn broken_chain(&self) -> Option<Conclusion> {
        let broken: Vec<_> = self.pods.iter().filter(|(_, found)| found.broken_chain.is_some()).collect();
        let distrust = self.pods.iter().any(|(_, found)| {
            found.reasons.contains(&TlsReason::PeerUnknownAuthority)
                || found.reasons.contains(&TlsReason::OwnUnknownAuthority)
        });
        if broken.is_empty() && !distrust {
            return None;
        }
        let mut reasons: Vec<String> = broken
            .iter()
            .filter_map(|(pod, found)| Some(format!("the chain of {} {}", pod.pod, found.broken_chain.as_ref()?)))
            .collect();
        if distrust {
            reasons.push("one side does not trust the other's authority, as the proxy's log says".to_owned());
        }
        reasons.push("which hop lacks which root is not compared by this version, so no fix is offered".to_owned());
        let mut conclusion = Conclusion::of(Scenario::TrustBundleMismatch, reasons);
        conclusion.pods = broken.iter().map(|(pod, _)| pod.pod.clone()).collect();
        conclusion.confidence = Confidence::Medium;
        Some(conclusion)
    }

    /// Our side is in order, and the proxy's log blames the peer.
    fn peers_fault(&self) -> Option<Conclusion> {
        let says = |reason: TlsReason| self.pods.iter().any(|(_, found)| found.reasons.contains(&reason));
        if says(TlsReason::PeerExpired) {
            let reasons = vec![
                "the certificates of this service are in date, and its proxies say that a peer's is over".to_owned(),
                "look at the peer: `/mtls target INC NAMESPACE WORKLOAD` with the service that is called".to_owned(),
            ];
            let mut conclusion = Conclusion::of(Scenario::ExpiredCertificate, reasons);
            conclusion.side = Side::Peer;
            conclusion.confidence = Confidence::Medium;
            return Some(conclusion.never(
                &[FixName::RestartPod, FixName::EnforceStrictMtls],
                "the fault is on the peer's side: a restart here cures nothing",
            ));
        }
        if says(TlsReason::Unreachable) {
            let reasons = vec!["connections are refused or closed without a TLS reason".to_owned()];
            let mut conclusion = Conclusion::of(Scenario::Network, reasons);
            conclusion.confidence = Confidence::Medium;
            conclusion.call_at_once = Some(CallAtOnce::L3);
            return Some(conclusion);
        }
        None
    }

    /// Rule 9: nothing wrong was found; whether that says anything depends on what could be seen.
    fn nothing_found(&self) -> Conclusion {
        let seen = |found: &Examined| matches!(found.holding, Holding::Svid { .. });
        let all_seen = !self.pods.is_empty() && self.pods.iter().all(|(_, found)| seen(found));
        let agents_work = self.agents.iter().all(|(_, state)| matches!(state, AgentState::Works(_)));
        let fails = self.pods.iter().any(|(_, found)| found.reasons.contains(&TlsReason::CutAfterHandshake));
        let bad = self.pods.iter().find_map(|(pod, found)| match &found.holding {
            Holding::Bad(why) => Some(format!("{}: {why}", pod.pod)),
            _ => None,
        });
        if let Some(bad) = bad {
            let mut conclusion = Conclusion::of(Scenario::IdentityMismatch, vec![bad]);
            conclusion.call_at_once = Some(CallAtOnce::L2);
            return conclusion;
        }
        if all_seen && agents_work && !fails {
            let reasons = vec!["every certificate that was looked at is in date and leads to the bundle".to_owned()];
            let mut conclusion = Conclusion::of(Scenario::NoFaultFound, reasons);
            conclusion.confidence = Confidence::Medium;
            return conclusion;
        }
        let mut reasons = Vec::new();
        if self.pods.is_empty() {
            reasons.push("the target has no pod that could be looked at".to_owned());
        }
        if fails {
            reasons.push("calls fail after the handshake, and nothing that was checked explains it".to_owned());
        }
        for (pod, found) in &self.pods {
            if let Holding::Unseen(why) = &found.holding {
                reasons.push(format!("the certificate of {} could not be read: {why}", pod.pod));
            }
        }
        for (agent, state) in &self.agents {
            if let AgentState::Unknown(why) = state {
                reasons.push(format!("the SPIRE agent of {} could not be judged: {why}", agent.node));
            }
            if let AgentState::Broken(why) = state {
                reasons
                    .push(format!("the SPIRE agent of {} is broken, though no SVID shows it yet: {why}", agent.node));
            }
        }
        let mut conclusion = Conclusion::of(Scenario::Inconclusive, reasons);
        conclusion.confidence = Confidence::Low;
        conclusion
    }
}

fn is_overdue(holding: &Holding) -> bool {
    matches!(holding, Holding::Svid { life: Life::Left { share, .. }, .. } if *share < OVERDUE_SHARE)
}

fn is_stale(holding: &Holding) -> bool {
    let over = matches!(holding, Holding::Svid { life: Life::Over { .. }, .. } | Holding::NoSecret);
    over || is_overdue(holding)
}

impl Scene<'_> {
    /// Whether the dates of every pod's SVID could be seen and are fine.
    pub(super) fn dates_are_fine(&self) -> bool {
        !self.pods.is_empty()
            && self
                .pods
                .iter()
                .all(|(_, found)| matches!(found.holding, Holding::Svid { .. }) && !is_stale(&found.holding))
    }
}

/// One more scenario that it is not.
pub(super) fn not(scenario: Scenario, certain: bool, because: &str) -> RuledOut {
    RuledOut { scenario, because: because.to_owned(), certain }
}
