//! What decides on mTLS between a target and those that it calls or is called by: Istio's and Kubernetes' objects, reduced to
//! what is judged, and what the proxies on the other side say.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Gathered, LogExcerpt, Missing, PodEvidence, ProxyStats,
    istio::{ObjectName, Objects},
};
use crate::mesh::PodRef;

/// The objects that decide between the target and its peers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IstioEvidence {
    /// Only what the rules read of each object, and only those objects that can have a say on a call in question.
    pub objects: Objects,
    /// What could not be read whole: what is not among the objects may be there all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_listed: Vec<NotListed>,
    /// Whose the addresses are from which the target was called without mTLS.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub callers: Vec<CallerEvidence>,
    /// What the proxies of clients say whose calls cannot work by the objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<ClientEvidence>,
    /// When the last of it was read.
    pub at: Timestamp,
}

/// A kind of objects that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectKind {
    PeerAuthentication,
    DestinationRule,
    Sidecar,
    ServiceEntry,
    VirtualService,
    EnvoyFilter,
    /// The ConfigMap `istio` of istiod's namespace.
    MeshConfig,
    Namespace,
    Service,
    EndpointSlice,
    Pod,
}

impl ObjectKind {
    /// The kind as objects name it.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether it is Istio's own kind, which a cluster without Istio does not serve.
    pub fn is_istios(self) -> bool {
        !matches!(self, Self::MeshConfig | Self::Namespace | Self::Service | Self::EndpointSlice | Self::Pod)
    }
}

/// Objects that could not be read, or not all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotListed {
    pub kind: ObjectKind,
    /// Of this namespace; of all where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    pub reason: Missing,
}

impl NotListed {
    /// Whether the cluster does not serve this kind of Istio's: then it has no object of it, and nothing is unseen.
    pub fn is_not_served(&self) -> bool {
        self.kind.is_istios() && matches!(self.reason, Missing::Gone { .. })
    }
}

impl fmt::Display for NotListed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} objects", self.kind.name())?;
        match &self.namespace {
            Some(namespace) => write!(f, " of {namespace}"),
            None => f.write_str(" of all namespaces"),
        }
    }
}

/// Who has an address that called the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallerEvidence {
    pub address: String,
    /// The pods of that address: several where they share their node's.
    pub pods: Gathered<Vec<ObjectName>>,
}

/// The proxy of one client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientEvidence {
    pub pod: PodRef,
    /// What its proxy counts.
    pub stats: Gathered<ProxyStats>,
    /// What its proxy logged about TLS.
    pub proxy_log: Gathered<LogExcerpt>,
}

impl From<&PodEvidence> for ClientEvidence {
    fn from(pod: &PodEvidence) -> Self {
        Self { pod: pod.pod.clone(), stats: pod.stats.clone(), proxy_log: pod.proxy_log.clone() }
    }
}

impl IstioEvidence {
    /// Why objects of a kind may be missing here, in all namespaces or in this one.
    pub(super) fn not_listed(&self, kind: ObjectKind, namespace: Option<&str>) -> Option<&NotListed> {
        let is_there = |gap: &&NotListed| gap.namespace.is_none() || gap.namespace.as_deref() == namespace;
        self.not_listed.iter().filter(|gap| gap.kind == kind).find(is_there)
    }
}
