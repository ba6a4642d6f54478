//! Gathers the evidence about several services of a storm: SPIRE's server once, one pod of each service, and the agents of
//! their nodes. All within the limits of one triage.

use std::{collections::BTreeMap, sync::Arc};

use futures::{FutureExt, future::join_all};
use tokio::time::Instant;

use super::{Gathering, Progress, bundles, choose, pod, spire_agent, spire_server};
use crate::{
    clock::Clock,
    cluster::{ClusterClient, ClusterError, FoundPod, resolve},
    mesh::{Namespace, NodeName, TargetRef},
    triage::{AgentEvidence, EVIDENCE_SCHEMA, Evidence, Gathered, PemFile, PodEvidence},
};

/// The evidence of one service, or why it could not be looked at.
pub type Surveyed = (TargetRef, Result<Evidence, ClusterError>);

/// Gathers the evidence about several services. Nothing of it fails the rest.
pub async fn gather_several(
    reach: &ClusterClient,
    targets: &[TargetRef],
    clock: Arc<dyn Clock>,
    progress: Progress,
) -> Vec<Surveyed> {
    let gathering = Gathering {
        reach: reach.clone(),
        clock: clock.clone(),
        deadline: Instant::now() + reach.settings.limits.overall,
        progress,
    };
    let listed = spire_agent::list(&gathering);
    let (looked, servers, spire_bundle, roots) = futures::join!(
        Box::pin(look_at(&gathering, targets, &listed)),
        spire_server::gather(&gathering),
        bundles::of_spire(&gathering),
        roots(&gathering, targets),
    );
    let agent_pods = if looked.agents.is_empty() { None } else { spire_agent::count_all(listed.clone()).await };
    let agent_fleet = if looked.agents.is_empty() { None } else { spire_agent::fleet(listed.clone()).await };
    let evidence = |target: &TargetRef, seen: Seen| {
        let node = seen.pod.node.clone();
        let agents = looked.agents.iter().filter(|agent| Some(&agent.node) == node.as_ref()).cloned().collect();
        Evidence {
            schema: EVIDENCE_SCHEMA.to_owned(),
            target: target.clone(),
            gathered_at: clock.now(),
            expectations: reach.expectations(),
            pods: vec![seen.pod],
            not_sampled: seen.rest.into_iter().map(|found| found.pod).collect(),
            agents,
            servers: servers.seen.clone(),
            servers_missing: servers.missing.clone(),
            server_controllers: servers.controllers.clone(),
            agent_pods,
            agent_fleet: agent_fleet.clone(),
            changes: None,
            spire_bundle: spire_bundle.clone(),
            istio_root: roots.get(&target.namespace).cloned().unwrap_or_else(|| {
                // Every namespace of the targets was asked for, so this is never taken.
                super::gap(&gathering, "ConfigMap istio-ca-root-cert", "it was not asked for")
            }),
            // A storm's cause is looked for in what its services share.
            istio: None,
        }
    };
    let of_each = targets.iter().zip(looked.of_each);
    of_each.map(|(target, seen)| (target.clone(), seen.map(|seen| evidence(target, seen)))).collect()
}

/// One pod of a service, and those that were not looked at.
struct Seen {
    pod: PodEvidence,
    rest: Vec<FoundPod>,
}

struct Looked {
    of_each: Vec<Result<Seen, ClusterError>>,
    agents: Vec<AgentEvidence>,
}

async fn look_at(gathering: &Gathering, targets: &[TargetRef], listed: &spire_agent::ListedAgents<'_>) -> Looked {
    let resolved = join_all(targets.iter().map(|target| one_pod(gathering, target))).await;
    let mut nodes: Vec<NodeName> = resolved.iter().flatten().filter_map(|(found, _)| found.node.clone()).collect();
    nodes.sort();
    nodes.dedup();
    let gather = resolved.into_iter().map(|one| async move {
        let (found, rest) = one?;
        Ok(Seen { pod: pod::gather(gathering, &found).await, rest })
    });
    let (of_each, agents) = futures::join!(
        join_all(gather),
        join_all(nodes.iter().map(|node| spire_agent::gather(gathering, node, listed.clone()))),
    );
    let pods: Vec<PodEvidence> = of_each.iter().flatten().map(|seen: &Seen| seen.pod.clone()).collect();
    let agents = agents.into_iter().map(|agent| spire_agent::look_further_back(gathering, agent, &pods));
    Looked { of_each, agents: join_all(agents).await }
}

/// The worst pod of a target, and the others.
async fn one_pod(gathering: &Gathering, target: &TargetRef) -> Result<(FoundPod, Vec<FoundPod>), ClusterError> {
    let resolved = gathering.in_time(&target.to_string(), resolve(&gathering.reach, target)).await?;
    let (chosen, rest) = choose(resolved.pods, &[], 1);
    let found = chosen.into_iter().next();
    found
        .map(|found| (found, rest))
        .ok_or_else(|| ClusterError::NotFound { what: format!("a running pod of {target}") })
}

/// istiod's root in each namespace of the targets.
async fn roots(gathering: &Gathering, targets: &[TargetRef]) -> BTreeMap<Namespace, Gathered<PemFile>> {
    let mut namespaces: Vec<Namespace> = targets.iter().map(|target| target.namespace.clone()).collect();
    namespaces.sort();
    namespaces.dedup();
    let asked = namespaces.into_iter().map(|namespace| async move {
        let root = bundles::of_istio(gathering, &namespace).boxed().await;
        (namespace, root)
    });
    join_all(asked).await.into_iter().collect()
}
