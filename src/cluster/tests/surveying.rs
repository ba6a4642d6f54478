//! A storm is looked at: SPIRE's server, one pod of each of a few services, and the agents of their nodes.

use std::{sync::Arc, time::Duration};

use super::impatient;
use crate::{
    clock::SystemClock,
    cluster::{ClusterClient, Settings, Surveyed, connect_to, gather_several},
    mesh::TargetRef,
    simulate::{Simulation, api::ApiFault, world},
    triage::{NotChecked, Scenario, Survey, diagnose},
};

async fn night(scenario: world::Scenario, settings: Settings) -> (Simulation, ClusterClient) {
    let clock = Arc::new(SystemClock);
    let simulation = Simulation::start(clock, scenario, "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let reach = connect_to(&simulation.url(), settings).unwrap();
    (simulation, reach)
}

fn everywhere() -> Vec<TargetRef> {
    [("web", "gateway"), ("web", "frontend"), ("payments", "checkout"), ("payments", "ledger")]
        .map(|(namespace, service)| TargetRef::parse(namespace.parse().unwrap(), service).unwrap())
        .to_vec()
}

async fn look(reach: &ClusterClient, targets: &[TargetRef]) -> Vec<Surveyed> {
    gather_several(reach, targets, Arc::new(SystemClock), Arc::new(|_| ())).await
}

fn survey(looked: Vec<Surveyed>) -> Survey {
    let (mut verdicts, mut not) = (Vec::new(), Vec::new());
    for (target, gathered) in looked {
        match gathered {
            Ok(evidence) => verdicts.push(diagnose(&evidence)),
            Err(error) => not.push(NotChecked { what: target.to_string(), why: error.to_string() }),
        }
    }
    Survey::of(&verdicts, not, jiff::Timestamp::UNIX_EPOCH)
}

fn found(survey: &Survey) -> Vec<(Scenario, Vec<&str>)> {
    survey
        .findings
        .iter()
        .map(|finding| (finding.scenario, finding.services.iter().map(|service| service.name.as_str()).collect()))
        .collect()
}

#[tokio::test]
async fn what_breaks_all_services_is_said_of_all_of_them() {
    let (_simulation, reach) = night(world::Scenario::SpireServer, Settings::default()).await;
    let survey = survey(look(&reach, &everywhere()).await);
    assert_eq!(found(&survey), [(Scenario::SpireServer, vec!["gateway", "frontend", "checkout", "ledger"])]);
}

#[tokio::test]
async fn one_service_with_a_fault_of_its_own_is_told_apart_from_those_that_only_fire_with_it() {
    let (_simulation, reach) = night(world::Scenario::ExpiredCertificate, Settings::default()).await;
    let survey = survey(look(&reach, &everywhere()).await);
    let expired = &found(&survey)[0];
    assert_eq!(*expired, (Scenario::ExpiredCertificate, vec!["frontend"]));
    assert_eq!(survey.looked_at(), 4);
}

#[tokio::test]
async fn a_service_that_is_not_there_costs_the_others_nothing_and_is_named() {
    let (_simulation, reach) = night(world::Scenario::SpireServer, Settings::default()).await;
    let gone = TargetRef::parse("web".parse().unwrap(), "gone").unwrap();
    let survey = survey(look(&reach, &[vec![gone], everywhere()].concat()).await);
    assert_eq!(survey.looked_at(), 4);
    assert_eq!(survey.not_looked_at.len(), 1);
    assert_eq!(survey.not_looked_at[0].what, "web svc/gone");
}

#[tokio::test]
async fn the_limits_of_one_triage_hold_over_all_services_together() {
    let (short, long) = (Duration::from_millis(400), Duration::from_secs(20));
    let (simulation, reach) = night(world::Scenario::SpireServer, impatient(long, short)).await;
    for resource in ["pods/exec", "pods/log", "pods/portforward", "configmaps"] {
        simulation.options.inject("*", resource, ApiFault::hang());
    }
    let looked = tokio::time::timeout(long / 2, look(&reach, &everywhere())).await.expect("it ended by its own limit");
    let pods = looked.iter().flat_map(|(_, gathered)| gathered.as_ref().map(|evidence| evidence.pods.len()));
    assert_eq!(pods.max(), Some(1), "one pod of each");
}
