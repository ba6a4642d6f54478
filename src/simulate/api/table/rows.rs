//! The columns and cells of each kind.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Column, age, pods};
use crate::simulate::store::Kind;

const NAME: Column = ("Name", false);
const AGE: Column = ("Age", false);

/// The columns of a kind; kinds that are not listed have name and age.
pub(super) fn columns(kind: Kind) -> &'static [Column] {
    match kind {
        Kind::Pod => &[
            NAME,
            ("Ready", false),
            ("Status", false),
            ("Restarts", false),
            AGE,
            ("IP", true),
            ("Node", true),
            ("Nominated Node", true),
            ("Readiness Gates", true),
        ],
        Kind::Deployment => &[
            NAME,
            ("Ready", false),
            ("Up-to-date", false),
            ("Available", false),
            AGE,
            ("Containers", true),
            ("Images", true),
            ("Selector", true),
        ],
        Kind::ReplicaSet => &[NAME, ("Desired", false), ("Current", false), ("Ready", false), AGE],
        Kind::StatefulSet => &[NAME, ("Ready", false), AGE, ("Containers", true), ("Images", true)],
        Kind::DaemonSet => &[
            NAME,
            ("Desired", false),
            ("Current", false),
            ("Ready", false),
            ("Up-to-date", false),
            ("Available", false),
            AGE,
        ],
        Kind::Service => &[
            NAME,
            ("Type", false),
            ("Cluster-IP", false),
            ("External-IP", false),
            ("Port(s)", false),
            AGE,
            ("Selector", true),
        ],
        Kind::EndpointSlice => &[NAME, ("AddressType", false), ("Ports", false), ("Endpoints", false), AGE],
        Kind::Node => &[NAME, ("Status", false), ("Roles", false), AGE, ("Version", false), ("Internal-IP", true)],
        Kind::Namespace => &[NAME, ("Status", false), AGE],
        Kind::ConfigMap => &[NAME, ("Data", false), AGE],
        Kind::Event => {
            &[("Last Seen", false), ("Type", false), ("Reason", false), ("Object", false), ("Message", false)]
        }
        Kind::PodDisruptionBudget => {
            &[NAME, ("Min Available", false), ("Max Unavailable", false), ("Allowed Disruptions", false), AGE]
        }
        Kind::PeerAuthentication => &[NAME, ("Mode", false), AGE],
        Kind::DestinationRule => &[NAME, ("Host", false), AGE],
        Kind::ServiceAccount
        | Kind::AuthorizationPolicy
        | Kind::VirtualService
        | Kind::Sidecar
        | Kind::ServiceEntry
        | Kind::EnvoyFilter => &[NAME, AGE],
    }
}

