//! The Kubernetes objects of the world.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Fault, WorldState,
    pod::{Pod, SimulatedAgent},
    topology::{NODES, PORT, TRUST_DOMAIN, WORKLOADS, Workload},
};
use crate::simulate::store::{Kind, Store, rfc3339};

/// The hash that the ReplicaSet of a workload is named by.
pub(super) fn template_hash(workload: &Workload) -> String {
    let sum = workload.name.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    format!("{sum:09x}")
}

fn replica_set(workload: &Workload) -> String {
    format!("{}-{}", workload.name, template_hash(workload))
}

/// The owners whose status follows the pods.
pub(super) fn owners(workload: &Workload) -> [(Kind, String); 2] {
    [(Kind::Deployment, workload.name.to_owned()), (Kind::ReplicaSet, replica_set(workload))]
}

fn owner_uid(kind: &str, namespace: &str, name: &str) -> String {
    let sum = format!("{kind}/{namespace}/{name}")
        .bytes()
        .fold(1_469_598_103_934_665_603_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(1_099_511_628_211));
    format!("00000000-0000-4000-9000-{:012x}", sum & 0xffff_ffff_ffff)
}

/// Everything that does not come and go.
pub(super) fn lay_out(store: &Store, inner: &WorldState, began: Timestamp) {
    for name in ["default", "kube-system", "web", "payments", "spire-system", "istio-system"] {
        let injected = matches!(name, "web" | "payments");
        let labels = if injected { json!({"istio-injection": "enabled"}) } else { json!({}) };
        store.apply(
            Kind::Namespace,
            json!({"metadata": {"name": name, "labels": labels}, "status": {"phase": "Active"}}),
        );
        store.apply(Kind::ServiceAccount, json!({"metadata": {"name": "default", "namespace": name}}));
    }
    for node in NODES {
        store.apply(Kind::Node, node_object(node, began));
    }
    for workload in &WORKLOADS {
        lay_out_workload(store, workload);
    }
    lay_out_spire(store, inner);
    lay_out_istio(store, inner);
    restore_spire_server(store, began);
}

fn node_object(node: &str, began: Timestamp) -> Value {
    json!({
        "metadata": {"name": node, "labels": {"kubernetes.io/hostname": node, "kubernetes.io/os": "linux"}},
        "spec": {},
        "status": {
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady",
                "lastHeartbeatTime": rfc3339(began), "lastTransitionTime": rfc3339(began)}],
            "addresses": [{"type": "InternalIP", "address": format!("10.0.0.{}", node.trim_start_matches("node-"))}],
            "nodeInfo": {"kubeletVersion": "v1.36.0", "osImage": "Linux", "kernelVersion": "6.12",
                "containerRuntimeVersion": "containerd://2.1"},
            "allocatable": {"cpu": "8", "memory": "32Gi", "pods": "110"},
            "capacity": {"cpu": "8", "memory": "32Gi", "pods": "110"},
        },
    })
}

fn lay_out_workload(store: &Store, workload: &Workload) {
    let (namespace, name) = (workload.namespace, workload.name);
    let replicas = workload.nodes.len();
    let selector = json!({"matchLabels": {"app": name}});
    let template = json!({"metadata": {"labels": {"app": name}}, "spec": {"serviceAccountName": name}});
    let status = json!({"observedGeneration": 1, "replicas": replicas, "readyReplicas": 0});
    store.apply(Kind::ServiceAccount, json!({"metadata": {"name": name, "namespace": namespace}}));
    store.apply(
        Kind::Deployment,
        json!({"metadata": {"name": name, "namespace": namespace, "uid": owner_uid("Deployment", namespace, name),
            "generation": 1, "labels": {"app": name}},
            "spec": {"replicas": replicas, "selector": selector, "template": template}, "status": status}),
    );
    let set = replica_set(workload);
    store.apply(
        Kind::ReplicaSet,
        json!({"metadata": {"name": set, "namespace": namespace, "uid": owner_uid("ReplicaSet", namespace, &set),
            "generation": 1, "labels": {"app": name, "pod-template-hash": template_hash(workload)},
            "ownerReferences": [owner("apps/v1", "Deployment", namespace, name)]},
            "spec": {"replicas": replicas, "selector": selector, "template": template}, "status": status}),
    );
    store.apply(
        Kind::Service,
        json!({"metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
            "spec": {"type": "ClusterIP", "clusterIP": "10.96.0.10", "selector": {"app": name},
                "ports": [{"name": "https", "port": PORT, "targetPort": PORT, "protocol": "TCP"}]}}),
    );
    if replicas > 1 {
        store.apply(
            Kind::PodDisruptionBudget,
            json!({"metadata": {"name": name, "namespace": namespace},
                "spec": {"minAvailable": 1, "selector": selector}}),
        );
    }
}

