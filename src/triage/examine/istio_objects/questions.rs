//! Which calls are in question, and what has to be read to judge them.

use std::collections::BTreeSet;

use super::callers::refused_callers;
use crate::{
    mesh::{TargetKind, TargetRef},
    triage::{
        PodEvidence, Redacted,
        envoy::{Direction, sign_of},
        istio::{Computed, ObjectName, Objects},
        outbound_cluster::OutboundCluster,
        proxy_stats::ClusterCalls,
    },
};

/// How many namespaces are read beside the target's own.
const NAMESPACES_MOST: usize = 6;
/// How many callers are looked for by their addresses.
const CALLERS_MOST: usize = 10;

/// What has to be read once the target's pods and the rules of the mesh are known.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ToRead {
    /// The namespaces of which Services, EndpointSlices and pods are read: the target's, and those of whom it fails to call.
    pub(crate) called: BTreeSet<String>,
    /// Those of which only the pods are read: their own rules say how they call the target.
    pub(crate) calling: BTreeSet<String>,
    /// From where the target was called without mTLS.
    pub(crate) addresses: BTreeSet<String>,
}

/// What has to be read to judge the calls in question.
pub(crate) fn to_read(target: &TargetRef, pods: &[PodEvidence], objects: &Objects) -> ToRead {
    let own = target.namespace.to_string();
    let failing: BTreeSet<String> = pods.iter().flat_map(failing_clusters).collect();
    let mut called: BTreeSet<String> =
        failing.iter().filter_map(|name| Some(OutboundCluster::parse(name)?.service.namespace)).collect();
    called = called.into_iter().filter(|namespace| *namespace != own).take(NAMESPACES_MOST).collect();
    called.insert(own);
    let rules_of = objects.namespaces_with_rules_for(target.namespace.as_str());
    let calling = rules_of.into_iter().filter(|namespace| !called.contains(namespace)).take(NAMESPACES_MOST).collect();
    let addresses = pods.iter().flat_map(refused_callers).collect::<BTreeSet<_>>();
    ToRead { called, calling, addresses: addresses.into_iter().take(CALLERS_MOST).collect() }
}

/// The outbound clusters of a pod's proxy of which log or counters show that calls fail.
pub(super) fn failing_clusters(pod: &PodEvidence) -> BTreeSet<String> {
    let lines = pod.proxy_log.value().map(|log| log.lines.as_slice()).unwrap_or_default();
    let signs = lines.iter().map(Redacted::as_str).filter_map(sign_of);
    let logged = signs.filter(|sign| sign.direction == Direction::Outbound).filter_map(|sign| sign.cluster);
    let stats = pod.stats.value();
    let calls = stats.into_iter().flat_map(|stats| &stats.calls);
    let counted = calls.filter(|(_, calls)| many_fail(calls)).map(|(cluster, _)| cluster.clone());
    let handshakes = stats.into_iter().flat_map(|stats| &stats.clients);
    let handshakes = handshakes.filter(|(_, counters)| {
        let failures = counters.failures().unwrap_or(0);
        failures > 0 && failures >= counters.handshake.unwrap_or(0).div_ceil(20)
    });
    logged.chain(counted).chain(handshakes.map(|(cluster, _)| cluster.clone())).collect()
}

/// Whether so many calls fail that a start or a rollout does not explain them: the alert's own 5 %.
pub(super) fn many_fail(calls: &ClusterCalls) -> bool {
    let failed = calls.failed.saturating_add(calls.connects_failed);
    let all = calls.answered.saturating_add(failed);
    failed > 0 && failed.saturating_mul(20) >= all
}

/// The Services that lead to the target's pods, and the one that it names.
pub(super) fn services_of(target: &TargetRef, pods: &[PodEvidence], computed: &Computed<'_>) -> BTreeSet<ObjectName> {
    let own: BTreeSet<String> = pods.iter().map(|pod| pod.pod.to_string()).collect();
    let leads_there = computed.services_by_host().into_iter().filter(|service| {
        let behind = computed.endpoints_of(service).iter().filter_map(|one| one.pod);
        service.metadata.namespace == target.namespace.as_str()
            && behind.into_iter().any(|pod| own.contains(&pod.metadata.object_name().to_string()))
    });
    let named = (target.kind == TargetKind::Service)
        .then(|| ObjectName { namespace: target.namespace.to_string(), name: target.name.to_string() });
    leads_there.map(|service| service.metadata.object_name()).chain(named).collect()
}
