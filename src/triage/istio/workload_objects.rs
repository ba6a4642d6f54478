//! Pods, Services and EndpointSlices: the fields that decide how a call is made.

use serde::{Deserialize, Serialize};

use super::names::{Metadata, TLS_MODE_LABEL, is_default, null_as_default};

/// The container that carries a sidecar's proxy, among the init containers where the sidecar is a native one.
const PROXY_CONTAINER: &str = "istio-proxy";
/// Marks a pod whose traffic the node's ztunnel carries.
pub(super) const AMBIENT_REDIRECTION: &str = "ambient.istio.io/redirection";

/// A pod, by what Istio reads of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Pod {
    #[serde(default, skip_serializing_if = "is_default")]
    pub metadata: Metadata,
    #[serde(default, skip_serializing_if = "is_default")]
    pub spec: PodSpec,
    #[serde(default, skip_serializing_if = "is_default")]
    pub status: PodStatus,
}

/// Its containers and its service account.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodSpec {
    #[serde(default, skip_serializing_if = "is_default")]
    pub service_account_name: String,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub containers: Vec<Container>,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub init_containers: Vec<Container>,
}

/// A container by its name and declared ports.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Container {
    pub name: String,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub ports: Vec<ContainerPort>,
}

/// A port that a container declares.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerPort {
    pub container_port: u16,
}

/// Its phase and its address.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodStatus {
    #[serde(default, skip_serializing_if = "is_default")]
    pub phase: String,
    #[serde(default, skip_serializing_if = "is_default", rename = "podIP")]
    pub pod_ip: String,
}

impl Pod {
    /// Whether one of its containers is Istio's proxy.
    pub fn has_sidecar(&self) -> bool {
        self.spec.containers.iter().chain(&self.spec.init_containers).any(|one| one.name == PROXY_CONTAINER)
    }

    /// Whether the node's ztunnel carries its traffic.
    pub fn is_ambient(&self) -> bool {
        self.metadata.annotations.get(AMBIENT_REDIRECTION).is_some_and(|value| value == "enabled")
    }

    /// What Istio takes for the pod's ability to speak its mTLS: `PodTLSMode` of Istio 1.31 (serviceregistry/kube).
    pub(super) fn tls_mode_label(&self) -> &str {
        self.metadata.labels.get(TLS_MODE_LABEL).map_or("disabled", String::as_str)
    }

    pub(super) fn service_account(&self) -> &str {
        match self.spec.service_account_name.as_str() {
            "" => "default",
            name => name,
        }
    }

    /// The ports that the application's own containers declare.
    pub(super) fn declared_ports(&self) -> impl Iterator<Item = u16> {
        let applications = self.spec.containers.iter().filter(|one| one.name != PROXY_CONTAINER);
        applications.flat_map(|one| one.ports.iter().map(|port| port.container_port))
    }

    /// Istio watches no failed pods (`status.phase!=Failed`).
    pub(super) fn is_failed(&self) -> bool {
        self.status.phase == "Failed"
    }
}

/// A Service, by what Istio reads of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Service {
    #[serde(default, skip_serializing_if = "is_default")]
    pub metadata: Metadata,
    #[serde(default, skip_serializing_if = "is_default")]
    pub spec: ServiceSpec,
}

/// Its ports, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSpec {
    #[serde(default, skip_serializing_if = "is_default", rename = "clusterIP")]
    pub cluster_ip: String,
    #[serde(default, skip_serializing_if = "is_default", rename = "type")]
    pub kind: String,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub ports: Vec<ServicePort>,
}

/// A port that clients name, with the hints from which Istio takes the protocol.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServicePort {
    /// Empty where the only port has no name.
    #[serde(default, skip_serializing_if = "is_default")]
    pub name: String,
    pub port: u16,
    #[serde(default, skip_serializing_if = "is_default")]
    pub protocol: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub app_protocol: Option<String>,
}

impl Service {
    /// The name that clients use, with the cluster's usual domain.
    pub fn host(&self) -> String {
        format!("{}.{}.svc.cluster.local", self.metadata.name, self.metadata.namespace)
    }

    /// Whether clients get the pods' addresses from DNS and choose one themselves.
    pub fn is_headless(&self) -> bool {
        self.spec.cluster_ip == "None"
    }

    /// Whether it is but an alias of another name.
    pub fn is_external_name(&self) -> bool {
        self.spec.kind == "ExternalName"
    }

    /// The port of this number; Istio makes no cluster for UDP.
    pub(super) fn port(&self, number: u16) -> Option<&ServicePort> {
        self.spec.ports.iter().find(|one| one.port == number && one.protocol.as_deref() != Some("UDP"))
    }
}

/// A part of a Service's addresses.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointSlice {
    #[serde(default, skip_serializing_if = "is_default")]
    pub metadata: Metadata,
    #[serde(default, skip_serializing_if = "is_default")]
    pub address_type: String,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub endpoints: Vec<SliceEndpoint>,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub ports: Vec<SlicePort>,
}

/// One pod or address in a slice.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SliceEndpoint {
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub addresses: Vec<String>,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub conditions: Conditions,
    #[serde(default, skip_serializing_if = "is_default")]
    pub target_ref: Option<TargetRef>,
}

/// What Kubernetes knows of the readiness of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
pub struct Conditions {
    #[serde(default, skip_serializing_if = "is_default")]
    pub ready: Option<bool>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub terminating: Option<bool>,
}

/// The object behind an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct TargetRef {
    #[serde(default, skip_serializing_if = "is_default")]
    pub kind: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub name: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub namespace: String,
}

/// The port on which the endpoints of a slice listen for a port of the Service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct SlicePort {
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub name: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub port: Option<u16>,
}

impl EndpointSlice {
    /// The Service that the slice belongs to.
    pub(super) fn service(&self) -> Option<&str> {
        self.metadata.labels.get("kubernetes.io/service-name").map(String::as_str)
    }
}

/// Only its labels matter: they say whether pods get a sidecar.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Namespace {
    #[serde(default, skip_serializing_if = "is_default")]
    pub metadata: Metadata,
}

impl Namespace {
    /// Whether pods that are made in it get a sidecar.
    pub(super) fn asks_for_sidecars(&self) -> bool {
        let labels = &self.metadata.labels;
        match labels.get("istio-injection") {
            Some(value) => value == "enabled",
            None => labels.contains_key("istio.io/rev"),
        }
    }
}
