use k8s_openapi::api::{
    core::v1::{ConfigMap, Node},
    policy::v1::PodDisruptionBudget,
};
use kube::{
    Discovery, ResourceExt,
    api::{
        ApiResource, DeleteParams, DynamicObject, EvictParams, GroupVersionKind, ListParams, Patch, PatchParams,
        PostParams, Preconditions,
    },
};

use super::*;

#[tokio::test]
async fn a_client_finds_and_lists_what_is_there() {
    let mesh = Mesh::start().await;
    assert_eq!(mesh.client.apiserver_version().await.unwrap().major, "1");
    let discovery = Discovery::new(mesh.client.clone()).run().await.unwrap();
    let istio = GroupVersionKind::gvk("security.istio.io", "v1", "PeerAuthentication");
    assert!(discovery.resolve_gvk(&istio).is_some());
    let core = mesh.client.list_core_api_resources("v1").await.unwrap().resources;
    let eviction = core.iter().find(|resource| resource.name == "pods/eviction").unwrap();
    assert_eq!(eviction.group.as_deref(), Some("policy"), "kubectl drain deletes instead of evicting");
    let named = |pods: Vec<Pod>| pods.iter().map(ResourceExt::name_any).collect::<Vec<_>>();
    let all = mesh.pods().list(&ListParams::default()).await.unwrap();
    assert_eq!(named(all.items), ["frontend-a", "frontend-b"]);
    let of_node = ListParams::default().fields("spec.nodeName=node-2").labels("app=frontend").limit(1);
    assert_eq!(named(mesh.pods().list(&of_node).await.unwrap().items), ["frontend-b"]);
    let none = ListParams::default().labels("app notin (frontend)");
    assert!(mesh.pods().list(&none).await.unwrap().items.is_empty());
    let nodes: KubeApi<Node> = KubeApi::all(mesh.client.clone());
    assert_eq!(nodes.get("node-1").await.unwrap().name_any(), "node-1");
    assert_eq!(refused(mesh.pods().get("gone").await), (404, "pods \"gone\" not found".to_owned()));
}

#[tokio::test]
async fn an_istio_object_is_served_in_both_versions() {
    let mesh = Mesh::start().await;
    let spec = json!({"metadata": {"namespace": "web", "name": "default"}, "spec": {"mtls": {"mode": "STRICT"}}});
    mesh.store.apply(Kind::PeerAuthentication, spec);
    for version in ["v1", "v1beta1"] {
        let gvk = GroupVersionKind::gvk("security.istio.io", version, "PeerAuthentication");
        let resource = ApiResource::from_gvk_with_plural(&gvk, "peerauthentications");
        let api: KubeApi<DynamicObject> = KubeApi::all_with(mesh.client.clone(), &resource);
        let list = api.list(&ListParams::default()).await.unwrap();
        let found = list.items.first().unwrap();
        assert_eq!(found.types.as_ref().unwrap().api_version, format!("security.istio.io/{version}"));
        assert_eq!(found.data["spec"]["mtls"]["mode"], "STRICT");
    }
}

#[tokio::test]
async fn people_get_a_table_and_wide_columns_are_marked() {
    let mesh = Mesh::start().await;
    let accept = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json")];
    let (_, table) = mesh.raw("GET", "/api/v1/namespaces/web/pods?limit=500", &accept, b"").await;
    assert_eq!(table["kind"], "Table");
    assert_eq!(table["columnDefinitions"][6]["name"], "Node");
    assert_eq!(table["columnDefinitions"][6]["priority"], 1);
    let cells = &table["rows"][0]["cells"];
    assert_eq!(*cells, json!(["frontend-a", "2/2", "Running", "2", "5m", "10.0.0.7", "node-1", "<none>", "<none>"]));
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
}

#[tokio::test]
async fn a_pod_that_was_replaced_meanwhile_is_not_deleted() {
    let mesh = Mesh::start().await;
    let meant = mesh.pods().get("frontend-a").await.unwrap().uid().unwrap();
    mesh.store.remove(Kind::Pod, Some("web"), "frontend-a").unwrap();
    mesh.store.apply(Kind::Pod, pod("frontend-a", "node-1", true));
    let preconditions = Preconditions { uid: Some(meant.clone()), resource_version: None };
    let delete = DeleteParams::default().preconditions(preconditions);
    let (code, message) = refused(mesh.pods().delete("frontend-a", &delete).await);
    assert!(code == 409 && message.contains(&meant), "{message}");
    let named = json!({"metadata": {"name": "frontend-a"}, "deleteOptions": {"preconditions": {"uid": meant}}});
    let path = "/api/v1/namespaces/web/pods/frontend-a/eviction";
    let json_body = [("content-type", "application/json")];
    let (code, status) = mesh.raw("POST", path, &json_body, named.to_string().as_bytes()).await;
    assert_eq!((code, &status["reason"]), (409, &json!("Conflict")));
    // kube's own eviction spells the field in a way that a real server drops, so its precondition protects nobody.
    let evict = EvictParams { delete_options: Some(delete), ..EvictParams::default() };
    mesh.pods().evict("frontend-a", &evict).await.unwrap();
    assert_eq!(refused(mesh.pods().delete("frontend-a", &DeleteParams::default()).await).0, 404);
}

