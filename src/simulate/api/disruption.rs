//! Disruption budgets: how many pods may still be taken away.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::selector::Selector;
use crate::simulate::store::{Kind, Store, Transaction, field};

/// What a budget comes to at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BudgetStatus {
    /// The pods that should be there.
    pub(super) expected: i64,
    /// The pods that are ready.
    pub(super) healthy: i64,
    /// The pods that must stay ready.
    pub(super) desired: i64,
}

impl BudgetStatus {
    /// How many ready pods may be taken away now.
    pub(super) fn allowed(self) -> i64 {
        (self.healthy - self.desired).max(0)
    }
}

/// The budgets that cover a pod.
pub(super) fn budgets_of(objects: &Transaction<'_>, pod: &Value) -> Vec<Arc<Value>> {
    let budgets = objects.list(Kind::PodDisruptionBudget, Some(field(pod, "namespace")));
    budgets.into_iter().filter(|budget| selector(budget).matches(pod)).collect()
}

/// Counts a budget's pods.
pub(super) fn count(objects: &Transaction<'_>, budget: &Value) -> BudgetStatus {
    let selector = selector(budget);
    let pods = objects.list(Kind::Pod, Some(field(budget, "namespace")));
    let pods: Vec<_> = pods.into_iter().filter(|pod| selector.matches(pod)).collect();
    let healthy = whole(pods.iter().filter(|pod| is_ready(pod)).count());
    let expected = expected(objects, budget, &pods);
    let least = budget.pointer("/spec/minAvailable").and_then(|value| scaled(value, expected));
    let most = budget.pointer("/spec/maxUnavailable").and_then(|value| scaled(value, expected));
    let desired = match (least, most) {
        (Some(least), _) => least,
        (None, Some(most)) => (expected - most).max(0),
        (None, None) => expected,
    };
    BudgetStatus { expected, healthy, desired }
}

/// Whether a pod has the condition Ready.
pub(super) fn is_ready(pod: &Value) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    let mut ready = conditions.filter(|one| one.get("type").is_some_and(|kind| kind == "Ready"));
    ready.any(|one| one.get("status").is_some_and(|status| status == "True"))
}

fn selector(budget: &Value) -> Selector {
    Selector::of_object(budget.pointer("/spec/selector").unwrap_or(&Value::Null))
}

/// The replicas that the controllers of the pods want; the pods themselves when nobody controls them.
fn expected(objects: &Transaction<'_>, budget: &Value, pods: &[Arc<Value>]) -> i64 {
    let namespace = field(budget, "namespace");
    let owners: BTreeSet<(String, String)> = pods.iter().filter_map(|pod| controller(pod)).collect();
    let wanted: i64 = owners.iter().map(|(kind, name)| replicas(objects, namespace, kind, name).unwrap_or(0)).sum();
    if wanted > 0 { wanted } else { whole(pods.len()) }
}

fn replicas(objects: &Transaction<'_>, namespace: &str, kind: &str, name: &str) -> Option<i64> {
    let kind = [Kind::ReplicaSet, Kind::StatefulSet].into_iter().find(|known| known.facts().kind == kind)?;
    objects.get(kind, Some(namespace), name)?.pointer("/spec/replicas")?.as_i64()
}

fn controller(pod: &Value) -> Option<(String, String)> {
    let owners = pod.pointer("/metadata/ownerReferences")?.as_array()?;
    let owner = owners.iter().find(|one| one.get("controller") == Some(&Value::Bool(true)))?;
    Some((owner.get("kind")?.as_str()?.to_owned(), owner.get("name")?.as_str()?.to_owned()))
}

/// A number, or a percentage of `of` rounded up, as Kubernetes rounds both of a budget's limits.
fn scaled(value: &Value, of: i64) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => {
            let percent: i64 = text.strip_suffix('%')?.parse().ok()?;
            Some((of.saturating_mul(percent.clamp(0, 100)) + 99) / 100)
        }
        _ => None,
    }
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Keeps the status of every budget up to date until `shutdown`, as the disruption controller of a real cluster does.
/// The counts follow from the pods, so writing them changes nothing when nothing changed.
pub async fn keep_budgets(store: Arc<Store>, shutdown: CancellationToken) {
    let mut changes = store.changes();
    loop {
        changes.mark_unchanged();
        store.transaction(|objects| {
            for budget in objects.list(Kind::PodDisruptionBudget, None) {
                write_status(objects, &budget);
            }
        });
        tokio::select! {
            () = shutdown.cancelled() => return,
            news = changes.changed() => if news.is_err() { return },
        }
    }
}

fn write_status(objects: &mut Transaction<'_>, budget: &Value) {
    let counted = count(objects, budget);
    let mut new = budget.clone();
    let generation = budget.pointer("/metadata/generation").cloned().unwrap_or(json!(1));
    if let Some(fields) = new.as_object_mut() {
        let status = json!({
            "currentHealthy": counted.healthy, "desiredHealthy": counted.desired, "expectedPods": counted.expected,
            "disruptionsAllowed": counted.allowed(), "observedGeneration": generation,
        });
        fields.insert("status".to_owned(), status);
    }
    objects.put(Kind::PodDisruptionBudget, new);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_round_up() {
        assert_eq!(scaled(&json!("50%"), 3), Some(2));
        assert_eq!(scaled(&json!(1), 3), Some(1));
        assert_eq!(scaled(&json!("half"), 3), None);
    }
}
