//! Pods that do not start.

use std::sync::Arc;

use serde_json::json;

use super::{Mesh, pod, target, three_in_the_morning};
use crate::{
    clock::SystemClock,
    cluster::{Settings, connect_to, gather},
    simulate::{Simulation, store::Kind, world::Scenario},
    triage::{Gathered, Missing, Scenario as Cause, diagnose},
};

/// A pod that waits for its volume, and the kubelet's warning about it.
async fn mesh_with_a_pod_that_waits() -> Mesh {
    let mesh = Mesh::start().await;
    let mut waits = pod("frontend-a");
    waits["status"] = json!({"phase": "Pending", "containerStatuses": [
        {"name": "app", "restartCount": 0, "state": {"waiting": {"reason": "ContainerCreating"}}}]});
    mesh.store.apply(Kind::Pod, waits);
    let event = |name: &str, uid: &str, kind: &str, message: &str| {
        json!({"metadata": {"namespace": "web", "name": name}, "type": kind, "reason": "FailedMount", "message": message,
            "involvedObject": {"kind": "Pod", "namespace": "web", "name": "frontend-a", "uid": uid}, "count": 12,
            "lastTimestamp": three_in_the_morning().to_string()})
    };
    let uid = mesh.uid("frontend-a");
    let message = "driver name csi.spiffe.io not found in the list of registered CSI drivers, password=hunter2";
    mesh.store.apply(Kind::Event, event("frontend-a.1", uid.as_str(), "Warning", message));
    mesh.store.apply(Kind::Event, event("frontend-a.2", "another-life", "Warning", "of the pod before it"));
    mesh.store.apply(Kind::Event, event("frontend-a.3", uid.as_str(), "Normal", "all is well"));
    mesh
}

#[tokio::test]
async fn a_pod_that_does_not_start_is_told_by_its_own_warnings_without_what_may_be_secret() {
    let mesh = mesh_with_a_pod_that_waits().await;
    let evidence = gather(&mesh.reach, &target("pod/frontend-a"), mesh.clock.clone(), Arc::new(|_| ())).await.unwrap();
    let start = evidence.pods[0].start.clone().unwrap();
    assert!(start.pending && start.containers[0].waiting.is_some(), "{start:?}");
    let events = start.events.value().unwrap();
    let said: Vec<(&str, u32)> = events.iter().map(|event| (event.message.as_str(), event.count)).collect();
    let message = "driver name csi.spiffe.io not found in the list of registered CSI drivers, password=[redacted]";
    assert_eq!(said, [(message, 12)]);
    assert_eq!(diagnose(&evidence).scenario, Cause::NodeSetup);
}

#[tokio::test]
async fn without_the_right_to_list_events_the_rest_is_gathered_and_the_right_is_named() {
    let mesh = mesh_with_a_pod_that_waits().await;
    mesh.options.deny("list", "events");
    let evidence = gather(&mesh.reach, &target("pod/frontend-a"), mesh.clock.clone(), Arc::new(|_| ())).await.unwrap();
    let start = evidence.pods[0].start.clone().unwrap();
    let Gathered::Missing { reason, .. } = &start.events else { panic!("{start:?}") };
    assert_eq!(*reason, Missing::Forbidden { grant: "list events in web".to_owned() });
    assert!(start.containers[0].waiting.is_some());
    let verdict = diagnose(&evidence);
    assert_eq!(verdict.scenario, Cause::Inconclusive);
    assert!(verdict.reasons.iter().any(|reason| reason.contains("grant list events in web")), "{:?}", verdict.reasons);
}

#[tokio::test]
async fn of_a_pod_that_serves_a_certificate_no_events_are_asked_for() {
    let listen = "127.0.0.1:0".parse().unwrap();
    let simulation = Simulation::start(Arc::new(SystemClock), Scenario::Healthy, listen).await.unwrap();
    let reach = connect_to(&simulation.url(), Settings::default()).unwrap();
    simulation.options.deny("list", "events");
    let evidence = gather(&reach, &target("svc/frontend"), Arc::new(SystemClock), Arc::new(|_| ())).await.unwrap();
    assert!(evidence.pods.iter().all(|pod| pod.start.is_none()));
}
