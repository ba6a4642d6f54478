//! Which DestinationRules of one namespace and host become one.
//!
//! Istio 1.31: `PushContext.mergeDestinationRule` (pilot/pkg/model/destination_rule.go) with its default of
//! `ENABLE_ENHANCED_DESTINATIONRULE_MERGE`.

use std::collections::BTreeSet;

use super::{
    names::{Labels, ObjectName},
    policy_objects::{DestinationRule, Subset, TrafficPolicy},
};

/// One rule, or several that Istio made one of.
#[derive(Debug, Clone)]
pub struct MergedRule<'o> {
    /// In the order in which they were merged; Istio calls the whole by the name of the first.
    pub from: Vec<&'o DestinationRule>,
    /// Of the first that has one.
    pub policy: Option<&'o TrafficPolicy>,
    /// The first of each name.
    pub subsets: Vec<&'o Subset>,
    pub(super) export_to: BTreeSet<&'o str>,
    pub(super) selector: Option<&'o Labels>,
}

impl<'o> MergedRule<'o> {
    pub(super) fn new(rule: &'o DestinationRule) -> Self {
        let selector = rule.spec.workload_selector.as_ref().map(|selector| &selector.match_labels);
        // A rule for some workloads is never exported, whatever it says.
        let export_to = match selector {
            Some(_) => BTreeSet::from(["."]),
            None => rule.spec.export_to.iter().map(String::as_str).collect(),
        };
        Self {
            from: vec![rule],
            policy: rule.spec.traffic_policy.as_ref(),
            subsets: rule.spec.subsets.iter().collect(),
            export_to,
            selector,
        }
    }

    /// The namespace of its first rule. All of them are of one namespace.
    pub(super) fn namespace(&self) -> &'o str {
        self.from.first().map_or("", |rule| rule.metadata.namespace.as_str())
    }

    /// The names of the rules in it, first the one that Istio calls it by.
    pub fn names(&self) -> Vec<ObjectName> {
        self.from.iter().map(|rule| rule.metadata.object_name()).collect()
    }

    pub(super) fn subset(&self, name: &str) -> Option<&'o Subset> {
        self.subsets.iter().find(|one| one.name == name).copied()
    }

    /// Whether clients of another namespace may see it.
    pub(super) fn is_exported_to(&self, namespace: &str) -> bool {
        self.export_to.is_empty() || self.export_to.contains("*") || self.export_to.contains(namespace)
    }

    fn take_in(&mut self, younger: &Self) {
        self.from.extend(&younger.from);
        for subset in &younger.subsets {
            if self.subset(&subset.name).is_none() {
                self.subsets.push(subset);
            }
        }
        self.policy = self.policy.or(younger.policy);
    }
}

/// Adds a rule to those of its namespace and host. It merges only where `exportTo` is literally equal, or into an older rule
/// whose `exportTo` it covers; a rule for some workloads never merges into one for others. What Istio does with a plain rule
/// after one with a selector is kept too: it merges into that one, and is a rule of its own unless their `exportTo` are equal.
pub(super) fn add_rule<'o>(rules: &mut Vec<MergedRule<'o>>, new: MergedRule<'o>) {
    let mut stands_alone = true;
    for older in rules.iter_mut() {
        if new.export_to == older.export_to {
            stands_alone = false;
        } else {
            stands_alone = true;
            let covers = !older.export_to.is_empty() && new.export_to.is_superset(&older.export_to);
            if !covers {
                continue;
            }
        }
        match (new.selector, older.selector) {
            (Some(ours), Some(theirs)) if ours != theirs => {
                stands_alone = true;
                continue;
            }
            (Some(_), Some(_)) | (None, None) => stands_alone = false,
            (Some(_), None) | (None, Some(_)) => {}
        }
        older.take_in(&new);
    }
    if stands_alone {
        rules.push(new);
    }
}
