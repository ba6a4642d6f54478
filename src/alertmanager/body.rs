//! The body of the webhook, in the shape that Alertmanager sends (its version says "4"; Grafana's own alerts say "1"). What is
//! not known is left alone, and each alert is read by itself, so that one that cannot be read costs only itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::fields::{Fields, NULL};

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
#[derive(Debug)]
pub struct Webhook {
    /// Alertmanager's name of the group.
    pub group_key: String,
    /// The labels that the alerts of the group share because they are grouped by them.
    pub group_labels: BTreeMap<String, String>,
    /// How many alerts were cut off.
    pub truncated: u64,
    /// `firing` or `resolved`.
    pub status: String,
    pub alerts: Alerts,
    /// The fields that could not be read, or that said two things: nothing of them decides whose alerts these are.
    pub unread: BTreeSet<&'static str>,
}

/// The alerts of a body.
#[derive(Debug, Default)]
pub struct Alerts {
    /// Those that could be read.
    pub read: Vec<WebhookAlert>,
    /// How many could not.
    pub unreadable: u64,
    /// What was wrong with the first that could not.
    pub first_fault: Option<String>,
    /// The fields that could not be read of alerts that could.
    unread: BTreeSet<&'static str>,
}

/// One alert of a group.
#[derive(Debug)]
pub struct WebhookAlert {
    /// `firing` or `resolved`.
    pub status: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// The graph of its rule.
    pub generator_url: String,
    /// When it began, if that can be read.
    pub starts_at: Option<Timestamp>,
    /// When it ended; for one that fires, anything.
    pub ends_at: Option<Timestamp>,
    /// The fingerprint of its labels; old senders leave it out.
    pub fingerprint: String,
}

impl Webhook {
    /// Parses a body.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        // Bytes that are no text would cost all alerts; as U+FFFD they cost the value that they stand in.
        let text = String::from_utf8_lossy(body);
        // Some senders begin with a byte order mark, which RFC 8259 lets a reader pass over.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        if text.trim_start().starts_with('[') {
            return Err(BodyError::BareList);
        }
        let mut fields = Fields::of(text, &["groupKey", "groupLabels", "truncatedAlerts", "status", "alerts"])?;
        let mut alerts = Alerts::of(&mut fields)?;
        if let Some(fault) = alerts.first_fault.as_ref().filter(|_| alerts.read.is_empty()) {
            return Err(BodyError::NothingReadable(fault.clone()));
        }
        Ok(Self {
            group_key: fields.first("groupKey").unwrap_or_default(),
            group_labels: fields.first("groupLabels").unwrap_or_default(),
            truncated: fields.first("truncatedAlerts").unwrap_or_default(),
            status: status(&mut fields),
            unread: fields.unread.into_iter().chain(std::mem::take(&mut alerts.unread)).collect(),
            alerts,
        })
    }
}

/// A status that stands there twice is resolved only if it is so both times: to miss an end is safer than to miss a beginning.
fn status(fields: &mut Fields<'_>) -> String {
    let mut said: Vec<String> = fields.each("status");
    let place = said.iter().position(|status| status != "resolved").unwrap_or(0);
    if said.is_empty() { String::new() } else { said.swap_remove(place) }
}

impl Alerts {
    /// The alerts of every list of that name: a body that was put together from two may have two.
    fn of(fields: &mut Fields<'_>) -> Result<Self, BodyError> {
        let (mut alerts, mut listed, mut no_list) = (Self::default(), false, None);
        for raw in fields.all("alerts") {
            if !raw.starts_with('[') {
                no_list = no_list.or(serde_json::from_str::<Alerts>(raw).err());
                if raw != NULL {
                    fields.unread.insert("alerts");
                }
                continue;
            }
            let more: Self = serde_json::from_str(raw)?;
            if alerts.read.len().saturating_add(more.read.len()) > ALERTS_MOST {
                return Err(too_many::<serde_json::Error>().into());
            }
            listed = true;
            alerts.read.extend(more.read);
            alerts.unreadable = alerts.unreadable.saturating_add(more.unreadable);
            alerts.first_fault = alerts.first_fault.or(more.first_fault);
            alerts.unread.extend(more.unread);
        }
        match no_list {
            Some(error) if !listed => Err(error.into()),
            None if !listed => Err(BodyError::NoAlerts),
            _ => Ok(alerts),
        }
    }
}

fn too_many<E: Error>() -> E {
    E::custom(format!("it has more than {ALERTS_MOST} alerts: set max_alerts in the receiver"))
}

