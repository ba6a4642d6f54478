//! The one DestinationRule that a client's proxy follows for a host.
//!
//! Istio 1.31: `PushContext.destinationRule`, `getExportedDestinationRuleFromNamespace` (pilot/pkg/model/push_context.go) and
//! `SidecarScope.DestinationRule` (pilot/pkg/model/sidecar.go).

use super::{
    names::{Labels, selects},
    rule_index::RuleIndex,
    rule_merge::MergedRule,
};

/// The client as a rule sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller<'c> {
    pub(super) namespace: &'c str,
    pub(super) labels: &'c Labels,
}

impl<'o> RuleIndex<'o> {
    /// The client's own namespace decides first, then the service's, then the root namespace. The first of them that has a
    /// rule for the host which the client may see ends the search, also where that rule is for other workloads only.
    pub(super) fn in_force(
        &self,
        caller: Caller<'_>,
        host: &str,
        service_namespace: &str,
        root: &str,
    ) -> Option<&MergedRule<'o>> {
        let own = if caller.namespace == root {
            self.private_of_root.for_host(host)
        } else {
            self.local.get(caller.namespace).and_then(|rules| rules.for_host(host))
        };
        if let Some(rules) = own {
            return for_workload(rules.iter(), caller);
        }
        [service_namespace, root].into_iter().find_map(|namespace| {
            // The exact host is looked for before it is asked who may see it: an exact rule that is kept from the client
            // hides a wildcard that is not.
            let rules = self.exported.get(namespace)?.for_host(host)?;
            let mut seen = rules.iter().filter(|rule| rule.is_exported_to(caller.namespace)).peekable();
            seen.peek()?;
            Some(for_workload(seen, caller))
        })?
    }
}

/// A rule for just this workload, else the last rule for all.
fn for_workload<'r, 'o: 'r>(
    rules: impl Iterator<Item = &'r MergedRule<'o>>,
    caller: Caller<'_>,
) -> Option<&'r MergedRule<'o>> {
    let mut for_all = None;
    for rule in rules {
        match rule.selector {
            None => for_all = Some(rule),
            Some(selector) if rule.namespace() == caller.namespace && selects(selector, caller.labels) => {
                return Some(rule);
            }
            Some(_) => {}
        }
    }
    for_all
}
