//! Every refusal that a person can get: in private, with the next step, and nothing has changed.

use mtls_medic::{
    incident::Event,
    simulate::{store::Kind, world::Scenario},
};

use crate::{fake_slack::FakeSlack, night::Night};

async fn diagnosed() -> Night {
    let night = Night::calm(Scenario::ExpiredCertificate).await;
    night.alertmanager_fires().await;
    night.channel_shows("expired certificate").await;
    night
}

async fn asking() -> Night {
    asking_in(diagnosed().await).await
}

async fn asking_in(night: Night) -> Night {
    night.says("U0ONCALL", "fix restart-pod").await;
    night.slack.until("the question", |slack| slack.with_button("Approve").is_some()).await;
    night
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_on_duty_is_told_who_is_and_changes_nothing() {
    let night = asking().await;
    for text in ["ack", "resolve", "escalate", "note I was here", "triage", "fix restart-pod", "withdraw", "verify"] {
        night.is_refused("U0STRANGER", text, "people who may command").await;
    }
    night.is_refused("U0STRANGER", "approve", "people who may approve").await;
    night.is_refused("U0STRANGER", "reject", "people who may approve").await;
    night.is_refused("U0OTHER", "approve", "people who may approve").await;
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_a_fix_there_is_nothing_to_approve_withdraw_or_verify() {
    let night = diagnosed().await;
    night.is_refused("U0SEC", "approve", "No fix is waiting for approval in INC-1").await;
    night.is_refused("U0SEC", "reject", "No fix is waiting for approval in INC-1").await;
    night.is_refused("U0ONCALL", "withdraw", "No fix is waiting for approval in INC-1").await;
    night.is_refused("U0ONCALL", "verify", "nothing to verify").await;
    night.is_refused("U0ONCALL", "ack INC-99", "There is no INC-99").await;
    night
        .is_refused("U0ONCALL", "fix restart-spire-agent", "is refused here: the agent was not seen to be at fault")
        .await;
    night.is_refused("U0ONCALL", "fix restart-everything", "There is no fix `restart-everything`").await;
    night.is_refused("U0ONCALL", "target web", "needs a namespace and a workload").await;
    night.is_refused("U0ONCALL", "target Web frontend", "/mtls target").await;
    night.is_refused("U0ONCALL", "handoff L7", "no level L7").await;
    night.is_refused("U0ONCALL", "handoff nobody", "neither a person nor a level").await;
    night.is_refused("U0ONCALL", &format!("note {}", "x".repeat(2_001)), "1 to 2000 characters, this has 2001").await;
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_has_taken_is_theirs_and_above_the_last_level_is_nobody() {
    let night = diagnosed().await;
    night.says("U0ONCALL", "ack").await;
    night.is_told("U0ONCALL", "Nobody else is called").await;
    night.is_refused("U0SEC", "ack", "has acknowledged it already").await;
    for level in ["L2 Platform Security", "L3 Infrastructure"] {
        night.says("U0ONCALL", "escalate").await;
        night.is_told("U0ONCALL", &format!("{level} is called now")).await;
    }
    night.is_refused("U0ONCALL", "escalate", "no level above L3").await;
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_not_approved_by_who_asked_nor_by_another_hash_nor_withdrawn_by_another() {
    let night = asking().await;
    night.is_refused("U0ONCALL", "approve", "somebody else has to approve it").await;
    night.is_refused("U0ONCALL", "reject", "somebody else has to approve it").await;
    night.is_refused("U0SEC", "approve deadbeef", "not the one that waits now").await;
    night.is_refused("U0SEC", "withdraw", "Only the person who asked for the fix").await;
    night.is_refused("U0SEC", "fix restart-pod", "is under way already").await;

    let old = night.slack.pressed("U0SEC", "Approve");
    night.says("U0SEC", "reject").await;
    night.is_told("U0SEC", "Rejected").await;
    let told = night.slack.whispers("U0SEC").len();
    night.is_sent(&old).await;
    night.is_told_next("U0SEC", told, "Restart-pod was rejected by <@U0SEC>").await;
    assert!(!night.events().await.iter().any(|event| matches!(event, Event::FixApproved { .. })));
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fix_that_runs_is_neither_withdrawn_nor_asked_for_again_and_a_replayed_press_approves_once() {
    let night = Night::thorough(Scenario::ExpiredCertificate).await;
    night.alertmanager_fires().await;
    night.channel_shows("expired certificate").await;
    let night = asking_in(night).await;
    let press = night.presses("U0SEC", "Approve").await;
    night.is_told("U0SEC", "Approved: restart-pod runs now").await;
    let told = night.slack.whispers("U0SEC").len();
    night.is_sent(&press).await;
    night.is_told_next("U0SEC", told, "Approved: restart-pod runs now").await;
    night.channel_shows("was replaced by").await;
    night.is_refused("U0ONCALL", "withdraw", "running already").await;
    night.is_refused("U0ONCALL", "fix restart-pod", "is under way already").await;
    night.is_refused("U0ONCALL", "verify", "is under way already").await;
    let approvals = night.events().await.iter().filter(|event| matches!(event, Event::FixApproved { .. })).count();
    assert_eq!(approvals, 1);
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_approved_is_not_run_on_a_cluster_that_has_moved_and_is_asked_again() {
    let night = asking().await;
    let plan = night.incident().await.fix.unwrap().plan.unwrap();
    let pod = plan.operations[0].ends().unwrap().0.clone();
    // Somebody with kubectl is faster than the approval.
    let store = night.simulation.world.store();
    store.remove(Kind::Pod, Some(pod.namespace.as_str()), pod.name.as_str()).unwrap();
    let old = night.presses("U0SEC", "Approve").await;
    night.channel_shows("the cluster is no longer what was approved").await;
    let questions = |slack: &FakeSlack| slack.transcript().matches("Approval wanted").count();
    night.slack.until("a second question", |slack| questions(slack) == 2).await;
    assert!(!night.events().await.iter().any(|event| matches!(event, Event::StepDone { .. })));
    // What was approved is no answer to the new question.
    let told = night.slack.whispers("U0SEC").len();
    night.is_sent(&old).await;
    night.is_told_next("U0SEC", told, "Approved").await;
    night.is_refused("U0SEC", &format!("approve {}", plan.id().short()), "not the one that waits now").await;
    night.is_refused("U0SEC", "approve", "The plan was drawn again since it was first shown").await;
    night.presses("U0SEC", "Approve").await;
    night.channel_shows("worked").await;
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_question_cannot_be_approved_by_its_old_button() {
    let night = Night::impatient(Scenario::ExpiredCertificate).await;
    night.alertmanager_fires().await;
    night.channel_shows("expired certificate").await;
    night.says("U0ONCALL", "fix restart-pod").await;
    night.slack.until("the question", |slack| slack.with_button("Approve").is_some()).await;
    let old = night.slack.pressed("U0SEC", "Approve");
    night.channel_shows("nobody approved it in time").await;
    night.is_sent(&old).await;
    night.is_told("U0SEC", "Nobody approved restart-pod in time").await;
    assert!(!night.events().await.iter().any(|event| matches!(event, Event::FixApproved { .. })));
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_new_is_started_with_writes_off_nor_while_it_clears_nor_after_it_is_closed() {
    let night = diagnosed().await;
    night.says("U0ONCALL", "writes off").await;
    night.channel_shows("Fixes are off").await;
    night.is_refused("U0ONCALL", "fix restart-pod", "Fixes are switched off").await;

    night.alertmanager_resolves().await;
    night.channel_shows("All alerts are resolved").await;
    night.is_refused("U0ONCALL", "ack", "it closes by itself at").await;
    night.is_refused("U0ONCALL", "escalate", "it closes by itself at").await;

    night.says("U0ONCALL", "resolve").await;
    night.channel_shows("Closed").await;
    night.is_refused("U0ONCALL", "ack INC-1", "INC-1 is closed").await;
    night.is_refused("U0ONCALL", "note INC-1 too late", "INC-1 is closed").await;
    night.ends().await;
}
