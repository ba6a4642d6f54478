//! The body of the webhook, version 4. Unknown fields are tolerated: Alertmanager adds some now and then.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

/// The version of the body that is understood.
const VERSION: &str = "4";

/// Why a body is refused for good (400).
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Not JSON, or not of the shape.
    #[error("the body is not an Alertmanager webhook: {0}")]
    Shape(#[from] serde_json::Error),
    /// Another version.
    #[error("the body has webhook version {0:?}, and only version \"4\" is understood")]
    Version(String),
}

/// One group of alerts.
#[derive(Debug, Deserialize)]
pub struct Webhook {
    version: String,
    /// Alertmanager's name of the group.
    #[serde(rename = "groupKey", default)]
    pub group_key: String,
    /// How many alerts were cut off.
    #[serde(rename = "truncatedAlerts", default)]
    pub truncated: u64,
    /// `firing` or `resolved`.
    #[serde(default)]
    pub status: String,
    /// The alerts.
    #[serde(default)]
    pub alerts: Vec<Alert>,
}

/// One alert of a group.
#[derive(Debug, Deserialize)]
pub struct Alert {
    /// `firing` or `resolved`.
    pub status: String,
    /// Its labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// The graph of its rule.
    #[serde(rename = "generatorURL", default)]
    pub generator_url: String,
    /// When it began.
    #[serde(rename = "startsAt")]
    pub starts_at: Timestamp,
    /// The fingerprint of its labels; old senders leave it out.
    #[serde(default)]
    pub fingerprint: String,
}

impl Webhook {
    /// Parses a body.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let webhook: Self = serde_json::from_slice(body)?;
        if webhook.version == VERSION { Ok(webhook) } else { Err(BodyError::Version(webhook.version)) }
    }
}