fn owner(version: &str, kind: &str, namespace: &str, name: &str) -> Value {
    json!({"apiVersion": version, "kind": kind, "name": name, "uid": owner_uid(kind, namespace, name),
        "controller": true, "blockOwnerDeletion": true})
}

/// The ConfigMap with SPIRE's bundle, as its `k8sbundle` notifier writes it.
pub(super) fn spire_bundle(pem: &str) -> Value {
    json!({"metadata": {"name": "spire-bundle", "namespace": "spire-system"}, "data": {"bundle.crt": pem}})
}

fn lay_out_spire(store: &Store, inner: &WorldState) {
    let namespace = "spire-system";
    store.apply(Kind::ConfigMap, spire_bundle(&inner.spire_bundle()));
    for (kind, named, name) in
        [(Kind::DaemonSet, "DaemonSet", "spire-agent"), (Kind::StatefulSet, "StatefulSet", "spire-server")]
    {
        let count = if kind == Kind::DaemonSet { NODES.len() } else { 1 };
        store.apply(
            kind,
            json!({"metadata": {"name": name, "namespace": namespace, "uid": owner_uid(named, namespace, name),
                "generation": 1, "labels": {"app": name}},
                "spec": {"replicas": count, "selector": {"matchLabels": {"app": name}},
                    "template": {"metadata": {"labels": {"app": name}}, "spec": {}}},
                "status": {"observedGeneration": 1, "replicas": count, "readyReplicas": count,
                    "desiredNumberScheduled": count, "currentNumberScheduled": count, "numberReady": count,
                    "numberAvailable": count, "updatedNumberScheduled": count}}),
        );
    }
    store.apply(
        Kind::Service,
        json!({"metadata": {"name": "spire-server", "namespace": namespace},
            "spec": {"type": "ClusterIP", "clusterIP": "10.96.3.7", "selector": {"app": "spire-server"},
                "ports": [{"name": "grpc", "port": 8081, "targetPort": 8081, "protocol": "TCP"}]}}),
    );
}

fn lay_out_istio(store: &Store, inner: &WorldState) {
    store.apply(
        Kind::ConfigMap,
        json!({"metadata": {"name": "istio", "namespace": "istio-system"},
            "data": {"mesh": format!("trustDomain: {TRUST_DOMAIN}\nrootNamespace: istio-system\n")}}),
    );
    for namespace in ["istio-system", "web", "payments"] {
        store.apply(
            Kind::ConfigMap,
            json!({"metadata": {"name": "istio-ca-root-cert", "namespace": namespace},
                "data": {"root-cert.pem": inner.istio.bundle_pem()}}),
        );
        store.apply(
            Kind::PeerAuthentication,
            json!({"metadata": {"name": "default", "namespace": namespace}, "spec": {"mtls": {"mode": "STRICT"}}}),
        );
    }
    for workload in &WORKLOADS {
        lay_out_rule(store, inner, workload);
    }
}

/// How the clients of a workload call it.
pub(super) fn lay_out_rule(store: &Store, inner: &WorldState, workload: &Workload) {
    let (namespace, name) = (workload.namespace, workload.name);
    let fault = Fault::RuleSaysDisable { namespace: namespace.to_owned(), workload: name.to_owned() };
    let mode = if inner.has(&fault) { "DISABLE" } else { "ISTIO_MUTUAL" };
    store.apply(
        Kind::DestinationRule,
        json!({"metadata": {"name": name, "namespace": namespace},
            "spec": {"host": workload.host(), "trafficPolicy": {"tls": {"mode": mode}}}}),
    );
}

