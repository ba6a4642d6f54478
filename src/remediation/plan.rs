//! The plan of a fix: what exactly would be done, to what, and how it is undone. What is approved is its hash
//! (invariant 4).

use std::{collections::BTreeSet, fmt, ops::Deref};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Budget, Operation, StepNumber, stored_plan::StoredPlan};
use crate::{
    mesh::{PodUid, TargetRef},
    triage::FixName,
};

/// The hash of a plan: SHA-256 in hexadecimal. How it is made: [`Plan::HASH`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PlanId(pub String);

/// How many characters of a hash people are shown, and the fewest that name a plan.
const SHORT: usize = 8;
/// The length of a whole hash.
const WHOLE: usize = 64;

impl PlanId {
    /// The first characters, for people.
    pub fn short(&self) -> &str {
        self.0.get(..SHORT).unwrap_or(&self.0)
    }

    /// A hash as people type it: all of it, or at least as many of its first characters as they are shown.
    pub fn typed(word: &str) -> Option<Self> {
        let fine = (SHORT..=WHOLE).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        fine.then(|| Self(word.to_ascii_lowercase()))
    }

    /// Whether `named`, typed or carried by a button, means this plan: its hash, or the first characters of it. The one
    /// rule for every face.
    pub fn is_meant_by(&self, named: &Self) -> bool {
        named.0.len() >= SHORT && self.0.starts_with(&named.0)
    }

    /// The hash of what `essence` holds.
    pub(super) fn of(essence: &impl Serialize) -> Self {
        // The types of a plan hold only strings and numbers, so writing them as JSON cannot fail; if it ever did, the hash
        // of the empty text would still never equal a real plan's.
        let text = serde_json::to_string(essence).unwrap_or_default();
        Self(hex::encode(Sha256::digest(text.as_bytes())))
    }

    /// Whether what was typed means more than one of these plans.
    pub fn means_several(&self, known: &BTreeSet<Self>) -> bool {
        known.iter().filter(|plan| plan.is_meant_by(self)).nth(1).is_some()
    }
}

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}

/// What a fix would do, exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanContent {
    /// Which fix.
    pub fix: FixName,
    /// What the incident is about.
    pub target: TargetRef,
    /// When the cluster was read.
    pub drawn_at: Timestamp,
    /// The writes, one after the other; each starts only after the one before has been seen to work.
    pub operations: Vec<Operation>,
    /// How many of what it restarts are ready, pods of the workload or SPIRE agents, and how many there should be.
    pub ready: (u32, u32),
    /// The disruption budgets that apply.
    pub budgets: Vec<Budget>,
    /// What could go wrong, said before.
    pub warnings: Vec<String>,
    /// The UIDs of the workloads' pods that were there when it was drawn: any other pod is new. By UID and not by time,
    /// since the bot's clock and the API server's differ. Not part of the hash: pods come and go.
    #[serde(default, rename = "lives")]
    pub pods_before: Vec<PodUid>,
}

/// A plan with the hash that an approval binds to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredPlan")]
pub struct Plan {
    pub(super) id: PlanId,
    /// How the hash was made; see [`Plan::HASH`].
    pub(super) hashed: u32,
    #[serde(flatten)]
    pub(super) content: PlanContent,
}

impl Deref for Plan {
    type Target = PlanContent;

    fn deref(&self) -> &PlanContent {
        &self.content
    }
}

#[cfg(test)]
impl std::ops::DerefMut for Plan {
    /// Changes it behind the back of its hash.
    fn deref_mut(&mut self) -> &mut PlanContent {
        &mut self.content
    }
}

impl Plan {
    /// The way in which hashes are made today. Version 1 (up to 2026-11) was made over sentences and kubectl lines too.
    pub const HASH: u32 = 2;

    /// The plan with its hash.
    pub fn new(content: PlanContent) -> Self {
        Self { id: hash(&content), hashed: Self::HASH, content }
    }

    /// The hash that an approval binds to.
    pub fn id(&self) -> PlanId {
        self.id.clone()
    }

    /// Whether its hash was made in the way of an older version, so that a question about it has to be asked anew.
    pub fn has_old_hash(&self) -> bool {
        self.hashed < Self::HASH
    }

    /// Whether it is what its hash says. A hash of an older version is trusted: what it was made over is not stored whole
    /// any more. One of a newer version is not.
    pub fn is_whole(&self) -> bool {
        self.has_old_hash() || hash(&self.content) == self.id
    }

    /// What approvers are asked back: what happens to what.
    pub fn in_short(&self) -> String {
        let count = self.operations.len();
        self.operations.first().map_or_else(String::new, |first| first.several(count, &self.target))
    }

    /// What its figures of ready ones are about.
    pub fn counted(&self) -> &'static str {
        self.operations.first().map_or("pods", Operation::counted)
    }

    /// The lines that would do the same by hand.
    pub fn kubectl(&self) -> impl Iterator<Item = String> {
        self.operations.iter().map(Operation::kubectl)
    }

    /// How it is undone, or why there is nothing to undo.
    pub fn undo(&self) -> &'static str {
        self.operations.first().map_or("nothing was to be done", Operation::undo)
    }

    /// How many operations a step and those after it are.
    pub fn operations_from(&self, step: StepNumber) -> usize {
        self.operations.len().saturating_sub(usize::try_from(step.0).unwrap_or(usize::MAX))
    }

    /// The operation of a step.
    pub fn operation(&self, step: StepNumber) -> Option<&Operation> {
        self.operations.get(usize::try_from(step.0).ok()?)
    }
}

/// Over fix, target, operations and preconditions. Times, figures that move by themselves, and all that only people read
/// are left out: other words do not change what was approved.
fn hash(plan: &PlanContent) -> PlanId {
    let operations: Vec<_> = plan.operations.iter().map(Operation::identity).collect();
    let budgets: Vec<&str> = plan.budgets.iter().map(|budget| budget.name.as_str()).collect();
    PlanId::of(&(Plan::HASH, plan.fix, &plan.target, operations, budgets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_characters_of_a_hash_mean_a_plan_as_long_as_no_other_begins_with_them() {
        let plans = ["0123456789", "01234567ab", "fedcba9876"].map(|id| PlanId(id.to_owned()));
        let typed = |word: &str| PlanId::typed(word).unwrap();
        assert!(plans[0].is_meant_by(&typed("0123456789")) && !plans[1].is_meant_by(&typed("0123456789")));
        let known = BTreeSet::from(plans);
        assert!(typed("01234567").means_several(&known));
        assert!(!typed("0123456789").means_several(&known));
        assert!(!typed("FEDCBA98").means_several(&known));
        assert_eq!(PlanId::typed("0123456"), None, "fewer than people are shown");
        assert_eq!(PlanId::typed("restart-pod"), None);
    }
}
