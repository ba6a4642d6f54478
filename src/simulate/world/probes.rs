//! Readiness of pods that live on: what a kubelet writes into their status after a probe.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::simulate::store::{Kind, Store, rfc3339};

/// Writes whether a pod is Ready; whether that is news.
pub(super) fn set_ready(store: &Store, namespace: &str, name: &str, ready: bool, now: Timestamp) -> bool {
    let truth = if ready { "True" } else { "False" };
    let shows = |pod: &Value| {
        list(pod, "/status/conditions")
            .any(|one| is_readiness(one) && one.get("status").is_some_and(|status| status == truth))
    };
    if store.get(Kind::Pod, Some(namespace), name).is_none_or(|pod| shows(&pod)) {
        return false;
    }
    store.update(Kind::Pod, Some(namespace), name, |pod| {
        for condition in list_mut(pod, "/status/conditions").filter(|one| is_readiness(one)) {
            condition.insert_all(&json!({"status": truth, "lastTransitionTime": rfc3339(now)}));
        }
        for container in list_mut(pod, "/status/containerStatuses") {
            container.insert_all(&json!({"ready": ready}));
        }
    });
    true
}

/// Writes how many pods of an owner in spire-system are Ready.
pub(super) fn count_ready(store: &Store, kind: Kind, name: &str, ready: usize) {
    let counts = if kind == Kind::DaemonSet {
        json!({"numberReady": ready, "numberAvailable": ready})
    } else {
        json!({"readyReplicas": ready, "availableReplicas": ready})
    };
    store.update(kind, Some("spire-system"), name, |owner| {
        if let Some(status) = owner.get_mut("status") {
            status.insert_all(&counts);
        }
    });
}

fn is_readiness(condition: &Value) -> bool {
    matches!(condition.get("type").and_then(Value::as_str), Some("Ready" | "ContainersReady"))
}

fn list<'a>(object: &'a Value, path: &str) -> impl Iterator<Item = &'a Value> {
    object.pointer(path).and_then(Value::as_array).into_iter().flatten()
}

fn list_mut<'a>(object: &'a mut Value, path: &str) -> impl Iterator<Item = &'a mut Value> {
    object.pointer_mut(path).and_then(Value::as_array_mut).into_iter().flatten()
}

trait InsertAll {
    fn insert_all(&mut self, fields: &Value);
}

impl InsertAll for Value {
    fn insert_all(&mut self, fields: &Value) {
        if let (Some(object), Some(fields)) = (self.as_object_mut(), fields.as_object()) {
            object.extend(fields.clone());
        }
    }
}
