//! Agents and the server, judged by signs and by time.

use super::{DIAL, FRONTEND, Night, gone, never, renewal, said};
use crate::mesh::{ControllerRef, ScaledController};
use crate::triage::{
    AGENTS_MOST, AgentPod, CallAtOnce, Confidence, Consequence, FixName, Missing, Scenario, agent_log::telling_lines,
};

const GATEWAY: &str = "spiffe://prod.example.org/ns/web/sa/gateway";

fn expired() -> Night {
    let mut night = Night::healthy();
    night.holds(0, -10);
    night
}

#[test]
fn a_renewal_from_before_it_was_due_proves_nothing() {
    let mut night = expired();
    night.agent_says(0, &[renewal(65, GATEWAY)]);
    let verdict = night.verdict();
    assert_eq!((verdict.scenario, verdict.confidence), (Scenario::ExpiredCertificate, Confidence::Low));
    assert!(verdict.fixes.is_empty() && never(&verdict, FixName::RestartPod));
    night.agent_says(0, &[renewal(65, GATEWAY), renewal(35, FRONTEND)]);
    let verdict = night.verdict();
    assert_eq!((verdict.fixes.as_slice(), verdict.confidence), ([FixName::RestartPod].as_slice(), Confidence::High));
}

#[test]
fn json_logs_bear_their_time_as_well() {
    let mut night = expired();
    let line = format!(
        "{{\"level\":\"info\",\"msg\":\"Renewing X509-SVID\",\"spiffe_id\":\"{FRONTEND}\",\"time\":\"{}\"}}",
        super::ago(5)
    );
    night.agent_says(0, &[line]);
    assert_eq!(night.verdict().fixes, [FixName::RestartPod]);
}

#[test]
fn one_failed_sync_is_no_outage_and_two_are() {
    let mut night = Night::healthy();
    night.agent_says(0, &[said(8, DIAL), renewal(5, GATEWAY)]);
    assert_eq!(night.verdict().scenario, Scenario::NoFaultFound);
    night.agent_says(0, &[renewal(9, GATEWAY), said(5, DIAL)]);
    assert_eq!(night.verdict().scenario, Scenario::NoFaultFound);
    night.agent_says(0, &[renewal(9, GATEWAY), said(5, DIAL), said(1, DIAL)]);
    let verdict = night.verdict();
    assert_eq!((verdict.scenario, verdict.call_at_once), (Scenario::Network, Some(CallAtOnce::L3)));
}

#[test]
fn a_kubelet_or_a_federated_peer_that_is_refused_is_not_the_server() {
    let mut night = Night::healthy();
    let kubelet = "workload attestor \\\"k8s\\\" failed: dial tcp 10.0.0.1:10250: connection refused";
    let peer = "Failed to fetch federated bundle: dial tcp: i/o timeout";
    night.agent_says(0, &[renewal(9, GATEWAY), said(3, kubelet), said(2, peer), said(1, kubelet)]);
    assert_ne!(night.verdict().scenario, Scenario::Network);
}

/// The fix would refuse it: a new agent starts from the same fault.
#[test]
fn the_restart_of_an_agent_that_would_repeat_its_fault_is_not_offered() {
    let mut night = expired();
    let refused = |ago| said(ago, "Synchronize failed\" error=\"dial tcp 10.96.3.7:8081: connect: connection refused");
    for lines in [vec![said(5, "Agent is banned")], vec![said(5, "Agent crashed"), refused(2), refused(1)]] {
        night.agent_says(0, &lines);
        let verdict = night.verdict();
        assert_eq!((verdict.scenario, verdict.fixes.as_slice()), (Scenario::SpireAgent, [].as_slice()), "{lines:?}");
        assert!(never(&verdict, FixName::RestartSpireAgent), "{lines:?}");
    }
    night.agent_says(0, &[said(5, "Agent crashed")]);
    assert_eq!(night.verdict().fixes, [FixName::RestartSpireAgent]);
}

#[test]
fn more_agents_at_fault_than_one_plan_restarts_are_the_fault_of_something_that_they_share() {
    let mut night = expired();
    night.agent_says(0, &[said(5, "Agent crashed")]);
    for pod in 1..=AGENTS_MOST {
        night.add(&format!("frontend-{pod}"), &format!("node-{}", pod + 1));
        night.holds(pod, -10);
        night.agent_says(pod, &[said(5, "Agent crashed")]);
    }
    let verdict = night.verdict();
    assert_eq!(verdict.on.nodes.len(), AGENTS_MOST + 1);
    let against = verdict.never.iter().find(|never| never.fix == FixName::RestartSpireAgent).unwrap();
    insta::assert_snapshot!(against.reason, @"4 nodes are more than one plan looks after (3): look at what they share, as the SPIRE server");
}

#[test]
fn each_pod_is_judged_by_the_agent_of_its_own_node_and_the_root_is_named_first() {
    let mut night = expired();
    night.add("frontend-b", "node-2");
    night.holds(1, -10);
    night.agent_says(0, &[renewal(5, FRONTEND)]);
    night.agent_says(1, &[said(5, "Agent crashed")]);
    let verdict = night.verdict();
    assert_eq!(verdict.scenario, Scenario::SpireAgent);
    assert_eq!(verdict.fixes, [FixName::RestartSpireAgent, FixName::RestartPod]);
    let pods: Vec<&str> = verdict.on.pods.iter().map(|pod| pod.name.as_str()).collect();
    assert_eq!(pods, ["frontend-a"], "only the pod whose own agent works may be restarted");
    assert_eq!(verdict.on.nodes[0].as_str(), "node-2");
    assert!(verdict.reasons[0].contains("node-2"), "{:?}", verdict.reasons);
}

