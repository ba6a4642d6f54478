//! The controllers: deleted pods are replaced, readiness follows, EndpointSlices follow readiness.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{
    WorldState, bundle, objects,
    pod::{Log, Pod, SimulatedAgent},
    probes, rotation, spire,
    topology::{NODES, WORKLOADS, Workload},
};
use crate::simulate::store::{Kind, Store};

/// How long the containers of a new pod take to start.
const STARTS_IN: SignedDuration = SignedDuration::from_secs(4);

/// The first pods of a world.
pub(super) fn populate(inner: &mut WorldState, store: &Store, began: Timestamp) {
    for node in NODES {
        start_agent(inner, store, node, began, true);
    }
    for workload in &WORKLOADS {
        for node in workload.nodes {
            start_pod(inner, store, workload, node, began, SignedDuration::ZERO);
        }
    }
    let pods: Vec<_> = inner.pods.iter().map(|(key, pod)| (key.clone(), pod.node.clone(), pod.workload.name)).collect();
    for (place, (key, node, workload)) in (0_i32..).zip(pods) {
        // A mesh renews all the time: each pod's SVID began at another moment. Those that scenarios break began with
        // the world, so that it is known when they end.
        let earlier = if workload == "frontend" { SignedDuration::ZERO } else { STAGGER * (place % STAGGERED) };
        rotation::renew(inner, &key, &node, began - earlier);
    }
    control(inner, store, began);
}

/// How far apart the renewals of two pods are, and how many such steps there are: together half of a lifetime.
const STAGGER: SignedDuration = SignedDuration::from_mins(5);
const STAGGERED: i32 = 6;

/// What was deleted through the API is gone here too, and its replacement starts.
pub(super) fn notice_deletions(inner: &mut WorldState, store: &Store, now: Timestamp) {
    let gone: Vec<_> = inner
        .pods
        .iter()
        .filter(|((namespace, name), pod)| !lives(store, namespace, name, &pod.uid))
        .map(|(key, _)| key.clone())
        .collect();
    let replaced = !gone.is_empty();
    for key in gone {
        let Some(pod) = inner.pods.remove(&key) else { continue };
        objects::event(store, &key.0, "Pod", &key.1, &pod.uid, "Killing", "Stopping container app", now);
        let node = pod.node.clone();
        start_pod(inner, store, pod.workload, &node, now, STARTS_IN);
    }
    if replaced {
        publish(inner, store);
    }
    let gone: Vec<_> = inner
        .agents
        .iter()
        .filter(|(_, agent)| !lives(store, "spire-system", &agent.pod, &agent.uid))
        .map(|(node, _)| node.clone())
        .collect();
    for node in gone {
        start_agent(inner, store, &node, now, false);
        // A restart is what a frozen agent needs.
        inner.faults.remove(&super::Fault::AgentFrozen { node: node.clone() });
        inner.faults.remove(&super::Fault::AgentStuckButGreen { node });
    }
    objects::restore_spire_server(store, now);
}

/// The pods of SPIRE are Ready as their probes, which are the healthchecks, find them.
pub(super) fn probe_spire(inner: &mut WorldState, store: &Store, now: Timestamp) {
    let frozen: Vec<bool> =
        inner.agents.keys().map(|node| inner.has(&super::Fault::AgentFrozen { node: node.clone() })).collect();
    let mut moved = false;
    for (agent, frozen) in inner.agents.values_mut().zip(frozen) {
        let ready = agent.ready_at.is_none() && !frozen;
        if ready != agent.shown_ready {
            (agent.shown_ready, moved) = (ready, true);
            probes::set_ready(store, "spire-system", &agent.pod, ready, now);
        }
    }
    if moved {
        let ready = inner.agents.values().filter(|agent| agent.shown_ready).count();
        probes::count_ready(store, Kind::DaemonSet, "spire-agent", ready);
    }
    let up = !inner.has(&super::Fault::ServerDown);
    if probes::set_ready(store, "spire-system", "spire-server-0", up, now) {
        probes::count_ready(store, Kind::StatefulSet, "spire-server", usize::from(up));
    }
}

fn lives(store: &Store, namespace: &str, name: &str, uid: &str) -> bool {
    let object = store.get(Kind::Pod, Some(namespace), name);
    object.is_some_and(|object| object.pointer("/metadata/uid").is_some_and(|found| found == uid))
}