/// Whether clients send plain text to a workload that takes mTLS alone, by the objects as they are now.
pub(super) fn is_called_in_vain(store: &Store, workload: &Workload) -> bool {
    let says = |kind, name, path, mode| {
        let object = store.get(kind, Some(workload.namespace), name);
        object.is_some_and(|object| object.pointer(path).is_some_and(|found| found == mode))
    };
    says(Kind::DestinationRule, workload.name, "/spec/trafficPolicy/tls/mode", "DISABLE")
        && says(Kind::PeerAuthentication, "default", "/spec/mtls/mode", "STRICT")
}

/// The SPIRE server's pod; it comes back when it was deleted.
pub(super) fn restore_spire_server(store: &Store, now: Timestamp) {
    if store.get(Kind::Pod, Some("spire-system"), "spire-server-0").is_some() {
        return;
    }
    let labels = json!({"app": "spire-server"});
    let owner = owner("apps/v1", "StatefulSet", "spire-system", "spire-server");
    let shape = Shape {
        namespace: "spire-system",
        name: "spire-server-0",
        uid: format!("00000000-0000-4000-a000-{:012x}", now.as_second()),
        node: "node-1",
        account: "default",
        address: "10.244.1.250",
        ready: true,
        started: now,
        containers: &[("spire-server", "ghcr.io/spiffe/spire-server:1.13.0", 8081)],
        sidecars: &[],
    };
    store.apply(Kind::Pod, pod_object(&shape, &labels, &owner));
}

struct Shape<'a> {
    namespace: &'a str,
    name: &'a str,
    uid: String,
    node: &'a str,
    account: &'a str,
    address: &'a str,
    ready: bool,
    started: Timestamp,
    containers: &'a [(&'a str, &'a str, u16)],
    /// Init containers that never end: native sidecars.
    sidecars: &'a [(&'a str, &'a str, u16)],
}

fn pod_object(shape: &Shape<'_>, labels: &Value, owner: &Value) -> Value {
    let truth = if shape.ready { "True" } else { "False" };
    let started = rfc3339(shape.started);
    let specs = |containers: &[(&str, &str, u16)], more: &Value| -> Vec<Value> {
        let spec = |(name, image, port): &(&str, &str, u16)| {
            let mut spec = json!({"name": name, "image": image, "ports": [{"containerPort": port, "protocol": "TCP"}]});
            if let (Some(spec), Some(more)) = (spec.as_object_mut(), more.as_object()) {
                spec.extend(more.clone());
            }
            spec
        };
        containers.iter().map(spec).collect()
    };
    let statuses = |containers: &[(&str, &str, u16)]| -> Vec<Value> {
        let status = |(name, image, _): &(&str, &str, u16)| {
            json!({"name": name, "image": image, "imageID": image, "ready": shape.ready, "restartCount": 0,
                "started": true, "containerID": format!("containerd://{}-{name}", shape.uid),
                "state": {"running": {"startedAt": started}}})
        };
        containers.iter().map(status).collect()
    };
    let mut pod = pod_frame(shape, labels, owner, truth, &started);
    let parts = [
        ("spec", "containers", specs(shape.containers, &json!({}))),
        ("spec", "initContainers", specs(shape.sidecars, &json!({"restartPolicy": "Always"}))),
        ("status", "containerStatuses", statuses(shape.containers)),
        ("status", "initContainerStatuses", statuses(shape.sidecars)),
    ];
    for (part, field, values) in parts {
        if let Some(part) = pod.get_mut(part).and_then(Value::as_object_mut).filter(|_| !values.is_empty()) {
            part.insert(field.to_owned(), Value::Array(values));
        }
    }
    pod
}

fn pod_frame(shape: &Shape<'_>, labels: &Value, owner: &Value, truth: &str, started: &str) -> Value {
    json!({
        "metadata": {"name": shape.name, "namespace": shape.namespace, "uid": shape.uid, "labels": labels,
            "creationTimestamp": started, "ownerReferences": [owner]},
        "spec": {"nodeName": shape.node, "serviceAccountName": shape.account, "restartPolicy": "Always"},
        "status": {"phase": "Running", "podIP": shape.address, "podIPs": [{"ip": shape.address}],
            "hostIP": format!("10.0.0.{}", shape.node.trim_start_matches("node-")), "startTime": started,
            "conditions": [
                {"type": "PodScheduled", "status": "True", "lastTransitionTime": started},
                {"type": "Ready", "status": truth, "lastTransitionTime": started},
                {"type": "ContainersReady", "status": truth, "lastTransitionTime": started}]},
    })
}

