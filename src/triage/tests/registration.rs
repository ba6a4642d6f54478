//! A workload without a registration entry.

use super::{Night, gone, never, renewal, said, seen};
use crate::triage::{Confidence, FixName, Scenario, ServedSecrets};

/// A pod whose proxy serves nothing and says nothing, beside an agent that says this.
fn serves_nothing(lines: &[String]) -> Night {
    let mut night = Night::healthy();
    night.pod(0).svid_file = gone("svid.crt");
    night.pod(0).served = seen(ServedSecrets::default(), "Envoy /config_dump");
    night.agent_says(0, lines);
    night
}

fn refused() -> String {
    said(2, "No identity issued\" pid=4711 registered=\"false")
}

#[test]
fn a_proxy_that_serves_nothing_beside_an_agent_that_issues_no_identity_has_no_registration_entry() {
    let renews = renewal(15, "spiffe://prod.example.org/ns/web/sa/gateway");
    let verdict = serves_nothing(&[renews.clone(), refused()]).verdict();
    assert_eq!((verdict.scenario, verdict.confidence), (Scenario::Registration, Confidence::Medium));
    assert!(verdict.reasons[0].ends_with("serves no certificate"), "{:?}", verdict.reasons);
    assert!(verdict.reasons.iter().any(|why| why.contains("spire-server entry show")), "{:?}", verdict.reasons);
    assert!(never(&verdict, FixName::RestartPod) && never(&verdict, FixName::RestartSpireAgent));

    // Without the agent's word it may just have started.
    assert_eq!(serves_nothing(&[renews]).verdict().scenario, Scenario::Inconclusive);
}

#[test]
fn an_agent_that_could_not_learn_who_a_workload_is_says_nothing_of_its_entry() {
    let attestor = said(2, "Failed to collect all selectors\" error=\"workload attestor \\\"k8s\\\" failed: kubelet");
    let attestor = attestor.replace("level=info", "level=error");
    let verdict = serves_nothing(&[renewal(15, "spiffe://prod.example.org/ns/web/sa/gateway"), attestor, refused()]);
    assert_eq!(verdict.verdict().scenario, Scenario::WorkloadAttestation);
}

/// What could not be read is not empty, and in ambient mode a pod has no SVID of its own.
#[test]
fn a_pod_whose_file_could_not_be_read_or_that_is_ambient_is_not_said_to_have_no_svid() {
    let attestor = said(2, "Failed to attest the workload\" error=\"kubelet").replace("level=info", "level=error");
    for line in [refused(), attestor] {
        let mut night = serves_nothing(&[renewal(15, "spiffe://prod.example.org/ns/web/sa/gateway"), line]);
        night.pod(0).sidecar = false;
        night.pod(0).served = gone("config_dump");
        assert_ne!(
            night.verdict().scenario,
            Scenario::Inconclusive,
            "its file is not there: {:?}",
            night.verdict().reasons
        );
        night.pod(0).svid_file = super::forbidden("create pods/exec in web");
        assert_eq!(night.verdict().scenario, Scenario::Inconclusive, "{:?}", night.verdict().reasons);
        night.pod(0).svid_file = gone("svid.crt");
        night.pod(0).ambient = true;
        assert_eq!(night.verdict().scenario, Scenario::Inconclusive, "{:?}", night.verdict().reasons);
    }
}

#[test]
fn each_verdict_without_a_fix_says_what_a_person_does_next() {
    let mut verdict = Night::healthy().verdict();
    for scenario in Scenario::ALL {
        verdict.scenario = scenario;
        let step = verdict.next_by_hand().unwrap();
        assert!(
            step.len() > 40 && !step.ends_with('.') && step.starts_with(|letter: char| letter.is_lowercase()),
            "{step}"
        );
    }
    verdict.fixes = vec![FixName::RestartPod];
    assert_eq!(verdict.next_by_hand(), None);
}
