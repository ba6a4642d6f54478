//! What goes out: once, in place, found again after a crash, and never to people who no longer need to be woken.

use jiff::SignedDuration;

use super::{Night, channel, fake_slack::Trouble, night, root};
use crate::{
    engine::{Done, Perform, PerformError, Task},
    escalation::{Ladder, LevelNumber, Rung},
    incident::{CallReason, Incident, Notice, Outcome, Work},
    people::Mention,
};

fn draw() -> Work {
    Work::DrawCard { to: channel() }
}

fn call() -> Work {
    Work::Mention {
        to: channel(),
        level: LevelNumber(1),
        mentions: vec![Mention::Group("S0ONCALL".to_owned())],
        reason: CallReason::Opened,
        rung: Rung::Waiting { level: LevelNumber(1), until: night::at(15) },
    }
}

fn id(done: &Done) -> String {
    done.delivery.as_ref().unwrap().message.id.clone()
}

impl Night {
    async fn performs(&self, task: Task) -> Done {
        self.out.perform(task).await.unwrap()
    }

    async fn fails(&self, task: Task) -> PerformError {
        self.out.perform(task).await.unwrap_err()
    }
}

#[tokio::test]
async fn the_card_is_posted_once_and_turns_green_in_place() {
    let night = Night::of(night::opened()).await;
    let first = night.performs(night.task("card", draw())).await;
    assert_eq!(first.outcome, Outcome::Shown { to: channel(), first_card: true });
    assert_eq!(first.delivery.as_ref().unwrap().message.version, 4);
    let asking = Task { root: root(&id(&first)), incident: night::asking().into(), ..night.task("card", draw()) };
    let second = night.performs(asking).await;
    assert_eq!(second.outcome, Outcome::Shown { to: channel(), first_card: false });
    let messages = night.slack.messages();
    assert_eq!((messages.len(), messages[0].edits), (1, 1));
    assert!(messages[0].seen().contains("waits for approval"));
}

#[tokio::test]
async fn the_card_says_how_far_the_diagnostics_are_while_they_run() {
    let night = Night::of(night::opened()).await;
    let first = night.performs(night.task("card", draw())).await;
    assert!(!night.slack.messages()[0].seen().contains("so far"));
    let again = Task { root: root(&id(&first)), ..night.task("card", draw()) };
    for check in ["cat /run/spire/svid/svid.crt", "log of spire-agent"] {
        again.progress.report(check);
    }
    night.performs(again).await;
    let seen = night.slack.messages()[0].seen();
    assert!(seen.contains("Looked at 2 things so far, the newest: `log of spire-agent`"), "{seen}");
}

#[tokio::test]
async fn a_card_that_somebody_deleted_is_posted_again() {
    let night = Night::of(night::opened()).await;
    let first = night.performs(night.task("card", draw())).await;
    night.slack.delete(&id(&first));
    let again = night.performs(Task { root: root(&id(&first)), ..night.task("card", draw()) }).await;
    assert_ne!(id(&again), id(&first));
    assert_eq!(night.slack.messages().len(), 1);
}

#[tokio::test]
async fn a_card_survives_a_crash_between_sending_and_remembering() {
    let night = Night::of(night::opened()).await;
    night.slack.trouble("chat.postMessage", Trouble::AnswerLost);
    night.fails(night.task("card", draw())).await;
    let again = night.performs(Task { attempt: 2, ..night.task("card", draw()) }).await;
    assert_eq!(night.slack.messages().len(), 1, "{}", night.slack.transcript());
    assert_eq!(id(&again), night.slack.messages()[0].ts);
    assert_eq!(again.outcome, Outcome::Shown { to: channel(), first_card: true });
}

#[tokio::test]
async fn a_page_survives_a_crash_between_sending_and_remembering_however_busy_the_channel_is() {
    let night = Night::of(night::opened()).await;
    let card = night.performs(night.task("card", draw())).await;
    night.slack.trouble("chat.postMessage", Trouble::AnswerLost);
    night.fails(Task { root: root(&id(&card)), ..night.task("call-1", call()) }).await;
    for number in 0..7 {
        let notice = Notice::Note { by: night::who("U0ONCALL"), text: format!("note {number}") };
        let work = Work::Post { to: channel(), notice };
        night.performs(Task { root: root(&id(&card)), ..night.task(&format!("note-{number}"), work) }).await;
    }
    let again = night.performs(Task { attempt: 2, root: root(&id(&card)), ..night.task("call-1", call()) }).await;
    assert_eq!(again.outcome, Outcome::Mentioned { level: LevelNumber(1), to: channel() });
    let pages = night.slack.messages().iter().filter(|message| message.text.contains("<!subteam^S0ONCALL>")).count();
    assert_eq!(pages, 1);
}

#[tokio::test]
async fn a_page_does_not_wait_for_the_card_and_is_not_doubled_when_the_card_came_later() {
    let night = Night::of(night::opened()).await;
    night.slack.trouble("chat.postMessage", Trouble::AnswerLost);
    night.fails(night.task("call-1", call())).await;
    let page = night.slack.messages()[0].clone();
    assert!(page.thread.is_none() && page.text.starts_with("<!subteam^S0ONCALL> L1 Platform On-Call is mentioned"));
    let card = night.performs(night.task("card", draw())).await;
    let again = night.performs(Task { attempt: 2, root: root(&id(&card)), ..night.task("call-1", call()) }).await;
    assert_eq!(id(&again), page.ts);
}

