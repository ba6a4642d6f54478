//! What the rules look at: the evidence, and what each pod and each agent in it was found to be.

use jiff::Timestamp;

use super::{
    AgentEvidence, Consequence, Evidence, Gathered, Missing, NotChecked, PodEvidence, SharedFact, StatedReason,
    bundle_matrix::{BundleMatrix, compare_bundles},
    envoy::TlsReason,
    examine::{
        Examined, Holding, Issuer, Stuck, examine,
        istio_objects::{self, ExaminedIstio},
        spire_agent::{AgentState, Due, Expected, Judged, judge},
    },
};
use crate::mesh::{NodeName, PodRef};

/// A pod and what its examination found.
pub(super) type SeenPod<'a> = (&'a PodEvidence, Examined);

/// The evidence with what each pod and agent was found to be: all that a rule looks at.
pub(super) struct DiagnosisInput<'a> {
    pub(super) evidence: &'a Evidence,
    pub(super) pods: Vec<SeenPod<'a>>,
    pub(super) agents: Vec<(&'a AgentEvidence, Judged)>,
    /// The modes of both sides, where the objects that decide were gathered.
    pub(super) istio: Option<ExaminedIstio>,
    /// Each trust bundle, hop by hop.
    pub(super) bundles: Vec<BundleMatrix>,
}

impl<'a> DiagnosisInput<'a> {
    /// Examines every pod and judges every agent.
    pub(super) fn examine(evidence: &'a Evidence) -> Self {
        let now = evidence.gathered_at;
        let pods: Vec<SeenPod<'_>> = evidence.pods.iter().map(|pod| (pod, examine(pod, evidence, now))).collect();
        let matching = evidence.agent_pods.or_else(|| agents_elsewhere(evidence));
        let judged = |agent: &'a AgentEvidence| (agent, judge(agent, &expected_on(&agent.node, &pods), matching));
        let agents = evidence.agents.iter().map(judged).collect();
        let bundles = compare_bundles(evidence, &pods);
        Self { evidence, pods, agents, istio: istio_objects::examine(evidence), bundles }
    }
}

