//! What the modes of both sides are computed from: the lists, the rights that they need, and what is said without them.

use std::sync::Arc;

use crate::{
    clock::SystemClock,
    cluster::{ClusterClient, Settings, connect_to, gather},
    simulate::{Simulation, api::ApiFault, store::Kind, world::Scenario as Night},
    triage::{CheckId, CheckResult, Evidence, ObjectKind, Scenario, Verdict, diagnose},
};

use super::target;

async fn healthy() -> (Simulation, ClusterClient) {
    let simulation =
        Simulation::start(Arc::new(SystemClock), Night::Healthy, "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let reach = connect_to(&simulation.url(), Settings::default()).unwrap();
    (simulation, reach)
}

async fn look(reach: &ClusterClient) -> Evidence {
    gather(reach, &target("svc/frontend"), Arc::new(SystemClock), Arc::new(|_: &str| {})).await.unwrap()
}

/// The rows of step 3.1 and 3.2, without the names that each run gives its pods.
fn rows(verdict: &Verdict) -> Vec<(CheckId, CheckResult, String)> {
    let wanted = [CheckId::ModeInEffect, CheckId::DestinationRule];
    let rows = verdict.checks.iter().filter(|row| wanted.contains(&row.id));
    rows.map(|row| (row.id, row.result, row.summary.clone())).collect()
}

#[tokio::test]
async fn a_triage_reads_the_objects_that_decide_and_keeps_no_more_of_them() {
    let (simulation, reach) = healthy().await;
    // A Service that nobody in question calls, and a rule for it.
    let other = serde_json::json!({"metadata": {"namespace": "payments", "name": "other",
        "annotations": {"token": "s3cr3t"}}, "spec": {"host": "other", "trafficPolicy": {"tls": {"mode": "SIMPLE"}}}});
    simulation.world.store().apply(Kind::DestinationRule, other);
    let evidence = look(&reach).await;
    let istio = evidence.istio.as_ref().unwrap();
    assert_eq!((istio.not_listed.as_slice(), istio.clients.as_slice()), ([].as_slice(), [].as_slice()));
    let rules: Vec<String> = istio.objects.destination_rules.keys().map(ToString::to_string).collect();
    let services: Vec<String> = istio.objects.services.keys().map(ToString::to_string).collect();
    assert_eq!(
        (rules.as_slice(), services.as_slice()),
        (["web/frontend".to_owned()].as_slice(), ["web/frontend".to_owned()].as_slice())
    );
    let stored = serde_json::to_string(&evidence).unwrap();
    assert!(!stored.contains("s3cr3t") && !stored.contains("nodeName"), "objects are reduced to what is judged");
    assert_eq!(serde_json::from_str::<Evidence>(&stored).unwrap(), evidence, "and are judged again from a file");

    let verdict = diagnose(&evidence);
    assert_eq!(verdict.scenario, Scenario::NoFaultFound, "{:?}", verdict.reasons);
    let not_it = verdict.ruled_out.iter().find(|row| row.scenario == Scenario::IstioConfiguration).unwrap();
    assert!(not_it.certain, "{}", not_it.because);
    for (id, result, summary) in rows(&verdict) {
        assert_eq!(result, CheckResult::Pass, "{id}: {summary}");
        if id == CheckId::ModeInEffect {
            assert_eq!(summary, "port 8443: STRICT by PeerAuthentication web/default for its namespace");
        }
    }
}

#[tokio::test]
async fn an_older_istio_that_serves_v1beta1_alone_is_read_as_well() {
    let (simulation, reach) = healthy().await;
    simulation.options.inject("list", "destinationrules", ApiFault::status(404, "no such version").times(1));
    let evidence = look(&reach).await;
    let istio = evidence.istio.unwrap();
    assert!(istio.not_listed.is_empty() && !istio.objects.destination_rules.is_empty(), "{:?}", istio.not_listed);
}

#[tokio::test]
async fn without_the_right_to_list_policies_the_checks_are_open_and_name_it() {
    let (simulation, reach) = healthy().await;
    simulation.options.deny("list", "peerauthentications");
    let verdict = diagnose(&look(&reach).await);
    let rows = rows(&verdict);
    assert!(rows.iter().all(|(_, result, _)| *result == CheckResult::Inconclusive), "{rows:?}");
    let grant = "grant list peerauthentications in all namespaces";
    assert!(rows.iter().all(|(_, _, summary)| summary.contains(grant)), "{rows:?}");
    assert_eq!(verdict.scenario, Scenario::Inconclusive, "what was not seen may be the fault");
    assert!(verdict.reasons.iter().any(|reason| reason.contains(grant)), "{:?}", verdict.reasons);
}

#[tokio::test]
async fn a_cluster_without_istio_has_no_modes_and_is_no_less_healthy_for_it() {
    let (simulation, reach) = healthy().await;
    for resource in ["peerauthentications", "destinationrules", "virtualservices", "envoyfilters"] {
        simulation.options.inject("list", resource, ApiFault::status(404, "the server could not find it"));
    }
    let evidence = look(&reach).await;
    let kinds = |kind| evidence.istio.as_ref().unwrap().not_listed.iter().any(|gap| gap.kind == kind);
    assert!(kinds(ObjectKind::PeerAuthentication) && kinds(ObjectKind::EnvoyFilter));
    let verdict = diagnose(&evidence);
    assert_eq!(verdict.scenario, Scenario::NoFaultFound, "{:?}", verdict.reasons);
    let not_it = verdict.ruled_out.iter().find(|row| row.scenario == Scenario::IstioConfiguration).unwrap();
    assert!(!not_it.certain);
}

#[tokio::test]
async fn a_list_that_hangs_leaves_the_rest_of_the_triage_as_it_is() {
    let simulation =
        Simulation::start(Arc::new(SystemClock), Night::ExpiredCertificate, "127.0.0.1:0".parse().unwrap())
            .await
            .unwrap();
    let settings = super::impatient(std::time::Duration::from_millis(400), std::time::Duration::from_secs(20));
    let reach = connect_to(&simulation.url(), settings).unwrap();
    for resource in ["peerauthentications", "destinationrules", "services"] {
        simulation.options.inject("list", resource, ApiFault::hang());
    }
    let verdict = diagnose(&look(&reach).await);
    assert_eq!(verdict.scenario, Scenario::ExpiredCertificate);
    let unseen = rows(&verdict).iter().filter(|(_, result, _)| *result == CheckResult::Inconclusive).count();
    assert!(unseen > 0);
}

/// The night of a rule that has callers send plain text: named from both ends, and gone once somebody changes the rule.
#[tokio::test]
async fn a_rule_that_says_disable_is_named_from_the_server_and_from_the_client() {
    let clock = Arc::new(SystemClock);
    let night = Night::IstioConfiguration;
    let simulation = Simulation::start(clock, night, "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let reach = connect_to(&simulation.url(), Settings::default()).unwrap();
    for called in ["svc/frontend", "deploy/gateway"] {
        let evidence = gather(&reach, &target(called), Arc::new(SystemClock), Arc::new(|_: &str| {})).await.unwrap();
        let verdict = diagnose(&evidence);
        assert_eq!(verdict.scenario, Scenario::IstioConfiguration, "{called}: {:?}", verdict.reasons);
        let first = verdict.reasons.first().unwrap();
        assert!(first.starts_with("DestinationRule web/frontend keeps these calls from working"), "{called}: {first}");
        let next = verdict.checks.iter().find_map(|row| row.remedy.clone()).unwrap();
        assert!(next.starts_with("kubectl -n web patch destinationrules.networking.istio.io frontend"), "{next}");
    }
    let mended = serde_json::json!({"metadata": {"namespace": "web", "name": "frontend"}, "spec": {"host":
        "frontend.web.svc.cluster.local", "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}}});
    simulation.world.store().apply(Kind::DestinationRule, mended);
    assert_eq!(simulation.world.failure_rate("web", "frontend"), Some(0.0));
}
