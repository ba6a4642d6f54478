//! SPIRE's server and agents (runbook step 2).

use std::time::Duration;

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};

use super::{Gathering, controllers, gap, look_back::LookBack};
use crate::{
    cluster::{
        ClusterError, FoundPod, Reach,
        exec::Tool,
        resolve::{PODS_MOST, list_pods},
    },
    mesh::{NodeName, PodRef, ScaledController},
    triage::{
        AgentEvidence, AgentPod, Gathered, Healthcheck, LogExcerpt, Missing, Redacted, ServerEvidence,
        spire::{AgentState, agent_state, log_reaches, read_healthcheck, renewed_since, telling_lines},
    },
};

/// How many lines of a log are kept as evidence.
const LINES_KEPT: usize = 60;

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
pub(super) async fn count_agents(listed: ListedAgents<'_>) -> Option<u32> {
    listed.await.as_deref().ok().and_then(count)
}

/// Lists them. A triage knows its nodes only when it has found its pods, and need not wait for that.
pub(super) fn list_agents(gathering: &Gathering) -> ListedAgents<'_> {
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

pub(super) async fn gather_agent(gathering: &Gathering, node: &NodeName, listed: ListedAgents<'_>) -> Agent {
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
            log: gap(gathering, "log of spire-agent", "no agent pod runs on this node"),
        };
        return Agent { evidence, found: None };
    };
    let since = gathering.reach.settings.agent_log_since;
    let (healthcheck, log) = futures::join!(
        healthcheck(gathering, &found, Tool::AgentHealthcheck, "spire-agent healthcheck"),
        agent_log(gathering, node, &found, since),
    );
    let evidence = AgentEvidence {
        node: node.clone(),
        pod: AgentPod::Found(found.pod.clone()),
        ready: found.ready,
        restarts: u32::try_from(found.restarts).unwrap_or(0),
        healthcheck,
        log,
    };
    Agent { evidence, found: Some(found) }
}

/// The same agent with its log read once more, and further back where need be, where the first look shows no renewal since
/// the pods of its node were due for one: SVIDs that live longer are renewed less often, and silence is a sign only where the
/// log is long enough to hold a renewal. Nor does a log that was cut behind the API server tell so: it is shorter, and silent.
pub(super) async fn look_further_back(gathering: &Gathering, agent: Agent, back: Option<LookBack>) -> AgentEvidence {
    let mut evidence = agent.evidence;
    let (Some(found), Some(back), Some(log)) = (agent.found, back, evidence.log.value()) else { return evidence };
    let since = back.since(gathering.clock.now()).max(gathering.reach.settings.agent_log_since);
    if !renewed_since(log, back.due) {
        let again = agent_log(gathering, &evidence.node, &found, since).await;
        // Silence that was seen is more than a longer look that came to nothing.
        if again.value().is_some() {
            evidence.log = again;
        }
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
    }
}

async fn healthcheck(gathering: &Gathering, found: &FoundPod, tool: Tool, source: &str) -> Gathered<Healthcheck> {
    let call = async {
        match gathering.reach.exec(&found.pod, found.container.as_deref(), &tool).await {
            Ok(output) => {
                Ok(read_healthcheck(output.exit_code, &String::from_utf8_lossy(&output.stdout), &output.stderr))
            }
            Err(gone @ ClusterError::NotFound { .. }) => Err(gone),
            // The first refusal names what is the better one to mend.
            Err(error) => gathering.reach.http_health(&found.pod).await.ok_or(error),
        }
    };
    gathering.check(source.to_owned(), call).await
}

impl Reach {
    /// What SPIRE's HTTP probes say, for images and rights without its command; `None` when they are not answered.
    async fn http_health(&self, pod: &PodRef) -> Option<Healthcheck> {
        let what = format!("HTTP health of {pod}");
        let port = self.port(pod, self.settings.health_port);
        let (live, ready) = futures::join!(port.get("/live", &what), port.get("/ready", &what));
        let (live, ready) = (live.ok()?, ready.ok()?);
        let healthy = live.is_success() && ready.is_success();
        let output = format!("asked over HTTP: /live answers {}, /ready answers {}", live.status, ready.status);
        Some(Healthcheck { healthy, output: output.into() })
    }
}

