//! Pods in ambient mode, and the ztunnel of their node.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Machines, Mesh, pod, target};
use crate::{
    cluster::gather,
    simulate::store::Kind,
    triage::{Gathered, LogExcerpt, Missing},
};

const REFUSED: &str = "2026-11-24T02:59:00Z\terror\taccess\tconnection complete\tsrc.workload=\"frontend-a\" \
    src.namespace=\"web\" direction=\"outbound\" error=\"io error: invalid peer certificate: UnknownIssuer\"";
const OF_ANOTHER_POD: &str = "2026-11-24T02:59:00Z\terror\taccess\tconnection complete\tsrc.workload=\"api-0\" \
    src.namespace=\"web\" direction=\"outbound\" error=\"io error: invalid peer certificate: UnknownIssuer\"";

/// The frontend in ambient mode on node-1, and a ztunnel on this node.
async fn ambient_mesh(node_of_ztunnel: &str) -> Mesh {
    let mesh = Mesh::with(Machines { log: vec![REFUSED, OF_ANOTHER_POD], ..Machines::default() }).await;
    let mut frontend = pod("frontend-a");
    frontend["metadata"]["annotations"] = json!({"ambient.istio.io/redirection": "enabled"});
    frontend["spec"]["containers"] = json!([{"name": "app"}]);
    mesh.store.apply(Kind::Pod, frontend);
    let ztunnel: Value = json!({
        "metadata": {"namespace": "istio-system", "name": "ztunnel-x", "labels": {"app": "ztunnel"}},
        "spec": {"nodeName": node_of_ztunnel, "containers": [{"name": "istio-proxy"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    });
    mesh.store.apply(Kind::Pod, ztunnel);
    mesh
}

async fn ztunnel_log(mesh: &Mesh) -> Gathered<LogExcerpt> {
    let evidence = gather(&mesh.reach, &target("pod/frontend-a"), mesh.clock.clone(), Arc::new(|_| ())).await.unwrap();
    evidence.pods.into_iter().next().unwrap().ztunnel_log.unwrap()
}

#[tokio::test]
async fn the_ztunnel_of_the_pods_node_is_read_and_only_what_it_says_of_this_pod_is_kept() {
    let log = ztunnel_log(&ambient_mesh("node-1").await).await;
    let lines: Vec<&str> = log.value().unwrap().lines.iter().map(crate::triage::Redacted::as_str).collect();
    assert_eq!(lines, [REFUSED.replace('\t', " ")]);
}

#[tokio::test]
async fn a_ztunnel_of_another_node_and_one_that_may_not_be_read_are_missing_and_not_silent() {
    let reason = |log: Gathered<LogExcerpt>| match log {
        Gathered::Missing { reason, .. } => reason,
        Gathered::Seen { value, .. } => panic!("{value:?}"),
    };
    let mesh = ambient_mesh("node-2").await;
    assert!(matches!(reason(ztunnel_log(&mesh).await), Missing::Gone { .. }));
    let mesh = ambient_mesh("node-1").await;
    mesh.options.deny("get", "pods/log");
    let grant = "get pods/log in istio-system".to_owned();
    assert_eq!(reason(ztunnel_log(&mesh).await), Missing::Forbidden { grant });
}
