//! What stands against any fix: the verdict, and the disruption budgets of the pods that it ends.

use jiff::{SignedDuration, Timestamp};

use super::Budget;
use crate::{
    mesh::PodRef,
    triage::{FixName, Scenario, Verdict},
};

/// Why a fix is not offered. Every text says what to do instead, or what has to change first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuardRefusal {
    /// The verdict speaks against it, in its own words.
    #[error("{0}")]
    SpokenAgainst(String),
    /// The verdict names another cure, or none.
    #[error("the verdict is \"{0}\", and a restart does not cure that")]
    DoesNotFit(Scenario),
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

/// For how long a verdict is acted upon: what it says of agents, server and pods may have changed since.
const VERDICT_LASTS: SignedDuration = SignedDuration::from_mins(30);

/// Whether the verdict is too old for a fix.
pub fn is_outdated(verdict: &Verdict, now: Timestamp) -> bool {
    now.duration_since(verdict.at) > VERDICT_LASTS
}

/// Whether the verdict speaks against `fix`, or does not name it. How old it is was asked when the fix was asked for: a plan that is
/// drawn again, as after an upgrade, reads the cluster anew and asks people again.
pub(super) fn by_verdict(verdict: &Verdict, fix: FixName) -> Option<GuardRefusal> {
    match verdict.never.iter().find(|never| never.fix == fix) {
        Some(never) => Some(GuardRefusal::SpokenAgainst(never.reason.clone())),
        None if !verdict.fixes.contains(&fix) => Some(GuardRefusal::DoesNotFit(verdict.scenario)),
        None => None,
    }
}

/// What the budgets that cover a pod say to its end.
pub(super) fn by_budgets(pod: &PodRef, ready: bool, budgets: &[Budget]) -> Vec<GuardRefusal> {
    let mut refusals = Vec::new();
    if budgets.len() > 1 {
        refusals.push(GuardRefusal::SeveralBudgets { pod: pod.clone(), count: budgets.len() });
    }
    // Of a pod that is not Ready the API server may allow the eviction all the same (`unhealthyPodEvictionPolicy`).
    if let Some(spent) = budgets.iter().find(|budget| budget.allowed < 1 && ready) {
        refusals.push(GuardRefusal::BudgetSpent { pod: pod.clone(), budget: spent.name.clone() });
    }
    refusals
}

/// What has to be said of a pod whose budget is spent, and that is not Ready.
pub(super) fn warning_of_budgets(pod: &PodRef, budgets: &[Budget]) -> Option<String> {
    let spent = budgets.iter().find(|budget| budget.allowed < 1)?;
    Some(format!(
        "the disruption budget {} lets no pod go now; {pod} is not Ready, so the API server decides",
        spent.name
    ))
}

/// The budgets of several pods, each once.
pub(super) fn each_once<'a>(budgets: impl Iterator<Item = &'a Budget>) -> Vec<Budget> {
    let mut budgets: Vec<Budget> = budgets.cloned().collect();
    budgets.sort_by(|a, b| a.name.cmp(&b.name));
    budgets.dedup_by(|a, b| a.name == b.name);
    budgets
}