/// The agent's log. An agent of today exits when its own SVID has ended, so that the reason stands in the log of the
/// container that ran before the restart.
async fn agent_log(gathering: &Gathering, node: &NodeName, found: &FoundPod, since: Duration) -> Gathered<LogExcerpt> {
    let (reach, pod, container) = (&gathering.reach, &found.pod, found.container.as_deref());
    let since = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    let call = async {
        let before = async {
            // Kubelets keep it only for a while; that there were restarts is in the evidence in any case.
            if found.restarts > 0 { reach.previous_log(pod, container, since).await.ok() } else { None }
        };
        let (before, now) = futures::join!(before, reach.log(pod, container, since));
        let before = before.map(|text| telling_lines(&text)).unwrap_or_default();
        let before = if speaks_against(gathering, node, found, &before) { before } else { Vec::new() };
        // Of the life of today alone: what lies between two lives is silence of neither.
        let reaches = now.as_ref().ok().and_then(|text| log_reaches(text));
        let now = match now {
            Ok(text) => telling_lines(&text),
            // A container that waits to be started again has no log yet, and why it waits stands in the one before.
            Err(error) if before.is_empty() => return Err(error),
            Err(_) => Vec::new(),
        };
        let all = [before, now].concat();
        let skipped = all.len().saturating_sub(LINES_KEPT);
        Ok(LogExcerpt {
            lines: all.into_iter().skip(skipped).map(Redacted::from).collect(),
            cut: skipped > 0,
            reaches,
            ..LogExcerpt::default()
        })
    };
    gathering.check("log of spire-agent".to_owned(), call).await
}

/// Whether a life that has ended ended with a fault. What it did well proves nothing about the life of today, so such
/// lines are left out.
fn speaks_against(gathering: &Gathering, node: &NodeName, found: &FoundPod, lines: &[String]) -> bool {
    let lines = lines.iter().map(|line| Redacted::new(line)).collect();
    let excerpt = LogExcerpt { lines, ..LogExcerpt::default() };
    let source = "log of spire-agent (before its last restart)".to_owned();
    let life = AgentEvidence {
        node: node.clone(),
        pod: AgentPod::Found(found.pod.clone()),
        ready: true,
        restarts: 0,
        healthcheck: gap(gathering, "spire-agent healthcheck", "that container has ended"),
        log: Gathered::Seen { value: excerpt, source, at: gathering.clock.now() },
    };
    let state = agent_state(&life);
    state.is_faulty() || matches!(state, AgentState::CannotReachServer(_))
}

/// The server's pods and why none are listed; and, where there are none, the controllers that should have made them: a
/// server that is scaled to nothing is down, and no pod says so.
pub(super) async fn gather_servers(gathering: &Gathering) -> Servers {
    let settings = &gathering.reach.settings;
    let call = list_pods(&gathering.reach, &settings.spire_namespace, &settings.server_selector, None);
    let pods: Vec<FoundPod> = match gathering.in_time("pods of the SPIRE server", call).await {
        Ok(pods) => pods.into_iter().filter(|pod| !pod.going && !pod.ended).collect(),
        Err(error) => return Servers { missing: Some(error.missing()), ..Servers::default() },
    };
    if pods.is_empty() {
        let what = format!("a pod {} in {}", settings.server_selector, settings.spire_namespace);
        let controllers = controllers::of_the_server(gathering).await;
        return Servers { missing: Some(Missing::Gone { what }), controllers, ..Servers::default() };
    }
    let one = |found: FoundPod| async move {
        let check = healthcheck(gathering, &found, Tool::ServerHealthcheck, "spire-server healthcheck").await;
        ServerEvidence { pod: found.pod, ready: found.ready, healthcheck: check }
    };
    let seen = futures::future::join_all(pods.into_iter().map(one)).await;
    Servers { seen, ..Servers::default() }
}

/// What was found of the SPIRE server.
#[derive(Default)]
pub(super) struct Servers {
    pub(super) seen: Vec<ServerEvidence>,
    pub(super) missing: Option<Missing>,
    pub(super) controllers: Vec<ScaledController>,
}
