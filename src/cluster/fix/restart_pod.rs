//! `restart-pod`: reads what its plan is drawn from, and sees whether the replacement of an evicted pod is there.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use jiff::Timestamp;

use super::{Settled, budgets::that_cover};
use crate::{
    cluster::{ClusterClient, ClusterError, FoundPod, resolve, resolve::workload_of},
    incident::Fix,
    mesh::{ControllerRef, PodUid, TargetRef, controller_in_words},
    remediation::{Operation, PodEviction, StepResult, restart_pod::PodFacts},
    triage::certificate::Validity,
};

/// What is there now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cluster) struct Restartable {
    /// The pods of the target.
    pub(in crate::cluster) pods: Vec<PodFacts>,
    /// The UIDs of all pods of their workloads: a target that is a pod, or a Service, does not name its siblings.
    pub(in crate::cluster) pods_before: Vec<PodUid>,
}

impl ClusterClient {
    /// The pods of the target with their owners and budgets.
    pub(in crate::cluster) async fn restart_facts(&self, target: &TargetRef) -> Result<Restartable, ClusterError> {
        let namespace = target.namespace.as_str();
        let (resolved, budgets) = futures::try_join!(resolve(self, target), self.budgets(namespace))?;
        // One look-up a controller, all at once: a big Deployment has hundreds of pods and two of these.
        let controllers: BTreeSet<_> = resolved.pods.iter().filter_map(|pod| pod.controller.clone()).collect();
        let owners = controllers.iter().map(|controller| workload_of(self, namespace, controller));
        let workloads = try_join_all(owners).await?;
        let workloads: BTreeMap<_, _> = controllers.iter().zip(workloads).collect();
        let scopes: BTreeSet<_> = workloads.values().map(|workload| scope(target, Some(workload))).collect();
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
            budgets: that_cover(&budgets, pod),
        });
        Ok(Restartable { pods: facts.collect(), pods_before })
    }

    /// Whether the replacement of an evicted pod is there, Ready, and holds a valid SVID.
    pub(in crate::cluster) async fn replacement(
        &self,
        target: &TargetRef,
        fix: &Fix,
        planned: &PodEviction,
        now: Timestamp,
    ) -> Result<Settled, ClusterError> {
        let resolved = resolve(self, &scope(target, planned.workload.as_ref())).await?;
        let planned_before = |pod: &FoundPod| {
            fix.plan
                .iter()
                .flat_map(|plan| &plan.operations)
                .filter_map(Operation::ends)
                .any(|(_, uid)| *uid == pod.uid)
        };
        let taken =
            |pod: &FoundPod| fix.results.iter().filter_map(StepResult::brought_up).any(|(_, uid)| *uid == pod.uid);
        let of_the_same = |pod: &&FoundPod| pod.controller.is_some() && pod.controller == planned.controller;
        let new = resolved
            .pods
            .into_iter()
            .rev()
            .find(|pod| of_the_same(&pod) && !planned_before(pod) && !taken(pod) && !was_there(fix, pod));
        let Some(new) = new else {
            return Ok(Settled::Awaited(format!(
                "{} has not started a new pod yet",
                controller_in_words(planned.controller.as_ref())
            )));
        };
        if !new.ready {
            return Ok(Settled::Awaited(format!("{} is not Ready yet", new.pod)));
        }
        // Its proxy's copy decides: a valid file beside a proxy that serves the old SVID mends nothing.
        let svid = match self.svid_of(&new).await {
            Ok(Some(svid)) => svid,
            Ok(None) => return Ok(Settled::Awaited(format!("{} has no SVID yet", new.pod))),
            Err(why) => return Ok(Settled::Awaited(format!("the SVID of {} could not be read: {why}", new.pod))),
        };
        match svid.validity(now) {
            Validity::Left { until, .. } => {
                let result = StepResult::Replaced {
                    old: Some(planned.pod.clone()),
                    pod: new.pod,
                    uid: new.uid,
                    not_after: Some(until),
                };
                Ok(Settled::Seen(result))
            }
            Validity::Over { since } => {
                Ok(Settled::Awaited(format!("{} still holds an SVID that ended at {since:.0}", new.pod)))
            }
            Validity::NotYet { starts } => {
                Ok(Settled::Awaited(format!("the SVID of {} begins only at {starts:.0}", new.pod)))
            }
        }
    }
}

/// Where a replacement appears: among the pods of the workload that owned the evicted one. A target that is a pod would
/// name the evicted one for ever, and a Service may select several workloads.
fn scope(target: &TargetRef, workload: Option<&ControllerRef>) -> TargetRef {
    let owner = || {
        let workload = workload?;
        let text = format!("{}/{}", workload.kind().to_lowercase(), workload.name());
        TargetRef::parse(target.namespace.clone(), &text).ok()
    };
    owner().unwrap_or_else(|| target.clone())
}

/// Whether a pod was there before the plan was carried out.
fn was_there(fix: &Fix, pod: &FoundPod) -> bool {
    let Some(plan) = &fix.plan else { return false };
    if plan.pods_before.is_empty() {
        // A plan from before these were kept: the clocks of the bot and of the API server are all that is left.
        return pod.started <= plan.drawn_at.as_second();
    }
    plan.pods_before.contains(&pod.uid)
}
