//! The same night on Slack alone, on Discord alone, and on both at once: what is said on one is seen on the other.

use super::{Night, ON_CALL, OTHER, On, SECURITY};
use crate::{fake_rest::FakeDiscord, fake_slack::FakeSlack};
use mtls_medic::{
    incident::{FixEnd, FixPhase, IncidentStatus},
    remediation::Proof,
};

/// Alert, call, acknowledge, triage, fix asked, approved by somebody else, proved, closed.
async fn a_whole_night(faces: &[On], first: On, then: On) {
    let night = Night::on(faces).await;
    night.alertmanager_delivers("firing-one-service.json").await;
    night.all_show("is mentioned").await;
    night.all_show("expired certificate").await;

    night.says(first, ON_CALL, "ack", &[]).await;
    night.is_told(first, ON_CALL, "Nobody else is called").await;
    night.all_show("has it").await;
    night.says(then, OTHER, "ack", &[]).await;
    night.is_told(then, OTHER, "has acknowledged it already").await;
    night.says(first, ON_CALL, "fix", &[("fix", "restart-pod")]).await;
    night.all_show("Approval wanted").await;
    night.says(first, ON_CALL, "approve", &[]).await;
    night.is_told(first, ON_CALL, "somebody else has to approve it").await;
    if first != then {
        night.says(then, OTHER, "approve", &[]).await;
        night.is_told(then, OTHER, "does not say who you are there").await;
        night.says(then, ON_CALL, "approve", &[]).await;
        night.is_told(then, ON_CALL, "may approve").await;
    }
    night.says(then, SECURITY, "approve", &[]).await;
    night.is_told(then, SECURITY, "Approved: restart-pod runs now").await;

    night.all_show("worked").await;
    night.alertmanager_delivers("resolved-one-service.json").await;
    night.all_show("Closed").await;
    night.all_show("🟢").await;

    let incident = night.incident().await;
    assert!(matches!(incident.status, IncidentStatus::Closed { .. }));
    let end = &incident.past_fixes[0].end;
    assert!(matches!(end, FixEnd::Verified { verification } if verification.proof == Proof::Worked), "{end:?}");
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_on_slack_alone() {
    a_whole_night(&[On::Slack], On::Slack, On::Slack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_on_discord_alone() {
    a_whole_night(&[On::Discord], On::Discord, On::Discord).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_on_both_asked_for_on_slack_and_approved_on_discord() {
    a_whole_night(&[On::Slack, On::Discord], On::Slack, On::Discord).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_on_both_asked_for_on_discord_and_approved_on_slack() {
    a_whole_night(&[On::Slack, On::Discord], On::Discord, On::Slack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_button_that_was_pressed_on_one_face_is_gone_from_both() {
    let night = Night::on(&[On::Slack, On::Discord]).await;
    night.alertmanager_delivers("firing-one-service.json").await;
    night.all_show("is mentioned").await;
    night.presses(On::Discord, ON_CALL, "Acknowledge").await;
    night.is_told(On::Discord, ON_CALL, "Nobody else is called").await;
    let gone_from_slack = |slack: &FakeSlack| slack.with_button("Acknowledge").is_none();
    night.slack.as_ref().unwrap().until("the button is gone from Slack", gone_from_slack).await;
    let gone_from_discord = |discord: &FakeDiscord| discord.with_button("Acknowledge").is_none();
    night.discord.as_ref().unwrap().until("the button is gone from Discord", gone_from_discord).await;
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_discord_a_press_that_changes_something_is_asked_back_and_decided_on_once_it_is_confirmed() {
    let night = Night::on(&[On::Discord]).await;
    night.alertmanager_delivers("firing-one-service.json").await;
    night.all_show("expired certificate").await;
    night.says(On::Discord, ON_CALL, "fix", &[("fix", "restart-pod")]).await;
    night.all_show("Approval wanted").await;
    let question = night.presses(On::Discord, SECURITY, "Approve").await;
    assert_eq!(question["type"], 4, "{question}");
    assert_eq!(question["data"]["embeds"][0]["title"], "Approve restart-pod?");
    assert!(matches!(night.incident().await.fix.unwrap().phase, FixPhase::Asking { .. }), "nothing was decided yet");
    night.arrives(On::Discord, SECURITY, &night.confirms(SECURITY, &question)).await;
    night.all_show("worked").await;
    night.ends().await;
}
