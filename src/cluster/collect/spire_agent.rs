//! SPIRE's agents (runbook steps 2.2 and 2.3).

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};

use super::{Gathering, gap, healthcheck::healthcheck, recent_changes, spire_log::spire_log};
use crate::{
    cluster::{
        ClusterError, FoundPod,
        exec::Tool,
        resolve::{PODS_MOST, list_pods},
    },
    mesh::NodeName,
    triage::{
        AGENTS_NAMED_MOST, AgentEvidence, AgentFleet, AgentInfo, AgentPod, ContainerTrouble, Crash, Gathered, Missing,
        PodEvidence, RecentChange, agent_log_excerpt, last_words,
        look_further::{LookFurther, after_agent_log, shown_log},
        read_agent_info,
    },
};

/// What its log is called where it is quoted.
const LOG: &str = "log of spire-agent";

/// One agent, and its pod as it was found.
pub(super) struct Agent {
    pub(super) evidence: AgentEvidence,
    found: Option<FoundPod>,
}

/// All agents of the mesh, listed once for all of its nodes; cheap to clone, and waited for by each that needs it.
pub(super) type ListedAgents<'a> = Shared<BoxFuture<'a, Result<Vec<FoundPod>, ClusterError>>>;

fn count(pods: &[FoundPod]) -> Option<u32> {
    u32::try_from(pods.len()).ok()
}

/// How many pods the agents' selector matches on any node: one that matches nothing is wrong.
pub(super) async fn count_all(listed: ListedAgents<'_>) -> Option<u32> {
    listed.await.as_deref().ok().and_then(count)
}

/// Lists them. A triage knows its nodes only when it has found its pods, and need not wait for that.
pub(super) fn list(gathering: &Gathering) -> ListedAgents<'_> {
    let settings = &gathering.reach.settings;
    let call = list_pods(&gathering.reach, &settings.spire_namespace, &settings.agent_selector, None);
    gathering.in_time("pods of the SPIRE agent", call).boxed().shared()
}

/// The pod of the agent on a node.
async fn agent_on(
    gathering: &Gathering,
    node: &NodeName,
    listed: ListedAgents<'_>,
) -> Result<Option<FoundPod>, ClusterError> {
    let on_the_node =
        |pods: Vec<FoundPod>| pods.into_iter().find(|pod| !pod.going && !pod.ended && pod.node.as_ref() == Some(node));
    let listed = listed.await;
    let all = listed.as_deref().ok().and_then(count).is_some_and(|count| count < PODS_MOST);
    match listed.map(on_the_node) {
        Ok(Some(found)) => Ok(Some(found)),
        Ok(None) if all => Ok(None),
        // Who may not list them all may not list those of a node either.
        Err(error @ (ClusterError::Forbidden { .. } | ClusterError::Unauthenticated { .. })) => Err(error),
        // A mesh of more nodes than are listed, or an answer that was too long: this node is asked for alone.
        _ => {
            let settings = &gathering.reach.settings;
            let call = list_pods(&gathering.reach, &settings.spire_namespace, &settings.agent_selector, Some(node));
            gathering.in_time("pods of the SPIRE agent", call).await.map(on_the_node)
        }
    }
}

pub(super) async fn gather(gathering: &Gathering, node: &NodeName, listed: ListedAgents<'_>) -> Agent {
    let found = match agent_on(gathering, node, listed).await {
        Ok(found) => found,
        Err(error) => return Agent { evidence: unseen(gathering, node, error.missing()), found: None },
    };
    let Some(found) = found else {
        let evidence = AgentEvidence {
            node: node.clone(),
            pod: AgentPod::Absent,
            ready: false,
            restarts: 0,
            healthcheck: gap(gathering, "spire-agent healthcheck", "no agent pod runs on this node"),
            log: gap(gathering, LOG, "no agent pod runs on this node"),
            crash: None,
            info: None,
        };
        return Agent { evidence, found: None };
    };
    let since = gathering.reach.settings.agent_log_since;
    let (healthcheck, log, crash, info) = futures::join!(
        healthcheck(gathering, &found, Tool::AgentHealthcheck, "spire-agent healthcheck"),
        spire_log(gathering, &found, LOG, since, agent_log_excerpt),
        crash(gathering, &found),
        info(gathering, &found),
    );
    let evidence = AgentEvidence {
        node: node.clone(),
        pod: AgentPod::Found(found.pod.clone()),
        ready: found.ready,
        restarts: u32::try_from(found.restarts).unwrap_or(0),
        healthcheck,
        log,
        crash,
        info,
    };
    Agent { evidence, found: Some(found) }
}

