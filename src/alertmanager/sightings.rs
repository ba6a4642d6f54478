//! From a webhook body to alerts as the incident sees them: identity from labels alone.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::body::{Webhook, WebhookAlert};
use crate::{
    incident::{AlertDelivery, AlertSighting, AlertStatus, Fingerprint, IncidentKey, Unseeing, WebAddress, distinct},
    mesh::{Namespace, PodRef, TargetRef},
};

/// The most labels that are kept, and the longest value in characters: they are shown to people.
const LABELS_MOST: usize = 32;
const VALUE_MOST: usize = 200;
/// The longest name of a group, in characters.
const GROUP_MOST: usize = 1_000;

/// Which alerts are ours, and which labels name what (configuration).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Names of the alerts that open incidents.
    pub alerts: Vec<String>,
    /// The label of the cluster.
    pub cluster_label: String,
    /// The label of the namespace.
    pub namespace_label: String,
    /// The label of the service.
    pub service_label: String,
    /// The label of the pod.
    pub pod_label: String,
    /// The name of this cluster, where the label is missing.
    pub cluster: String,
}

impl Default for Mapping {
    fn default() -> Self {
        Self {
            alerts: vec!["MTLSHandshakeFailureRateHigh".to_owned()],
            cluster_label: "cluster".to_owned(),
            namespace_label: "namespace".to_owned(),
            service_label: "service".to_owned(),
            pod_label: "pod".to_owned(),
            cluster: "cluster".to_owned(),
        }
    }
}

impl Mapping {
    /// The alerts of a body that are ours, and how many are not.
    pub fn delivery(&self, webhook: &Webhook) -> (AlertDelivery, usize) {
        let read = &webhook.alerts.read;
        let ours = |alert: &&WebhookAlert| self.alerts.contains(&subject(alert).0);
        let alerts: Vec<_> = read.iter().filter(ours).map(|alert| self.sighting(alert, webhook)).collect();
        let unknown = read.len().saturating_sub(alerts.len());
        let delivery = AlertDelivery {
            group_key: distinct(&webhook.group_key, GROUP_MOST),
            status: status(&webhook.status),
            alerts,
            truncated: webhook.truncated,
        };
        (delivery, unknown)
    }

    fn sighting(&self, alert: &WebhookAlert, group: &Webhook) -> AlertSighting {
        let label = |name: &str| alert.labels.get(name).filter(|value| !value.is_empty());
        let cluster = label(&self.cluster_label).unwrap_or(&self.cluster);
        let (name, unseeing) = subject(alert);
        let namespace = label(&self.namespace_label).and_then(|value| Namespace::parse(value).ok());
        let target = namespace
            .clone()
            .filter(|_| unseeing.is_none())
            .zip(label(&self.service_label))
            .and_then(|(namespace, service)| TargetRef::parse(namespace, &format!("svc/{service}")).ok());
        let pod = namespace
            .zip(label(&self.pod_label).and_then(|name| name.parse().ok()))
            .map(|(namespace, name)| PodRef { namespace, name });
        let fingerprint =
            if alert.fingerprint.is_empty() { fingerprint_of(&alert.labels) } else { alert.fingerprint.clone() };
        let fingerprint = Fingerprint(distinct(&fingerprint, VALUE_MOST));
        let key = match &target {
            None if unseeing.is_some() => IncidentKey::of_rule(cluster, &name),
            Some(target) => IncidentKey::of_target(cluster, &name, target),
            None => IncidentKey::of_group(cluster, &name, &group.group_labels),
        };
        let once = IncidentKey::as_once_made(cluster, &name, target.as_ref(), &fingerprint);
        let status = status(if alert.status.is_empty() { &group.status } else { &alert.status });
        let shown = alert.labels.iter().take(LABELS_MOST);
        AlertSighting {
            earlier_key: Some(once).filter(|once| *once != key && unseeing.is_none()),
            unseeing,
            key,
            fingerprint,
            name: distinct(&name, VALUE_MOST),
            status,
            // A start that cannot be read is one that cannot be believed: as one in the future, it is seen now.
            starts_at: alert.starts_at.filter(believable).unwrap_or(Timestamp::MAX),
            claimed_start: None,
            ends_at: alert.ends_at.filter(believable).filter(|_| status == AlertStatus::Resolved),
            cluster: distinct(cluster, VALUE_MOST),
            target,
            pod,
            labels: shown.map(|(key, value)| (distinct(key, VALUE_MOST), distinct(value, VALUE_MOST))).collect(),
            summary: alert.annotations.get("summary").map(|text| bounded(text, VALUE_MOST)),
            runbook_url: alert.annotations.get("runbook_url").and_then(|text| WebAddress::parse(text)),
            generator_url: WebAddress::parse(&alert.generator_url),
        }
    }
}

/// The alert that one is about, which is its own name; or the rule that it says to see nothing. Grafana sends such alerts in
/// place of the rule's own, by these names.
fn subject(alert: &WebhookAlert) -> (String, Option<Unseeing>) {
    let label = |name: &str| alert.labels.get(name).map(String::as_str).unwrap_or_default();
    let unseeing = match label("alertname") {
        "DatasourceNoData" => Some(Unseeing::NoData),
        "DatasourceError" => Some(Unseeing::Error),
        _ => None,
    };
    let named = if unseeing.is_some() { label("rulename") } else { label("alertname") };
    (named.to_owned(), unseeing)
}

/// Go writes a time that is not known as the year 1.
fn believable(at: &Timestamp) -> bool {
    *at > Timestamp::UNIX_EPOCH
}