impl DiagnosisInput<'_> {
    /// The time of the verdict: that of its evidence, so that a past night is judged as of then.
    pub(super) fn now(&self) -> Timestamp {
        self.evidence.gathered_at
    }

    /// The ConfigMaps that tell who issued a certificate, where they are there and could not be read.
    pub(super) fn unread_config_maps(&self) -> impl Iterator<Item = NotChecked> {
        [&self.evidence.spire_bundle, &self.evidence.istio_root].into_iter().filter_map(|map| match map {
            Gathered::Missing { reason: Missing::Gone { .. }, .. } | Gathered::Seen { .. } => None,
            Gathered::Missing { reason, source, .. } => {
                Some(NotChecked { what: source.clone(), why: reason.sentence() })
            }
        })
    }

    /// Whether an agent renews, which it can only do with a server.
    pub(super) fn renews(&self) -> bool {
        self.agents.iter().any(|(_, judged)| matches!(judged.state, AgentState::Works(_)))
    }

    pub(super) fn agent_of(&self, node: Option<&NodeName>) -> Option<&AgentState> {
        self.agents.iter().find(|(agent, _)| Some(&agent.node) == node).map(|(_, judged)| &judged.state)
    }

    /// Whether SPIRE can have anything to do with it: not where istiod issued every certificate.
    pub(super) fn spire_matters(&self) -> bool {
        self.pods.is_empty() || self.pods.iter().any(|(_, found)| found.issuer != Issuer::Istiod)
    }

    /// Whether SPIRE issued what every pod holds.
    pub(super) fn spire_issued_all(&self) -> bool {
        !self.pods.is_empty() && self.pods.iter().all(|(_, found)| found.issuer == Issuer::Spire)
    }

    /// The pods whose proxy logged a reason of late.
    pub(super) fn pods_that_log(&self, reason: TlsReason) -> Vec<PodRef> {
        let logs = |(_, found): &&SeenPod<'_>| found.recently(reason) > 0;
        self.pods.iter().filter(logs).map(|(pod, _)| pod.pod.clone()).collect()
    }

    /// The pods on some nodes.
    pub(super) fn pods_on(&self, nodes: &[NodeName]) -> Vec<PodRef> {
        let is_there = |(pod, _): &&SeenPod<'_>| pod.node.as_ref().is_some_and(|node| nodes.contains(node));
        self.pods.iter().filter(is_there).map(|(pod, _)| pod.pod.clone()).collect()
    }

    /// The pods whose SVID is over or overdue, or who never got one.
    pub(super) fn has_stale(&self) -> bool {
        let stale = |found: &Examined| {
            found.holding.is_over() || found.holding.is_overdue() || found.holding == Holding::NoSecret
        };
        self.pods.iter().any(|(_, found)| stale(found) && found.issuer.may_be_spire())
    }

    pub(super) fn consequences(&self, with_agents: bool) -> Vec<Consequence> {
        let agents = with_agents.then_some(Consequence::SpireAgent);
        let expired = self.pods.iter().any(|(_, found)| found.holding.is_over());
        let overdue = !expired && self.pods.iter().any(|(_, found)| found.holding.is_overdue());
        let expired = expired.then_some(Consequence::ExpiredCertificate);
        let overdue = overdue.then_some(Consequence::RotationOverdue);
        agents.into_iter().chain(expired).chain(overdue).collect()
    }

    pub(super) fn agent_reasons(&self) -> Vec<StatedReason> {
        let said = |(agent, judged): &(&AgentEvidence, Judged)| match &judged.state {
            AgentState::Broken(why) => Some(format!("the SPIRE agent of {} is broken: {why}", agent.node)),
            AgentState::Silent(why) => Some(format!("the SPIRE agent of {} is silent: {why}", agent.node)),
            AgentState::CannotReachServer(why) => {
                Some(format!("the SPIRE agent of {} cannot reach the SPIRE server: {why}", agent.node))
            }
            AgentState::Works(_) | AgentState::Unknown(_) => None,
        };
        let stated =
            |seen: &(&AgentEvidence, Judged)| Some(SharedFact::SpireAgent(seen.0.node.clone()).stated(said(seen)?));
        self.agents.iter().filter_map(stated).collect()
    }

    /// Whether the dates of every pod's SVID could be seen, by the copy that peers see, and are fine.
    pub(super) fn dates_are_fine(&self) -> bool {
        let fine = |found: &Examined| found.holding.is_fresh() && found.served_certificate_seen;
        !self.pods.is_empty() && self.pods.iter().all(|(_, found)| fine(found))
    }
}

/// How many agents were seen on other nodes, where the evidence does not count them: with none, the selector may be wrong.
fn agents_elsewhere(evidence: &Evidence) -> Option<u32> {
    u32::try_from(evidence.agents.iter().filter(|agent| agent.pod.may_run()).count()).ok()
}

/// What the agent of a node should have renewed, and the newest that it issued. Where the file holds the new SVID, the
/// agent did its part.
fn expected_on(node: &NodeName, pods: &[SeenPod<'_>]) -> Expected {
    let mut expected = Expected::default();
    let its_own = |(pod, found): &&SeenPod<'_>| pod.node.as_ref() == Some(node) && found.issuer.may_be_spire();
    for (_, found) in pods.iter().filter(its_own) {
        let Holding::Svid { svid, .. } = &found.holding else { continue };
        let over = found.holding.is_over();
        if (over || found.holding.is_overdue()) && found.stuck != Some(Stuck::Proxy) {
            let since = svid.renewal_due();
            expected.due.push(Due { spiffe_id: svid.spiffe_id.to_string(), since, over });
        }
        expected.newest = expected.newest.max(Some(svid.not_before));
    }
    expected
}
