//! Reads what a plan of `restart-pod` is drawn from.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::{Api, api::ListParams};

use super::{ClusterError, FoundPod, Reach, replacement::scope, resolve, resolve::workload_of};
use crate::{
    mesh::{Namespace, PodUid, TargetRef},
    remediation::{Budget, restart_pod::PodFacts},
    triage::Expectations,
};

/// What is there now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Restartable {
    /// The pods of the target.
    pub(super) pods: Vec<PodFacts>,
    /// The UIDs of all pods of their workloads: a target that is a pod, or a Service, does not name its siblings.
    pub(super) pods_before: Vec<PodUid>,
}

impl Reach {
    /// The pods of the target with their owners and budgets.
    pub(super) async fn restart_facts(&self, target: &TargetRef) -> Result<Restartable, ClusterError> {
        let namespace = target.namespace.as_str();
        let (resolved, budgets) = futures::try_join!(resolve(self, target), self.budgets(namespace))?;
        // One look-up a controller, all at once: a big Deployment has hundreds of pods and two of these.
        let controllers: BTreeSet<_> = resolved.pods.iter().filter_map(|pod| pod.controller.clone()).collect();
        let owners = controllers.iter().map(|controller| workload_of(self, namespace, controller));
        let workloads = try_join_all(owners).await?;
        let workloads: BTreeMap<_, _> = controllers.iter().zip(workloads).collect();
        let scopes: BTreeSet<_> =
            workloads.values().map(|(kind, name)| scope(target, &format!("{kind}/{name}"))).collect();
        let siblings = scopes.iter().filter(|scope| *scope != target).map(|scope| resolve(self, scope));
        let siblings = try_join_all(siblings).await?.into_iter().flat_map(|found| found.pods);
        let mut pods_before: Vec<PodUid> = resolved.pods.iter().cloned().chain(siblings).map(|pod| pod.uid).collect();
        pods_before.sort();
        pods_before.dedup();
        let facts = resolved.pods.iter().map(|pod| PodFacts {
            pod: pod.pod.clone(),
            uid: pod.uid.clone(),
            node: pod.node.clone(),
            controller: pod.controller.clone(),
            workload: pod.controller.as_ref().and_then(|controller| workloads.get(controller).cloned()),
            ready: pod.ready,
            created_at: jiff::Timestamp::from_second(pod.started).unwrap_or(jiff::Timestamp::MAX),
            budgets: budgets.iter().filter_map(|budget| covers(budget, pod)).collect(),
        });
        Ok(Restartable { pods: facts.collect(), pods_before })
    }

    /// What evidence is judged by.
    pub(super) fn expectations(&self) -> Expectations {
        Expectations { protected: self.protected(), ..self.settings.expectations.clone() }
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
