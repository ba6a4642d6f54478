//! From a webhook body to alerts as the incident sees them: identity from labels alone.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::body::{Alert, Webhook};
use crate::{
    incident::{AlertDelivery, AlertSighting, AlertStatus, Fingerprint, IncidentKey, WebAddress},
    mesh::{Namespace, PodRef, TargetRef},
};

/// The most labels that are kept, and the longest value in characters: they are shown to people.
const LABELS_MOST: usize = 32;
const VALUE_MOST: usize = 200;

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
    pub fn delivery(&self, webhook: Webhook) -> (AlertDelivery, usize) {
        let all = webhook.alerts.len();
        let ours = |alert: &Alert| alert.labels.get("alertname").is_some_and(|name| self.alerts.contains(name));
        let alerts: Vec<_> = webhook.alerts.into_iter().filter(ours).map(|alert| self.sighting(&alert)).collect();
        let unknown = all.saturating_sub(alerts.len());
        let delivery = AlertDelivery {
            group_key: bounded(&webhook.group_key, 1000),
            status: status(&webhook.status),
            alerts,
            truncated: webhook.truncated,
        };
        (delivery, unknown)
    }

    fn sighting(&self, alert: &Alert) -> AlertSighting {
        let label = |name: &str| alert.labels.get(name).filter(|value| !value.is_empty());
        let cluster = label(&self.cluster_label).unwrap_or(&self.cluster).clone();
        let name = label("alertname").cloned().unwrap_or_default();
        let namespace = label(&self.namespace_label).and_then(|value| Namespace::parse(value).ok());
        let target = namespace
            .clone()
            .zip(label(&self.service_label))
            .and_then(|(namespace, service)| TargetRef::parse(namespace, &format!("svc/{service}")).ok());
        let pod = namespace
            .zip(label(&self.pod_label).and_then(|name| name.parse().ok()))
            .map(|(namespace, name)| PodRef { namespace, name });
        let fingerprint =
            if alert.fingerprint.is_empty() { fingerprint_of(&alert.labels) } else { alert.fingerprint.clone() };
        let key = match &target {
            Some(target) => format!("{cluster}/{name}/{}/{}", target.namespace, target.name),
            None => format!("{cluster}/{name}/fingerprint/{fingerprint}"),
        };
        let labels = alert
            .labels
            .iter()
            .take(LABELS_MOST)
            .map(|(key, value)| (bounded(key, VALUE_MOST), bounded(value, VALUE_MOST)));
        AlertSighting {
            key: IncidentKey(bounded(&key, 1000)),
            fingerprint: Fingerprint(bounded(&fingerprint, VALUE_MOST)),
            name: bounded(&name, VALUE_MOST),
            status: status(&alert.status),
            starts_at: alert.starts_at,
            cluster: bounded(&cluster, VALUE_MOST),
            target,
            pod,
            labels: labels.collect(),
            summary: alert.annotations.get("summary").map(|text| bounded(text, VALUE_MOST)),
            runbook_url: alert.annotations.get("runbook_url").and_then(|text| WebAddress::parse(text)),
            generator_url: WebAddress::parse(&alert.generator_url),
        }
    }
}

fn status(text: &str) -> AlertStatus {
    // Whatever is not resolved is taken as firing: to miss an end is safer than to miss a beginning.
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
        Mapping::default().delivery(Webhook::parse(&std::fs::read(path).unwrap()).unwrap()).0
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
    fn an_alert_without_a_service_is_known_by_its_fingerprint_and_has_no_target() {
        let body = br#"{"version":"4","alerts":[{"status":"firing","startsAt":"2026-11-24T03:00:00Z",
            "labels":{"alertname":"MTLSHandshakeFailureRateHigh","namespace":"../etc","service":"frontend"}}]}"#;
        let (delivery, _) = Mapping::default().delivery(Webhook::parse(body).unwrap());
        assert!(delivery.alerts[0].target.is_none(), "what is no name is no target");
        assert!(delivery.alerts[0].key.0.contains("fingerprint/"));
    }
}