fn status(text: &str) -> AlertStatus {
    // Every status but "resolved" counts as firing: to miss an end is safer than to miss a beginning.
    if text == "resolved" { AlertStatus::Resolved } else { AlertStatus::Firing }
}

fn bounded(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

fn fingerprint_of(labels: &BTreeMap<String, String>) -> String {
    let mut hasher = Sha256::new();
    for (name, value) in labels {
        for part in [name, value] {
            hasher.update(part.as_bytes());
            hasher.update([0xff]);
        }
    }
    hex::encode(hasher.finalize()).chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str) -> AlertDelivery {
        let path = format!("{}/tests/data/alertmanager/{file}", env!("CARGO_MANIFEST_DIR"));
        delivery(&std::fs::read(path).unwrap())
    }

    fn delivery(body: &[u8]) -> AlertDelivery {
        Mapping::default().delivery(&Webhook::parse(body).unwrap()).0
    }

    /// A body whose one alert and group have these labels besides its name.
    fn labelled(labels: &[(&str, &str)], group: &[(&str, &str)]) -> AlertSighting {
        let map = |pairs: &[(&str, &str)]| -> serde_json::Map<String, serde_json::Value> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect()
        };
        let mut all = map(labels);
        all.insert("alertname".to_owned(), "MTLSHandshakeFailureRateHigh".into());
        let alert = serde_json::json!({"status": "firing", "startsAt": "2026-11-24T03:00:00Z", "labels": all});
        let body = serde_json::json!({"groupLabels": map(group), "alerts": [alert]}).to_string();
        delivery(body.as_bytes()).alerts.remove(0)
    }

    #[test]
    fn one_group_of_one_service_is_one_incident_with_two_alerts() {
        let delivery = read("firing-one-service.json");
        assert_eq!(delivery.alerts.len(), 2);
        assert_eq!(delivery.alerts[0].key, delivery.alerts[1].key);
        assert_eq!(delivery.alerts[0].target.as_ref().unwrap().to_string(), "web svc/frontend");
        assert_ne!(delivery.alerts[0].fingerprint, delivery.alerts[1].fingerprint);
    }

    #[test]
    fn an_alert_brings_its_runbook_and_its_graph() {
        let alert = &read("firing-one-service.json").alerts[0];
        let runbook = alert.runbook_url.as_ref().unwrap().as_str();
        assert_eq!(runbook, "https://runbooks.example.com/mtls-handshake-failures");
        assert!(
            alert.generator_url.as_ref().unwrap().as_str().starts_with("http://prometheus.example:9090/graph?g0.expr=")
        );
    }

    #[test]
    fn a_group_over_the_mesh_is_an_incident_a_service_and_says_what_was_cut_off() {
        let delivery = read("firing-mesh-wide-truncated.json");
        let keys: std::collections::BTreeSet<_> = delivery.alerts.iter().map(|alert| &alert.key).collect();
        assert_eq!((keys.len(), delivery.truncated), (2, 2));
        assert_eq!(read("resolved-mesh-wide-truncated.json").status, AlertStatus::Resolved);
    }

    #[test]
    fn alerts_whose_labels_name_no_service_are_one_incident_a_group_and_have_no_target() {
        let group = [("alertname", "MTLSHandshakeFailureRateHigh"), ("team", "platform")];
        let one = labelled(&[("namespace", "../etc"), ("service", "frontend"), ("pod", "a")], &group);
        let two = labelled(&[("pod", "b")], &group);
        assert!(one.target.is_none(), "what is no name is no target");
        assert_eq!(
            one.key.0,
            "cluster/MTLSHandshakeFailureRateHigh//alertname=MTLSHandshakeFailureRateHigh,team=platform"
        );
        assert_eq!(one.key, two.key);
        assert_ne!(one.fingerprint, two.fingerprint);
        assert_ne!(one.key, labelled(&[("pod", "a")], &[("team", "security")]).key);
    }

    #[test]
    fn an_alert_knows_the_key_that_an_earlier_version_gave_it() {
        let lone = labelled(&[("pod", "a")], &[]);
        let once = format!("cluster/MTLSHandshakeFailureRateHigh/fingerprint/{}", lone.fingerprint.0);
        assert_eq!(lone.earlier_key.unwrap().0, once);
        let service = [("namespace", "web"), ("service", "frontend")];
        assert_eq!(labelled(&service, &[]).earlier_key, None);
        let odd = labelled(&[("cluster", "storm"), ("namespace", "web"), ("service", "frontend")], &[]);
        assert_eq!(odd.earlier_key.unwrap().0, "storm/MTLSHandshakeFailureRateHigh/web/frontend");
        assert!(!odd.key.is_of_storm());
    }

    #[test]
    fn labels_of_any_length_are_kept_apart_and_bounded() {
        let long = |end: &str| "x".repeat(5_000) + end;
        let [one, two] = ["1", "2"].map(|end| labelled(&[("cluster", &long(end)), ("pod", &long(end))], &[]));
        assert!(one.key != two.key && one.cluster != two.cluster && one.labels != two.labels);
        assert!(one.labels.values().all(|value| value.len() < 300));
    }

    #[test]
    fn a_start_that_nobody_can_read_or_believe_is_later_than_all_others() {
        for start in ["\"0001-01-01T00:00:00Z\"", "\"99999-01-01T00:00:00Z\"", "7", "null"] {
            let body = format!(
                r#"{{"alerts":[{{"startsAt":{start},"labels":{{"alertname":"MTLSHandshakeFailureRateHigh"}}}}]}}"#
            );
            assert_eq!(delivery(body.as_bytes()).alerts[0].starts_at, Timestamp::MAX, "{start}");
        }
    }
}
