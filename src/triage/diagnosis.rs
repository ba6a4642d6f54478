//! From what was seen to one verdict: the root of the chain of causes, the rest as consequences (domain notes, section 6).

use jiff::Timestamp;

use super::{
    AgentEvidence, CallAtOnce, Check, Confidence, Consequence, Evidence, FixName, Gathered, Missing, Never, NotChecked,
    On, PodEvidence, RuledOut, Scenario, Side, VERDICT_SCHEMA, Verdict,
    agent::{Due, Expected, Judged, judge},
    bundles::{keys_in_maps, spire_bundle_check},
    examine::{Examined, Holding, Issuer, Stuck, examine},
    ruled_out,
    spire::{AgentState, agent_check, failures_in_its_log, server_check, servers_unseen},
};
use crate::mesh::{NodeName, PodRef};

/// A pod and what its examination found.
pub(super) type SeenPod<'a> = (&'a PodEvidence, Examined);

/// Everything that the rules look at.
pub(super) struct Scene<'a> {
    pub(super) evidence: &'a Evidence,
    pub(super) pods: Vec<SeenPod<'a>>,
    pub(super) agents: Vec<(&'a AgentEvidence, Judged)>,
}

/// What the rules conclude, before it is dressed.
pub(super) struct Conclusion {
    pub(super) scenario: Scenario,
    pub(super) confidence: Confidence,
    pub(super) side: Side,
    pub(super) pods: Vec<PodRef>,
    /// All pods that show it, where `pods` are only those that a fix restarts.
    pub(super) affected: Vec<PodRef>,
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
            affected: Vec::new(),
            nodes: Vec::new(),
            reasons,
            consequences: Vec::new(),
            fixes: Vec::new(),
            never: Vec::new(),
            call_at_once: None,
        }
    }

    /// Every pod that shows it.
    fn affected(&self) -> &[PodRef] {
        if self.affected.is_empty() { &self.pods } else { &self.affected }
    }

    /// In one sentence, as a cause beside another one.
    fn beside(&self) -> String {
        let pods: Vec<String> = self.affected().iter().map(ToString::to_string).collect();
        let why = self.reasons.first().map_or_else(String::new, |why| format!(": {why}"));
        format!("another cause beside it, {}, shows on {}{why}", self.scenario, pods.join(", "))
    }

    pub(super) fn never(mut self, fixes: &[FixName], reason: &str) -> Self {
        self.never.extend(fixes.iter().map(|fix| Never { fix: *fix, reason: reason.to_owned() }));
        self
    }
}

