//! `restart-spire-agent`: reads what its plan is drawn from, and sees whether the new agent works and who got a new SVID.

use std::collections::BTreeSet;

use futures::future::{join_all, try_join_all};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    core::v1::{Node, Pod},
    policy::v1::PodDisruptionBudget,
};
use kube::Api;

use super::{Settled, budgets::that_cover};
use crate::{
    cluster::{
        ClusterClient, ClusterError, FoundPod, resolve,
        resolve::{PODS_MOST, list_pods},
    },
    incident::{Fix, FixPhase},
    mesh::{NodeName, PodRef, PodUid, TargetRef, controller_in_words},
    remediation::{
        AgentRestart, Operation, Plan, StepResult, WaitingPod,
        one_agent_at_a_time::{UnreadyAgent, all_others_ready},
        restart_spire_agent::{AgentFacts, NodeFacts, NodeState, UnreadPod},
    },
    triage::{
        AttestationSigns,
        certificate::{Svid, Validity},
        repeated_by_a_restart, works_since_its_start,
    },
};

/// How far back the line of an agent's attestation is looked for: it is written once, when the agent starts.
const ATTESTED_WITHIN: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How long a new agent is given to hand out SVIDs once it is Ready and asks for them, before those that did not pick one up
/// are named. Proxies take theirs at once; files are written within seconds; a server that hangs is noticed after 30 s.
const PICK_UP: SignedDuration = SignedDuration::from_secs(45);
/// How long before the end of its time a step is settled with what is there.
const LAST_LOOK: SignedDuration = SignedDuration::from_secs(15);
/// How far back a log is read of an agent that started a moment ago, by a clock that may differ.
const SINCE_ITS_START: i64 = 3600;

/// What is there now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Agents {
    /// The nodes that were asked about.
    pub(super) nodes: Vec<NodeFacts>,
    /// How many agents of the mesh are Ready, and how many there are.
    pub(super) ready: (u32, u32),
    /// Those of them that are not.
    pub(super) unready: Vec<UnreadyAgent>,
    /// The UIDs of all of them.
    pub(super) uids: Vec<PodUid>,
}

impl ClusterClient {
    /// The nodes with their agents, and the pods of the target that wait for them.
    pub(super) async fn agent_facts(
        &self,
        target: &TargetRef,
        nodes: &[NodeName],
        now: Timestamp,
    ) -> Result<Agents, ClusterError> {
        let spire = self.settings.spire_namespace.as_str();
        let (all, budgets, resolved) = futures::try_join!(
            list_pods(self, spire, &self.settings.agent_selector, None),
            self.budgets(spire),
            resolve(self, target),
        )?;
        let all: Vec<FoundPod> = all.into_iter().filter(|pod| !pod.going && !pod.ended).collect();
        // A verdict names a node for each of its pods: it has one agent all the same.
        let nodes: BTreeSet<&NodeName> = nodes.iter().collect();
        let facts = nodes.into_iter().map(|node| self.node_facts(node, &all, &budgets, &resolved.pods, now));
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Ok(Agents {
            nodes: try_join_all(facts).await?,
            ready: (count(all.iter().filter(|pod| pod.ready).count()), count(all.len())),
            unready: unready(&all),
            uids: all.iter().map(|pod| pod.uid.clone()).collect(),
        })
    }

    /// Whether every agent of the mesh beside those of `plan` is Ready as the write of `planned` is about to be done.
    pub(in crate::cluster) async fn others_are_ready(
        &self,
        plan: &Plan,
        planned: &AgentRestart,
    ) -> Result<(), ClusterError> {
        let Self { settings, .. } = self;
        let (all, here) = futures::try_join!(
            list_pods(self, &settings.spire_namespace, &settings.agent_selector, None),
            self.agents_on(&planned.node),
        )?;
        // One whose life is over may have been ended by an attempt before: its successor is not Ready yet.
        if !here.iter().any(|pod| pod.uid == planned.agent.uid) {
            return Ok(());
        }
        let all: Vec<FoundPod> = all.into_iter().filter(|pod| !pod.going && !pod.ended).collect();
        let of_the_plan: Vec<&PodUid> =
            plan.operations.iter().filter_map(Operation::ends).map(|(_, uid)| uid).collect();
        all_others_ready(&unready(&all), &of_the_plan).map_err(ClusterError::NotNow)
    }

