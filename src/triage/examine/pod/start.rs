//! Before step 1: whether the pod runs at all.

use super::Rows;
use crate::triage::{
    CheckId, CheckResult, Gathered,
    pod_start::{MissingOnNode, PodStart},
};

impl Rows<'_> {
    /// Where it does not start, why.
    pub(super) fn start(&mut self) {
        let Some(start) = &self.pod.start else { return };
        let seen = (start.events.source(), start.events.at());
        let Some(kept) = start.kept_by(self.now) else {
            if let Gathered::Missing { reason, .. } = &start.events
                && start.waits_unexplained(self.now)
            {
                let summary = format!("it does not start, and why could not be seen: {}", reason.sentence());
                self.add(CheckId::PodStart, CheckResult::Inconclusive, summary, seen, None);
            }
            return;
        };
        let (summary, remedy) = match start.missing_on_node(self.now) {
            Some((_, event)) => (event.sentence(), self.look_at_the_node(start)),
            None => (kept.sentence(), format!("look further: {}", kept.next_look(&self.pod.pod))),
        };
        let summary = format!("it does not start: {summary}");
        self.add(CheckId::PodStart, CheckResult::Fail, summary, seen, Some(&remedy));
    }

    fn look_at_the_node(&self, start: &PodStart) -> String {
        let node = self.pod.node.as_ref().map_or("NODE", |node| node.as_str());
        let there = format!("`kubectl get pods -A -o wide --field-selector spec.nodeName={node}`");
        match start.missing_on_node(self.now) {
            Some((MissingOnNode::Driver(driver), _)) => format!(
                "see whether {driver} is registered on the node (`kubectl get csinode {node} -o yaml`) and its pod runs there \
                 ({there})"
            ),
            _ => format!("see whether the SPIRE agent runs on the node, and where it puts its socket ({there})"),
        }
    }
}
