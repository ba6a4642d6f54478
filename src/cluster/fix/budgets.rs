//! The disruption budgets of a namespace, and which of them cover a pod.

use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::{Api, api::ListParams};

use crate::{
    cluster::{ClusterClient, ClusterError, FoundPod},
    remediation::Budget,
};

impl ClusterClient {
    pub(super) async fn budgets(&self, namespace: &str) -> Result<Vec<PodDisruptionBudget>, ClusterError> {
        let what = format!("listing disruption budgets of {namespace}");
        let api: Api<PodDisruptionBudget> = Api::namespaced(self.client.clone(), namespace);
        let call = async {
            let listed = api.list(&ListParams::default()).await;
            listed.map_err(|error| ClusterError::of(&error, "list", "poddisruptionbudgets", namespace, &what))
        };
        Ok(self.bounded(&what, call).await?.items)
    }
}

/// Those that cover a pod, as they stand now.
pub(super) fn that_cover(budgets: &[PodDisruptionBudget], pod: &FoundPod) -> Vec<Budget> {
    budgets.iter().filter_map(|budget| covers(budget, pod)).collect()
}

fn covers(budget: &PodDisruptionBudget, pod: &FoundPod) -> Option<Budget> {
    let selector = budget.spec.as_ref()?.selector.as_ref()?;
    let has = |key: &String, value: &String| pod.labels.get(key) == Some(value);
    let labels = selector.match_labels.iter().flatten().all(|(key, value)| has(key, value));
    let expressions = selector.match_expressions.iter().flatten().all(|one| {
        let found = pod.labels.get(&one.key);
        let listed = found.is_some_and(|value| one.values.iter().flatten().any(|other| other == value));
        match one.operator.as_str() {
            "In" => listed,
            "NotIn" => !listed,
            "Exists" => found.is_some(),
            _ => found.is_none(),
        }
    });
    (labels && expressions).then(|| Budget {
        name: budget.metadata.name.clone().unwrap_or_default(),
        allowed: budget.status.as_ref().and_then(|status| status.disruptions_allowed).unwrap_or(0),
    })
}
