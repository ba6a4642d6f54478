//! What has to be gathered next because of what was seen. Collectors ask here, gather it, and judge nothing themselves.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    AgentEvidence, Gathered, LogExcerpt, Missing, PemFile, PodEvidence,
    agent_log::renewed_since,
    certificate::{Svid, ders, leaf_first},
};
use crate::mesh::NodeName;

pub(crate) use super::examine::istio_objects::{clients_to_ask, reduce_to_calls_in_question, to_read};

/// The furthest that an agent's log is read back, whatever the pods hold: SVIDs of a day, and the day before. What happened
/// earlier stays open.
const FURTHEST: Duration = Duration::from_hours(48);
/// Beyond the time of issue, so that the line of the issue itself is read, which proves how far back the log reaches.
/// SPIRE dates SVIDs back by 10 s, and clocks may differ by a minute.
const MARGIN: Duration = Duration::from_mins(5);

/// One more thing to gather.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookFurther {
    /// The ConfigMap that is mounted where a bundle file lies.
    MountedConfigMap,
    /// Why a pod does not start.
    PodStart,
    /// What SPIRE answers over HTTP to the probes of its pod.
    HttpHealth,
    /// The log of an agent once more, from so long ago on.
    AgentLog { since: Duration },
    /// The controllers that should have made the server's pods.
    ServerControllers,
}

/// After a bundle file was asked for: where no tool or no right shows it, the ConfigMap behind it may. A file that is not
/// there, or could not be read, is a finding by itself.
pub fn after_bundle_file(file: &Gathered<PemFile>) -> Option<LookFurther> {
    let Gathered::Missing { reason, .. } = file else { return None };
    let no_way_in = matches!(reason, Missing::ToolMissing { .. } | Missing::Forbidden { .. });
    no_way_in.then_some(LookFurther::MountedConfigMap)
}

/// After the certificates of a pod were asked for: one that is not Ready, or shows none, may not have started. In ambient mode
/// none is expected.
pub fn after_certificates(pod: &PodEvidence) -> Option<LookFurther> {
    let file = pod.svid_file.value().is_some_and(|file| !file.certificates.is_empty());
    let served = pod.served.value().is_some_and(|served| !served.chain.is_empty());
    (!pod.ready || !(file || served || pod.ambient)).then_some(LookFurther::PodStart)
}

/// Which of the two shows the bundle: the ConfigMap only where it holds one.
pub fn shown_bundle(file: Gathered<PemFile>, mounted: Option<Gathered<PemFile>>) -> Gathered<PemFile> {
    let holds_one = |map: &Gathered<PemFile>| map.value().is_some_and(|map| !map.certificates.is_empty());
    mounted.filter(holds_one).unwrap_or(file)
}

/// After a healthcheck that could not be run in a pod: images and rights without the command leave SPIRE's HTTP probes. A pod
/// that is gone has neither.
pub fn after_healthcheck(missing: &Missing) -> Option<LookFurther> {
    (!matches!(missing, Missing::Gone { .. })).then_some(LookFurther::HttpHealth)
}

/// After the pods of the server were listed: a server that is scaled to nothing is down, and no pod says so.
pub fn after_server_pods(count: usize) -> Option<LookFurther> {
    (count == 0).then_some(LookFurther::ServerControllers)
}

/// After the log of an agent was read `usual` far back: where it shows no renewal since the pods of its node were due for one,
/// once more, and further back where need be. SVIDs that live longer are renewed less often, and silence is a sign only where
/// the log is long enough to hold a renewal. Nor does a log that was cut behind the API server tell so: it is shorter, and
/// silent.
pub fn after_agent_log(
    agent: &AgentEvidence,
    pods: &[PodEvidence],
    usual: Duration,
    now: Timestamp,
) -> Option<LookFurther> {
    let (log, held) = (agent.log.value()?, HeldOnNode::of(&agent.node, pods, now)?);
    (!renewed_since(log, held.due)).then(|| LookFurther::AgentLog { since: held.look_back(now).max(usual) })
}

/// Which of two looks at one log counts: silence that was seen is more than a longer look that came to nothing.
pub fn shown_log(first: Gathered<LogExcerpt>, longer: Gathered<LogExcerpt>) -> Gathered<LogExcerpt> {
    if longer.value().is_some() { longer } else { first }
}

/// What the pods of one node hold, as far as their agent's log should tell of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct HeldOnNode {
    /// Since when the agent should have renewed one of their SVIDs: half of its life, or its issue while that is ahead.
    due: Timestamp,
    /// When the oldest was issued.
    issued: Timestamp,
}

impl HeldOnNode {
    /// `None` where no SVID of theirs could be read.
    fn of(node: &NodeName, pods: &[PodEvidence], now: Timestamp) -> Option<Self> {
        let on_node = pods.iter().filter(|pod| pod.node.as_ref() == Some(node));
        let svids: Vec<Svid> = on_node.filter_map(held).collect();
        let due = |svid: &Svid| if svid.renewal_due() <= now { svid.renewal_due() } else { svid.not_before };
        Some(Self { due: svids.iter().map(due).min()?, issued: svids.iter().map(|svid| svid.not_before).min()? })
    }

    /// How long ago the reading has to begin, bounded.
    fn look_back(&self, now: Timestamp) -> Duration {
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
        let back = |issued: &str| HeldOnNode { due: at("2026-11-24T02:00:00Z"), issued: at(issued) };
        let now = at("2026-11-24T03:00:00Z");
        assert_eq!(back("2026-11-24T01:00:00Z").look_back(now), Duration::from_mins(125));
        assert_eq!(back("2026-11-20T01:00:00Z").look_back(now), FURTHEST);
        assert_eq!(back("2026-11-24T09:00:00Z").look_back(now), MARGIN, "one that begins in the future");
    }
}
