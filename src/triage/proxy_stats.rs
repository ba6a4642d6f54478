//! What one proxy counts, of itself as a server and of each cluster that it calls.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The TLS counters of one side. `None` means that the counter was absent, which is not zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsCounters {
    /// `ssl.handshake`.
    pub handshake: Option<u64>,
    /// `ssl.connection_error`.
    pub connection_error: Option<u64>,
    /// `ssl.fail_verify_error`.
    pub fail_verify_error: Option<u64>,
    /// `ssl.fail_verify_san`.
    pub fail_verify_san: Option<u64>,
    /// `ssl.fail_verify_no_cert` and `ssl.fail_verify_cert_hash`.
    pub fail_verify_other: Option<u64>,
}

impl TlsCounters {
    fn is_visible(&self) -> bool {
        self.failures().is_some() || self.handshake.is_some()
    }

    /// The sum of all failures; `None` when none of the counters was there.
    pub fn failures(&self) -> Option<u64> {
        [self.connection_error, self.fail_verify_error, self.fail_verify_san, self.fail_verify_other]
            .into_iter()
            .flatten()
            .reduce(u64::saturating_add)
    }
}

/// The counters of one proxy, from `/stats` and `/clusters`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyStats {
    /// The inbound listeners, summed.
    pub server: TlsCounters,
    /// Each outbound cluster.
    pub clients: BTreeMap<String, TlsCounters>,
    /// Requests that outbound hosts answered (`rq_success`), summed; absent when no host was listed.
    pub requests_answered: Option<u64>,
    /// Requests that failed at outbound hosts (`rq_error`), summed.
    pub requests_failed: Option<u64>,
    /// Connections to outbound hosts that did not come about (`cx_connect_fail`), summed.
    #[serde(default)]
    pub connects_failed: Option<u64>,
    /// The same figures of each outbound cluster that was ever called. Absent in old evidence.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub calls: BTreeMap<String, ClusterCalls>,
}

/// What became of the calls to one outbound cluster since the proxy started, from `/clusters`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterCalls {
    /// `rq_success`.
    pub answered: u64,
    /// `rq_error`.
    pub failed: u64,
    /// `cx_connect_fail`.
    pub connects_failed: u64,
}

impl ProxyStats {
    /// Whether a TLS counter of the proxy as a server is visible at all.
    pub(super) fn counts_as_server(&self) -> bool {
        self.server.is_visible()
    }

    /// The same of the proxy as a client.
    pub(super) fn counts_as_client(&self) -> bool {
        self.clients.values().any(TlsCounters::is_visible)
    }
}
