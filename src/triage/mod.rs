//! Typed evidence, examiners, diagnosis. Pure: the time of a verdict is the time of its evidence.

mod agent_fleet;
mod agent_info;
mod agent_log;
mod agent_log_excerpt;
mod agent_pod;
mod agent_restart;
mod agent_words;
mod bundle_evidence;
mod bundle_hops;
mod bundle_matrix;
mod bundle_remedy;
pub mod certificate;
mod certificate_sources;
mod check_id;
mod counters;
mod crash;
mod diagnosis;
mod diagnosis_input;
mod ends;
pub mod envoy;
mod evidence;
mod examine;
mod fix;
mod healthcheck;
pub mod istio;
mod istio_evidence;
mod log_hints;
pub(crate) mod look_further;
mod next_step;
mod not_understood;
mod outbound_cluster;
mod pod_start;
mod proxy_stats;
mod recent_changes;
mod redact;
mod restartable;
mod roots;
mod roots_of;
mod ruled_out;
mod rules;
mod server_log;
mod stated_reason;
mod subject;
mod survey;
#[cfg(test)]
mod tests;
mod verdict;
mod words;
mod ztunnel_log;

pub use agent_fleet::AgentFleet;
pub(crate) use agent_fleet::NAMED_MOST as AGENTS_NAMED_MOST;
pub use agent_info::{AgentInfo, read_agent_info};
pub use agent_log_excerpt::agent_log_excerpt;
pub use agent_pod::AgentPod;
pub use agent_restart::{
    AGENTS_MOST, Attestation, AttestationSigns, repeated_by_a_restart, too_many_agents, works_since_its_start,
};
pub use bundle_evidence::{DomainRoots, ServerBundles};
pub use check_id::{CheckId, UnknownCheck};
pub use crash::{Crash, last_words};
pub use diagnosis::diagnose;
pub use evidence::{
    AgentEvidence, EVIDENCE_SCHEMA, Evidence, Expectations, Gathered, Healthcheck, LogExcerpt, Missing, PemFile,
    PodEvidence, ServedSecrets, ServerEvidence,
};
pub use examine::{Chain, Examined, Holding, Issuer, Stuck, examine};
pub use fix::FixName;
pub(crate) use healthcheck::read_healthcheck;
pub use istio_evidence::{CallerEvidence, ClientEvidence, IstioEvidence, NotListed, ObjectKind};
pub(crate) use pod_start::KEPT_MOST as POD_TROUBLES_MOST;
pub use pod_start::{ContainerEnd, ContainerTrouble, PodEvent, PodStart, WhyItWaits};
pub use proxy_stats::{ClusterCalls, ProxyStats, TlsCounters};
pub use recent_changes::RecentChange;
pub(crate) use recent_changes::is_of_late;
pub use redact::{Redacted, RedactedLog, holds_a_secret};
pub use restartable::{NotRestarted, RESTARTS_MOST, too_many, why_not_restarted};
pub use roots_of::RootsOf;
pub use server_log::server_log_excerpt;
pub use stated_reason::{SharedFact, StatedReason};
pub use subject::Subject;
pub use survey::{Finding, Reason, Survey};
pub use verdict::{
    CallAtOnce, Check, CheckResult, Confidence, Consequence, Contraindicated, NotChecked, On, RuledOut, Scenario, Side,
    VERDICT_SCHEMA, Verdict,
};
pub(crate) use ztunnel_log::{Of as ZtunnelLogOf, ztunnel_log_excerpt};
