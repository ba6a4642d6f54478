//! An agent whose healthcheck is green and whose log shows no renewal, told by how far back the log reaches.
//!
//! The SVID is of an hour and ended ten minutes ago, so that its renewal was due forty minutes ago.

use super::{FRONTEND, Night, never, renewal, said};
use crate::{
    mesh::NodeName,
    triage::{CheckId, CheckResult, Confidence, Consequence, FixName, Gathered, Scenario},
};

const GATEWAY: &str = "spiffe://prod.example.org/ns/web/sa/gateway";

fn expired() -> Night {
    let mut night = Night::healthy();
    night.holds(0, -10);
    night
}

#[test]
fn silence_is_the_agents_fault_only_where_the_log_is_long_enough_to_hold_a_renewal() {
    let attested = said(65, "Node attestation was successful");
    let refused = said(20, "No identity issued\" pid=\"4711");
    for (lines, reaches, silent, why) in [
        (vec![renewal(65, FRONTEND)], 65, true, "though the log reaches back to"),
        (vec![renewal(41, GATEWAY)], 41, true, "nor for any other workload"),
        (vec![attested], 65, true, "its healthcheck is green, which proves little"),
        (vec![], 65, true, "whether its registration entry is still there"),
        (vec![], 40, true, "is silent"),
        (vec![], 39, false, "the log was read back to 2026-11-24T02:21:00Z only"),
        (vec![said(10, "Successfully rotated agent SVID")], 20, false, "the log was read back to"),
        (vec![said(10, super::DIAL)], 65, false, "the SPIRE server could not be reached"),
        (vec![refused], 65, false, "there may be no registration entry"),
    ] {
        let mut night = expired();
        night.agent_said_since(0, reaches, &lines);
        let verdict = night.verdict();
        let expected = if silent {
            (Scenario::SpireAgent, Confidence::Medium)
        } else {
            (Scenario::ExpiredCertificate, Confidence::Low)
        };
        assert_eq!((verdict.scenario, verdict.confidence), expected, "{lines:?}: {:?}", verdict.reasons);
        assert!(verdict.reasons.iter().any(|reason| reason.contains(why)), "{why}: {:?}", verdict.reasons);
        assert!(!verdict.fixes.contains(&FixName::RestartPod) && never(&verdict, FixName::RestartPod), "{lines:?}");
    }
}

#[test]
fn a_silent_agent_is_named_with_its_node_and_what_follows_from_it() {
    let mut night = expired();
    night.agent_said_since(0, 65, &[renewal(65, FRONTEND)]);
    let verdict = night.verdict();
    assert_eq!(verdict.fixes, [FixName::RestartSpireAgent]);
    assert_eq!(verdict.consequences, [Consequence::ExpiredCertificate]);
    assert_eq!(verdict.on.nodes.iter().map(NodeName::as_str).collect::<Vec<_>>(), ["node-1"]);
    let row = verdict.checks.iter().find(|row| row.id == CheckId::SpireAgent).unwrap();
    assert!(row.result == CheckResult::Fail && row.remedy.as_ref().unwrap().contains("restart the SPIRE agent"));
}

#[test]
fn what_was_issued_on_the_node_meanwhile_speaks_against_silence() {
    for (left, silent) in [(45, false), (-5, true)] {
        let mut night = expired();
        night.add("frontend-b", "node-1");
        night.evidence.agents.pop();
        night.holds(1, left);
        night.agent_said_since(0, 75, &[renewal(70, FRONTEND)]);
        let verdict = night.verdict();
        let scenario = if silent { Scenario::SpireAgent } else { Scenario::ExpiredCertificate };
        assert_eq!(verdict.scenario, scenario, "{left}: {:?}", verdict.reasons);
        assert!(never(&verdict, FixName::RestartPod), "{left}");
        let said = verdict.reasons.iter().any(|why| why.contains("another SVID of the node was issued since"));
        assert_eq!(said, !silent, "{:?}", verdict.reasons);
    }
}

#[test]
fn an_svid_that_is_only_overdue_or_a_log_with_gaps_leaves_it_open() {
    let mut night = Night::healthy();
    night.holds(0, 12);
    night.agent_said_since(0, 65, &[]);
    let verdict = night.verdict();
    assert_eq!((verdict.scenario, verdict.confidence), (Scenario::Inconclusive, Confidence::Low));
    let mut night = expired();
    night.agent_said_since(0, 65, &[]);
    if let Gathered::Seen { value, .. } = &mut night.agent(0).log {
        value.cut = true;
    }
    assert_eq!(night.verdict().scenario, Scenario::ExpiredCertificate);
    night.agent_said_since(0, 65, &["level=info msg=\"Renewing X509-SVID\" spiffe_id=\"x\"".to_owned()]);
    assert_eq!(night.verdict().scenario, Scenario::ExpiredCertificate, "it may have been written today");
}

#[test]
fn a_renewal_since_then_speaks_for_the_agent_however_far_the_log_reaches() {
    let mut night = expired();
    night.agent_said_since(0, 65, &[renewal(39, GATEWAY)]);
    let verdict = night.verdict();
    assert_eq!((verdict.scenario, verdict.confidence), (Scenario::ExpiredCertificate, Confidence::High));
    assert_eq!(verdict.fixes, [FixName::RestartPod]);
}
