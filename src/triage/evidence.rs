//! What a triage looked at: typed, versioned, redacted. Saved as JSON it can be judged again, offline and by a newer
//! build (`mtls-medic diagnose`).
//!
//! The document (`schema` = [`EVIDENCE_SCHEMA`]) holds certificates (base64 of their DER), counters, healthchecks and
//! bounded log excerpts. It never holds a private key: PEM blocks that are keys are dropped unread and counted.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    AgentFleet, AgentInfo, AgentPod, Crash, IstioEvidence, PodStart, ProxyStats, RecentChange, RootsOf, ServerBundles,
    redact::{Redacted, certificates_by_domain, certificates_only, lines_of_one_log},
};
use crate::mesh::{
    ControllerRef, Namespace, NodeName, PodRef, PodUid, ScaledController, ServiceAccount, TargetRef, TrustDomain,
};

/// The version of the document, in its field `schema`.
pub const EVIDENCE_SCHEMA: &str = "mtls-medic.evidence/v1";

/// Why something could not be seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "missing", rename_all = "kebab-case")]
pub enum Missing {
    /// The API server refused.
    Forbidden {
        /// What to grant, as `create pods/exec in web`.
        grant: String,
    },
    /// The tool is not in the image.
    ToolMissing { tool: String },
    /// No answer in time.
    TimedOut {
        /// After so many seconds.
        seconds: u64,
    },
    /// It is not there.
    Gone { what: String },
    /// Something else.
    Other { why: Redacted },
}

impl Missing {
    /// One sentence, with what would help.
    pub fn sentence(&self) -> String {
        match self {
            Self::Forbidden { grant } => format!("not allowed: grant {grant}"),
            Self::ToolMissing { tool } => format!("{tool} is not in the image"),
            Self::TimedOut { seconds } => format!("no answer in {seconds} s"),
            Self::Gone { what } => format!("{what} is not there"),
            Self::Other { why } => why.to_string(),
        }
    }
}

/// Something that was looked for: seen, or missing with the reason. Either way with source and time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gathered<T> {
    /// It was seen.
    Seen {
        value: T,
        /// Where it was read.
        source: String,
        at: Timestamp,
    },
    /// It was not.
    Missing {
        reason: Missing,
        /// Where it was looked for.
        source: String,
        at: Timestamp,
    },
}

impl<T> Gathered<T> {
    /// The value, if it was seen.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Seen { value, .. } => Some(value),
            Self::Missing { .. } => None,
        }
    }

    /// The value of a test's own night, to change it.
    #[cfg(test)]
    pub(crate) fn value_mut(&mut self) -> Option<&mut T> {
        match self {
            Self::Seen { value, .. } => Some(value),
            Self::Missing { .. } => None,
        }
    }

    /// Where it was looked for.
    pub fn source(&self) -> &str {
        match self {
            Self::Seen { source, .. } | Self::Missing { source, .. } => source,
        }
    }

    /// When.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Seen { at, .. } | Self::Missing { at, .. } => *at,
        }
    }
}

/// A PEM file without its keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PemFile {
    /// The certificates, base64 of their DER: the leaf first if there is one, the others in the order of the file.
    #[serde(deserialize_with = "certificates_only")]
    pub certificates: Vec<String>,
    /// How many private keys were dropped unread.
    pub keys_dropped: u32,
    /// How many blocks were something else, or broken.
    pub other_blocks: u32,
    /// Whether more was there than is read.
    #[serde(default)]
    pub cut: bool,
}

/// What a proxy serves and trusts, from `/config_dump?resource=dynamic_active_secrets`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedSecrets {
    /// The chain that it presents, base64 of DER, leaf first.
    #[serde(deserialize_with = "certificates_only")]
    pub chain: Vec<String>,
    /// The roots that it trusts, by trust domain.
    #[serde(deserialize_with = "certificates_by_domain")]
    pub roots: BTreeMap<RootsOf, Vec<String>>,
}

/// Lines of a log, bounded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogExcerpt {
    /// The lines that matter, oldest first.
    #[serde(deserialize_with = "lines_of_one_log")]
    pub lines: Vec<Redacted>,
    /// Whether more lines were there than are kept.
    pub cut: bool,
    /// From when on all lines were looked at, where one of them shows it: an agent's silence since then is a sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reaches: Option<Timestamp>,
    /// In a proxy's log, for each of Envoy's clusters that a line says something bad of: over how many new connections calls
    /// were answered since the newest such line.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub connected_since: BTreeMap<String, u64>,
}

/// How a healthcheck ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Healthcheck {
    /// Whether it said healthy.
    pub healthy: bool,
    /// What it said.
    pub output: Redacted,
}

