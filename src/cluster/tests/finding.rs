use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{Mesh, pod, pod_ref, target};
use crate::{
    cluster::{FoundPod, choose::choose, resolve},
    mesh::{ControllerRef, PodRef, PodUid},
    simulate::{api::ApiFault, store::Kind},
};

async fn names(mesh: &Mesh, text: &str) -> Vec<String> {
    let resolved = resolve(&mesh.reach, &target(text)).await.unwrap();
    resolved.pods.iter().map(|found| found.pod.name.to_string()).collect()
}

fn changed(name: &str, pointer: &str, value: Value) -> Value {
    let mut object = pod(name);
    *object.pointer_mut(pointer).unwrap() = value;
    object
}

/// A node under pressure leaves its evicted pods behind as Failed, with the labels of the living.
#[tokio::test]
async fn pods_that_have_ended_do_not_take_the_places_of_the_living() {
    let mesh = Mesh::start().await;
    for (name, phase) in [("frontend-x", "Failed"), ("frontend-y", "Failed"), ("frontend-z", "Succeeded")] {
        let mut ended = changed(name, "/status/phase", json!(phase));
        ended["status"]["conditions"] = json!([]);
        mesh.store.apply(Kind::Pod, ended);
    }
    assert_eq!(names(&mesh, "svc/frontend").await, ["frontend-a", "frontend-b"]);
}

#[tokio::test]
async fn a_service_without_a_selector_is_followed_through_its_endpoint_slices() {
    let mesh = Mesh::start().await;
    mesh.store.apply(Kind::Service, json!({"metadata": {"namespace": "web", "name": "outside"}, "spec": {}}));
    let end = |name: &str| json!({"addresses": ["10.0.0.7"], "targetRef": {"kind": "Pod", "name": name}});
    for family in ["IPv4", "IPv6"] {
        mesh.store.apply(
            Kind::EndpointSlice,
            json!({
                "metadata": {"namespace": "web", "name": format!("outside-{}", family.to_lowercase()),
                    "labels": {"kubernetes.io/service-name": "outside"}},
                "addressType": family, "endpoints": [end("frontend-b"), end("gone")],
            }),
        );
    }
    assert_eq!(names(&mesh, "svc/outside").await, ["frontend-b"]);
}

#[tokio::test]
async fn a_service_that_leads_to_no_pod_says_what_to_name_instead() {
    let mesh = Mesh::start().await;
    mesh.store.apply(Kind::Service, json!({"metadata": {"namespace": "web", "name": "outside"}, "spec": {}}));
    let error = resolve(&mesh.reach, &target("svc/outside")).await.unwrap_err();
    assert!(error.to_string().contains("deploy/NAME"), "{error}");
}

#[tokio::test]
async fn certificates_are_looked_for_where_kubectl_would_look_but_never_in_the_sidecar() {
    let mesh = Mesh::start().await;
    let containers = json!([{"name": "istio-proxy"}, {"name": "log-shipper"}, {"name": "main"}]);
    let mut object = changed("frontend-a", "/spec/containers", containers);
    mesh.store.apply(Kind::Pod, object.clone());
    let container = async || resolve(&mesh.reach, &target("pod/frontend-a")).await.unwrap().pods[0].container.clone();
    assert_eq!(container().await.as_deref(), Some("log-shipper"));
    for (wanted, found) in [("main", "main"), ("istio-proxy", "log-shipper"), ("nobody", "log-shipper")] {
        object["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/default-container": wanted});
        mesh.store.apply(Kind::Pod, object.clone());
        assert_eq!(container().await.as_deref(), Some(found));
    }
}

#[tokio::test]
async fn a_plan_for_many_pods_looks_their_owner_up_once() {
    let mesh = Mesh::start().await;
    for number in 0..40 {
        mesh.store.apply(Kind::Pod, pod(&format!("frontend-{number}")));
    }
    mesh.options.inject("get", "replicasets", ApiFault::delay(Duration::ZERO).times(1));
    mesh.options.inject("get", "replicasets", ApiFault::status(500, "asked again"));
    let facts = mesh.reach.restart_facts(&target("svc/frontend")).await.unwrap();
    assert_eq!((facts.pods.len(), facts.pods_before.len()), (42, 42));
    let deployment = ControllerRef::new("Deployment", "frontend");
    assert!(facts.pods.iter().all(|one| one.workload == deployment && one.budgets.len() == 1));
}

/// A target that is a pod does not name its siblings, and none of them is a replacement of it.
#[tokio::test]
async fn a_plan_about_one_pod_knows_the_lives_of_its_siblings() {
    let mesh = Mesh::start().await;
    let facts = mesh.reach.restart_facts(&target("pod/frontend-a")).await.unwrap();
    assert_eq!(facts.pods.len(), 1);
    assert!(facts.pods_before.contains(&mesh.uid("frontend-a")) && facts.pods_before.contains(&mesh.uid("frontend-b")));
}

/// A pod as it is in the list of a target: Ready, never restarted, an hour old.
fn found(name: &str, node: &str) -> FoundPod {
    FoundPod {
        pod: pod_ref(name),
        uid: PodUid::parse(&format!("uid-{name}")).unwrap(),
        node: node.parse().ok(),
        service_account: None,
        controller: None,
        ready: true,
        ready_changed: None,
        restarts: 0,
        started: (super::three_in_the_morning() - SignedDuration::from_hours(1)).as_second(),
        sidecar: true,
        ambient: false,
        going: false,
        ended: false,
        labels: std::collections::BTreeMap::new(),
        pending: false,
        troubles: Vec::new(),
        container: None,
    }
}

fn chosen(pods: Vec<FoundPod>, alerted: &[PodRef], most: usize) -> (Vec<String>, usize) {
    let (chosen, rest) = choose(pods, alerted, most);
    (chosen.iter().map(|pod| pod.pod.name.to_string()).collect(), rest.len())
}

#[test]
fn the_worst_pods_are_looked_at_and_the_rest_is_named() {
    let mut pods: Vec<FoundPod> = ["a", "b", "c", "d", "e"].map(|name| found(name, "node-1")).into();
    pods[4].ready = false;
    pods[3].restarts = 7;
    pods[2].started -= 1000;
    assert_eq!(chosen(pods, &[], 3), (vec!["e".to_owned(), "d".to_owned(), "c".to_owned()], 2));
}

#[test]
fn nodes_take_turns_among_pods_that_are_equally_bad() {
    let mut pods = vec![found("a", "node-1"), found("b", "node-1"), found("c", "node-2"), found("d", "node-3")];
    pods[0].started -= 2000;
    pods[1].started -= 1000;
    assert_eq!(chosen(pods, &[], 3).0, ["a", "c", "d"], "an agent fails node by node");
}

/// kubernaut 303, 308: the `pod` label was the exporter's.
#[test]
fn the_alerts_own_pod_comes_first_and_an_exporters_changes_nothing() {
    let pods = || {
        let mut pods = vec![found("a", "node-1"), found("b", "node-1")];
        pods[0].ready = false;
        pods
    };
    assert_eq!(chosen(pods(), &[pod_ref("b")], 1).0, ["b"]);
    assert_eq!(chosen(pods(), &[pod_ref("kube-state-metrics-0")], 1).0, ["a"]);
    assert_eq!(chosen(Vec::new(), &[pod_ref("a")], 3), (Vec::new(), 0));
}