/// How its container ended last, where that was a failure.
async fn crash(gathering: &Gathering, found: &FoundPod) -> Option<Crash> {
    let own = |trouble: &&ContainerTrouble| found.container.as_deref().is_none_or(|name| trouble.name.as_str() == name);
    let end = found.troubles.iter().find(own)?.ended.clone().filter(|end| end.exit_code != 0)?;
    let since = gathering.reach.settings.agent_log_since.as_secs();
    let since = i64::try_from(since).unwrap_or(i64::MAX);
    let log = gathering.reach.previous_log(&found.pod, found.container.as_deref(), since);
    let log = gathering.in_time("last words of the SPIRE agent", log).await.ok();
    Some(Crash { end, last_words: log.and_then(|log| last_words(&log)) })
}

/// What it says of itself. Older versions do not know the command, and an admin socket is often not configured: then its log
/// must do, and nothing is missing.
async fn info(gathering: &Gathering, found: &FoundPod) -> Option<AgentInfo> {
    let call = gathering.reach.exec(&found.pod, found.container.as_deref(), &Tool::AgentInfo);
    let output = gathering.in_time("spire-agent debug getinfo", call).await.ok()?;
    (output.exit_code == 0).then(|| read_agent_info(&output.stdout)).flatten()
}

/// What changed of late of those on these nodes.
pub(super) async fn changes(gathering: &Gathering, listed: ListedAgents<'_>, nodes: &[&NodeName]) -> Vec<RecentChange> {
    let pods = listed.await.unwrap_or_default();
    let there = pods.iter().filter(|pod| !pod.going && pod.node.as_ref().is_some_and(|node| nodes.contains(&node)));
    recent_changes::of_spire(there, gathering.clock.now())
}

/// All of them in figures, where they could be listed.
pub(super) async fn fleet(listed: ListedAgents<'_>) -> Option<AgentFleet> {
    let pods = listed.await.ok()?;
    let live: Vec<&FoundPod> = pods.iter().filter(|pod| !pod.going && !pod.ended).collect();
    let mut not_ready: Vec<NodeName> =
        live.iter().filter(|pod| !pod.ready).filter_map(|pod| pod.node.clone()).collect();
    not_ready.sort();
    not_ready.truncate(AGENTS_NAMED_MOST);
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let ready = count(live.iter().filter(|pod| pod.ready).count());
    let cut = pods.len() >= usize::try_from(PODS_MOST).unwrap_or(usize::MAX);
    Some(AgentFleet { agents: count(live.len()), ready, not_ready, cut })
}

/// The same agent, with its log read further back where what the `pods` of its node hold asks for that.
pub(super) async fn look_further_back(gathering: &Gathering, agent: Agent, pods: &[PodEvidence]) -> AgentEvidence {
    let mut evidence = agent.evidence;
    let (usual, now) = (gathering.reach.settings.agent_log_since, gathering.clock.now());
    let further = after_agent_log(&evidence, pods, usual, now);
    if let (Some(found), Some(LookFurther::AgentLog { since })) = (agent.found, further) {
        let longer = spire_log(gathering, &found, LOG, since, agent_log_excerpt).await;
        evidence.log = shown_log(evidence.log, longer);
    }
    evidence
}

fn unseen(gathering: &Gathering, node: &NodeName, reason: Missing) -> AgentEvidence {
    let at = gathering.clock.now();
    // There may well be a pod: it could not be listed, which is not the same as none.
    let namespace = gathering.reach.settings.spire_namespace.parse().ok();
    AgentEvidence {
        node: node.clone(),
        pod: namespace.map_or(AgentPod::Absent, AgentPod::NotListed),
        ready: false,
        restarts: 0,
        healthcheck: Gathered::Missing { reason: reason.clone(), source: "pods of the SPIRE agent".to_owned(), at },
        log: Gathered::Missing { reason, source: "pods of the SPIRE agent".to_owned(), at },
        crash: None,
        info: None,
    }
}
