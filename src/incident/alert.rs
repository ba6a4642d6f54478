//! Alerts as the incident sees them: identity from labels alone (design section 6).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{IncidentKey, WebAddress};
use crate::mesh::{PodRef, TargetRef};

/// Alertmanager's fingerprint of one alert's labels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fingerprint(pub String);

/// Whether an alert fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertStatus {
    /// It fires.
    Firing,
    /// It has ended.
    Resolved,
}

/// Why a rule sees nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unseeing {
    /// Its query gives no data.
    NoData,
    /// Its query fails.
    Error,
}

/// One alert of one webhook body, parsed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertSighting {
    /// Which incident it belongs to.
    pub key: IncidentKey,
    /// The key that an earlier version gave it, where that was another one: its incident may be open still.
    #[serde(skip)]
    pub earlier_key: Option<IncidentKey>,
    /// Which alert it is.
    pub fingerprint: Fingerprint,
    /// The alert's name.
    pub name: String,
    /// Whether it fires.
    pub status: AlertStatus,
    /// When it began to fire. In an incident that is never in the future.
    pub starts_at: Timestamp,
    /// What it said of its start, where that was in the future (a clock ahead).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_start: Option<Timestamp>,
    /// When it ended, in a resolved notice that says so.
    #[serde(skip)]
    pub ends_at: Option<Timestamp>,
    /// The cluster label, or the configured name of this cluster.
    pub cluster: String,
    /// The service that it names, if its labels do.
    pub target: Option<TargetRef>,
    /// The pod label, which may name an exporter instead: to be checked before it is trusted.
    pub pod: Option<PodRef>,
    /// The labels, bounded, for people.
    pub labels: BTreeMap<String, String>,
    /// Where it says that the rule of the alert named here sees nothing, so that the fault itself would not be seen: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseeing: Option<Unseeing>,
    /// The summary annotation, for people; never part of the identity.
    pub summary: Option<String>,
    /// The annotation `runbook_url`: where the alert's authors say what to do.
    #[serde(default)]
    pub runbook_url: Option<WebAddress>,
    /// The alert's `generatorURL`: the graph of its rule.
    #[serde(default)]
    pub generator_url: Option<WebAddress>,
}

impl AlertSighting {
    /// An alert that fires, with nothing else known of it; the caller adds what it knows.
    pub fn firing(name: &str, cluster: &str, key: IncidentKey, fingerprint: Fingerprint, starts_at: Timestamp) -> Self {
        Self {
            key,
            earlier_key: None,
            fingerprint,
            name: name.to_owned(),
            status: AlertStatus::Firing,
            starts_at,
            claimed_start: None,
            ends_at: None,
            cluster: cluster.to_owned(),
            target: None,
            pod: None,
            labels: BTreeMap::new(),
            unseeing: None,
            summary: None,
            runbook_url: None,
            generator_url: None,
        }
    }

    /// The start that it was told with, also where nobody believes it.
    pub fn said_start(&self) -> Timestamp {
        self.claimed_start.unwrap_or(self.starts_at)
    }
}

/// One webhook body, parsed: one transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertDelivery {
    /// Alertmanager's name of the group; it changes with every edit of the routes, so it is never an identity.
    pub group_key: String,
    /// The status of the whole group.
    pub status: AlertStatus,
    /// The alerts that are ours.
    pub alerts: Vec<AlertSighting>,
    /// How many alerts were cut off the body (`max_alerts`): targets are missing.
    pub truncated: u64,
}
