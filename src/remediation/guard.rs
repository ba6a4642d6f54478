//! What a fix must not do, whoever asks for it and whoever approves it.

use crate::{
    mesh::PodRef,
    triage::{NotEvicted, Scenario, too_many},
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
    NotEvicted {
        /// Which.
        pod: PodRef,
        /// Why.
        why: NotEvicted,
    },
    /// No eviction is allowed now.
    #[error("the disruption budget {budget} allows no eviction of {pod} now: another pod has to become Ready first")]
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