/// The cells of one object, one for each column.
pub(super) fn cells(kind: Kind, object: &Value, now: Timestamp) -> Vec<Value> {
    let at = |path: &str| text(object, path, "<none>");
    let name = json!(at("/metadata/name"));
    let age = json!(age::since(object, "/metadata/creationTimestamp", now));
    let number = |path: &str| object.pointer(path).and_then(Value::as_i64).unwrap_or(0);
    let of = |part: &str, whole: i64| json!(format!("{}/{whole}", number(part)));
    match kind {
        Kind::Pod => {
            let [ready, status, restarts] = pods::state(object, now);
            let (ip, node, nominated) = (at("/status/podIP"), at("/spec/nodeName"), at("/status/nominatedNodeName"));
            vec![name, ready, status, restarts, age, json!(ip), json!(node), json!(nominated), json!("<none>")]
        }
        Kind::Deployment => vec![
            name,
            of("/status/readyReplicas", number("/spec/replicas")),
            json!(number("/status/updatedReplicas")),
            json!(number("/status/availableReplicas")),
            age,
            json!(containers(object, "name")),
            json!(containers(object, "image")),
            json!(pairs(object, "/spec/selector/matchLabels")),
        ],
        Kind::ReplicaSet => {
            let counts =
                ["/spec/replicas", "/status/replicas", "/status/readyReplicas"].map(|path| json!(number(path)));
            let [desired, current, ready] = counts;
            vec![name, desired, current, ready, age]
        }
        Kind::StatefulSet => {
            let ready = of("/status/readyReplicas", number("/spec/replicas"));
            vec![name, ready, age, json!(containers(object, "name")), json!(containers(object, "image"))]
        }
        Kind::DaemonSet => {
            let [desired, current, ready, updated, available] = [
                "/status/desiredNumberScheduled",
                "/status/currentNumberScheduled",
                "/status/numberReady",
                "/status/updatedNumberScheduled",
                "/status/numberAvailable",
            ]
            .map(|path| json!(number(path)));
            vec![name, desired, current, ready, updated, available, age]
        }
        Kind::Service => {
            let (kind, ip) = (text(object, "/spec/type", "ClusterIP"), at("/spec/clusterIP"));
            let selector = pairs(object, "/spec/selector");
            vec![
                name,
                json!(kind),
                json!(ip),
                json!("<none>"),
                json!(ports(object, "/spec/ports")),
                age,
                json!(selector),
            ]
        }
        Kind::EndpointSlice => {
            let (family, ports) = (at("/addressType"), ports(object, "/ports"));
            vec![name, json!(family), json!(ports), json!(endpoints(object)), age]
        }
        Kind::Node => {
            let (version, ip) = (at("/status/nodeInfo/kubeletVersion"), address(object));
            vec![name, json!(node_status(object)), json!(roles(object)), age, json!(version), json!(ip)]
        }
        Kind::Namespace => vec![name, json!(text(object, "/status/phase", "Active")), age],
        Kind::ConfigMap => {
            let entries = |path: &str| object.pointer(path).and_then(Value::as_object).map_or(0, serde_json::Map::len);
            vec![name, json!(entries("/data") + entries("/binaryData")), age]
        }
        Kind::Event => {
            let subject = format!("{}/{}", at("/involvedObject/kind").to_lowercase(), at("/involvedObject/name"));
            let seen = json!(age::since(object, "/lastTimestamp", now));
            vec![seen, json!(at("/type")), json!(at("/reason")), json!(subject), json!(at("/message"))]
        }
        Kind::PodDisruptionBudget => {
            let [least, most] = ["/spec/minAvailable", "/spec/maxUnavailable"].map(|path| text(object, path, "N/A"));
            vec![name, json!(least), json!(most), json!(number("/status/disruptionsAllowed")), age]
        }
        Kind::PeerAuthentication => vec![name, json!(text(object, "/spec/mtls/mode", "")), age],
        Kind::DestinationRule => vec![name, json!(at("/spec/host")), age],
        Kind::ServiceAccount
        | Kind::AuthorizationPolicy
        | Kind::VirtualService
        | Kind::Sidecar
        | Kind::ServiceEntry
        | Kind::EnvoyFilter => vec![name, age],
    }
}

fn text(object: &Value, path: &str, absent: &str) -> String {
    match object.pointer(path) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => absent.to_owned(),
        Some(other) => other.to_string(),
    }
}

fn joined(parts: &[String]) -> String {
    if parts.is_empty() { "<none>".to_owned() } else { parts.join(",") }
}

fn items<'a>(object: &'a Value, path: &str) -> impl Iterator<Item = &'a Value> {
    object.pointer(path).and_then(Value::as_array).into_iter().flatten()
}

fn containers(object: &Value, field: &str) -> String {
    joined(
        &items(object, "/spec/template/spec/containers")
            .map(|one| text(one, &format!("/{field}"), ""))
            .collect::<Vec<_>>(),
    )
}

fn pairs(object: &Value, path: &str) -> String {
    let labels = object.pointer(path).and_then(Value::as_object).into_iter().flatten();
    joined(&labels.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default())).collect::<Vec<_>>())
}

fn ports(object: &Value, path: &str) -> String {
    let shown = items(object, path).map(|port| match path {
        "/ports" => text(port, "/port", ""),
        _ => format!("{}/{}", text(port, "/port", ""), text(port, "/protocol", "TCP")),
    });
    joined(&shown.collect::<Vec<_>>())
}

fn endpoints(object: &Value) -> String {
    let addresses = items(object, "/endpoints").flat_map(|one| items(one, "/addresses"));
    joined(&addresses.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>())
}

fn address(node: &Value) -> String {
    let internal = items(node, "/status/addresses").find(|one| text(one, "/type", "") == "InternalIP");
    internal.map_or_else(|| "<none>".to_owned(), |one| text(one, "/address", "<none>"))
}

fn node_status(node: &Value) -> String {
    let ready = items(node, "/status/conditions").find(|one| text(one, "/type", "") == "Ready");
    let state = match ready.map(|one| text(one, "/status", "")).as_deref() {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    let cordoned = node.pointer("/spec/unschedulable") == Some(&Value::Bool(true));
    if cordoned { format!("{state},SchedulingDisabled") } else { state.to_owned() }
}

fn roles(node: &Value) -> String {
    let labels = node.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
    joined(
        &labels
            .filter_map(|(name, _)| Some(name.strip_prefix("node-role.kubernetes.io/")?.to_owned()))
            .collect::<Vec<_>>(),
    )
}