fn start_pod(
    inner: &mut WorldState,
    store: &Store,
    workload: &'static Workload,
    node: &str,
    now: Timestamp,
    starts_in: SignedDuration,
) {
    inner.born = inner.born.saturating_add(1);
    let name = format!("{}-{}-{}", workload.name, objects::template_hash(workload), suffix(inner.born));
    let is_first = bundle::is_first(inner, workload);
    let pod = Pod {
        workload,
        uid: uid(inner.born),
        node: node.to_owned(),
        address: format!("10.244.{}.{}", node.trim_start_matches("node-"), inner.born % 250 + 2),
        started_at: now,
        up_at: now + starts_in,
        ready: false,
        svid: None,
        served: None,
        is_first,
        native_sidecar: inner.has(&super::Fault::NativeSidecar),
        issued_at: None,
        server: super::pod::PodCounters::default(),
        clients: std::collections::BTreeMap::new(),
        app_log: Log::default(),
        proxy_log: Log::default(),
        unlogged: std::collections::BTreeMap::new(),
    };
    store.apply(Kind::Pod, objects::workload_pod(&name, &pod));
    objects::event(store, workload.namespace, "Pod", &name, &pod.uid, "Scheduled", "Assigned to a node", now);
    inner.pods.insert((workload.namespace.to_owned(), name), pod);
}

fn start_agent(inner: &mut WorldState, store: &Store, node: &str, now: Timestamp, at_once: bool) {
    inner.born = inner.born.saturating_add(1);
    let name = format!("spire-agent-{}", suffix(inner.born));
    let ready_at = (!at_once).then(|| now + STARTS_IN);
    let mut log = Log::default();
    for line in spire::start_lines(now) {
        log.write(now, line);
    }
    let uid = uid(inner.born);
    let agent =
        SimulatedAgent { pod: name, uid, started_at: now, ready_at, shown_ready: at_once, log, complained_at: now };
    store.apply(Kind::Pod, objects::agent_pod(node, &agent, at_once));
    inner.agents.insert(node.to_owned(), agent);
}

/// Five letters and digits, as Kubernetes appends them.
fn suffix(number: u32) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut rest = u64::from(number).wrapping_mul(2_654_435_761) % 14_348_907;
    let mut text = String::with_capacity(5);
    for _ in 0..5 {
        let place = usize::try_from(rest % 27).unwrap_or(0);
        text.push(ALPHABET.get(place).copied().map_or('x', char::from));
        rest /= 27;
    }
    text
}

fn uid(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

/// Readiness and everything that follows from it, at `now`.
pub(super) fn control(inner: &mut WorldState, store: &Store, now: Timestamp) {
    for agent in inner.agents.values_mut() {
        agent.ready_at = agent.ready_at.filter(|ready_at| now < *ready_at);
    }
    rotation::rotate(inner, now);
    let mut moved = false;
    let unregistered: Vec<bool> =
        inner.pods.values().map(|pod| rotation::since(inner, rotation::no_entry, pod.workload).is_some()).collect();
    for (((namespace, name), pod), unregistered) in inner.pods.iter_mut().zip(unregistered) {
        let ready = now >= pod.up_at && pod.served.is_some();
        if now >= pod.up_at && pod.served.is_none() && pod.proxy_log.lines().is_empty() {
            if unregistered {
                let refusal = format!(
                    "{now:.6}\twarning\tenvoy config gRPC config stream to sds-grpc closed: 7, workload is not authorized \
                     for the requested identities [\"default\"]"
                );
                pod.proxy_log.write(now, refusal);
            }
            let complaint = format!(
                "{now:.6}\twarning\tenvoy config external/envoy/source/extensions/config_subscription/grpc/grpc_stream.h\t\
                 TLS error: Secret is not supplied by SDS"
            );
            pod.proxy_log.write(now, complaint);
        }
        if ready && !pod.ready {
            pod.ready = true;
            moved = true;
            pod.proxy_log.write(now, format!("{now:.6}\tinfo\t{}", identity_line(pod)));
            pod.proxy_log.write(now, format!("{now:.6}\tinfo\tEnvoy proxy is ready"));
            pod.app_log.write(now, "listening on :8443".to_owned());
            store.apply(Kind::Pod, objects::workload_pod(name, pod));
            objects::event(store, namespace, "Pod", name, &pod.uid, "Started", "Started container app", now);
        }
    }
    if moved {
        publish(inner, store);
    }
}

/// How istio-proxy says at its start where its identity comes from.
fn identity_line(pod: &Pod) -> &'static str {
    if pod.served.as_ref().is_some_and(|svid| svid.from_istiod) {
        "Starting default Istio SDS Server"
    } else {
        "Existing workload SDS socket found at /var/run/secrets/workload-spiffe-uds/socket. Default Istio SDS Server \
         will only serve files"
    }
}

/// Endpoints and the status of the owners, as the pods are now.
fn publish(inner: &WorldState, store: &Store) {
    for workload in &WORKLOADS {
        let pods: Vec<_> = inner.pods.iter().filter(|(_, pod)| pod.workload == workload).collect();
        store.apply(Kind::EndpointSlice, objects::endpoint_slice(workload, &pods));
        let ready = pods.iter().filter(|(_, pod)| pod.ready).count();
        for (kind, name) in objects::owners(workload) {
            store.update(kind, Some(workload.namespace), &name, |object| {
                if let Some(status) = object.get_mut("status") {
                    *status = json!({"observedGeneration": 1, "replicas": workload.nodes.len(),
                        "readyReplicas": ready, "availableReplicas": ready, "updatedReplicas": workload.nodes.len()});
                }
            });
        }
    }
}