#[test]
fn a_pod_whose_agent_was_not_seen_is_not_restarted_beside_one_whose_agent_works() {
    let mut night = expired();
    night.add("frontend-b", "node-2");
    night.holds(1, -10);
    night.agent_says(0, &[renewal(5, FRONTEND)]);
    night.agent_says(1, &[]);
    let verdict = night.verdict();
    assert_eq!((verdict.scenario, verdict.confidence), (Scenario::ExpiredCertificate, Confidence::Medium));
    assert_eq!(verdict.on.pods.len(), 1);
    assert_eq!(verdict.on.pods[0].name.as_str(), "frontend-a");
}

#[test]
fn a_selector_that_matches_nothing_is_a_wrong_selector_and_no_broken_agent() {
    let mut night = expired();
    night.evidence.agent_pods = Some(0);
    night.agent(0).pod = AgentPod::Absent;
    let verdict = night.verdict();
    assert_ne!(verdict.scenario, Scenario::SpireAgent);
    assert!(verdict.checks.iter().any(|row| row.remedy.iter().any(|text| text.contains("mesh.agent_selector"))));
    night.evidence.agent_pods = Some(3);
    assert_eq!(night.verdict().scenario, Scenario::SpireAgent, "it runs elsewhere, and not here");
}

#[test]
fn a_wrong_socket_contradicts_a_fresh_log_and_decides_nothing() {
    let mut night = expired();
    night.agent_says(0, &[renewal(5, FRONTEND)]);
    night.agent_healthcheck(0, false);
    let verdict = night.verdict();
    assert_eq!((verdict.scenario, verdict.confidence), (Scenario::ExpiredCertificate, Confidence::Low));
    assert!(verdict.fixes.is_empty());
    assert!(verdict.checks.iter().any(|row| row.remedy.iter().any(|text| text.contains("mesh.agent_socket"))));
}

#[test]
fn a_server_that_says_no_while_agents_renew_is_neither_down_nor_well() {
    let mut night = Night::healthy();
    night.server_says(false, true);
    let verdict = night.verdict();
    assert_eq!(verdict.scenario, Scenario::Inconclusive);
    assert!(verdict.reasons.iter().any(|reason| reason.contains("mesh.server_socket")), "{:?}", verdict.reasons);
    night.server_says(false, false);
    assert_eq!(night.verdict().scenario, Scenario::Inconclusive, "not Ready: never a clean bill");
}

#[test]
fn an_agent_that_restarts_again_and_again_is_broken() {
    let mut night = expired();
    night.agent(0).ready = false;
    night.agent(0).restarts = 12;
    night.agent(0).healthcheck = gone("exec");
    night.agent_says(0, &[]);
    let verdict = night.verdict();
    assert_eq!(verdict.scenario, Scenario::SpireAgent);
    assert_eq!(verdict.consequences, [Consequence::ExpiredCertificate]);
}

#[test]
fn a_server_that_is_scaled_to_nothing_is_down_and_no_network_issue() {
    let mut night = expired();
    night.agent_says(0, &[said(5, DIAL), said(1, DIAL)]);
    night.evidence.servers.clear();
    night.evidence.servers_missing = Some(Missing::Gone { what: "a pod app=spire-server in spire".to_owned() });
    night.evidence.server_controllers =
        vec![ScaledController { controller: ControllerRef::new("StatefulSet", "spire-server").unwrap(), replicas: 0 }];
    let verdict = night.verdict();
    assert_eq!((verdict.scenario, verdict.call_at_once), (Scenario::SpireServer, Some(CallAtOnce::L2)));
}

#[test]
fn without_an_agent_that_was_looked_at_nothing_is_well() {
    let mut night = Night::healthy();
    night.evidence.agents.clear();
    assert_eq!(night.verdict().scenario, Scenario::Inconclusive);
}

#[test]
fn a_workload_without_identity_does_not_push_the_renewals_out_of_the_evidence() {
    let refused = (0..400).map(|_| said(1, "No identity issued")).collect::<Vec<_>>().join("\n");
    let lines = telling_lines(&format!("{}\n{refused}", renewal(5, FRONTEND)));
    assert!(lines[0].contains("Renewing") && lines.len() < 60, "{}", lines.len());
}

#[test]
fn the_log_of_an_agent_is_quoted_once_for_all_pods_of_its_node() {
    let mut night = Night::healthy();
    night.add("frontend-b", "node-1");
    night.holds(0, -10);
    night.holds(1, -10);
    let verdict = night.verdict();
    assert_eq!(verdict.scenario, Scenario::ExpiredCertificate, "{:?}", verdict.reasons);
    let quotes: Vec<_> = verdict.reasons.iter().filter(|why| why.contains("did not pick up")).collect();
    assert!(matches!(quotes.as_slice(), [one] if one.contains("frontend-a, web/frontend-b")), "{:?}", verdict.reasons);
}
