//! What runs: workload pods with their proxy, and SPIRE agents.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::{WorldState, authority::IssuedSvid, rotation, topology::Workload};
use crate::simulate::LogLine;

/// How many lines a log keeps.
const LOG_MOST: usize = 400;

/// A log, bounded.
#[derive(Debug, Clone, Default)]
pub(super) struct Log(VecDeque<LogLine>);

impl Log {
    pub(super) fn write(&mut self, at: Timestamp, text: String) {
        self.0.push_back(LogLine { at, text });
        if self.0.len() > LOG_MOST {
            self.0.pop_front();
        }
    }

    pub(super) fn lines(&self) -> Vec<LogLine> {
        self.0.iter().cloned().collect()
    }
}

/// The counters of one side of one proxy, as fractions while traffic flows; answers show whole ones.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PodCounters {
    pub(super) handshake: f64,
    pub(super) connection_error: f64,
    pub(super) fail_verify_error: f64,
    pub(super) fail_verify_san: f64,
    pub(super) connect_fail: f64,
    pub(super) connections: f64,
    pub(super) requests: f64,
    pub(super) answered: f64,
    pub(super) failed: f64,
}

/// A pod of a workload.
#[derive(Debug, Clone)]
pub(super) struct Pod {
    pub(super) workload: &'static Workload,
    pub(super) uid: String,
    pub(super) node: String,
    pub(super) address: String,
    pub(super) started_at: Timestamp,
    /// When its containers are up; it is Ready from then on if its proxy has an SVID.
    pub(super) up_at: Timestamp,
    pub(super) ready: bool,
    /// What its file holds.
    pub(super) svid: Option<IssuedSvid>,
    /// What its proxy serves.
    pub(super) served: Option<IssuedSvid>,
    /// Whether no other pod of its workload was there when it started.
    pub(super) is_first: bool,
    /// Whether its proxy is an init container.
    pub(super) native_sidecar: bool,
    /// When SPIRE last issued for it, whether it picked that up or not.
    pub(super) issued_at: Option<Timestamp>,
    pub(super) server: PodCounters,
    pub(super) clients: BTreeMap<String, PodCounters>,
    pub(super) app_log: Log,
    pub(super) proxy_log: Log,
    /// Calls that could not be made or were answered, since the log was last written.
    pub(super) unlogged: BTreeMap<String, f64>,
}

impl Pod {
    /// The moments at which something about this pod changes by itself.
    pub(super) fn moments(&self, inner: &WorldState) -> Vec<Timestamp> {
        let renewal = self.issued_at.map(rotation::due_after).filter(|_| rotation::agent_works(inner, &self.node));
        let life = self.served.as_ref().map(|svid| [svid.not_before, svid.not_after]);
        [Some(self.up_at), renewal].into_iter().flatten().chain(life.into_iter().flatten()).collect()
    }
}

/// The SPIRE agent of a node.
#[derive(Debug, Clone)]
pub(super) struct SimulatedAgent {
    pub(super) pod: String,
    pub(super) uid: String,
    pub(super) started_at: Timestamp,
    pub(super) ready_at: Option<Timestamp>,
    /// Whether its pod is shown as Ready.
    pub(super) shown_ready: bool,
    pub(super) log: Log,
    /// When it last complained, so that its log stays readable.
    pub(super) complained_at: Timestamp,
}

/// How often a broken agent repeats its complaint.
pub(super) const COMPLAINS_EVERY: SignedDuration = SignedDuration::from_mins(1);