/// The verdict on what was gathered. The time is that of the evidence, so that a past night is judged as of then.
pub fn diagnose(evidence: &Evidence) -> Verdict {
    let now = evidence.gathered_at;
    let pods: Vec<SeenPod<'_>> = evidence.pods.iter().map(|pod| (pod, examine(pod, evidence, now))).collect();
    let matching = evidence.agent_pods.or_else(|| agents_elsewhere(evidence));
    let judged = |agent| (agent, judge(agent, &expected_on(&agent.node, &pods), matching));
    let agents = evidence.agents.iter().map(judged).collect();
    let scene = Scene { evidence, pods, agents };
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

/// How many agents were seen on other nodes, where the evidence does not count them: with none, the selector may be wrong.
fn agents_elsewhere(evidence: &Evidence) -> Option<u32> {
    u32::try_from(evidence.agents.iter().filter(|agent| agent.pod.is_some()).count()).ok()
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

impl Scene<'_> {
    fn checks(&self, now: Timestamp) -> Vec<Check> {
        let pods = self.pods.iter().flat_map(|(_, examined)| examined.checks.clone());
        let servers = self.evidence.servers.iter().map(|server| server_check(server, self.renews()));
        let unseen = self.evidence.servers_missing.as_ref().map(|reason| servers_unseen(reason, now));
        let agents = self.agents.iter().map(|(agent, judged)| agent_check(agent, judged));
        let bundles = keys_in_maps(self.evidence).chain(spire_bundle_check(self.evidence));
        let logs = self.agents.iter().flat_map(|(agent, _)| failures_in_its_log(agent));
        pods.chain(servers).chain(unseen).chain(agents).chain(logs).chain(bundles).collect()
    }

    fn not_checked(&self) -> Vec<NotChecked> {
        let mut list: Vec<NotChecked> = Vec::new();
        if !self.evidence.not_sampled.is_empty() {
            let names: Vec<&str> = self.evidence.not_sampled.iter().map(|pod| pod.name.as_str()).collect();
            let why = "only a sample of the target's pods is looked at (config: triage.sample)".to_owned();
            list.push(NotChecked { what: format!("pods {}", names.join(", ")), why });
        }
        list.extend(self.unread_config_maps());
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

    /// The pods whose SVID is over or overdue, or who never got one.
    pub(super) fn has_stale(&self) -> bool {
        let stale = |found: &Examined| {
            found.holding.is_over() || found.holding.is_overdue() || found.holding == Holding::NoSecret
        };
        self.pods.iter().any(|(_, found)| stale(found) && found.issuer.may_be_spire())
    }

    /// The order is that of the chain of causes: the root first. Overdue comes last but one, since a certificate that is
    /// still in date explains no failing call.
    fn conclude(&self, now: Timestamp) -> Conclusion {
        self.istiod_alone(now)
            .or_else(|| self.server_unhealthy())
            .or_else(|| self.cannot_reach_server())
            .or_else(|| self.of_the_pods(now))
            .or_else(|| self.peers_fault())
            .or_else(|| self.overdue(now))
            .unwrap_or_else(|| self.nothing_found())
    }

    /// What the pods' own certificates show. Each pod belongs to the first cause in their order that explains it; what else
    /// shows on it follows from that. The cause of the most pods is the verdict, at a tie the first, and each of the others
    /// is named with its pods.
    fn of_the_pods(&self, now: Timestamp) -> Option<Conclusion> {
        let rules: [Rule<Self>; 7] = [
            Self::not_yet_valid,
            Self::not_registered,
            Self::expired,
            Self::no_identity,
            Self::istiod_issued,
            Self::wrong_identity,
            Self::broken_chain,
        ];
        let mut causes: Vec<Conclusion> = Vec::new();
        for rule in rules {
            let explained: Vec<PodRef> = causes.iter().flat_map(Conclusion::affected).cloned().collect();
            causes.extend(rule(self, now, &explained));
        }
        let first = causes.first()?.affected().len();
        let size = |at: &usize| causes.get(*at).map_or(0, |cause| cause.affected().len());
        let is_cause = |at: &usize| causes.get(*at).is_some_and(|cause| cause.scenario != Scenario::Inconclusive);
        let most = (1..causes.len()).rev().max_by_key(|at| (size(at), is_cause(at)));
        let mut verdict = causes.remove(most.filter(|at| first > 0 && size(at) > first).unwrap_or(0));
        let others = causes.iter().filter(|cause| !cause.affected().is_empty());
        verdict.reasons.extend(others.map(Conclusion::beside));
        Some(verdict)
    }

    pub(super) fn consequences(&self, with_agents: bool) -> Vec<Consequence> {
        let agents = with_agents.then_some(Consequence::SpireAgent);
        let expired = self.pods.iter().any(|(_, found)| found.holding.is_over());
        let overdue = !expired && self.pods.iter().any(|(_, found)| found.holding.is_overdue());
        let expired = expired.then_some(Consequence::ExpiredCertificate);
        let overdue = overdue.then_some(Consequence::RotationOverdue);
        agents.into_iter().chain(expired).chain(overdue).collect()
    }

    pub(super) fn agent_reasons(&self) -> Vec<String> {
        let reason = |(agent, judged): &(&AgentEvidence, Judged)| match &judged.state {
            AgentState::Broken(why) => Some(format!("the SPIRE agent of {} is broken: {why}", agent.node)),
            AgentState::Silent(why) => Some(format!("the SPIRE agent of {} is silent: {why}", agent.node)),
            AgentState::CannotReachServer(why) => {
                Some(format!("the SPIRE agent of {} cannot reach the SPIRE server: {why}", agent.node))
            }
            AgentState::Works(_) | AgentState::Unknown(_) => None,
        };
        self.agents.iter().filter_map(reason).collect()
    }

    /// Whether the dates of every pod's SVID could be seen, by the copy that peers see, and are fine.
    pub(super) fn dates_are_fine(&self) -> bool {
        let fine = |found: &Examined| found.holding.is_fresh() && found.decided_by_what_peers_see;
        !self.pods.is_empty() && self.pods.iter().all(|(_, found)| fine(found))
    }
}

/// A rule over the pods that no cause before it explains.
type Rule<S> = fn(&S, Timestamp, &[PodRef]) -> Option<Conclusion>;

/// One more scenario that it is not.
pub(super) fn not(scenario: Scenario, certain: bool, because: &str) -> RuledOut {
    RuledOut { scenario, because: because.to_owned(), certain }
}