#[tokio::test]
async fn an_eviction_asks_the_budget_and_a_dry_run_takes_nothing_away() {
    let mesh = Mesh::start().await;
    let dry =
        EvictParams { post_options: PostParams { dry_run: true, ..PostParams::default() }, ..EvictParams::default() };
    mesh.pods().evict("frontend-a", &dry).await.unwrap();
    assert!(mesh.store.get(Kind::Pod, Some("web"), "frontend-a").is_some());
    mesh.pods().evict("frontend-a", &EvictParams::default()).await.unwrap();
    assert!(mesh.store.get(Kind::Pod, Some("web"), "frontend-a").is_none());
    // The replacement is not ready yet: the other one must stay.
    mesh.store.apply(Kind::Pod, pod("frontend-c", "node-1", false));
    let error = mesh.pods().evict("frontend-b", &EvictParams::default()).await.unwrap_err();
    let kube::Error::Api(status) = error else { panic!("{error:?}") };
    let cause = &status.details.as_ref().unwrap().causes[0];
    assert_eq!((status.code, cause.reason.as_str()), (429, "DisruptionBudget"));
    assert_eq!(cause.message, "The disruption budget frontend needs 1 healthy pods and has 1 currently");
    // A pod that is not ready may go, since enough others are.
    mesh.pods().evict("frontend-c", &EvictParams::default()).await.unwrap();
}

#[tokio::test]
async fn the_status_of_a_budget_follows_its_pods() {
    let mesh = Mesh::start().await;
    let budgets: KubeApi<PodDisruptionBudget> = KubeApi::namespaced(mesh.client.clone(), "web");
    let mut changes = mesh.store.changes();
    for allowed in [Some(1), Some(0)] {
        while budgets.get("frontend").await.unwrap().status.is_none_or(|status| status.disruptions_allowed != allowed) {
            changes.changed().await.unwrap();
        }
        mesh.store.remove(Kind::Pod, Some("web"), "frontend-a");
    }
}

#[tokio::test]
async fn a_patch_changes_annotations_and_an_old_version_is_refused() {
    let mesh = Mesh::start().await;
    mesh.store.apply(Kind::ConfigMap, json!({"metadata": {"namespace": "web", "name": "bundle"}, "data": {"a": "1"}}));
    let maps: KubeApi<ConfigMap> = KubeApi::namespaced(mesh.client.clone(), "web");
    let old = maps.get("bundle").await.unwrap();
    let note = |value: &str| Patch::Merge(json!({"metadata": {"annotations": {"force-sync": value}}}));
    let dry = PatchParams { dry_run: true, ..PatchParams::default() };
    let tried = maps.patch("bundle", &dry, &note("1")).await.unwrap();
    assert_eq!(tried.annotations()["force-sync"], "1");
    assert!(maps.get("bundle").await.unwrap().annotations().is_empty());
    let new = maps.patch("bundle", &PatchParams::default(), &note("2")).await.unwrap();
    assert_eq!(new.annotations()["force-sync"], "2");
    assert_eq!(new.uid(), old.uid());
    let (code, message) = refused(maps.replace("bundle", &PostParams::default(), &old).await);
    assert!(code == 409 && message.contains("the object has been modified"), "{message}");
    let stale = json!({"metadata": {"resourceVersion": old.resource_version(), "annotations": {"x": "y"}}});
    assert_eq!(refused(maps.patch("bundle", &PatchParams::default(), &Patch::Merge(stale)).await).0, 409);
    let lists = Patch::Strategic(json!({"metadata": {"finalizers": ["x"]}}));
    assert_eq!(refused(maps.patch("bundle", &PatchParams::default(), &lists).await).0, 415);
    let spec = Patch::Merge(json!({"spec": {"nodeName": "node-9"}}));
    assert_eq!(refused(mesh.pods().patch("frontend-a", &PatchParams::default(), &spec).await).0, 422);
}

#[tokio::test]
async fn objects_can_be_created_once_and_only_where_there_is_a_namespace() {
    let mesh = Mesh::start().await;
    let map: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "new"}})).unwrap();
    let maps: KubeApi<ConfigMap> = KubeApi::namespaced(mesh.client.clone(), "web");
    assert!(maps.create(&PostParams::default(), &map).await.unwrap().uid().is_some());
    assert_eq!(refused(maps.create(&PostParams::default(), &map).await).0, 409);
    let nowhere: KubeApi<ConfigMap> = KubeApi::namespaced(mesh.client.clone(), "nowhere");
    assert_eq!(refused(nowhere.create(&PostParams::default(), &map).await).0, 404);
}

#[tokio::test]
async fn bodies_are_bounded_and_unknown_paths_are_plain_404s() {
    let mesh = Mesh::start().await;
    let big = vec![b' '; super::super::BODY_MOST + 1];
    let path = "/api/v1/namespaces/web/configmaps";
    assert_eq!(mesh.raw("POST", path, &[("content-type", "application/json")], &big).await.0, 413);
    assert_eq!(mesh.raw("POST", path, &[("content-type", "application/json")], b"{").await.0, 400);
    assert_eq!(mesh.raw("GET", "/api/v1/secrets", &[], b"").await.0, 404);
    let pod = "/api/v1/namespaces/web/pods/frontend-a";
    assert_eq!(mesh.raw("DELETE", &format!("{pod}/status"), &[], b"").await.0, 405);
    assert_eq!(mesh.raw("DELETE", "/api/v1/namespaces/web/pods", &[], b"").await.0, 405);
    assert_eq!(mesh.raw("GET", pod, &[], b"").await.0, 200);
}
