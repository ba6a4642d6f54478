//! `restart-pod` (runbook scenario 1): evict the pods that hold a stale SVID, one after the other.

use jiff::Timestamp;

use super::{Budget, Operation, Plan, PlannedPod};
use crate::{
    mesh::{NodeName, PodRef, PodUid, TargetRef},
    triage::{FixName, Verdict},
};

/// The most pods that one plan restarts: more is a rollout, and somebody should look first.
pub const PODS_MOST: usize = 10;

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
    /// When that was read.
    pub now: Timestamp,
}

/// Draws the plan, or says why not.
pub fn plan(facts: &RestartFacts<'_>) -> Result<Plan, Vec<String>> {
    let mut refusals = refused_by_verdict(facts.verdict);
    let stale: Vec<&PodFacts> =
        facts.pods.iter().filter(|facts_of_pod| facts.verdict.on.pods.contains(&facts_of_pod.pod)).collect();
    if stale.is_empty() {
        refusals.push("the pods that the verdict names are gone: run the triage again".to_owned());
    }
    if stale.len() > PODS_MOST {
        refusals.push(format!(
            "{} pods are more than one plan restarts ({PODS_MOST}): look at the rollout first",
            stale.len()
        ));
    }
    for pod in &stale {
        refusals.extend(refused_pod(pod));
    }
    if !refusals.is_empty() {
        return Err(refusals);
    }
    Ok(drawn(facts, &stale))
}

fn refused_by_verdict(verdict: &Verdict) -> Vec<String> {
    let never = verdict.never.iter().find(|never| never.fix == FixName::RestartPod);
    match never {
        Some(never) => vec![never.reason.clone()],
        None if !verdict.fixes.contains(&FixName::RestartPod) => {
            vec![format!("the verdict is \"{}\", and a restart does not cure that", verdict.scenario)]
        }
        None => Vec::new(),
    }
}

fn refused_pod(pod: &PodFacts) -> Option<String> {
    if pod.controller.is_none() {
        return Some(format!("{} has no controller: once evicted it would never come back", pod.pod));
    }
    pod.budgets.iter().find(|budget| budget.allowed < 1).map(|budget| {
        format!(
            "the disruption budget {} allows no eviction of {} now: another pod has to become Ready first",
            budget.name, pod.pod
        )
    })
}

fn named(pair: Option<&(String, String)>) -> String {
    pair.map(|(kind, name)| format!("{kind}/{name}")).unwrap_or_default()
}

fn drawn(facts: &RestartFacts<'_>, stale: &[&PodFacts]) -> Plan {
    let operations = stale
        .iter()
        .map(|pod| {
            Operation::EvictPod(PlannedPod {
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
    let mut warnings = Vec::new();
    if ready <= 1 {
        warnings.push("only one pod of the target is Ready: while it restarts, nobody answers".to_owned());
    }
    if budgets.is_empty() {
        warnings.push(
            "no disruption budget protects the target: pods are restarted one after the other all the same".to_owned(),
        );
    }
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Plan {
        fix: FixName::RestartPod,
        target: facts.target.clone(),
        drawn_at: facts.now,
        operations,
        ready: (count(ready), count(facts.pods.len())),
        budgets,
        warnings,
        undo: "nothing to undo: the controller brings up a new pod of the same template".to_owned(),
        kubectl: stale
            .iter()
            .map(|pod| format!("kubectl delete pod {} -n {} --wait", pod.pod.name, pod.pod.namespace))
            .collect(),
    }
}
