//! Plans as journals hold them, of this version and of older ones.

use serde::Deserialize;

use super::{Plan, PlanContent, PlanId};

/// A plan of any version. Up to 2026-11 the hash was not stored, but made anew each time, also over the sentences and
/// shell lines that were stored then.
#[derive(Deserialize)]
pub(super) struct StoredPlan {
    id: Option<PlanId>,
    #[serde(default = "first_way")]
    hashed: u32,
    #[serde(flatten)]
    content: PlanContent,
    #[serde(default)]
    undo: String,
    #[serde(default)]
    kubectl: Vec<String>,
}

/// How hashes were made before it was stored how.
fn first_way() -> u32 {
    1
}

impl StoredPlan {
    fn first_hash(&self) -> PlanId {
        let PlanContent { fix, target, operations, budgets, .. } = &self.content;
        let budgets: Vec<&str> = budgets.iter().map(|budget| budget.name.as_str()).collect();
        PlanId::of(&(fix, target, operations, budgets, &self.undo, &self.kubectl))
    }
}

impl From<StoredPlan> for Plan {
    fn from(stored: StoredPlan) -> Self {
        let id = stored.id.clone().unwrap_or_else(|| stored.first_hash());
        Self { id, hashed: stored.hashed, content: stored.content }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a bot of 2026-11 wrote it, which showed it to people as c2865d9c.
    const OF_OLD: &str = r#"{"fix":"restart-pod","target":{"namespace":"web","kind":"service","name":"frontend"},
        "drawn_at":"2026-03-01T03:03:00Z","operations":[{"operation":"evict_pod","pod":{"namespace":"web",
        "name":"frontend-7d9c5b6f4-aaaaa"},"uid":"0a1b2c3d","node":"node-1","controller":"ReplicaSet/frontend-7d9c5b6f4",
        "workload":"deploy/frontend","because":"its SVID expired 40 min ago"}],"ready":[3,3],
        "budgets":[{"name":"frontend","allowed":1}],"warnings":["connections of this pod are cut"],
        "undo":"nothing to undo: the controller starts a new pod of the same template",
        "kubectl":["kubectl delete pod frontend-7d9c5b6f4-aaaaa -n web"],"lives":[]}"#;

    #[test]
    fn a_plan_of_an_older_version_keeps_the_hash_that_people_saw_and_is_known_as_old() {
        let plan: Plan = serde_json::from_str(OF_OLD).unwrap();
        assert_eq!(plan.id().0, "c2865d9c3b546ac60141437886d23760f29b09cde270ff546df4e8f0c1b484e2");
        assert!(plan.has_old_hash() && plan.is_whole());
        let again: Plan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
        assert_eq!(again, plan, "stored by this version it is still the same");
    }

    #[test]
    fn a_plan_that_was_changed_in_the_journal_is_not_the_one_that_was_approved() {
        let old: Plan = serde_json::from_str(OF_OLD).unwrap();
        let mut plan = Plan::new(old.content);
        let again: Plan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
        assert!(again == plan && plan.is_whole() && !plan.has_old_hash());
        plan.operations.clear();
        assert!(!plan.is_whole());
    }
}
