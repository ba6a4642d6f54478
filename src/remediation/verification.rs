//! Did the fix work? Counters before and after, from one life of one Envoy, server side first (domain notes, section 5).

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::mesh::{PodRef, PodUid};

/// The figures of one Envoy at one moment. `None` means that the counter was absent, which is not zero.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Sum of `listener.*.ssl.handshake` of the inbound listeners.
    pub server_handshakes: Option<u64>,
    /// Sum of `listener.*.ssl.connection_error` and `ssl.fail_verify_*`.
    pub server_failures: Option<u64>,
    /// Sum of `cluster.outbound|*.ssl.handshake`.
    pub client_handshakes: Option<u64>,
    /// Sum of `cluster.outbound|*.ssl.connection_error` and `ssl.fail_verify_*`.
    pub client_failures: Option<u64>,
    /// Requests that outbound hosts answered (`rq_success` of `/clusters`).
    pub requests_answered: Option<u64>,
    /// Requests that failed at outbound hosts (`rq_error` of `/clusters`).
    pub requests_failed: Option<u64>,
    /// TLS error lines in the proxy's log since the sample before; `None` when the log was not or could not be read.
    pub new_log_errors: Option<u64>,
    /// Lines of an access log in the same stretch. Istio writes none by default, and then no error would be written
    /// either.
    #[serde(default)]
    pub access_lines: Option<u64>,
}

impl Counters {
    /// Whether no `ssl.*` counter of either side is shown, as with Istio's default stats matcher.
    pub fn hides_tls(&self) -> bool {
        [self.server_handshakes, self.server_failures, self.client_handshakes, self.client_failures]
            .iter()
            .all(Option::is_none)
    }
}

/// One sample of one Envoy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Which pod.
    pub pod: PodRef,
    /// Which life of it: samples of two lives are never compared.
    pub uid: PodUid,
    /// Envoy's uptime in seconds (`/server_info`): if it falls, Envoy restarted and its counters began again at zero.
    pub uptime_seconds: Option<u64>,
    /// When it was taken.
    pub at: Timestamp,
    /// The figures.
    pub counters: Counters,
    /// When the served SVID ends, where it could be read.
    pub svid_not_after: Option<Timestamp>,
}

/// What a fix came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// Successes grew and no failure did.
    Worked,
    /// Failures go on as before.
    NoEffect,
    /// More fails than before.
    Worse,
    /// No traffic, no data or no answer: never *worked*, closes nothing and stops no clock (invariant 8).
    Unproven,
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Worked => "worked",
            Self::NoEffect => "no effect",
            Self::Worse => "worse",
            Self::Unproven => "unproven",
        })
    }
}

/// A verdict on a fix, with its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// What it came to.
    pub proof: Proof,
    /// What was seen, a sentence each, with figures.
    pub reasons: Vec<String>,
    /// How much failed within the window; `None` when nothing was counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<FailureRate>,
}

/// How many TLS handshakes, or calls where a proxy hides those, failed between two moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureRate {
    /// How many failed.
    pub failed: u64,
    /// How many there were.
    pub of: u64,
    /// The first sample.
    pub from: Timestamp,
    /// The last one.
    pub until: Timestamp,
}

impl FailureRate {
    /// In percent, rounded up: one failure is never none.
    pub fn percent(&self) -> u64 {
        self.failed.saturating_mul(100).div_ceil(self.of.max(1))
    }
}
