use std::time::Duration;

use jiff::SignedDuration;
use serde_json::json;
use tokio::net::TcpListener;

use super::{Mesh, fix_of, pod_ref, target};
use crate::{
    cluster::{ClusterError, Settings, connect_to, execute::Stepped},
    remediation::{Operation, PodInstance},
    simulate::{api::ApiFault, store::Kind},
};

fn planned(mesh: &Mesh, name: &str) -> PodInstance {
    let fix = fix_of(target("svc/frontend"), &pod_ref(name), &mesh.uid(name));
    let Operation::EvictPod(eviction) = &fix.plan.as_ref().unwrap().operations[0] else { panic!("it ends no pod") };
    eviction.instance()
}

#[tokio::test]
async fn an_eviction_ends_the_approved_life_and_a_repeat_finds_it_done() {
    let mesh = Mesh::start().await;
    let planned = planned(&mesh, "frontend-a");
    assert_eq!(mesh.reach.evict(&planned, 1).await.unwrap(), Stepped::Done);
    assert!(!mesh.lives("frontend-a") && mesh.lives("frontend-b"));
    assert_eq!(mesh.reach.evict(&planned, 2).await.unwrap(), Stepped::Done);
    assert!(mesh.lives("frontend-b"));
}

#[tokio::test]
async fn the_next_life_under_the_same_name_is_never_touched() {
    let mesh = Mesh::start().await;
    let planned = planned(&mesh, "frontend-a");
    mesh.comes_back("frontend-a");
    assert_eq!(mesh.reach.evict(&planned, 2).await.unwrap(), Stepped::Done);
    assert!(mesh.lives("frontend-a"));
}

/// Invariant 4: at the first attempt the bot has done nothing yet, so somebody else ended what was approved.
#[tokio::test]
async fn a_life_that_ended_before_the_first_attempt_is_asked_about_again() {
    let mesh = Mesh::start().await;
    let planned = planned(&mesh, "frontend-a");
    mesh.comes_back("frontend-a");
    let moved = mesh.reach.evict(&planned, 1).await.unwrap();
    assert!(matches!(&moved, Stepped::Moved(what) if what.contains("another life")), "{moved:?}");
    mesh.store.remove(Kind::Pod, Some("web"), "frontend-a");
    let gone = mesh.reach.evict(&planned, 1).await.unwrap();
    assert!(matches!(&gone, Stepped::Moved(what) if what.contains("is gone")), "{gone:?}");
}

#[tokio::test]
async fn a_pod_that_another_controller_took_over_is_asked_about_again() {
    let mesh = Mesh::start().await;
    let planned = planned(&mesh, "frontend-a");
    mesh.store.update(Kind::Pod, Some("web"), "frontend-a", |pod| {
        pod["metadata"]["ownerReferences"][0]["name"] = json!("other");
    });
    assert!(
        matches!(mesh.reach.evict(&planned, 1).await.unwrap(), Stepped::Moved(what) if what.contains("ReplicaSet/other"))
    );
    assert!(mesh.lives("frontend-a"));
}

#[tokio::test]
async fn a_spent_budget_blocks_and_is_no_failure() {
    let mesh = Mesh::start().await;
    mesh.store.update(Kind::PodDisruptionBudget, Some("web"), "frontend", |budget| {
        budget["spec"]["minAvailable"] = json!(2);
    });
    let blocked = mesh.reach.evict(&planned(&mesh, "frontend-a"), 1).await.unwrap_err();
    assert!(blocked.untouched && blocked.after.is_none());
    let blocked = blocked.error;
    assert!(matches!(&blocked, ClusterError::BudgetSpent { budget, .. } if budget == "frontend"), "{blocked:?}");
    assert!(blocked.to_string().starts_with("the disruption budget frontend lets no pod go now"), "{blocked}");
    assert!(mesh.lives("frontend-a"));
}

#[tokio::test]
async fn an_api_server_that_has_too_much_to_do_is_not_taken_for_a_budget() {
    let mesh = Mesh::start().await;
    let busy = ApiFault::status(429, "Too many requests, please try again later.").retry_after(7).times(1);
    mesh.options.inject("create", "pods/eviction", busy);
    let refused = mesh.reach.evict(&planned(&mesh, "frontend-a"), 1).await.unwrap_err();
    assert!(matches!(refused.error, ClusterError::Busy { .. }), "{refused:?}");
    assert_eq!((refused.untouched, refused.after), (true, Some(SignedDuration::from_secs(7))));
}

/// What a code says of the write itself: the rehearsal has passed, and the answer to the real one is broken.
#[tokio::test]
async fn a_refusal_is_certain_to_have_written_nothing_and_a_server_error_is_not() {
    let cases = [(401, true), (403, true), (409, true), (422, true), (429, true), (500, false), (503, false)];
    for (code, untouched) in cases {
        let mesh = Mesh::start().await;
        mesh.options.inject("create", "pods/eviction", ApiFault::delay(Duration::ZERO).times(1));
        mesh.options.inject("create", "pods/eviction", ApiFault::status(code, "no").times(1));
        let refused = mesh.reach.evict(&planned(&mesh, "frontend-a"), 1).await.unwrap_err();
        assert_eq!(refused.untouched, untouched, "{code}: {refused:?}");
    }
}