/// One pod of the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodEvidence {
    pub pod: PodRef,
    /// Which life of it.
    pub uid: PodUid,
    /// Where it runs.
    pub node: Option<NodeName>,
    /// Who it runs as.
    pub service_account: Option<ServiceAccount>,
    /// `None` for a pod that nobody brings up again.
    pub controller: Option<ControllerRef>,
    /// Whether it is Ready.
    pub ready: bool,
    /// Whether a sidecar is there.
    pub sidecar: bool,
    /// Whether it is in ambient mode, where ztunnel does the mTLS.
    pub ambient: bool,
    /// The SVID file.
    pub svid_file: Gathered<PemFile>,
    /// The bundle file.
    pub bundle_file: Gathered<PemFile>,
    /// What its proxy serves.
    pub served: Gathered<ServedSecrets>,
    /// What its proxy counts.
    pub stats: Gathered<ProxyStats>,
    /// What its proxy logged about TLS.
    pub proxy_log: Gathered<LogExcerpt>,
    /// What the ztunnel of its node logged of it, where it is in ambient mode. Absent in old evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ztunnel_log: Option<Gathered<LogExcerpt>>,
    /// Why it does not start, where it is not Ready or no certificate was seen. Absent in old evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<PodStart>,
}

impl PodEvidence {
    /// Whether it was seen that the pod has no SVID: its proxy answered that it serves none and its file holds none, or it has no
    /// proxy and its file is not there or empty. What could not be read shows nothing, and in ambient mode ztunnel has the SVID.
    pub(super) fn has_no_svid(&self) -> bool {
        let no_file = match &self.svid_file {
            Gathered::Seen { value, .. } => value.certificates.is_empty(),
            Gathered::Missing { reason: Missing::Gone { .. }, .. } => true,
            // A proxy decides: its own answer is enough.
            Gathered::Missing { .. } => self.sidecar,
        };
        let serves_none = || self.served.value().is_some_and(|served| served.chain.is_empty());
        no_file && !self.ambient && (!self.sidecar || serves_none())
    }
}

/// The SPIRE agent of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentEvidence {
    pub node: NodeName,
    /// Its pod.
    #[serde(default)]
    pub pod: AgentPod,
    /// Whether that is Ready.
    pub ready: bool,
    /// How often its container restarted.
    pub restarts: u32,
    /// `spire-agent healthcheck`.
    pub healthcheck: Gathered<Healthcheck>,
    pub log: Gathered<LogExcerpt>,
    /// How its container ended last, where that was a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crash: Option<Crash>,
    /// `spire-agent debug getinfo`, where its version has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<AgentInfo>,
}

/// One pod of the SPIRE server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerEvidence {
    pub pod: PodRef,
    /// Whether that is Ready.
    pub ready: bool,
    /// `spire-server healthcheck`.
    pub healthcheck: Gathered<Healthcheck>,
    /// What it logged of faults of its own. Absent in old evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Gathered<LogExcerpt>>,
    /// The bundles that it has. Absent in old evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundles: Option<ServerBundles>,
}

/// What to expect in this mesh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expectations {
    /// The trust domain of the mesh; `None` takes each SVID's own.
    pub trust_domain: Option<TrustDomain>,
    /// The SPIFFE ID of a workload, with `{trust_domain}`, `{namespace}` and `{service_account}`.
    pub spiffe_id_template: String,
    /// Namespaces whose pods no fix restarts, beside the usual ones: SPIRE's. Absent in old evidence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protected: Vec<Namespace>,
}

impl Default for Expectations {
    fn default() -> Self {
        Self {
            trust_domain: None,
            spiffe_id_template: "spiffe://{trust_domain}/ns/{namespace}/sa/{service_account}".to_owned(),
            protected: Vec::new(),
        }
    }
}

/// Everything that one triage saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// [`EVIDENCE_SCHEMA`].
    pub schema: String,
    pub target: TargetRef,
    /// When the last of it was gathered: the "now" of the verdict.
    pub gathered_at: Timestamp,
    /// What to expect.
    pub expectations: Expectations,
    /// The pods that were looked at, worst first.
    pub pods: Vec<PodEvidence>,
    /// The pods of the target that were not.
    pub not_sampled: Vec<PodRef>,
    /// The agents of their nodes.
    pub agents: Vec<AgentEvidence>,
    /// The SPIRE server.
    pub servers: Vec<ServerEvidence>,
    /// Why no server pod is listed, if none is.
    pub servers_missing: Option<Missing>,
    /// The controllers of the server, where no pod of it was found.
    #[serde(default)]
    pub server_controllers: Vec<ScaledController>,
    /// How many pods the agents' selector matches on any node; absent where that was not asked.
    #[serde(default)]
    pub agent_pods: Option<u32>,
    /// All agents, where they could be listed. Absent in old evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_fleet: Option<AgentFleet>,
    /// What changed within the hour before, by the pods that were listed. Absent in old evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Vec<RecentChange>>,
    /// SPIRE's bundle (ConfigMap `spire-bundle`).
    pub spire_bundle: Gathered<PemFile>,
    /// istiod's root (ConfigMap `istio-ca-root-cert`).
    pub istio_root: Gathered<PemFile>,
    /// What decides between the target and its peers on mTLS. Absent in old evidence, and where a storm is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub istio: Option<IstioEvidence>,
}
