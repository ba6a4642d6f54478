//! What a triage concludes: one documented, versioned object, the same in the card, in `-o json` and in the journal.
//! Its fields are documented in `config/verdict-schema.md`.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{CheckId, FixName, StatedReason, Subject};
use crate::mesh::{NodeName, PodRef, PodUid, TargetRef};

/// The version of the object, in its field `schema`.
pub const VERDICT_SCHEMA: &str = "mtls-medic.verdict/v2";

/// Writes a moment as RFC 3339 to whole seconds: readers of other languages take no nine digits behind them.
fn whole_seconds<S: serde::Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&format_args!("{at:.0}"))
}

/// The root cause, by the names of the design: the runbook's five, and what lies outside them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// Runbook scenario 1: the workload did not pick up its new SVID.
    ExpiredCertificate,
    /// Runbook scenario 2: the SPIRE agent of a node does not do its work.
    SpireAgent,
    /// Runbook scenario 3: two sides hold different roots.
    TrustBundleMismatch,
    /// Runbook scenario 4: the modes of client and server disagree.
    IstioConfiguration,
    /// Runbook scenario 5: something cannot be reached.
    Network,
    /// The SPIRE server itself is unhealthy: no automatic fix.
    SpireServer,
    /// The chain is fine and the identity is not the expected one: never rotate.
    IdentityMismatch,
    /// Clocks disagree.
    ClockSkew,
    /// SPIRE has no registration entry that fits the workload, or too many for one agent.
    Registration,
    /// The agent cannot find out who the workload is: its node's kubelet does not answer it.
    WorkloadAttestation,
    /// A proxy was given a certificate and did not take it.
    RejectedSecret,
    /// istiod signs the certificates, and refuses this workload or cannot sign.
    IstiodCa,
    /// The application behind the proxy does not answer: no fault of mTLS.
    Application,
    /// What SPIRE needs on the node is not there: the CSI driver or the agent's socket.
    NodeSetup,
    /// All that was checked is fine.
    NoFaultFound,
    /// Too little could be checked to say.
    Inconclusive,
}

impl Scenario {
    /// Every scenario, in the order in which the runbook and the design name them.
    pub const ALL: [Self; 16] = [
        Self::ExpiredCertificate,
        Self::SpireAgent,
        Self::TrustBundleMismatch,
        Self::IstioConfiguration,
        Self::Network,
        Self::SpireServer,
        Self::IdentityMismatch,
        Self::ClockSkew,
        Self::Registration,
        Self::WorkloadAttestation,
        Self::RejectedSecret,
        Self::IstiodCa,
        Self::Application,
        Self::NodeSetup,
        Self::NoFaultFound,
        Self::Inconclusive,
    ];

    /// The name in JSON, flags and journals.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExpiredCertificate => "expired-certificate",
            Self::SpireAgent => "spire-agent",
            Self::TrustBundleMismatch => "trust-bundle-mismatch",
            Self::IstioConfiguration => "istio-configuration",
            Self::Network => "network",
            Self::SpireServer => "spire-server",
            Self::IdentityMismatch => "identity-mismatch",
            Self::ClockSkew => "clock-skew",
            Self::Registration => "registration",
            Self::WorkloadAttestation => "workload-attestation",
            Self::RejectedSecret => "rejected-secret",
            Self::IstiodCa => "istiod-ca",
            Self::Application => "application",
            Self::NodeSetup => "node-setup",
            Self::NoFaultFound => "no-fault-found",
            Self::Inconclusive => "inconclusive",
        }
    }

    /// The name that people read.
    pub fn title(self) -> &'static str {
        match self {
            Self::ExpiredCertificate => "expired certificate",
            Self::SpireAgent => "SPIRE agent issue",
            Self::TrustBundleMismatch => "trust bundle mismatch",
            Self::IstioConfiguration => "Istio configuration",
            Self::Network => "network issue",
            Self::SpireServer => "SPIRE server unhealthy",
            Self::IdentityMismatch => "identity mismatch",
            Self::ClockSkew => "clock skew",
            Self::Registration => "registration entry",
            Self::WorkloadAttestation => "workload attestation",
            Self::RejectedSecret => "rejected secret",
            Self::IstiodCa => "istiod's CA",
            Self::Application => "the application itself",
            Self::NodeSetup => "node set-up",
            Self::NoFaultFound => "no fault found",
            Self::Inconclusive => "inconclusive",
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

/// How far the evidence carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// One sign only, or checks missing that could say otherwise.
    Low,
    /// The signs agree, and some checks are missing.
    Medium,
    /// The signs agree, and what could say otherwise was checked.
    High,
}

