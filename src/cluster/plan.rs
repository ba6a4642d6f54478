//! Reads what a plan of `restart-pod` is drawn from.

use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::{Api, api::ListParams};

use super::{ClusterError, FoundPod, Reach, resolve, resolve::workload_of};
use crate::{
    mesh::{Namespace, TargetRef},
    remediation::{Budget, restart_pod::PodFacts},
};

impl Reach {
    /// The pods of the target with their owners and budgets.
    pub(super) async fn restart_facts(&self, target: &TargetRef) -> Result<Vec<PodFacts>, ClusterError> {
        let resolved = resolve(self, target).await?;
        let budgets = self.budgets(target.namespace.as_str()).await?;
        let mut facts = Vec::with_capacity(resolved.pods.len());
        for pod in &resolved.pods {
            facts.push(PodFacts {
                pod: pod.pod.clone(),
                uid: pod.uid.clone(),
                node: pod.node.clone(),
                controller: pod.controller.clone(),
                workload: workload_of(self, pod).await?,
                ready: pod.ready,
                created_at: jiff::Timestamp::from_second(pod.started).unwrap_or(jiff::Timestamp::MAX),
                budgets: budgets.iter().filter_map(|budget| covers(budget, pod)).collect(),
            });
        }
        Ok(facts)
    }

    /// The namespaces of the platform that only the configuration knows.
    pub(super) fn protected(&self) -> Vec<Namespace> {
        self.settings.spire_namespace.parse().into_iter().collect()
    }

    async fn budgets(&self, namespace: &str) -> Result<Vec<PodDisruptionBudget>, ClusterError> {
        let what = format!("listing disruption budgets of {namespace}");
        let api: Api<PodDisruptionBudget> = Api::namespaced(self.client.clone(), namespace);
        let call = async {
            let listed = api.list(&ListParams::default()).await;
            listed.map_err(|error| ClusterError::of(&error, "list", "poddisruptionbudgets", namespace, &what))
        };
        Ok(self.bounded(&what, call).await?.items)
    }
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
