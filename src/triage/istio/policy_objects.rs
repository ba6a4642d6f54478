//! PeerAuthentication and DestinationRule: the fields that decide on mTLS.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize};

use super::names::{Labels, Metadata, is_default, null_as_default};

/// What a server's proxy accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Mode {
    /// Says nothing: the next level decides.
    #[default]
    Unset,
    Disable,
    Permissive,
    Strict,
}

impl Mode {
    /// As Istio writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unset => "UNSET",
            Self::Disable => "DISABLE",
            Self::Permissive => "PERMISSIVE",
            Self::Strict => "STRICT",
        }
    }
}

/// What servers accept: of a mesh, a namespace, or the workloads that its selector picks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct PeerAuthentication {
    #[serde(default, skip_serializing_if = "is_default")]
    pub metadata: Metadata,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub spec: PeerAuthenticationSpec,
}

/// The modes that it sets, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerAuthenticationSpec {
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub selector: Selector,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub mtls: MutualTls,
    /// By the port on which the *workload* listens.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub port_level_mtls: BTreeMap<u16, MutualTls>,
}

/// A mode in its wrapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
pub struct MutualTls {
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: Mode,
}

/// Labels that a workload must have.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub match_labels: Labels,
}

/// How clients call a host.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct DestinationRule {
    #[serde(default, skip_serializing_if = "is_default")]
    pub metadata: Metadata,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub spec: DestinationRuleSpec,
}

/// The host, who may see the rule, and what it sets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DestinationRuleSpec {
    #[serde(default, skip_serializing_if = "is_default")]
    pub host: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub traffic_policy: Option<TrafficPolicy>,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub subsets: Vec<Subset>,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub export_to: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub workload_selector: Option<Selector>,
}

/// A named part of a host's pods.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Subset {
    pub name: String,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub labels: Labels,
    #[serde(default, skip_serializing_if = "is_default")]
    pub traffic_policy: Option<TrafficPolicy>,
}

/// What a rule or a subset sets, as a whole and for single ports.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrafficPolicy {
    #[serde(default, skip_serializing_if = "is_default")]
    pub tls: Option<TlsSettings>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub load_balancer: Option<LoadBalancer>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub outlier_detection: Option<OutlierDetection>,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub port_level_settings: Vec<PortSettings>,
}

/// What a policy says of one port of the *Service*.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PortSettings {
    #[serde(default, skip_serializing_if = "is_default")]
    pub port: Option<PortNumber>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub tls: Option<TlsSettings>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub load_balancer: Option<LoadBalancer>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub outlier_detection: Option<OutlierDetection>,
}

impl PortSettings {
    pub(super) fn is_for(&self, port: u16) -> bool {
        self.port.is_some_and(|one| one.number == u32::from(port))
    }
}

/// A port in its wrapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
pub struct PortNumber {
    #[serde(default, skip_serializing_if = "is_default")]
    pub number: u32,
}

/// How an endpoint is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
pub struct LoadBalancer {
    #[serde(default, skip_serializing_if = "is_default")]
    pub simple: Option<String>,
}

impl LoadBalancer {
    /// Calls go to the address that the application asked for, also where no pod of the service has it.
    pub(super) fn is_passthrough(&self) -> bool {
        self.simple.as_deref() == Some("PASSTHROUGH")
    }
}

/// When endpoints that fail are left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutlierDetection {
    #[serde(default, skip_serializing_if = "is_default")]
    pub min_health_percent: i32,
}

/// What a rule asks of the client's proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TlsMode {
    #[default]
    Disable,
    Simple,
    Mutual,
    IstioMutual,
}

impl TlsMode {
    /// As Istio writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "DISABLE",
            Self::Simple => "SIMPLE",
            Self::Mutual => "MUTUAL",
            Self::IstioMutual => "ISTIO_MUTUAL",
        }
    }
}

/// How a client's proxy makes its TLS.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsSettings {
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: TlsMode,
    #[serde(default, skip_serializing_if = "is_default")]
    pub sni: String,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub subject_alt_names: Vec<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub credential_name: String,
    #[serde(default, deserialize_with = "only_whether_named", skip_serializing_if = "is_default")]
    pub client_certificate: String,
    /// Whether a file is named; its path, and whatever stands there instead of one, is not kept.
    #[serde(default, deserialize_with = "only_whether_named", skip_serializing_if = "is_default")]
    pub private_key: String,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub insecure_skip_verify: bool,
}

fn only_whether_named<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let path: String = null_as_default(from)?;
    Ok(if path.is_empty() { path } else { "named".to_owned() })
}
