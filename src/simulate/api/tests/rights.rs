use std::time::Duration;

use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use kube::api::{AttachParams, EvictParams, ListParams, PostParams};
use tokio::io::AsyncReadExt;

use super::*;
use crate::simulate::api::ApiFault;

#[tokio::test]
async fn a_missing_right_is_refused_in_the_servers_words_and_the_review_says_so_before() {
    let mesh = Mesh::start().await;
    mesh.options.deny("create", "pods/exec");
    mesh.options.deny("list", "pods");
    let (code, message) = refused(mesh.pods().list(&ListParams::default()).await);
    assert_eq!(code, 403);
    assert_eq!(
        message,
        "pods is forbidden: User \"system:serviceaccount:mtls-medic:mtls-medic\" cannot list resource \"pods\" in API \
         group \"\" in the namespace \"web\""
    );
    assert!(mesh.pods().exec("frontend-a", ["cat"], &AttachParams::default().container("app")).await.is_err());
    let reviews: KubeApi<SelfSubjectAccessReview> = KubeApi::all(mesh.client.clone());
    for (subresource, allowed) in [("exec", false), ("eviction", true)] {
        let attributes = json!({"namespace": "web", "verb": "create", "resource": "pods", "subresource": subresource});
        let review = json!({"metadata": {}, "spec": {"resourceAttributes": attributes}});
        let review = serde_json::from_value(review).unwrap();
        let answer = reviews.create(&PostParams::default(), &review).await.unwrap();
        assert_eq!(answer.status.unwrap().allowed, allowed, "{subresource}");
    }
    mesh.options.allow("list", "pods");
    assert!(mesh.pods().list(&ListParams::default()).await.is_ok());
}

#[tokio::test]
async fn a_server_in_trouble_fails_as_often_as_told_and_then_heals() {
    let mesh = Mesh::start().await;
    mesh.options.inject("get", "pods", ApiFault::status(500, "etcd is unhappy").times(1));
    mesh.options.inject("get", "pods", ApiFault::status(429, "slow down"));
    assert_eq!(refused(mesh.pods().get("frontend-a").await), (500, "etcd is unhappy".to_owned()));
    assert_eq!(refused(mesh.pods().get("frontend-a").await).0, 429);
    mesh.options.heal();
    assert!(mesh.pods().get("frontend-a").await.is_ok());
    mesh.options.inject("*", "pods", ApiFault::delay(Duration::from_millis(20)));
    assert!(mesh.pods().get("frontend-a").await.is_ok());
}

#[tokio::test]
async fn a_hanging_server_answers_nobody_until_it_is_shut_down() {
    let mesh = Mesh::start().await;
    mesh.options.inject("get", "pods", ApiFault::hang());
    let pods = mesh.pods();
    let asked = tokio::spawn(async move { pods.get("frontend-a").await });
    // The list is answered while the get hangs.
    assert_eq!(mesh.pods().list(&ListParams::default()).await.unwrap().items.len(), 2);
    assert!(!asked.is_finished());
    drop(mesh);
    assert!(asked.await.unwrap().is_err());
}

#[tokio::test]
async fn an_eviction_whose_answer_is_lost_has_happened_all_the_same() {
    let mesh = Mesh::start().await;
    mesh.options.inject("create", "pods/eviction", ApiFault::cut().times(1));
    assert!(mesh.pods().evict("frontend-a", &EvictParams::default()).await.is_err());
    assert_eq!(refused(mesh.pods().evict("frontend-a", &EvictParams::default()).await).0, 404);
}

#[tokio::test]
async fn an_exec_that_is_cut_off_gives_output_and_no_status() {
    let mesh = Mesh::start().await;
    mesh.options.inject("create", "pods/exec", ApiFault::cut());
    let app = AttachParams::default().container("app");
    let mut process = mesh.pods().exec("frontend-a", ["hostname"], &app).await.unwrap();
    let (status, mut stdout) = (process.take_status().unwrap(), process.stdout().unwrap());
    let mut text = String::new();
    stdout.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "web/frontend-a app\n");
    assert_eq!(status.await, None);
}
