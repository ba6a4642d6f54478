//! Typed evidence, examiners, diagnosis. Pure: the time of a verdict is the time of its evidence.

pub mod certificate;
mod diagnosis;
pub mod envoy;
mod evidence;
mod examine;
mod fix;
mod ruled_out;
pub mod spire;
mod stale;
mod verdict;

pub use diagnosis::diagnose;
pub use evidence::{
    AgentEvidence, EVIDENCE_SCHEMA, Evidence, Expectations, Gathered, Healthcheck, LogExcerpt, Missing, PemFile,
    PodEvidence, ProxyStats, ServedSecrets, ServerEvidence, TlsCounters,
};
pub use examine::{Examined, Holding, Issuer, examine};
pub use fix::FixName;
pub use verdict::{
    CallAtOnce, Check, CheckResult, Confidence, Consequence, Never, NotChecked, On, RuledOut, Scenario, Side,
    VERDICT_SCHEMA, Verdict,
};
