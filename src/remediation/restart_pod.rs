//! `restart-pod` (runbook scenario 1): evict the pods that hold a stale SVID, one after the other.

use jiff::Timestamp;

use super::{Budget, Operation, Plan, PlanContent, PodEviction};
use crate::{
    mesh::{Namespace, NodeName, PodRef, PodUid, TargetRef},
    triage::{FixName, NotRestarted, RESTARTS_MOST, Scenario, Verdict, too_many, why_not_restarted},
};

/// One pod of the target, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodFacts {
    /// Which.
    pub pod: PodRef,
    /// Which life.
    pub uid: PodUid,
    /// Where.
    pub node: Option<NodeName>,
    /// Its controller, as (kind, name).
    pub controller: Option<(String, String)>,
    /// The workload behind it, as (kind, name).
    pub workload: Option<(String, String)>,
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

/// Why a fix is not offered. Every text says what to do instead, or what has to change first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuardRefusal {
    /// The verdict speaks against it, in its own words.
    #[error("{0}")]
    SpokenAgainst(String),
    /// The verdict names another cure, or none.
    #[error("the verdict is \"{0}\", and a restart does not cure that")]
    DoesNotFit(Scenario),
    /// None of the pods that the verdict names is there any more.
    #[error("the pods that the verdict names are gone: run the triage again")]
    Gone,
    /// A pod of that name is there, and it is another one.
    #[error("{pod} was replaced after the diagnosis, so nothing is known of the new one: run the triage again")]
    AlreadyReplaced {
        /// Which.
        pod: PodRef,
    },
    /// Too many for one plan.
    #[error("{}", too_many(*count))]
    TooMany {
        /// How many the verdict names.
        count: usize,
    },
    /// No fix evicts it, whatever else is seen.
    #[error("{pod} {why}")]
    NotRestarted {
        /// Which.
        pod: PodRef,
        /// Why.
        why: NotRestarted,
    },
    /// No eviction is allowed now.
    #[error("the disruption budget {budget} does not let {pod} go now: another pod has to become Ready first")]
    BudgetSpent {
        /// Which pod.
        pod: PodRef,
        /// Which budget.
        budget: String,
    },
    /// Kubernetes refuses such evictions for ever.
    #[error(
        "{pod} is covered by {count} disruption budgets, and Kubernetes evicts no pod with more than one: mend that"
    )]
    SeveralBudgets {
        /// Which pod.
        pod: PodRef,
        /// How many cover it.
        count: usize,
    },
}

/// Draws the plan, or says everything that stands against it.
pub fn plan(facts: &RestartFacts<'_>) -> Result<Plan, Vec<GuardRefusal>> {
    let mut refusals: Vec<GuardRefusal> = refused_by_verdict(facts.verdict).into_iter().collect();
    let named = facts.pods.iter().filter(|pod| facts.verdict.on.pods.contains(&pod.pod));
    let (stale, replaced): (Vec<&PodFacts>, Vec<&PodFacts>) = named.partition(|pod| is_judged(pod, facts.verdict));
    if stale.is_empty() {
        let gone = replaced.iter().map(|pod| GuardRefusal::AlreadyReplaced { pod: pod.pod.clone() });
        refusals.extend(gone);
        if replaced.is_empty() {
            refusals.push(GuardRefusal::Gone);
        }
    }
    if stale.len() > RESTARTS_MOST {
        refusals.push(GuardRefusal::TooMany { count: stale.len() });
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

fn refused_by_verdict(verdict: &Verdict) -> Option<GuardRefusal> {
    let never = verdict.never.iter().find(|never| never.fix == FixName::RestartPod);
    match never {
        Some(never) => Some(GuardRefusal::SpokenAgainst(never.reason.clone())),
        None if !verdict.fixes.contains(&FixName::RestartPod) => Some(GuardRefusal::DoesNotFit(verdict.scenario)),
        None => None,
    }
}

fn refused_pod(pod: &PodFacts, protected: &[Namespace]) -> Vec<GuardRefusal> {
    let which = || pod.pod.clone();
    let kind = pod.controller.as_ref().map(|(kind, _)| kind.as_str());
    let never = why_not_restarted(&pod.pod.namespace, protected, kind).into_iter();
    let mut refusals: Vec<GuardRefusal> = never.map(|why| GuardRefusal::NotRestarted { pod: which(), why }).collect();
    if pod.budgets.len() > 1 {
        refusals.push(GuardRefusal::SeveralBudgets { pod: which(), count: pod.budgets.len() });
    }
    // Of a pod that is not Ready the API server may allow the eviction all the same (`unhealthyPodEvictionPolicy`).
    if let Some(spent) = pod.budgets.iter().find(|budget| budget.allowed < 1 && pod.ready) {
        refusals.push(GuardRefusal::BudgetSpent { pod: which(), budget: spent.name.clone() });
    }
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
        if let Some(spent) = pod.budgets.iter().find(|budget| budget.allowed < 1) {
            warnings.push(format!(
                "the disruption budget {} lets no pod go now; {} is not Ready, so the API server decides",
                spent.name, pod.pod
            ));
        }
        if let Some((kind, name)) = pod.controller.as_ref().filter(|(kind, _)| !REPLACING.contains(&kind.as_str())) {
            warnings.push(format!("whether {kind}/{name} brings {} back is not known to the bot", pod.pod));
        }
    }
    warnings
        .extend(replaced.iter().map(|pod| format!("{} was replaced after the diagnosis and is left alone", pod.pod)));
    warnings
}

/// A sample that is stale throughout says that the rest of the target may well be stale too, and the plan leaves it.
fn not_looked_at(facts: &RestartFacts<'_>, stale: &[&PodFacts]) -> Option<String> {
    let was_looked_at = |pod: &&PodFacts| {
        let name = pod.pod.to_string();
        facts.verdict.checks.iter().any(|check| check.subject == name)
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

fn named(pair: Option<&(String, String)>) -> String {
    pair.map(|(kind, name)| format!("{kind}/{name}")).unwrap_or_default()
}

fn drawn(facts: &RestartFacts<'_>, stale: &[&PodFacts], replaced: &[&PodFacts]) -> Plan {
    let operations = stale
        .iter()
        .map(|pod| {
            Operation::EvictPod(PodEviction {
                pod: pod.pod.clone(),
                uid: pod.uid.clone(),
                node: pod.node.clone(),
                controller: named(pod.controller.as_ref()),
                workload: named(pod.workload.as_ref().or(pod.controller.as_ref())),
                because: facts.verdict.scenario.title().to_owned(),
            })
        })
        .collect();
    let ready = facts.pods.iter().filter(|pod| pod.ready).count();
    let mut budgets: Vec<Budget> = stale.iter().flat_map(|pod| pod.budgets.clone()).collect();
    budgets.sort_by(|a, b| a.name.cmp(&b.name));
    budgets.dedup_by(|a, b| a.name == b.name);
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
