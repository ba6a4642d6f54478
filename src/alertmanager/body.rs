//! The body of the webhook, in the shape that Alertmanager sends (its version says "4"; Grafana's own alerts say "1"). What is
//! not known is left alone, and each alert is read by itself, so that one that cannot be read costs only itself.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, SeqAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

/// How many alerts of one body are read: more real ones do not fit into the largest body, and tiny ones would take a
/// hundred times their size.
const ALERTS_MOST: usize = 10_000;

/// Why a body is refused for good (400).
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Not JSON, or not of the shape.
    #[error("the body is not an Alertmanager webhook: {0}")]
    Shape(#[from] serde_json::Error),
    /// What Prometheus sends.
    #[error(
        "the body is a bare list of alerts: this is what Prometheus sends to an Alertmanager. Let Prometheus send to \
         Alertmanager, and give this address to a receiver of Alertmanager (webhook_configs)"
    )]
    BareList,
    /// An object without alerts.
    #[error("the body has no list named \"alerts\", so it is no Alertmanager webhook: what sends to this address?")]
    NoAlerts,
    /// Nothing of it could be read.
    #[error("no alert of the body could be read; the first: {0}")]
    NothingReadable(String),
}

/// One group of alerts.
#[derive(Debug, Deserialize)]
pub struct Webhook {
    /// Alertmanager's name of the group.
    #[serde(rename = "groupKey", default, deserialize_with = "or_default")]
    pub group_key: String,
    /// The labels that the alerts of the group share because they are grouped by them.
    #[serde(rename = "groupLabels", default, deserialize_with = "or_default")]
    pub group_labels: BTreeMap<String, String>,
    /// How many alerts were cut off.
    #[serde(rename = "truncatedAlerts", default, deserialize_with = "or_default")]
    pub truncated: u64,
    /// `firing` or `resolved`.
    #[serde(default, deserialize_with = "or_default")]
    pub status: String,
    /// The alerts.
    #[serde(default)]
    pub alerts: Alerts,
}

/// The alerts of a body.
#[derive(Debug, Default)]
pub struct Alerts {
    /// Those that could be read.
    pub read: Vec<Alert>,
    /// How many could not.
    pub unreadable: u64,
    /// What was wrong with the first that could not.
    pub first_fault: Option<String>,
    /// Whether the body has a list of them at all.
    listed: bool,
}

/// One alert of a group.
#[derive(Debug, Deserialize)]
pub struct Alert {
    /// `firing` or `resolved`.
    #[serde(default, deserialize_with = "or_default")]
    pub status: String,
    /// Its labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    #[serde(default, deserialize_with = "or_default")]
    pub annotations: BTreeMap<String, String>,
    /// The graph of its rule.
    #[serde(rename = "generatorURL", default, deserialize_with = "or_default")]
    pub generator_url: String,
    /// When it began, if that can be read.
    #[serde(rename = "startsAt", default, deserialize_with = "or_default")]
    pub starts_at: Option<Timestamp>,
    /// When it ended; for one that fires, anything.
    #[serde(rename = "endsAt", default, deserialize_with = "or_default")]
    pub ends_at: Option<Timestamp>,
    /// The fingerprint of its labels; old senders leave it out.
    #[serde(default, deserialize_with = "or_default")]
    pub fingerprint: String,
}

impl Webhook {
    /// Parses a body.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        // Bytes that are no text would cost all alerts; as U+FFFD they cost the value that they stand in.
        let text = String::from_utf8_lossy(body);
        if text.trim_start().starts_with('[') {
            return Err(BodyError::BareList);
        }
        let webhook: Self = serde_json::from_str(&text)?;
        match &webhook.alerts {
            Alerts { listed: false, .. } => Err(BodyError::NoAlerts),
            Alerts { first_fault: Some(fault), read, .. } if read.is_empty() => {
                Err(BodyError::NothingReadable(fault.clone()))
            }
            _ => Ok(webhook),
        }
    }
}

/// Takes a value that is not of its usual kind as left out: nothing of it decides whose alert it is.
fn or_default<'de, T: Default + DeserializeOwned, D: Deserializer<'de>>(value: D) -> Result<T, D::Error> {
    Ok(T::deserialize(Value::deserialize(value)?).unwrap_or_default())
}

impl<'de> Deserialize<'de> for Alerts {
    fn deserialize<D: Deserializer<'de>>(list: D) -> Result<Self, D::Error> {
        list.deserialize_seq(EachByItself)
    }
}

