//! What changed shortly before stands in the verdict as context, and decides nothing.

use super::{Night, ago};
use crate::{
    mesh::PodRef,
    triage::{ContainerEnd, RecentChange},
};

fn server() -> PodRef {
    PodRef { namespace: "spire".parse().unwrap(), name: "spire-server-0".parse().unwrap() }
}

#[test]
fn a_rollout_and_a_restart_of_the_last_hour_are_said_last_and_change_no_verdict() {
    let mut night = Night::healthy();
    night.holds(0, -5);
    let before = night.verdict();
    night.evidence.changes = Some(vec![
        RecentChange::TargetPodsCreated { count: 2, of: 3, at: ago(30) },
        RecentChange::SpireContainerEnded {
            pod: server(),
            end: ContainerEnd { exit_code: 137, reason: "OOMKilled".into(), at: Some(ago(12)) },
        },
        RecentChange::SpirePodCreated { pod: server(), at: ago(90) },
    ]);
    let verdict = night.verdict();
    insta::assert_snapshot!(verdict.reasons.last().unwrap(), @"in the last hour (context, no cause by itself): the container of spire/spire-server-0 ended at 2026-11-24T02:48:00Z with exit code 137, OOMKilled; 2 of 3 pod(s) of the target were created, the newest at 2026-11-24T02:30:00Z");
    let without = (verdict.scenario, verdict.confidence, verdict.fixes, verdict.on, verdict.ruled_out);
    assert_eq!(without, (before.scenario, before.confidence, before.fixes, before.on, before.ruled_out));
    assert_eq!(verdict.reasons.len(), before.reasons.len() + 1);
}

#[test]
fn many_changes_are_counted_and_none_is_said_where_none_was_seen() {
    let mut night = Night::healthy();
    let before = night.verdict().reasons;
    night.evidence.changes = None;
    assert_eq!(night.verdict().reasons, before, "evidence of an older version");
    let many = (1..=8).map(|minutes| RecentChange::SpirePodCreated { pod: server(), at: ago(minutes) });
    night.evidence.changes = Some(many.collect());
    assert!(night.verdict().reasons.last().unwrap().ends_with("; 3 more"));
}