    async fn node_facts(
        &self,
        node: &NodeName,
        all: &[FoundPod],
        budgets: &[PodDisruptionBudget],
        pods: &[FoundPod],
        now: Timestamp,
    ) -> Result<NodeFacts, ClusterError> {
        let mut agent = all.iter().find(|pod| pod.node.as_ref() == Some(node)).cloned();
        // A mesh of more nodes than are listed at a time.
        if agent.is_none() && all.len() >= usize::try_from(PODS_MOST).unwrap_or(usize::MAX) {
            agent = self.agents_on(node).await?.into_iter().next();
        }
        let looks = pods.iter().filter(|pod| pod.node.as_ref() == Some(node)).map(|pod| self.waits(pod, now));
        let (state, agent, looked) = futures::join!(
            self.node_state(node),
            async {
                match &agent {
                    Some(found) => self.facts_of(found, budgets).await.map(Some),
                    None => Ok(None),
                }
            },
            join_all(looks),
        );
        let (mut waiting, mut unread) = (Vec::new(), Vec::new());
        for look in looked {
            match look {
                Ok(waits) => waiting.extend(waits),
                Err(pod) => unread.push(pod),
            }
        }
        Ok(NodeFacts { node: node.clone(), state: state?, agent: agent?, waiting, unread })
    }

    async fn agents_on(&self, node: &NodeName) -> Result<Vec<FoundPod>, ClusterError> {
        let Self { settings, .. } = self;
        let pods = list_pods(self, &settings.spire_namespace, &settings.agent_selector, Some(node)).await?;
        Ok(pods.into_iter().filter(|pod| !pod.going && !pod.ended).collect())
    }

    async fn node_state(&self, node: &NodeName) -> Result<NodeState, ClusterError> {
        let what = format!("node {node}");
        let api: Api<Node> = Api::all(self.client.clone());
        let call = async {
            let read = api.get_opt(node.as_str()).await;
            read.map_err(|error| ClusterError::of(&error, "get", "nodes", "the cluster", &what))
        };
        let Some(found) = self.bounded(&what, call).await? else { return Ok(NodeState::Gone) };
        let conditions = found.status.and_then(|status| status.conditions).unwrap_or_default();
        let ready = conditions.iter().any(|one| one.type_ == "Ready" && one.status == "True");
        Ok(if ready { NodeState::Ready } else { NodeState::NotReady })
    }

    async fn facts_of(&self, found: &FoundPod, budgets: &[PodDisruptionBudget]) -> Result<AgentFacts, ClusterError> {
        let container = found.container.as_deref();
        let (log, has_server_token) =
            futures::join!(self.log(&found.pod, container, ATTESTED_WITHIN.as_secs()), self.has_server_token(found),);
        // Without its log the pod and the configuration may still tell.
        let log = log.ok();
        let configured = self.settings.agents_attest_again;
        let signs = AttestationSigns { configured, log: log.as_deref(), has_server_token: has_server_token? };
        Ok(AgentFacts {
            pod: found.pod.clone(),
            uid: found.uid.clone(),
            controller: found.controller.clone(),
            ready: found.ready,
            budgets: that_cover(budgets, found),
            attestation: signs.read(),
            repeated: log.as_deref().and_then(repeated_by_a_restart),
        })
    }

    /// Whether a pod carries a token of its service account for the SPIRE server (audience `spire-server`, the default of
    /// the attestor `k8s_psat`).
    async fn has_server_token(&self, found: &FoundPod) -> Result<bool, ClusterError> {
        let (namespace, what) = (found.pod.namespace.as_str(), format!("pod {}", found.pod));
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let call = async {
            let read = api.get_opt(found.pod.name.as_str()).await;
            read.map_err(|error| ClusterError::of(&error, "get", "pods", namespace, &what))
        };
        let pod = self.bounded(&what, call).await?;
        let volumes = pod.and_then(|pod| pod.spec).and_then(|spec| spec.volumes).unwrap_or_default();
        let sources = volumes.into_iter().filter_map(|volume| volume.projected?.sources).flatten();
        let audiences = sources.filter_map(|source| source.service_account_token?.audience);
        Ok(audiences.into_iter().any(|audience| audience == "spire-server"))
    }

    /// The pod, if it waits for its agent: its SVID is over or should have been renewed, or it has none.
    async fn waits(&self, pod: &FoundPod, now: Timestamp) -> Result<Option<WaitingPod>, UnreadPod> {
        let svid = self.svid_of(pod).await.map_err(|why| UnreadPod { pod: pod.pod.clone(), why })?;
        let waiting = |not_after| Some(WaitingPod { pod: pod.pod.clone(), uid: pod.uid.clone(), not_after });
        Ok(match svid {
            Some(svid) if svid.validity(now).is_fresh() => None,
            Some(svid) => waiting(Some(svid.not_after)),
            None => waiting(None),
        })
    }

