//! Questions with buttons: whom they ping, and how they end.

use super::outbound::{call, draw, id};
use super::{SlackStory, channel, fake_slack::Trouble, night, root};
use crate::{
    engine::Task,
    incident::{Incident, Notice, Work},
};

/// The question to the approvers, and a call, in the thread of a card.
async fn with_questions(night: &SlackStory) -> String {
    let card = id(&night.performs(night.task("card", draw())).await);
    let notice = Notice::ApprovalWanted { plan: night::plan().id() };
    let ask = night.task("ask-1", Work::Post { to: channel(), notice });
    night.performs(Task { root: root(&card), ..ask }).await;
    let opened = Task { incident: night::opened().into(), ..night.task("call-1", call()) };
    night.performs(Task { root: root(&card), ..opened }).await;
    assert_eq!(night.slack.messages()[1].buttons().len(), 2);
    card
}

fn approved() -> Incident {
    let mut incident = night::asking();
    let fix = incident.fix.as_mut().unwrap();
    fix.phase = crate::incident::FixPhase::Approved { plan: night::plan().id(), by: vec![night::who("U0SEC")] };
    incident
}

#[tokio::test]
async fn a_question_that_was_decided_by_a_command_loses_its_buttons_and_says_how() {
    let night = SlackStory::of(night::asking()).await;
    let card = with_questions(&night).await;
    let draws =
        |incident: Incident| Task { root: root(&card), incident: incident.into(), ..night.task("card", draw()) };
    night.performs(draws(night::asking())).await;
    assert_eq!(night.slack.messages()[1].buttons().len(), 2, "while it stands they stay");
    let call = night.slack.messages()[2].clone();
    assert!(call.buttons().is_empty() && call.seen().contains("~ <@U0ONCALL> has it."), "{}", call.seen());
    night.performs(draws(approved())).await;
    let ask = night.slack.messages()[1].clone();
    assert!(
        ask.buttons().is_empty() && ask.seen().contains("was approved by <@U0SEC> and is running"),
        "{}",
        ask.seen()
    );
}

#[tokio::test]
async fn buttons_of_before_a_restart_go_away_too_and_trouble_of_slack_is_tried_again() {
    let before = SlackStory::of(night::asking()).await;
    let card = with_questions(&before).await;
    // Another process with an empty memory, in the same workspace.
    let night = before.restarted();
    let draws = || Task { root: root(&card), incident: approved().into(), ..night.task("card", draw()) };
    night.slack.trouble("conversations.replies", Trouble::Down);
    night.performs(draws()).await;
    assert_eq!(night.slack.messages()[1].buttons().len(), 2);
    night.performs(draws()).await;
    assert!(night.slack.messages()[1].buttons().is_empty() && night.slack.messages()[2].buttons().is_empty());
    let reads = night.slack.calls("conversations.replies");
    night.performs(draws()).await;
    assert_eq!(night.slack.calls("conversations.replies"), reads, "the thread is read once");
}

#[tokio::test]
async fn the_question_pings_those_who_may_approve_and_a_plan_that_moved_on_pings_nobody() {
    let night = SlackStory::of(night::asking()).await;
    let card = night.performs(night.task("card", draw())).await;
    let work = |plan| Work::Post { to: channel(), notice: Notice::ApprovalWanted { plan } };
    let asked = Task { root: root(&id(&card)), ..night.task("ask-1", work(night::plan().id())) };
    night.performs(asked).await;
    let post = night.slack.messages()[1].clone();
    assert!(post.text.starts_with("<!subteam^S0APPROVERS> Approval wanted"), "{}", post.text);
    let other = crate::remediation::PlanId("0123456789".to_owned());
    night.performs(Task { root: root(&id(&card)), ..night.task("ask-0", work(other)) }).await;
    let post = night.slack.messages()[2].clone();
    assert!(post.text.contains("no longer the one that waits") && !post.text.contains("S0APPROVERS"), "{}", post.text);
    assert!(post.buttons().is_empty());
}