#[tokio::test]
async fn a_server_error_of_the_rehearsal_has_written_nothing() {
    let mesh = Mesh::start().await;
    mesh.options.inject("create", "pods/eviction", ApiFault::status(503, "etcd is away").times(1));
    assert!(mesh.reach.evict(&planned(&mesh, "frontend-a"), 3).await.unwrap_err().untouched);
}

/// At a second attempt a pod that cannot be looked at may have been evicted by the first.
#[tokio::test]
async fn an_api_server_that_is_out_of_reach_was_sent_nothing_but_an_attempt_before_may_have_been() {
    let mesh = Mesh::start().await;
    let planned = planned(&mesh, "frontend-a");
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let reach = connect_to(&format!("http://{nobody}"), Settings::default()).unwrap();
    let request = hyper::Request::post("/api/v1").body(Vec::new()).unwrap();
    let refused = reach.write(request, "eviction of web/frontend-a").await.err().unwrap();
    assert!(refused.untouched, "{refused:?}");
    assert!(reach.evict(&planned, 1).await.unwrap_err().untouched);
    assert!(!reach.evict(&planned, 2).await.unwrap_err().untouched);
}

#[tokio::test]
async fn a_policy_of_the_cluster_is_not_called_a_missing_right() {
    let mesh = Mesh::start().await;
    let said = "admission webhook \"freeze\" denied the request: no evictions at night";
    mesh.options.inject("create", "pods/eviction", ApiFault::status(403, said).times(1));
    let refused = mesh.reach.evict(&planned(&mesh, "frontend-a"), 1).await.unwrap_err();
    assert!(refused.untouched && refused.error.to_string().contains("no evictions at night"), "{refused:?}");
    assert!(!refused.error.to_string().contains("grant"), "{refused:?}");
}

/// A conflict is what a lost precondition looks like, and also what a busy API server answers.
#[tokio::test]
async fn a_conflict_while_the_pod_still_lives_is_not_taken_for_done() {
    let mesh = Mesh::start().await;
    let planned = planned(&mesh, "frontend-a");
    for code in [404, 409] {
        mesh.options.inject("create", "pods/eviction", ApiFault::status(code, "try again").times(1));
        let answer = mesh.reach.evict(&planned, 1).await;
        let refused = answer.unwrap_err();
        assert!(refused.untouched, "{refused:?}");
        assert!(refused.error.to_string().contains("try again"), "{refused:?}");
        assert!(mesh.lives("frontend-a"), "{code}");
    }
    assert_eq!(mesh.reach.evict(&planned, 1).await.unwrap(), Stepped::Done);
}

#[tokio::test]
async fn the_rehearsal_meets_every_obstacle_before_anything_is_written() {
    let mesh = Mesh::start().await;
    let planned = planned(&mesh, "frontend-a");
    // The request is done and only its answer lost: had it been the real one, the pod would be gone.
    mesh.options.inject("create", "pods/eviction", ApiFault::cut().times(1));
    assert!(mesh.reach.evict(&planned, 1).await.unwrap_err().untouched);
    assert!(mesh.lives("frontend-a"));
}

#[tokio::test]
async fn an_eviction_whose_answer_was_lost_is_found_done_by_the_repeat() {
    let mesh = Mesh::start().await;
    let planned = planned(&mesh, "frontend-a");
    mesh.options.inject("create", "pods/eviction", ApiFault::delay(Duration::ZERO).times(1));
    mesh.options.inject("create", "pods/eviction", ApiFault::cut().times(1));
    assert!(!mesh.reach.evict(&planned, 1).await.unwrap_err().untouched);
    assert!(!mesh.lives("frontend-a"), "it was done all the same");
    mesh.comes_back("frontend-b");
    assert_eq!(mesh.reach.evict(&planned, 2).await.unwrap(), Stepped::Done);
    assert!(mesh.lives("frontend-b"), "nothing is repeated");
}

#[tokio::test]
async fn a_cluster_whose_webhooks_cannot_be_rehearsed_is_no_obstacle() {
    let mesh = Mesh::start().await;
    let refusal = "admission webhook \"x\" does not support dry run";
    mesh.options.inject("create", "pods/eviction", ApiFault::status(400, refusal).times(1));
    assert_eq!(mesh.reach.evict(&planned(&mesh, "frontend-a"), 1).await.unwrap(), Stepped::Done);
    assert!(!mesh.lives("frontend-a"));
}

#[tokio::test]
async fn a_missing_right_is_named_with_what_to_grant() {
    let mesh = Mesh::start().await;
    mesh.options.deny("create", "pods/eviction");
    let refused = mesh.reach.evict(&planned(&mesh, "frontend-a"), 1).await.unwrap_err();
    assert!(refused.untouched && refused.error.to_string().contains("create pods/eviction in web"), "{refused:?}");
    assert!(mesh.lives("frontend-a"));
}

#[tokio::test]
async fn a_token_that_has_ended_is_not_called_a_missing_right() {
    let mesh = Mesh::start().await;
    mesh.options.inject("get", "pods", ApiFault::status(401, "Unauthorized").times(1));
    let refused = mesh.reach.evict(&planned(&mesh, "frontend-a"), 1).await.unwrap_err().error;
    assert!(matches!(refused, ClusterError::Unauthenticated { .. }), "{refused}");
    assert!(refused.to_string().contains("renew"), "{refused}");
}
