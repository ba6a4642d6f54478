//! Several causes at once: each is named with its pods, and that of the most pods is the verdict.

use jiff::SignedDuration;

use super::{Authority, FRONTEND, Night, OF_ISTIOD, gone, three};
use crate::mesh::ControllerRef;
use crate::triage::{FixName, Scenario};

#[test]
fn one_pod_with_a_wrong_clock_does_not_hide_twenty_expired_ones() {
    let mut night = Night::healthy();
    for number in 1..=20 {
        night.add(&format!("frontend-{number}"), "node-2");
        night.holds(number, -10);
    }
    let future = night.spire.leaf_with(FRONTEND, 120, |leaf| {
        let begins = three() + SignedDuration::from_mins(60);
        leaf.not_before = super::date(begins);
    });
    night.serves(0, &future);
    night.file(0, &future);
    for pod in &mut night.evidence.pods[11..] {
        pod.controller = None; // so that one plan may restart the others
    }
    let verdict = night.verdict();
    assert_eq!(verdict.scenario, Scenario::ExpiredCertificate, "{:?}", verdict.reasons);
    assert_eq!((verdict.on.pods.len(), &verdict.fixes[..]), (10, &[FixName::RestartPod][..]));
    let beside = "another cause beside it, clock skew, shows on web/frontend-a: 1 SVID(s) begin in the future";
    assert!(verdict.reasons.iter().any(|reason| reason.starts_with(beside)), "{:?}", verdict.reasons);

    // Of as many each, the order of causes decides, and the other is named.
    let mut even = Night::healthy();
    even.add("frontend-b", "node-2");
    even.serves(
        0,
        &even
            .spire
            .leaf_with(FRONTEND, 120, |leaf| leaf.not_before = super::date(three() + SignedDuration::from_mins(60))),
    );
    even.holds(1, -10);
    let verdict = even.verdict();
    assert_eq!(verdict.scenario, Scenario::ClockSkew);
    let beside = "another cause beside it, expired certificate, shows on web/frontend-b: the SVID of web/frontend-b ended 10 min";
    assert!(verdict.reasons.iter().any(|reason| reason.starts_with(beside)), "{:?}", verdict.reasons);
}

#[test]
fn a_cause_that_shows_on_more_pods_is_the_verdict_though_it_meets_another_on_one_of_them() {
    // SPIRE has no entry for frontend-a any more; the workloads of three others did not pick up their new SVIDs.
    let mut night = Night::healthy();
    night.proxy_says(0, "warning\tworkload is not authorized for the requested identities [\"default\"]", 3);
    night.holds(0, -10);
    for number in 1..=3 {
        night.add(&format!("frontend-{number}"), &format!("node-{number}"));
        night.holds(number, -10);
        night.agent_says(number, &[super::renewal(1, FRONTEND)]);
    }
    let verdict = night.verdict();
    assert_eq!((verdict.scenario, &verdict.fixes[..]), (Scenario::ExpiredCertificate, &[FixName::RestartPod][..]));
    let pods: Vec<&str> = verdict.on.pods.iter().map(|pod| pod.name.as_str()).collect();
    assert_eq!(pods, ["frontend-1", "frontend-2", "frontend-3"], "the first would get no SVID");
    let beside = "another cause beside it, registration entry, shows on web/frontend-a:";
    assert!(verdict.reasons.iter().any(|reason| reason.starts_with(beside)), "{:?}", verdict.reasons);
}

#[test]
fn a_cause_counts_by_the_pods_that_show_it_and_not_by_those_that_a_fix_restarts() {
    let mut night = Night::healthy();
    let future = night.spire.leaf_with(FRONTEND, 120, |leaf| {
        leaf.not_before = super::date(three() + SignedDuration::from_mins(60));
    });
    for number in 1..=5 {
        night.add(&format!("frontend-{number}"), "node-2");
        night.holds(number, -10);
        night.pod(number).controller = None;
    }
    night.pod(5).controller = ControllerRef::new("ReplicaSet", "frontend-1");
    for at in [0, 1] {
        night.serves(at, &future);
        night.file(at, &future);
    }
    let verdict = night.verdict();
    assert_eq!((verdict.scenario, verdict.on.pods.len()), (Scenario::ExpiredCertificate, 1), "{:?}", verdict.reasons);
    let beside = "another cause beside it, clock skew, shows on web/frontend-a, web/frontend-1:";
    assert!(verdict.reasons.iter().any(|reason| reason.starts_with(beside)), "{:?}", verdict.reasons);
}

#[test]
fn what_only_logs_show_hides_no_pod_with_a_cause_of_its_own() {
    let mut night = Night::healthy();
    night.proxy_says(0, super::SAN, 3);
    night.add("frontend-b", "node-2");
    let strange = Authority::of("prod.example.org");
    let leaf = strange.leaf(FRONTEND, 45);
    night.serves(1, &leaf);
    night.pod(1).svid_file = gone("svid.crt");
    let verdict = night.verdict();
    assert_eq!(verdict.scenario, Scenario::IdentityMismatch);
    let beside = "another cause beside it, trust bundle mismatch, shows on web/frontend-b: the chain of web/frontend-b";
    assert!(verdict.reasons.iter().any(|reason| reason.starts_with(beside)), "{:?}", verdict.reasons);
}

#[test]
fn an_istiod_certificate_beside_expired_ones_of_spire_is_named_with_its_pod() {
    let mut night = Night::healthy();
    night.add("frontend-b", "node-2");
    night.holds(1, -10);
    let leaf = night.istiod.leaf(OF_ISTIOD, -10);
    night.serves(0, &leaf);
    night.pod(0).svid_file = gone("svid.crt");
    let verdict = night.verdict();
    assert_eq!((verdict.scenario, &verdict.fixes[..]), (Scenario::ExpiredCertificate, &[FixName::RestartPod][..]));
    assert_eq!(verdict.on.pods.len(), 1);
    let beside =
        "another cause beside it, istiod's CA, shows on web/frontend-a: the certificate is over, and istiod issued it";
    assert!(verdict.reasons.iter().any(|reason| reason.starts_with(beside)), "{:?}", verdict.reasons);
}
