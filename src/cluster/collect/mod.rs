//! Gathers the evidence of a triage: all checks at once, each with its own limit, and one limit over all.

mod bundles;
mod controllers;
mod healthcheck;
mod istio_objects;
mod mounted;
mod pod;
mod pod_start;
mod recent_changes;
mod spire_agent;
mod spire_log;
mod spire_server;
mod survey;
mod ztunnel;

#[cfg(test)]
pub(super) use mounted::mounted_at;

pub use survey::{Surveyed, gather_several};

use std::sync::Arc;

use futures::{FutureExt, future::join_all};
use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use super::{ClusterClient, ClusterError, FoundPod, choose::choose, resolve};
use crate::{
    clock::Clock,
    mesh::{PodRef, TargetRef},
    triage::{EVIDENCE_SCHEMA, Evidence, Gathered, Missing, PodEvidence, RecentChange},
};

/// Called when a check ends, with its source.
pub type Progress = Arc<dyn Fn(&str) + Send + Sync>;

/// What one gathering works with.
#[derive(Clone)]
pub(super) struct Gathering {
    pub(super) reach: ClusterClient,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) deadline: Instant,
    pub(super) progress: Progress,
}

impl Gathering {
    /// One check: within the overall limit, with its source and time, whatever it comes to.
    pub(super) async fn check<T>(
        &self,
        source: String,
        call: impl Future<Output = Result<T, ClusterError>>,
    ) -> Gathered<T> {
        let result = self.in_time(&source, call).await;
        (self.progress)(&source);
        let at: Timestamp = self.clock.now();
        match result {
            Ok(value) => Gathered::Seen { value, source, at },
            Err(error) => Gathered::Missing { reason: error.missing(), source, at },
        }
    }

    /// One call within the overall limit.
    pub(super) async fn in_time<T>(
        &self,
        what: &str,
        call: impl Future<Output = Result<T, ClusterError>>,
    ) -> Result<T, ClusterError> {
        let seconds = self.reach.settings.limits.overall.as_secs();
        let ended = timeout_at(self.deadline, call).await;
        ended.unwrap_or_else(|_| Err(ClusterError::TimedOut { what: what.to_owned(), seconds }))
    }
}

/// Gathers the evidence about a target. Fails only when the target itself cannot be found; every other gap is part of
/// the evidence.
pub async fn gather(
    reach: &ClusterClient,
    target: &TargetRef,
    clock: Arc<dyn Clock>,
    progress: Progress,
) -> Result<Evidence, ClusterError> {
    gather_about(reach, target, &[], clock, progress).await
}

/// The same, where alerts have named pods: those of them that are the target's are looked at first.
pub async fn gather_about(
    reach: &ClusterClient,
    target: &TargetRef,
    alerted: &[PodRef],
    clock: Arc<dyn Clock>,
    progress: Progress,
) -> Result<Evidence, ClusterError> {
    let gathering = Gathering {
        reach: reach.clone(),
        clock: clock.clone(),
        deadline: Instant::now() + reach.settings.limits.overall,
        progress,
    };
    let listed = spire_agent::list(&gathering);
    // What lies around the target is asked beside it; a target that is not there ends all of it.
    let (looked, _, servers, spire_bundle, istio_root, mesh) = futures::try_join!(
        Box::pin(look_at(&gathering, target, alerted, &listed)),
        listed.clone().map(Ok),
        spire_server::gather(&gathering).map(Ok),
        bundles::of_spire(&gathering).map(Ok),
        bundles::of_istio(&gathering, &target.namespace).map(Ok),
        Box::pin(istio_objects::of_the_mesh(&gathering)).map(Ok),
    )?;
    let Looked { pods, rest, agents, rolled } = looked;
    let nodes: Vec<_> = pods.iter().filter_map(|pod| pod.node.as_ref()).collect();
    let of_agents = spire_agent::changes(&gathering, listed.clone(), &nodes).await;
    let changes = rolled.into_iter().chain(servers.changes).chain(of_agents).collect();
    let agent_pods = if agents.is_empty() { None } else { spire_agent::count_all(listed.clone()).await };
    let agent_fleet = if agents.is_empty() { None } else { spire_agent::fleet(listed).await };
    let agents = agents.into_iter().map(|agent| spire_agent::look_further_back(&gathering, agent, &pods));
    let around = Box::pin(istio_objects::around(&gathering, mesh, target, &pods));
    let (agents, istio) = futures::join!(join_all(agents), around);
    let evidence = Evidence {
        schema: EVIDENCE_SCHEMA.to_owned(),
        target: target.clone(),
        gathered_at: clock.now(),
        expectations: reach.expectations(),
        pods,
        not_sampled: rest.iter().map(|found| found.pod.clone()).collect(),
        agents,
        servers: servers.seen,
        servers_missing: servers.missing,
        server_controllers: servers.controllers,
        agent_pods,
        agent_fleet,
        changes: Some(changes),
        spire_bundle,
        istio_root,
        istio: Some(istio),
    };
    Ok(istio_objects::with_clients(&gathering, evidence).await)
}

/// The target's pods and the agents of their nodes.
struct Looked {
    pods: Vec<PodEvidence>,
    /// Those that were not looked at.
    rest: Vec<FoundPod>,
    agents: Vec<spire_agent::Agent>,
    /// The pods of the target that were created of late.
    rolled: Option<RecentChange>,
}

async fn look_at(
    gathering: &Gathering,
    target: &TargetRef,
    alerted: &[PodRef],
    listed: &spire_agent::ListedAgents<'_>,
) -> Result<Looked, ClusterError> {
    let resolved = gathering.in_time(&target.to_string(), resolve(&gathering.reach, target)).await?;
    let (looked_at, rest) = choose(resolved.pods, alerted, gathering.reach.settings.limits.sample.max(1));
    let mut nodes: Vec<_> = looked_at.iter().filter_map(|pod| pod.node.clone()).collect();
    nodes.sort();
    nodes.dedup();
    let (pods, agents) = futures::join!(
        join_all(looked_at.iter().map(|found| pod::gather(gathering, found))),
        join_all(nodes.iter().map(|node| spire_agent::gather(gathering, node, listed.clone()))),
    );
    let rolled = recent_changes::of_target(looked_at.iter().chain(&rest), gathering.clock.now());
    Ok(Looked { pods, rest, agents, rolled })
}

/// A gap that needs no call to be known.
pub(super) fn gap<T>(gathering: &Gathering, source: &str, why: &str) -> Gathered<T> {
    Gathered::Missing {
        reason: Missing::Other { why: why.into() },
        source: source.to_owned(),
        at: gathering.clock.now(),
    }
}