struct EachByItself;

impl<'de> Visitor<'de> for EachByItself {
    type Value = Alerts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of alerts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Alerts, A::Error> {
        let mut alerts = Alerts { listed: true, ..Alerts::default() };
        while let Some(one) = list.next_element::<&RawValue>()? {
            if alerts.read.len() >= ALERTS_MOST {
                return Err(serde::de::Error::custom(format!(
                    "it has more than {ALERTS_MOST} alerts: set max_alerts in the receiver"
                )));
            }
            match serde_json::from_str(one.get()) {
                Ok(alert) => alerts.read.push(alert),
                Err(error) => {
                    alerts.unreadable = alerts.unreadable.saturating_add(1);
                    alerts.first_fault.get_or_insert_with(|| error.to_string());
                }
            }
        }
        Ok(alerts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> String {
        Webhook::parse(body.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_webhook_is_told_what_it_is() {
        insta::assert_snapshot!(refused("not json"), @"the body is not an Alertmanager webhook: expected ident at line 1 column 2");
        insta::assert_snapshot!(refused(r#" [{"labels":{"alertname":"A"},"startsAt":"2026-11-24T03:00:00Z"}]"#), @"the body is a bare list of alerts: this is what Prometheus sends to an Alertmanager. Let Prometheus send to Alertmanager, and give this address to a receiver of Alertmanager (webhook_configs)");
        insta::assert_snapshot!(refused(r#"{"ok":true}"#), @r#"the body has no list named "alerts", so it is no Alertmanager webhook: what sends to this address?"#);
        insta::assert_snapshot!(refused(r#"{"alerts":[{"labels":{"alertname":7}},12]}"#), @"no alert of the body could be read; the first: invalid type: integer `7`, expected a string at line 1 column 24");
        insta::assert_snapshot!(refused(r#"{"alerts":{"a":1}}"#), @"the body is not an Alertmanager webhook: invalid type: map, expected a list of alerts at line 1 column 10");
        let many = format!(r#"{{"alerts":[{}{{}}]}}"#, "{},".repeat(ALERTS_MOST));
        insta::assert_snapshot!(refused(&many), @"the body is not an Alertmanager webhook: it has more than 10000 alerts: set max_alerts in the receiver at line 1 column 30014");
    }

    #[test]
    fn any_version_is_taken_and_what_is_not_known_is_left_alone() {
        let bodies = [
            r#"{"version":"1","orgId":1,"title":"[FIRING:1]","state":"alerting","truncatedAlerts":null,"groupLabels":null,
                "alerts":[{"status":"firing","labels":{"alertname":"A"},"startsAt":"2026-11-24T03:00:00Z","values":{"B":0.3},
                "annotations":null,"generatorURL":null,"fingerprint":null,"silenceURL":"https://grafana.example"}]}"#,
            r#"{"version":5,"alerts":[{"labels":{"alertname":"A"},"startsAt":"once upon a time","endsAt":7}]}"#,
            r#"{"alerts":[{"labels":{"alertname":"A"},"annotations":{"summary":["not","text"]}}]}"#,
        ];
        for body in bodies {
            let alerts = Webhook::parse(body.as_bytes()).unwrap().alerts;
            assert_eq!((alerts.read.len(), alerts.unreadable), (1, 0), "{body}");
            assert_eq!(alerts.read[0].labels["alertname"], "A");
        }
        assert!(Webhook::parse(br#"{"alerts":null}"#).is_err());
        assert_eq!(Webhook::parse(br#"{"alerts":[]}"#).unwrap().alerts.read.len(), 0);
    }

    #[test]
    fn one_bad_alert_of_a_body_costs_only_itself() {
        let mut body = br#"{"alerts":[{"labels":{"alertname":"A"}},{"labels":{"alertname":["A"]}},"x",
            {"labels":{"alertname":"B","pod":"\ud800"}},{"labels":{"alertname":"C","pod":"raw"}}]}"#
            .to_vec();
        let at = body.windows(3).position(|bytes| bytes == b"raw").unwrap();
        body[at] = 0xff;
        let alerts = Webhook::parse(&body).unwrap().alerts;
        let names: Vec<_> = alerts.read.iter().map(|alert| alert.labels["alertname"].as_str()).collect();
        assert_eq!((names.as_slice(), alerts.unreadable), (["A", "C"].as_slice(), 3));
    }
}
