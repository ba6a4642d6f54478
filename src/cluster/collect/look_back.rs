//! How far back an agent's log has to be read to tell whether it renewed what the pods of its node hold.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    mesh::NodeName,
    triage::{
        PodEvidence,
        certificate::{Svid, ders, leaf_first},
    },
};

/// The furthest, whatever the pods hold: SVIDs of a day, and the day before. What happened earlier stays open.
const FURTHEST: Duration = Duration::from_hours(48);
/// Beyond the time of issue, so that the line of the issue itself is read, which proves how far back the log reaches.
/// SPIRE dates SVIDs back by 10 s, and clocks may differ by a minute.
const MARGIN: Duration = Duration::from_mins(5);

/// What the pods of one node want to know of their agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LookBack {
    /// Since when the agent should have renewed one of their SVIDs: half of its life, or its issue while that is ahead.
    pub(super) due: Timestamp,
    /// When the oldest was issued.
    issued: Timestamp,
}

impl LookBack {
    /// Over the pods of one node; `None` where no SVID of theirs could be read.
    pub(super) fn of(node: &NodeName, pods: &[PodEvidence], now: Timestamp) -> Option<Self> {
        let on_node = pods.iter().filter(|pod| pod.node.as_ref() == Some(node));
        let svids: Vec<Svid> = on_node.filter_map(held).collect();
        let due = |svid: &Svid| if svid.renewal_due() <= now { svid.renewal_due() } else { svid.not_before };
        Some(Self { due: svids.iter().map(due).min()?, issued: svids.iter().map(|svid| svid.not_before).min()? })
    }

    /// How long ago the reading has to begin, bounded.
    pub(super) fn since(&self, now: Timestamp) -> Duration {
        let ago = Duration::try_from(now.duration_since(self.issued)).unwrap_or_default();
        ago.saturating_add(MARGIN).min(FURTHEST)
    }
}

/// The SVID that a pod goes by: what its proxy serves, or else what lies in its file.
fn held(pod: &PodEvidence) -> Option<Svid> {
    let served = pod.served.value().map(|served| &served.chain);
    let file = pod.svid_file.value().map(|file| &file.certificates);
    let read = |chain: &Vec<String>| Svid::read(leaf_first(ders(chain)).first()?).ok();
    served.and_then(read).or_else(|| file.and_then(read))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_log_is_read_from_before_the_issue_on_and_never_further_than_two_days() {
        let back = |issued: &str| LookBack { due: at("2026-11-24T02:00:00Z"), issued: at(issued) };
        let now = at("2026-11-24T03:00:00Z");
        assert_eq!(back("2026-11-24T01:00:00Z").since(now), Duration::from_mins(125));
        assert_eq!(back("2026-11-20T01:00:00Z").since(now), FURTHEST);
        assert_eq!(back("2026-11-24T09:00:00Z").since(now), MARGIN, "one that begins in the future");
    }
}