#[tokio::test]
async fn a_page_in_a_thread_is_shown_in_the_channel_too() {
    let night = Night::of(night::opened()).await;
    let card = night.performs(night.task("card", draw())).await;
    night.performs(Task { root: root(&id(&card)), ..night.task("call-1", call()) }).await;
    let page = night.slack.messages()[1].clone();
    assert_eq!(page.thread, Some(id(&card)));
    assert!(page.broadcast);
    assert_eq!(page.buttons(), ["Acknowledge"]);
}

#[tokio::test]
async fn an_empty_group_is_said_and_a_group_that_cannot_be_looked_up_is_mentioned_all_the_same() {
    let night = Night::of(night::opened()).await;
    night.slack.group("S0ONCALL", &[]);
    let outcome = night.performs(night.task("call-1", call())).await.outcome;
    let why = "the user group S0ONCALL has no members, or is gone".to_owned();
    let nobody = Outcome::NobodyBehind { level: LevelNumber(1), why };
    assert_eq!(outcome, nobody);
    night.slack.trouble("usergroups.users.list", Trouble::Refuses("no_such_subteam"));
    assert_eq!(night.performs(night.task("call-1", call())).await.outcome, nobody);
    night.slack.trouble("usergroups.users.list", Trouble::Down);
    night.performs(night.task("call-2", call())).await;
    assert_eq!(night.slack.messages().len(), 1);
}

#[tokio::test]
async fn trouble_of_slack_is_told_from_trouble_of_the_message() {
    let night = Night::of(night::opened()).await;
    let again = |reason: &str, after| PerformError::Again { reason: reason.to_owned(), after };
    let seconds = SignedDuration::from_secs;
    for (trouble, expected) in [
        (Trouble::RateLimited(7), again("Slack's chat.postMessage is rate limited", Some(seconds(7)))),
        (Trouble::RateLimited(999_999), again("Slack's chat.postMessage is rate limited", Some(seconds(900)))),
        (
            Trouble::Down,
            again("Slack's chat.postMessage could not be reached: HTTP status 503 Service Unavailable", None),
        ),
        (
            Trouble::Refuses("not_in_channel"),
            again("Slack refused chat.postMessage: not_in_channel; invite the bot to the channel", None),
        ),
        (
            Trouble::Refuses("invalid_blocks"),
            PerformError::Never { reason: "Slack refused chat.postMessage: invalid_blocks".to_owned() },
        ),
    ] {
        night.slack.trouble("chat.postMessage", trouble);
        assert_eq!(night.fails(night.task("card", draw())).await, expected);
    }
}

#[tokio::test]
async fn the_question_pings_those_who_may_approve_and_a_plan_that_moved_on_pings_nobody() {
    let night = Night::of(night::asking()).await;
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

#[tokio::test]
async fn a_post_waits_for_its_card_but_not_for_ever() {
    let night = Night::of(night::diagnosed()).await;
    let work = || Work::Post { to: channel(), notice: Notice::Verdict { run: 1 } };
    assert!(matches!(night.fails(night.task("verdict-1", work())).await, PerformError::Again { after: None, .. }));
    night.performs(Task { attempt: 5, ..night.task("verdict-1", work()) }).await;
    assert_eq!(night.slack.messages().len(), 1);
}

#[tokio::test]
async fn raw_output_that_is_too_long_becomes_a_file_in_the_thread() {
    let mut incident = night::diagnosed();
    let verdict = incident.verdict.as_mut().unwrap();
    verdict.checks = (0..200).map(|_| verdict.checks[0].clone()).collect();
    let night = Night::of(incident).await;
    let card = night.performs(night.task("card", draw())).await;
    let work = || Work::Post { to: channel(), notice: Notice::Verdict { run: 1 } };
    night.performs(Task { root: root(&id(&card)), ..night.task("verdict-1", work()) }).await;
    let files = night.slack.files();
    assert_eq!((files[0].name.as_str(), files[0].thread.as_deref()), ("checks.txt", Some(id(&card).as_str())));
    assert_eq!(files[0].content.matches("1.1-svid-dates").count(), 200);
    night.slack.trouble("files.getUploadURLExternal", Trouble::Down);
    night.performs(Task { root: root(&id(&card)), ..night.task("verdict-2", work()) }).await;
    assert_eq!(night.slack.messages().len(), 3, "the post stands although the file failed");
}

#[tokio::test]
async fn after_the_last_window_all_are_called_by_name_again() {
    let rung = Rung::AllPaged { until: night::at(165) };
    let ladder = Ladder::Running { rung, holder: None };
    let night = Night::of(Incident { ladder, ..night::diagnosed() }).await;
    let work = Work::Mention {
        to: channel(),
        level: LevelNumber(3),
        mentions: vec![Mention::User("U0INFRA".to_owned())],
        reason: CallReason::Repeat,
        rung,
    };
    night.performs(night.task("call-9", work)).await;
    assert!(night.slack.transcript().contains("<@U0INFRA> *L3 Infrastructure* is mentioned again"));
}