impl WebhookAlert {
    /// Reads one alert, whose labels must be readable: they say whose it is. With it the fields that could not be read.
    fn read(object: &str) -> Result<(Self, BTreeSet<&'static str>), String> {
        const NAMES: [&str; 7] =
            ["status", "labels", "annotations", "generatorURL", "startsAt", "endsAt", "fingerprint"];
        let mut fields = Fields::of(object, &NAMES).map_err(|error| error.to_string())?;
        let mut labels: Option<BTreeMap<String, String>> = None;
        for raw in fields.all("labels") {
            let read = serde_json::from_str(raw).map_err(|error| format!("labels: {error}"))?;
            if labels.as_ref().is_some_and(|before| *before != read) {
                return Err("labels: they stand there twice, and differ".to_owned());
            }
            labels = Some(read);
        }
        let alert = Self {
            status: status(&mut fields),
            labels: labels.unwrap_or_default(),
            annotations: fields.first("annotations").unwrap_or_default(),
            generator_url: fields.first("generatorURL").unwrap_or_default(),
            starts_at: fields.first("startsAt"),
            ends_at: fields.first("endsAt"),
            fingerprint: fields.first("fingerprint").unwrap_or_default(),
        };
        Ok((alert, fields.unread))
    }
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
        let mut alerts = Alerts::default();
        while let Some(one) = list.next_element::<&RawValue>()? {
            if alerts.read.len() >= ALERTS_MOST {
                return Err(too_many());
            }
            match WebhookAlert::read(one.get()) {
                Ok((alert, unread)) => {
                    alerts.read.push(alert);
                    alerts.unread.extend(unread);
                }
                Err(fault) => {
                    alerts.unreadable = alerts.unreadable.saturating_add(1);
                    alerts.first_fault.get_or_insert(fault);
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
        insta::assert_snapshot!(refused(r#"{"alerts":[{"labels":{"alertname":7}},12]}"#), @"no alert of the body could be read; the first: labels: invalid type: integer `7`, expected a string at line 1 column 14");
        insta::assert_snapshot!(refused(r#"{"alerts":{"a":1}}"#), @"the body is not an Alertmanager webhook: invalid type: map, expected a list of alerts at line 1 column 0");
        let many = format!(r#"{{"alerts":[{}{{}}]}}"#, "{},".repeat(ALERTS_MOST));
        insta::assert_snapshot!(refused(&many), @"the body is not an Alertmanager webhook: it has more than 10000 alerts: set max_alerts in the receiver at line 1 column 30004");
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

    #[test]
    fn a_field_that_cannot_be_read_costs_only_itself_and_is_named() {
        let alert = r#"{"labels":{"alertname":"A"},"startsAt":"2026-11-24T03:00:00Z"}"#;
        let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
        for (body, unread) in [
            (format!("\u{feff}{{\"alerts\":[{alert}]}}"), vec![]),
            (format!("\u{feff} \n{{\"alerts\":[{alert}]}}"), vec![]),
            (format!(r#"{{"truncatedAlerts":1e400,"alerts":[{alert}]}}"#), vec!["truncatedAlerts"]),
            (format!(r#"{{"truncatedAlerts":-3,"alerts":[{alert}]}}"#), vec!["truncatedAlerts"]),
            (format!(r#"{{"truncatedAlerts":99999999999999999999,"alerts":[{alert}]}}"#), vec!["truncatedAlerts"]),
            (format!(r#"{{"truncatedAlerts":"many","alerts":[{alert}]}}"#), vec!["truncatedAlerts"]),
            (format!(r#"{{"groupLabels":{deep},"groupKey":"\ud800","alerts":[{alert}]}}"#), vec!["groupKey", "groupLabels"]),
            (format!(r#"{{"alerts":null,"status":7,"alerts":[{alert}]}}"#), vec!["status"]),
            (format!(r#"{{"alerts":"none","alerts":[{alert}]}}"#), vec!["alerts"]),
            (format!(r#"{{"groupKey":"a","groupKey":"a","alerts":[{alert}]}}"#), vec![]),
            (format!(r#"{{"groupKey":"a","groupKey":"b","alerts":[{alert}]}}"#), vec!["groupKey"]),
            (format!(r#"{{"\ud800":1e400,"more":{deep},"more":1e400,"alerts":[{alert}]}}"#), vec![]),
            (format!(r#"{{"alerts":[{{"annotations":{deep},"startsAt":1e400,"endsAt":"soon","labels":{{"alertname":"A"}}}}]}}"#), vec!["annotations", "endsAt", "startsAt"]),
            (r#"{"alerts":[{"startsAt":"2026-11-24T03:00:00Z","startsAt":"2026-11-24T04:00:00Z","labels":{"alertname":"A"},"labels":{"alertname":"A"}}]}"#.to_owned(), vec!["startsAt"]),
        ] {
            let read = Webhook::parse(body.as_bytes()).unwrap_or_else(|error| panic!("{body}: {error}"));
            assert_eq!((read.alerts.read.len(), read.alerts.unreadable), (1, 0), "{body}");
            assert_eq!(read.alerts.read[0].labels["alertname"], "A", "{body}");
            assert_eq!(read.unread.into_iter().collect::<Vec<_>>(), unread, "{body}");
        }
    }

    #[test]
    fn a_body_put_together_from_two_brings_the_alerts_of_both_and_is_over_only_if_both_are() {
        let alert = |name: &str| format!(r#"{{"labels":{{"alertname":"{name}"}}}}"#);
        let body = |one: &str, other: &str| {
            let (a, b) = (alert("A"), alert("B"));
            format!(r#"{{"status":"{one}","alerts":[{a},{{"labels":7}}],"status":"{other}","alerts":[{b}]}}"#)
        };
        for (one, other, status) in
            [("firing", "resolved", "firing"), ("resolved", "firing", "firing"), ("resolved", "resolved", "resolved")]
        {
            let read = Webhook::parse(body(one, other).as_bytes()).unwrap();
            let names: Vec<_> = read.alerts.read.iter().map(|alert| alert.labels["alertname"].as_str()).collect();
            assert_eq!((names.as_slice(), read.alerts.unreadable), (["A", "B"].as_slice(), 1));
            assert_eq!(read.status, status);
        }
        let twice = r#"{"alerts":[{"labels":{"alertname":"A"},"status":"resolved","status":"firing"}]}"#;
        assert_eq!(Webhook::parse(twice.as_bytes()).unwrap().alerts.read[0].status, "firing");
        let whose = r#"{"alerts":[{"labels":{"alertname":"A"},"labels":{"alertname":"B"}}]}"#;
        insta::assert_snapshot!(refused(whose), @"no alert of the body could be read; the first: labels: they stand there twice, and differ");
    }
}
