//! Which pods of a target are looked at when there are many.

use std::collections::BTreeMap;

use super::FoundPod;
use crate::mesh::{NodeName, PodRef};

/// Splits the pods into those that are looked at, at most `most` and worst first, and the rest.
///
/// First the alerts' own pods, then what is not Ready, then what restarts most. Among pods that are equal in that, nodes
/// take turns, because a SPIRE agent fails node by node; and the oldest comes first, being the likeliest to hold
/// something stale. An alert's pod that is none of the target's is the exporter's and changes nothing (kubernaut 303).
pub(super) fn choose(pods: Vec<FoundPod>, alerted: &[PodRef], most: usize) -> (Vec<FoundPod>, Vec<FoundPod>) {
    let mut rest = pods;
    let mut chosen = Vec::new();
    let mut on_node: BTreeMap<Option<NodeName>, usize> = BTreeMap::new();
    while chosen.len() < most {
        let rank = |pod: &FoundPod| {
            let crowd = on_node.get(&pod.node).copied().unwrap_or(0);
            (!alerted.contains(&pod.pod), pod.ready, -pod.restarts, crowd, pod.started, pod.pod.clone())
        };
        let Some(place) = (0..rest.len()).min_by_key(|place| rest.get(*place).map(rank)) else { break };
        let pod = rest.remove(place);
        *on_node.entry(pod.node.clone()).or_default() += 1;
        chosen.push(pod);
    }
    (chosen, rest)
}
