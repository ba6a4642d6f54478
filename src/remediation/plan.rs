//! The plan of a fix: what exactly would be done, to what, and how it is undone. What is approved is its hash
//! (invariant 4).

use std::{collections::BTreeSet, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    mesh::{NodeName, PodRef, PodUid, TargetRef},
    triage::FixName,
};

/// The hash of a plan: SHA-256 over all of it but the time it was drawn, in hexadecimal.
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

/// One life of a pod that a plan will end, and who brings up the next one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedPod {
    /// Which pod.
    pub pod: PodRef,
    /// Which life of it.
    pub uid: PodUid,
    /// Where it runs.
    pub node: Option<NodeName>,
    /// The controller that replaces it, as `ReplicaSet/frontend-7d9c5b6f4`.
    pub controller: String,
    /// The workload that owns it, as `deploy/frontend`.
    pub workload: String,
    /// What is wrong with it, in one sentence.
    pub because: String,
}

/// One write to the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "snake_case")]
pub enum Operation {
    /// Evict one life of a pod through the eviction API, wait for its replacement, and check the replacement's SVID.
    EvictPod(PlannedPod),
}

impl Operation {
    /// The lock that two incidents may not hold at once, as `pod/UID`.
    pub fn lock(&self) -> String {
        match self {
            Self::EvictPod(planned) => format!("pod/{}", planned.uid),
        }
    }
}

/// A PodDisruptionBudget that covers pods of the plan, as it stood when the plan was drawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Its name.
    pub name: String,
    /// How many pods may be evicted now. It moves all the time, so it is shown but not part of the plan's hash: the API
    /// server checks it again at each eviction.
    pub allowed: i32,
}

/// What a fix would do, exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Which fix.
    pub fix: FixName,
    /// What the incident is about.
    pub target: TargetRef,
    /// When the cluster was read.
    pub drawn_at: Timestamp,
    /// The writes, one after the other; each starts only after the one before has been seen to work.
    pub operations: Vec<Operation>,
    /// How many pods of the workload are ready and how many there should be.
    pub ready: (u32, u32),
    /// The disruption budgets that apply.
    pub budgets: Vec<Budget>,
    /// What could go wrong, said before.
    pub warnings: Vec<String>,
    /// How it is undone, or why there is nothing to undo.
    pub undo: String,
    /// The kubectl lines that would do the same.
    pub kubectl: Vec<String>,
    /// The lives of the workloads' pods that were there when it was drawn: whatever else comes up is a replacement. By
    /// UID and not by time, since the bot's clock and the API server's differ. Not part of the hash: pods come and go.
    #[serde(default)]
    pub lives: Vec<PodUid>,
}

impl Plan {
    /// The hash that an approval binds to. Times and figures that move by themselves are left out.
    pub fn id(&self) -> PlanId {
        let names: Vec<&str> = self.budgets.iter().map(|budget| budget.name.as_str()).collect();
        let essence = (self.fix, &self.target, &self.operations, names, &self.undo, &self.kubectl);
        // These types hold only strings and numbers, so writing them as JSON cannot fail; if it ever did, the empty
        // text would still never equal a real plan's hash.
        let text = serde_json::to_string(&essence).unwrap_or_default();
        PlanId(hex::encode(Sha256::digest(text.as_bytes())))
    }

    /// The pods whose lives it ends, in order.
    pub fn pods(&self) -> impl Iterator<Item = &PlannedPod> {
        self.operations.iter().map(|Operation::EvictPod(planned)| planned)
    }
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
