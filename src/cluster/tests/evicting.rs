use std::time::Duration;

use serde_json::json;

use super::{Mesh, fix_of, pod_ref, target};
use crate::{
    cluster::{ClusterError, execute::Evicted},
    remediation::PlannedPod,
    simulate::{api::Fault, store::Kind},
};

fn planned(mesh: &Mesh, name: &str) -> PlannedPod {
    let fix = fix_of(target("svc/frontend"), &pod_ref(name), &mesh.uid(name));
    fix.plan.unwrap().pods().next().unwrap().clone()
}

#[tokio::test]
async fn an_eviction_ends_the_approved_life_and_a_repeat_finds_it_done() {
    let mesh = Mesh::start().await;
    let planned = planned(&mesh, "frontend-a");
    assert_eq!(mesh.reach.evict(&planned).await.unwrap(), Evicted::Done);
    assert!(!mesh.lives("frontend-a") && mesh.lives("frontend-b"));
    assert_eq!(mesh.reach.evict(&planned).await.unwrap(), Evicted::Done);
    assert!(mesh.lives("frontend-b"));
}

#[tokio::test]
async fn the_next_life_under_the_same_name_is_never_touched() {
    let mesh = Mesh::start().await;
    let planned = planned(&mesh, "frontend-a");
    mesh.comes_back("frontend-a");
    assert_eq!(mesh.reach.evict(&planned).await.unwrap(), Evicted::Done);
    assert!(mesh.lives("frontend-a"));
}

#[tokio::test]
async fn a_pod_that_another_controller_took_over_is_asked_about_again() {
    let mesh = Mesh::start().await;
    let planned = planned(&mesh, "frontend-a");
    mesh.store.update(Kind::Pod, Some("web"), "frontend-a", |pod| {
        pod["metadata"]["ownerReferences"][0]["name"] = json!("other");
    });
    assert!(
        matches!(mesh.reach.evict(&planned).await.unwrap(), Evicted::Moved(what) if what.contains("ReplicaSet/other"))
    );
    assert!(mesh.lives("frontend-a"));
}

#[tokio::test]
async fn a_spent_budget_blocks_and_is_no_failure() {
    let mesh = Mesh::start().await;
    mesh.store.update(Kind::PodDisruptionBudget, Some("web"), "frontend", |budget| {
        budget["spec"]["minAvailable"] = json!(2);
    });
    let blocked = mesh.reach.evict(&planned(&mesh, "frontend-a")).await.unwrap();
    assert!(matches!(blocked, Evicted::Blocked(why) if why.contains("frontend")));
    assert!(mesh.lives("frontend-a"));
}

/// A conflict is what a lost precondition looks like, and also what a busy API server answers.
#[tokio::test]
async fn a_conflict_while_the_pod_still_lives_is_not_taken_for_done() {
    let mesh = Mesh::start().await;
    let planned = planned(&mesh, "frontend-a");
    for code in [404, 409] {
        mesh.options.inject("create", "pods/eviction", Fault::status(code, "try again").times(1));
        let answer = mesh.reach.evict(&planned).await;
        assert!(matches!(&answer, Err(ClusterError::Failed { why, .. }) if why.contains("try again")), "{answer:?}");
        assert!(mesh.lives("frontend-a"), "{code}");
    }
    assert_eq!(mesh.reach.evict(&planned).await.unwrap(), Evicted::Done);
}

#[tokio::test]
async fn the_rehearsal_meets_every_obstacle_before_anything_is_written() {
    let mesh = Mesh::start().await;
    let planned = planned(&mesh, "frontend-a");
    // The request is done and only its answer lost: had it been the real one, the pod would be gone.
    mesh.options.inject("create", "pods/eviction", Fault::cut().times(1));
    assert!(mesh.reach.evict(&planned).await.is_err());
    assert!(mesh.lives("frontend-a"));
}

#[tokio::test]
async fn an_eviction_whose_answer_was_lost_is_found_done_by_the_repeat() {
    let mesh = Mesh::start().await;
    let planned = planned(&mesh, "frontend-a");
    mesh.options.inject("create", "pods/eviction", Fault::delay(Duration::ZERO).times(1));
    mesh.options.inject("create", "pods/eviction", Fault::cut().times(1));
    assert!(mesh.reach.evict(&planned).await.is_err());
    assert!(!mesh.lives("frontend-a"), "it was done all the same");
    mesh.comes_back("frontend-b");
    assert_eq!(mesh.reach.evict(&planned).await.unwrap(), Evicted::Done);
    assert!(mesh.lives("frontend-b"), "nothing is repeated");
}

#[tokio::test]
async fn a_cluster_whose_webhooks_cannot_be_rehearsed_is_no_obstacle() {
    let mesh = Mesh::start().await;
    let refusal = "admission webhook \"x\" does not support dry run";
    mesh.options.inject("create", "pods/eviction", Fault::status(400, refusal).times(1));
    assert_eq!(mesh.reach.evict(&planned(&mesh, "frontend-a")).await.unwrap(), Evicted::Done);
    assert!(!mesh.lives("frontend-a"));
}

#[tokio::test]
async fn a_missing_right_is_named_with_what_to_grant() {
    let mesh = Mesh::start().await;
    mesh.options.deny("create", "pods/eviction");
    let refused = mesh.reach.evict(&planned(&mesh, "frontend-a")).await.unwrap_err();
    assert!(refused.to_string().contains("create pods/eviction in web"), "{refused}");
    assert!(mesh.lives("frontend-a"));
}

#[tokio::test]
async fn a_token_that_has_ended_is_not_called_a_missing_right() {
    let mesh = Mesh::start().await;
    mesh.options.inject("get", "pods", Fault::status(401, "Unauthorized").times(1));
    let refused = mesh.reach.evict(&planned(&mesh, "frontend-a")).await.unwrap_err();
    assert!(matches!(refused, ClusterError::NotKnown { .. }), "{refused}");
    assert!(refused.to_string().contains("renew"), "{refused}");
}
