//! What may change a call and is not computed with: named, so that an answer is not taken for certain where one has a say.

use std::fmt;

use serde_json::Value;

use super::{
    cluster::Computed,
    names::{Labels, ObjectName, selects},
    objects::BeyondObject,
    workload_objects::{Pod, Service},
};

/// Something that touches a call beyond what is computed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Beyond {
    /// An object of Istio, and what it can change.
    Object { kind: String, name: ObjectName, says: &'static str },
    /// The node's ztunnel carries this pod's traffic.
    Ambient(ObjectName),
    /// The client is a gateway, for which other rules hold.
    Gateway(ObjectName),
    /// The Service is an alias of another name.
    ExternalName(ObjectName),
}

impl fmt::Display for Beyond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object { kind, name, says } => write!(f, "{kind} {name} {says}"),
            Self::Ambient(pod) => write!(f, "pod {pod} is in ambient mode, where ztunnel makes the mTLS"),
            Self::Gateway(pod) => write!(f, "pod {pod} is a gateway, for which Istio has other rules"),
            Self::ExternalName(service) => write!(f, "Service {service} is an alias of a name elsewhere"),
        }
    }
}

/// Labels that Istio and its charts put on gateways.
const GATEWAY_LABELS: [&str; 2] = ["gateway.networking.k8s.io/gateway-name", "gateway.istio.io/managed"];

impl Computed<'_> {
    /// Everything that touches the calls of a client to a Service and is not in their answer.
    pub fn beyond(&self, client: &Pod, service: &Service) -> Vec<Beyond> {
        let mut found: Vec<Beyond> = Vec::new();
        let servers = self.endpoints_of(service).iter().filter_map(|one| one.pod);
        let ambient = servers.chain([client]).filter(|pod| pod.is_ambient());
        found.extend(ambient.map(|pod| Beyond::Ambient(pod.metadata.object_name())));
        if is_gateway(client) {
            found.push(Beyond::Gateway(client.metadata.object_name()));
        }
        if service.is_external_name() {
            found.push(Beyond::ExternalName(service.metadata.object_name()));
        }
        for object in &self.objects.beyond {
            if let Some(says) = self.touches(object, client, service) {
                let name = object.metadata.object_name();
                found.push(Beyond::Object { kind: object.kind.clone(), name, says });
            }
        }
        found.sort();
        found.dedup();
        found
    }

    fn touches(&self, object: &BeyondObject, client: &Pod, service: &Service) -> Option<&'static str> {
        let host = service.host();
        match object.kind.as_str() {
            "Sidecar" if self.is_for(object, client) => Some("limits what the client's proxy knows"),
            "EnvoyFilter" if self.is_for(object, client) => Some("rewrites the client's proxy"),
            "EnvoyFilter" | "Sidecar" => {
                let mut servers = self.endpoints_of(service).iter().filter_map(|one| one.pod);
                servers.any(|pod| self.is_for(object, pod)).then_some("changes the server's proxy")
            }
            "VirtualService" if names_host(object, &host) && is_for_mesh(object) => Some("may send the call elsewhere"),
            "ServiceEntry" if names_host(object, &host) => Some("names the same host"),
            "WorkloadEntry" if object.metadata.namespace == service.metadata.namespace => {
                Some("may be an endpoint without a pod")
            }
            _ => None,
        }
    }

    /// Whether an object with a `workloadSelector` is for this pod; the root namespace's are for all.
    fn is_for(&self, object: &BeyondObject, pod: &Pod) -> bool {
        let selector = object.spec.get("workloadSelector").and_then(|selector| selector.get("labels"));
        let labels: Labels =
            selector.and_then(|labels| serde_json::from_value(labels.clone()).ok()).unwrap_or_default();
        let namespace = &object.metadata.namespace;
        let in_reach = *namespace == pod.metadata.namespace || *namespace == self.objects.mesh.root_namespace;
        in_reach && selects(&labels, &pod.metadata.labels)
    }
}

fn is_gateway(pod: &Pod) -> bool {
    let labels = &pod.metadata.labels;
    GATEWAY_LABELS.iter().any(|label| labels.contains_key(*label))
        || labels.get("istio").is_some_and(|value| value.ends_with("gateway"))
}

fn texts<'v>(object: &'v BeyondObject, field: &str) -> impl Iterator<Item = &'v str> {
    object.spec.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

pub(super) fn names_host(object: &BeyondObject, host: &str) -> bool {
    texts(object, "hosts").any(|named| match named.strip_prefix('*') {
        Some(end) => host.ends_with(end),
        None if named.contains('.') => host == named,
        None => host == format!("{named}.{}.svc.cluster.local", object.metadata.namespace),
    })
}

/// Routes without `gateways` are for sidecars.
fn is_for_mesh(object: &BeyondObject) -> bool {
    let mut gateways = texts(object, "gateways").peekable();
    gateways.peek().is_none() || gateways.any(|name| name == "mesh")
}
