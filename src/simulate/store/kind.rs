//! The kinds of objects that the simulated cluster knows, and what the API says about each.

/// A kind of Kubernetes object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A pod.
    Pod,
    /// A Service.
    Service,
    /// The endpoints of a Service.
    EndpointSlice,
    /// A machine.
    Node,
    /// A namespace.
    Namespace,
    /// A ConfigMap.
    ConfigMap,
    /// An Event (core group).
    Event,
    /// A ServiceAccount.
    ServiceAccount,
    /// A Deployment.
    Deployment,
    /// A ReplicaSet.
    ReplicaSet,
    /// A DaemonSet.
    DaemonSet,
    /// A StatefulSet.
    StatefulSet,
    /// A PodDisruptionBudget.
    PodDisruptionBudget,
    /// Istio's PeerAuthentication.
    PeerAuthentication,
    /// Istio's AuthorizationPolicy.
    AuthorizationPolicy,
    /// Istio's DestinationRule.
    DestinationRule,
    /// Istio's VirtualService.
    VirtualService,
    /// Istio's Sidecar.
    Sidecar,
    /// Istio's ServiceEntry.
    ServiceEntry,
    /// Istio's EnvoyFilter.
    EnvoyFilter,
}

/// What discovery tells of a kind.
#[derive(Debug, Clone, Copy)]
pub struct KindDescription {
    /// The `kind` of an object.
    pub kind: &'static str,
    /// The name in URLs.
    pub plural: &'static str,
    /// The name of one.
    pub singular: &'static str,
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The versions served, the preferred one first.
    pub versions: &'static [&'static str],
    /// Whether it lives in a namespace.
    pub namespaced: bool,
    /// What people type instead.
    pub short_names: &'static [&'static str],
}

/// Istio serves both since 1.22; `v1` is preferred.
const ISTIO: &[&str] = &["v1", "v1beta1"];
const V1: &[&str] = &["v1"];
const SECURITY: &str = "security.istio.io";
const NETWORKING: &str = "networking.istio.io";

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 20] = [
        Self::Pod,
        Self::Service,
        Self::EndpointSlice,
        Self::Node,
        Self::Namespace,
        Self::ConfigMap,
        Self::Event,
        Self::ServiceAccount,
        Self::Deployment,
        Self::ReplicaSet,
        Self::DaemonSet,
        Self::StatefulSet,
        Self::PodDisruptionBudget,
        Self::PeerAuthentication,
        Self::AuthorizationPolicy,
        Self::DestinationRule,
        Self::VirtualService,
        Self::Sidecar,
        Self::ServiceEntry,
        Self::EnvoyFilter,
    ];

    /// What discovery tells of it.
    pub fn facts(self) -> KindDescription {
        match self {
            Self::Pod => core("Pod", "pods", "pod", &["po"]),
            Self::Service => core("Service", "services", "service", &["svc"]),
            Self::Node => cluster("Node", "nodes", "node", &["no"]),
            Self::Namespace => cluster("Namespace", "namespaces", "namespace", &["ns"]),
            Self::ConfigMap => core("ConfigMap", "configmaps", "configmap", &["cm"]),
            Self::Event => core("Event", "events", "event", &["ev"]),
            Self::ServiceAccount => core("ServiceAccount", "serviceaccounts", "serviceaccount", &["sa"]),
            Self::EndpointSlice => {
                grouped("discovery.k8s.io", V1, core("EndpointSlice", "endpointslices", "endpointslice", &[]))
            }
            Self::Deployment => grouped("apps", V1, core("Deployment", "deployments", "deployment", &["deploy"])),
            Self::ReplicaSet => grouped("apps", V1, core("ReplicaSet", "replicasets", "replicaset", &["rs"])),
            Self::DaemonSet => grouped("apps", V1, core("DaemonSet", "daemonsets", "daemonset", &["ds"])),
            Self::StatefulSet => grouped("apps", V1, core("StatefulSet", "statefulsets", "statefulset", &["sts"])),
            Self::PodDisruptionBudget => {
                let names = core("PodDisruptionBudget", "poddisruptionbudgets", "poddisruptionbudget", &["pdb"]);
                grouped("policy", V1, names)
            }
            Self::PeerAuthentication => {
                let names = core("PeerAuthentication", "peerauthentications", "peerauthentication", &["pa"]);
                grouped(SECURITY, ISTIO, names)
            }
            Self::AuthorizationPolicy => {
                let names = core("AuthorizationPolicy", "authorizationpolicies", "authorizationpolicy", &["ap"]);
                grouped(SECURITY, ISTIO, names)
            }
            Self::DestinationRule => {
                grouped(NETWORKING, ISTIO, core("DestinationRule", "destinationrules", "destinationrule", &["dr"]))
            }
            Self::VirtualService => {
                grouped(NETWORKING, ISTIO, core("VirtualService", "virtualservices", "virtualservice", &["vs"]))
            }
            Self::Sidecar => grouped(NETWORKING, ISTIO, core("Sidecar", "sidecars", "sidecar", &[])),
            Self::ServiceEntry => {
                grouped(NETWORKING, ISTIO, core("ServiceEntry", "serviceentries", "serviceentry", &["se"]))
            }
            Self::EnvoyFilter => {
                grouped(NETWORKING, &["v1alpha3"], core("EnvoyFilter", "envoyfilters", "envoyfilter", &[]))
            }
        }
    }

    /// The kind that a URL names, as in `apis/GROUP/VERSION/PLURAL`.
    pub fn of_url(group: &str, version: &str, plural: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| {
            let facts = kind.facts();
            facts.group == group && facts.plural == plural && facts.versions.contains(&version)
        })
    }

    /// The `apiVersion` of an object of this kind in the preferred version.
    pub fn api_version(self) -> String {
        let facts = self.facts();
        api_version(facts.group, facts.versions.first().copied().unwrap_or("v1"))
    }
}

/// `GROUP/VERSION`, or only the version in the core group.
pub fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

const fn core(
    kind: &'static str,
    plural: &'static str,
    singular: &'static str,
    short_names: &'static [&'static str],
) -> KindDescription {
    KindDescription { kind, plural, singular, group: "", versions: V1, namespaced: true, short_names }
}

const fn cluster(
    kind: &'static str,
    plural: &'static str,
    singular: &'static str,
    short_names: &'static [&'static str],
) -> KindDescription {
    KindDescription { kind, plural, singular, group: "", versions: V1, namespaced: false, short_names }
}

const fn grouped(group: &'static str, versions: &'static [&'static str], names: KindDescription) -> KindDescription {
    KindDescription { group, versions, ..names }
}
