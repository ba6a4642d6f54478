//! All DestinationRules by who may see them, then by host.
//!
//! Istio 1.31: `PushContext.setDestinationRules` and `sortConfigBySelectorAndCreationTime` (pilot/pkg/model/push_context.go),
//! `ResolveShortnameToFQDN` and `MostSpecificHostMatch` (pilot/pkg/model/config.go).

use std::collections::BTreeMap;

use super::{
    objects::Objects,
    policy_objects::DestinationRule,
    rule_merge::{MergedRule, add_rule},
};

/// The rules of one namespace, by the host that they name.
#[derive(Debug, Default)]
pub(super) struct RulesByHost<'o> {
    exact: BTreeMap<String, Vec<MergedRule<'o>>>,
    wildcard: BTreeMap<String, Vec<MergedRule<'o>>>,
}

impl<'o> RulesByHost<'o> {
    fn add(&mut self, rule: &'o DestinationRule) {
        let host = full_host(rule);
        let rules = if host.starts_with('*') { &mut self.wildcard } else { &mut self.exact };
        add_rule(rules.entry(host).or_default(), MergedRule::new(rule));
    }

    /// Those of the exact host, else those of the longest wildcard that covers it.
    pub(super) fn for_host(&self, host: &str) -> Option<&[MergedRule<'o>]> {
        if let Some(rules) = self.exact.get(host) {
            return Some(rules);
        }
        let covering = self.wildcard.iter().filter(|(wildcard, _)| host.ends_with(wildcard.trim_start_matches('*')));
        covering.max_by_key(|(wildcard, _)| wildcard.len()).map(|(_, rules)| rules.as_slice())
    }
}

#[derive(Debug, Default)]
pub(super) struct RuleIndex<'o> {
    /// What clients of the namespace see of their own.
    pub(super) local: BTreeMap<&'o str, RulesByHost<'o>>,
    /// What a namespace shows to others.
    pub(super) exported: BTreeMap<&'o str, RulesByHost<'o>>,
    /// What the root namespace keeps to itself.
    pub(super) private_of_root: RulesByHost<'o>,
}

impl<'o> RuleIndex<'o> {
    pub(super) fn new(objects: &'o Objects) -> Self {
        let mut rules: Vec<_> = objects.destination_rules.values().collect();
        rules.sort_by_cached_key(|rule| {
            let (new, created, name, namespace) = rule.metadata.age();
            (rule.spec.workload_selector.is_none(), new, created, name, namespace)
        });
        let private_by_default = objects.mesh.default_destination_rule_export_to.iter().any(|to| to == ".");
        let mut index = Self::default();
        for rule in rules {
            let namespace = rule.metadata.namespace.as_str();
            let export_to = MergedRule::new(rule).export_to;
            let names_itself = export_to.contains(".") || export_to.contains(namespace);
            if export_to.is_empty() || export_to.contains("*") || names_itself {
                index.local.entry(namespace).or_default().add(rule);
            }
            let is_private =
                if export_to.is_empty() { private_by_default } else { export_to.len() == 1 && names_itself };
            if !is_private {
                index.exported.entry(namespace).or_default().add(rule);
            } else if namespace == objects.mesh.root_namespace {
                index.private_of_root.add(rule);
            }
        }
        index
    }
}

/// Only a name without a dot is completed, in the rule's own namespace: `reviews.shop` stays as it is and matches no Service.
pub(super) fn full_host(rule: &DestinationRule) -> String {
    let host = &rule.spec.host;
    let is_short = !host.is_empty() && host != "*" && !host.contains(['.', ':']);
    if is_short { format!("{host}.{}.svc.cluster.local", rule.metadata.namespace) } else { host.clone() }
}