/// Which side of the connection the fault is on, seen from the alert's service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The service as the one that calls.
    Client,
    /// The service as the one that is called.
    Server,
    Both,
    /// A peer of the service.
    Peer,
    /// Not known, or neither.
    Unknown,
}

/// Where the fault is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct On {
    /// Which side.
    pub side: Side,
    /// The pods that show it, worst first; where a restart fits, those that it restarts.
    pub pods: Vec<PodRef>,
    /// The lives of them that were looked at: a StatefulSet gives the next pod the same name. Empty in old verdicts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lives: Vec<PodUid>,
    /// The nodes that show it (SPIRE agents).
    #[serde(default)]
    pub nodes: Vec<NodeName>,
}

/// What follows from the root cause and is no cause of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Consequence {
    /// SPIRE agents cannot work.
    SpireAgent,
    /// Certificates ran out.
    ExpiredCertificate,
    /// Certificates will run out: renewal has missed its turn.
    RotationOverdue,
    /// Roots differ. Reserved: no rule of this version names it, since bundles are not compared hop by hop.
    TrustBundleMismatch,
}

impl Consequence {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::SpireAgent => "SPIRE agents cannot work",
            Self::ExpiredCertificate => "certificates ran out",
            Self::RotationOverdue => "certificates will run out, their renewal is overdue",
            Self::TrustBundleMismatch => "trust bundles differ",
        }
    }
}

/// A scenario that it is not, and the evidence for that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuledOut {
    /// What it is not.
    pub scenario: Scenario,
    /// Why not; or why that could not be ruled out.
    pub because: String,
    /// Whether the evidence speaks against it (`true`), or it merely could not be checked (`false`).
    pub certain: bool,
}

/// How a check ended. Inconclusive is never a pass (invariant 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckResult {
    /// What was looked at is as it should be.
    Pass,
    /// It is not.
    Fail,
    /// It could not be seen.
    Inconclusive,
}

/// One check: what it found, where it looked, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredCheck")]
pub struct Check {
    pub id: CheckId,
    /// What was looked at.
    pub subject: Subject,
    /// How it ended.
    pub result: CheckResult,
    /// One sentence: what was found, or why nothing could be seen.
    pub summary: String,
    /// Where it looked, as `exec cat /run/spire/svid/svid.crt` or `Envoy /certs`.
    pub source: String,
    #[serde(serialize_with = "whole_seconds")]
    pub observed_at: Timestamp,
    /// What to do about it, where there is something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// A row as it is stored: what it is about is text there, and shows together with the check.
#[derive(Deserialize)]
struct StoredCheck {
    id: CheckId,
    subject: String,
    result: CheckResult,
    summary: String,
    source: String,
    observed_at: Timestamp,
    #[serde(default)]
    remedy: Option<String>,
}

impl From<StoredCheck> for Check {
    fn from(stored: StoredCheck) -> Self {
        let StoredCheck { id, subject, result, summary, source, observed_at, remedy } = stored;
        Self { id, subject: Subject::read(id, subject), result, summary, source, observed_at, remedy }
    }
}

/// Something that was not looked at, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotChecked {
    pub what: String,
    /// Why not, and what would make it possible.
    pub why: String,
}

/// A fix that must not be tried here, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contraindicated {
    pub fix: FixName,
    /// Why not.
    pub reason: String,
}

/// Who should be called at once because of what was found (design section 5, "evidence speeds it up").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
pub enum CallAtOnce {
    /// Platform Security.
    L2,
    /// Infrastructure.
    L3,
}

/// The verdict of one triage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// [`VERDICT_SCHEMA`].
    pub schema: String,
    /// What was looked at.
    pub target: TargetRef,
    /// When the last evidence was gathered.
    #[serde(serialize_with = "whole_seconds")]
    pub at: Timestamp,
    /// The root cause.
    pub scenario: Scenario,
    /// How sure that is.
    pub confidence: Confidence,
    /// Where it is.
    pub on: On,
    /// What speaks for it, strongest first; a sentence each.
    pub reasons: Vec<StatedReason>,
    /// Every other scenario, with what speaks against it.
    pub ruled_out: Vec<RuledOut>,
    /// What follows from the root cause.
    pub consequences: Vec<Consequence>,
    /// Everything that was checked.
    pub checks: Vec<Check>,
    /// Everything that was not.
    pub not_checked: Vec<NotChecked>,
    /// The fixes that fit, best first.
    pub fixes: Vec<FixName>,
    /// The fixes that must not be tried.
    pub never: Vec<Contraindicated>,
    /// Which level the evidence calls for at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_at_once: Option<CallAtOnce>,
}
