//! `restart-pod` (runbook scenario 1): evict the pods that hold a stale SVID, one after the other.

use jiff::Timestamp;

use super::{
    Budget, GuardRefusal, Operation, Plan, PlanContent, PodEviction,
    guard::{by_budgets, by_verdict, each_once, warning_of_budgets},
};
use crate::{
    mesh::{ControllerRef, Namespace, NodeName, PodRef, PodUid, TargetRef},
    triage::{FixName, NotRestarted, RESTARTS_MOST, Subject, Verdict, too_many, why_not_restarted},
};

/// One pod of the target, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodFacts {
    pub pod: PodRef,
    /// Which life.
    pub uid: PodUid,
    pub node: Option<NodeName>,
    pub controller: Option<ControllerRef>,
    /// The workload behind its controller.
    pub workload: Option<ControllerRef>,
    /// Whether it is Ready.
    pub ready: bool,
    /// When this life of it was created, on the API server's clock.
    pub created_at: Timestamp,
    /// The disruption budgets that cover it.
    pub budgets: Vec<Budget>,
}

/// Everything that the plan is drawn from.
#[derive(Debug, Clone, PartialEq)]
pub struct RestartFacts<'a> {
    /// What the incident is about.
    pub target: &'a TargetRef,
    /// What the diagnostics said.
    pub verdict: &'a Verdict,
    /// The pods of the target.
    pub pods: &'a [PodFacts],
    /// The UIDs of all pods that the workloads of these pods have now, be they of the target or not.
    pub pods_before: &'a [PodUid],
    /// Namespaces of the platform that this mesh has beside the usual ones, as SPIRE's.
    pub protected: &'a [Namespace],
    /// When that was read.
    pub now: Timestamp,
}

/// Why the fix is not offered. Every text says what to do instead, or what has to change first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PodRefusal {
    /// What stands against any fix stands against this one.
    #[error(transparent)]
    Guard(#[from] GuardRefusal),
    /// None of the pods that the verdict names is there any more.
    #[error("the pods that the verdict names are gone: run the triage again")]
    Gone,
    /// A pod of that name is there, and it is another one.
    #[error("{pod} was replaced after the diagnosis, so nothing is known of the new one: run the triage again")]
    AlreadyReplaced { pod: PodRef },
    /// Too many for one plan.
    #[error("{}", too_many(*count))]
    TooMany {
        /// How many the verdict names.
        count: usize,
    },
    /// No fix evicts it, whatever else is seen.
    #[error("{pod} {why}")]
    NotRestarted { pod: PodRef, why: NotRestarted },
}

/// Draws the plan, or says everything that stands against it.
pub fn plan(facts: &RestartFacts<'_>) -> Result<Plan, Vec<PodRefusal>> {
    let by_verdict = by_verdict(facts.verdict, FixName::RestartPod).map(PodRefusal::from);
    let mut refusals: Vec<PodRefusal> = by_verdict.into_iter().collect();
    let named = facts.pods.iter().filter(|pod| facts.verdict.on.pods.contains(&pod.pod));
    let (stale, replaced): (Vec<&PodFacts>, Vec<&PodFacts>) = named.partition(|pod| is_judged(pod, facts.verdict));
    if stale.is_empty() {
        let gone = replaced.iter().map(|pod| PodRefusal::AlreadyReplaced { pod: pod.pod.clone() });
        refusals.extend(gone);
        if replaced.is_empty() {
            refusals.push(PodRefusal::Gone);
        }
    }
    if stale.len() > RESTARTS_MOST {
        refusals.push(PodRefusal::TooMany { count: stale.len() });
    }
    refusals.extend(stale.iter().flat_map(|pod| refused_pod(pod, facts.protected)));
    if refusals.is_empty() { Ok(drawn(facts, &stale, &replaced)) } else { Err(refusals) }
}

/// Whether the verdict is about this life of a pod. A StatefulSet gives the next one the same name, and that may be
/// healthy long since.
fn is_judged(pod: &PodFacts, verdict: &Verdict) -> bool {
    if verdict.on.lives.is_empty() {
        // A verdict from before lives were kept: the clocks of the bot and of the API server are all that is left.
        return pod.created_at <= verdict.at;
    }
    verdict.on.lives.contains(&pod.uid)
}