    /// Whether the new agent of the node is there, Ready, and works; and then, who of those that waited holds a new SVID.
    pub(super) async fn new_agent(
        &self,
        fix: &Fix,
        planned: &AgentRestart,
        now: Timestamp,
    ) -> Result<Settled, ClusterError> {
        let before = fix.plan.as_ref().map(|plan| plan.pods_before.as_slice()).unwrap_or_default();
        let is_new = |pod: &FoundPod| pod.uid != planned.agent.uid && !before.contains(&pod.uid);
        let node = &planned.node;
        let Some(new) = self.agents_on(node).await?.into_iter().find(is_new) else {
            return Ok(Settled::Awaited(format!(
                "{} has not started a new agent on {node} yet",
                controller_in_words(planned.agent.controller.as_ref())
            )));
        };
        if !new.ready {
            return Ok(Settled::Awaited(format!("{} is not Ready yet", new.pod)));
        }
        let waited = self.who_waited(&planned.waiting, &new, now).await?;
        if !waited.all_hold_a_new_one() {
            let log = self.log(&new.pod, new.container.as_deref(), SINCE_ITS_START).await;
            let since = match log.map(|log| works_since_its_start(&log)) {
                Ok(Ok(since)) => since,
                // Who holds an SVID of the new agent proves more than its log.
                _ if !waited.renewed.is_empty() => None,
                Ok(Err(why)) => {
                    return Ok(Settled::Awaited(format!("the new agent {} does not work yet: {why}", new.pod)));
                }
                Err(error) => return Err(error),
            };
            // Without either time nobody is named before the last look.
            let over = since.max(new.ready_changed).is_some_and(|since| now.duration_since(since) >= PICK_UP);
            if let Some(what) = waited.missing().filter(|_| !over && !is_the_last_look(fix, now)) {
                return Ok(Settled::Awaited(format!("the new agent works; {what}")));
            }
        }
        Ok(Settled::Seen(StepResult::AgentRestarted {
            node: node.clone(),
            old: planned.agent.pod.clone(),
            pod: new.pod,
            uid: new.uid,
            renewed: waited.renewed,
            stale: waited.stale,
            not_taken: waited.not_taken,
            unread: waited.unread.into_iter().map(|unread| unread.pod).collect(),
            waited: planned.waiting.clone(),
        }))
    }

    /// Who of those that waited holds an SVID of the new agent. One that is gone, or is another life by now, waits no more.
    async fn who_waited(&self, waiting: &[WaitingPod], new: &FoundPod, now: Timestamp) -> Result<Waited, ClusterError> {
        let looks = waiting.iter().map(|one| async move {
            let found = self.pod(&one.pod).await?.filter(|found| found.uid == one.uid);
            let Some(found) = found else { return Ok(None) };
            Ok::<_, ClusterError>(Some((one, self.svid_copies(&found, &self.admin(&found.pod)).await)))
        });
        let mut waited = Waited::default();
        for (one, svid) in try_join_all(looks).await?.into_iter().flatten() {
            match svid.presented {
                Ok(Some(svid)) if is_of(new, &svid, one, now) => waited.renewed.push(one.pod.clone()),
                Ok(_) => {
                    waited.stale.push(one.pod.clone());
                    let delivered = svid.in_file.filter(|svid| is_of(new, svid, one, now));
                    waited.not_taken.extend(delivered.map(|_| one.pod.clone()));
                }
                Err(why) => waited.unread.push(UnreadPod { pod: one.pod.clone(), why }),
            }
        }
        Ok(waited)
    }
}

/// What those that waited for an agent hold after its restart.
#[derive(Debug, Default)]
struct Waited {
    /// A new SVID.
    renewed: Vec<PodRef>,
    /// The old one, or none.
    stale: Vec<PodRef>,
    /// Those of them whose file holds a new one.
    not_taken: Vec<PodRef>,
    unread: Vec<UnreadPod>,
}

impl Waited {
    fn all_hold_a_new_one(&self) -> bool {
        !self.renewed.is_empty() && self.stale.is_empty() && self.unread.is_empty()
    }

    /// Who is still waited for.
    fn missing(&self) -> Option<String> {
        let names: Vec<String> = self.stale.iter().map(ToString::to_string).collect();
        let hold = if names.len() == 1 { "holds" } else { "hold" };
        let stale = (!names.is_empty()).then(|| format!("{} {hold} no new SVID yet", names.join(", ")));
        let unread = self.unread.first();
        let unread = unread.map(|one| format!("the SVID of {} could not be read ({})", one.pod, one.why));
        let all: Vec<String> = stale.into_iter().chain(unread).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

/// Whether the new agent handed out this SVID to one that waited: it is valid, outlives the one before, and began after the
/// agent did. The agent before may have handed one out while the plan waited for approval.
fn is_of(new: &FoundPod, svid: &Svid, waited: &WaitingPod, now: Timestamp) -> bool {
    let is_valid = matches!(svid.validity(now), Validity::Left { .. });
    let outlives = waited.not_after.is_none_or(|before| svid.not_after > before);
    is_valid && outlives && svid.issued().as_second() >= new.started
}

fn unready(agents: &[FoundPod]) -> Vec<UnreadyAgent> {
    let unready = agents.iter().filter(|pod| !pod.ready);
    unready.map(|pod| UnreadyAgent { pod: pod.pod.clone(), uid: pod.uid.clone() }).collect()
}

/// Whether the time of the step is nearly over: then what is there is all that there will be.
fn is_the_last_look(fix: &Fix, now: Timestamp) -> bool {
    match &fix.phase {
        FixPhase::Settling { until, .. } => until.duration_since(now) <= LAST_LOOK,
        _ => true,
    }
}