type Containers = &'static [(&'static str, &'static str, u16)];

const APP: Containers = &[("app", "registry.example.org/app:1.4.2", PORT)];
const PROXY: Containers = &[("istio-proxy", "istio/proxyv2:1.31.0", 15090)];
const APP_AND_PROXY: Containers =
    &[("app", "registry.example.org/app:1.4.2", PORT), ("istio-proxy", "istio/proxyv2:1.31.0", 15090)];

/// A workload's pod: the application and its proxy.
pub(super) fn workload_pod(name: &str, pod: &Pod) -> Value {
    let workload = pod.workload;
    let labels = json!({"app": workload.name, "pod-template-hash": template_hash(workload),
        "security.istio.io/tlsMode": "istio"});
    let owner = owner("apps/v1", "ReplicaSet", workload.namespace, &replica_set(workload));
    let shape = Shape {
        namespace: workload.namespace,
        name,
        uid: pod.uid.clone(),
        node: &pod.node,
        account: workload.name,
        address: &pod.address,
        ready: pod.ready,
        started: pod.started_at,
        containers: if pod.native_sidecar { APP } else { APP_AND_PROXY },
        sidecars: if pod.native_sidecar { PROXY } else { &[] },
    };
    pod_object(&shape, &labels, &owner)
}

/// The pod of a SPIRE agent.
pub(super) fn agent_pod(node: &str, agent: &SimulatedAgent, ready: bool) -> Value {
    let owner = owner("apps/v1", "DaemonSet", "spire-system", "spire-agent");
    let shape = Shape {
        namespace: "spire-system",
        name: &agent.pod,
        uid: agent.uid.clone(),
        node,
        account: "default",
        address: "10.0.0.10",
        ready,
        started: agent.started_at,
        containers: &[("spire-agent", "ghcr.io/spiffe/spire-agent:1.13.0", 9982)],
        sidecars: &[],
    };
    pod_object(&shape, &json!({"app": "spire-agent"}), &owner)
}

/// The endpoints of a workload's Service.
pub(super) fn endpoint_slice(workload: &Workload, pods: &[(&(String, String), &Pod)]) -> Value {
    let endpoints: Vec<Value> = pods
        .iter()
        .map(|((namespace, name), pod)| {
            json!({"addresses": [pod.address], "nodeName": pod.node,
                "conditions": {"ready": pod.ready, "serving": pod.ready, "terminating": false},
                "targetRef": {"kind": "Pod", "namespace": namespace, "name": name, "uid": pod.uid}})
        })
        .collect();
    json!({
        "metadata": {"name": format!("{}-abcde", workload.name), "namespace": workload.namespace,
            "labels": {"kubernetes.io/service-name": workload.name}},
        "addressType": "IPv4", "endpoints": endpoints,
        "ports": [{"name": "https", "port": PORT, "protocol": "TCP"}],
    })
}

/// A Kubernetes Event about an object.
#[expect(clippy::too_many_arguments, reason = "an Event has these fields, and each call names a different set")]
pub(super) fn event(
    store: &Store,
    namespace: &str,
    kind: &str,
    name: &str,
    uid: &str,
    reason: &str,
    message: &str,
    now: Timestamp,
) {
    let revision = *store.changes().borrow();
    store.apply(
        Kind::Event,
        json!({"metadata": {"name": format!("{name}.{revision:x}"), "namespace": namespace},
            "involvedObject": {"apiVersion": "v1", "kind": kind, "namespace": namespace, "name": name, "uid": uid},
            "reason": reason, "message": message, "type": "Normal", "count": 1,
            "source": {"component": "kubelet"}, "firstTimestamp": rfc3339(now), "lastTimestamp": rfc3339(now)}),
    );
}