fn refused_pod(pod: &PodFacts, protected: &[Namespace]) -> Vec<PodRefusal> {
    let which = || pod.pod.clone();
    let kind = pod.controller.as_ref().map(ControllerRef::kind);
    let never = why_not_restarted(&pod.pod.namespace, protected, kind).into_iter();
    let mut refusals: Vec<PodRefusal> = never.map(|why| PodRefusal::NotRestarted { pod: which(), why }).collect();
    refusals.extend(by_budgets(&pod.pod, pod.ready, &pod.budgets).into_iter().map(PodRefusal::from));
    refusals
}

/// The controllers of Kubernetes itself that replace a pod under an eviction.
const REPLACING: [&str; 4] = ["ReplicaSet", "StatefulSet", "DaemonSet", "ReplicationController"];

fn warnings(facts: &RestartFacts<'_>, stale: &[&PodFacts], replaced: &[&PodFacts]) -> Vec<String> {
    let mut warnings = Vec::new();
    if facts.pods.iter().filter(|pod| pod.ready).count() <= 1 {
        warnings.push("only one pod of the target is Ready: while it restarts, nobody answers".to_owned());
    }
    if stale.iter().all(|pod| pod.budgets.is_empty()) {
        warnings.push(
            "no disruption budget protects the target: pods are restarted one after the other all the same".to_owned(),
        );
    }
    warnings.extend(not_looked_at(facts, stale));
    for pod in stale {
        warnings.extend(warning_of_budgets(&pod.pod, &pod.budgets));
        if let Some(other) = pod.controller.as_ref().filter(|controller| !REPLACING.contains(&controller.kind())) {
            warnings.push(format!("whether {other} brings {} back is not known to the bot", pod.pod));
        }
    }
    warnings
        .extend(replaced.iter().map(|pod| format!("{} was replaced after the diagnosis and is left alone", pod.pod)));
    warnings
}

/// A sample that is stale throughout says that the rest of the target may well be stale too, and the plan leaves it.
fn not_looked_at(facts: &RestartFacts<'_>, stale: &[&PodFacts]) -> Option<String> {
    let was_looked_at = |pod: &&PodFacts| {
        let pod = Subject::Pod(pod.pod.clone());
        facts.verdict.checks.iter().any(|check| check.subject == pod)
    };
    let (seen, unseen): (Vec<&PodFacts>, Vec<&PodFacts>) = facts.pods.iter().partition(was_looked_at);
    let all_stale = !seen.is_empty() && seen.iter().all(|pod| stale.iter().any(|other| other.uid == pod.uid));
    (all_stale && !unseen.is_empty()).then(|| {
        format!(
            "all {} pod(s) that were looked at are stale, and {} more of the target were not looked at: run the triage \
             again after this fix",
            seen.len(),
            unseen.len()
        )
    })
}

fn drawn(facts: &RestartFacts<'_>, stale: &[&PodFacts], replaced: &[&PodFacts]) -> Plan {
    let operations = stale
        .iter()
        .map(|pod| {
            Operation::EvictPod(PodEviction {
                pod: pod.pod.clone(),
                uid: pod.uid.clone(),
                node: pod.node.clone(),
                controller: pod.controller.clone(),
                workload: pod.workload.clone().or_else(|| pod.controller.clone()),
                because: facts.verdict.scenario.title().to_owned(),
            })
        })
        .collect();
    let ready = facts.pods.iter().filter(|pod| pod.ready).count();
    let budgets = each_once(stale.iter().flat_map(|pod| &pod.budgets));
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Plan::new(PlanContent {
        fix: FixName::RestartPod,
        target: facts.target.clone(),
        drawn_at: facts.now,
        operations,
        ready: (count(ready), count(facts.pods.len())),
        budgets,
        warnings: warnings(facts, stale, replaced),
        pods_before: facts.pods_before.to_vec(),
    })
}
