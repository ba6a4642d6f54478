//! What goes out: once, in place, found again after a crash, and never to people who no longer need to be woken.

use jiff::SignedDuration;

use super::{SlackStory, calls::link_of, channel, fake_slack::Trouble, night, root};
use crate::{
    engine::{Done, Perform, PerformError, Task},
    escalation::{Ladder, LevelNumber, Rung},
    incident::{CallReason, Calls, CloseReason, FirstCall, Incident, IncidentStatus, Notice, Outcome, RunNumber, Work},
    people::{Mention, Platform},
};

pub(super) fn draw() -> Work {
    Work::DrawCard { to: channel() }
}

pub(super) fn call() -> Work {
    Work::Mention {
        to: channel(),
        level: LevelNumber(1),
        mentions: vec![Mention::group(Platform::Slack, "S0ONCALL")],
        reason: CallReason::Opened,
        rung: Rung::Waiting { level: LevelNumber(1), until: night::at(15) },
    }
}

pub(super) fn id(done: &Done) -> String {
    done.delivery.as_ref().unwrap().message.id.clone()
}

impl SlackStory {
    pub(super) async fn performs(&self, task: Task) -> Done {
        self.out.perform(task).await.unwrap()
    }

    pub(super) async fn fails(&self, task: Task) -> PerformError {
        self.out.perform(task).await.unwrap_err()
    }
}

#[tokio::test]
async fn the_card_is_posted_once_and_turns_green_in_place() {
    let night = SlackStory::of(night::opened()).await;
    let first = night.performs(night.task("card", draw())).await;
    assert_eq!(first.outcome, Outcome::CardPosted { to: channel(), link: link_of(&night, &first) });
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
    let night = SlackStory::of(night::opened()).await;
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
    let night = SlackStory::of(night::opened()).await;
    let first = night.performs(night.task("card", draw())).await;
    night.slack.delete(&id(&first));
    let again = night.performs(Task { root: root(&id(&first)), ..night.task("card", draw()) }).await;
    assert_ne!(id(&again), id(&first));
    assert_eq!(night.slack.messages().len(), 1);
}

#[tokio::test]
async fn a_card_survives_a_crash_between_sending_and_remembering() {
    let night = SlackStory::of(night::opened()).await;
    night.slack.trouble("chat.postMessage", Trouble::AnswerLost);
    night.fails(night.task("card", draw())).await;
    let again = night.performs(Task { attempt: 2, ..night.task("card", draw()) }).await;
    assert_eq!(night.slack.messages().len(), 1, "{}", night.slack.transcript());
    assert_eq!(id(&again), night.slack.messages()[0].ts);
    assert_eq!(again.outcome, Outcome::CardPosted { to: channel(), link: link_of(&night, &again) });
}

#[tokio::test]
async fn what_was_sent_before_the_clock_was_set_is_found_and_not_sent_twice() {
    for hours in [-1, 1] {
        let night = SlackStory::of(night::opened()).await;
        night.slack.trouble("chat.postMessage", Trouble::AnswerLost);
        night.fails(night.task("card", draw())).await;
        night.slack.trouble("chat.postMessage", Trouble::AnswerLost);
        night.fails(Task { attempt: 5, ..night.task("call-1", call()) }).await;
        night.clock_is_set(SignedDuration::from_hours(hours));
        let card = night.performs(Task { attempt: 2, ..night.task("card", draw()) }).await;
        night.performs(Task { attempt: 6, root: root(&id(&card)), ..night.task("call-1", call()) }).await;
        assert_eq!(night.slack.messages().len(), 2, "{hours} h: {}", night.slack.transcript());
    }
}

#[tokio::test]
async fn a_post_that_waited_for_the_card_when_the_clock_was_set_is_counted_as_waiting_no_longer_once_it_is_there() {
    let night = SlackStory::of(night::opened()).await;
    let note = Work::Post { to: channel(), notice: Notice::Note { by: night::who("U0ONCALL"), text: "x".to_owned() } };
    night.fails(night.task("note-1", note.clone())).await;
    night.clock_is_set(SignedDuration::from_hours(-1));
    let card = night.performs(night.task("card", draw())).await;
    night.performs(Task { attempt: 2, root: root(&id(&card)), ..night.task("note-1", note) }).await;
    assert!(night.counted("mtls_medic_slack_posts_waiting 0"), "{}", night.metrics.render());
}

#[tokio::test]
async fn a_card_of_this_process_is_not_looked_for_because_the_clock_was_set_forward() {
    for hours in [-1, 1] {
        let mut opened = night::opened();
        opened.opened_at = night::at(5);
        let night = SlackStory::of(opened).await;
        night.clock_is_set(SignedDuration::from_hours(hours));
        night.performs(night.task("card", draw())).await;
        assert_eq!(night.slack.calls("conversations.history"), 0, "{hours} h");
    }
}

#[tokio::test]
async fn a_page_survives_a_crash_between_sending_and_remembering_however_busy_the_channel_is() {
    let night = SlackStory::of(night::opened()).await;
    let card = night.performs(night.task("card", draw())).await;
    night.slack.trouble("chat.postMessage", Trouble::AnswerLost);
    night.fails(Task { root: root(&id(&card)), ..night.task("call-1", call()) }).await;
    for number in 0..7 {
        let notice = Notice::Note { by: night::who("U0ONCALL"), text: format!("note {number}") };
        let work = Work::Post { to: channel(), notice };
        night.performs(Task { root: root(&id(&card)), ..night.task(&format!("note-{number}"), work) }).await;
    }
    let again = night.performs(Task { attempt: 2, root: root(&id(&card)), ..night.task("call-1", call()) }).await;
    assert!(matches!(&again.outcome, Outcome::Mentioned { level: LevelNumber(1), to, .. } if *to == channel()));
    let pages = night.slack.messages().iter().filter(|message| message.text.contains("<!subteam^S0ONCALL>")).count();
    assert_eq!(pages, 1);
}

#[tokio::test]
async fn a_page_does_not_wait_for_the_card_and_is_not_doubled_when_the_card_came_later() {
    let night = SlackStory::of(night::opened()).await;
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
    let night = SlackStory::of(night::opened()).await;
    let card = night.performs(night.task("card", draw())).await;
    night.performs(Task { root: root(&id(&card)), ..night.task("call-1", call()) }).await;
    let page = night.slack.messages()[1].clone();
    assert_eq!(page.thread, Some(id(&card)));
    assert!(page.broadcast);
    assert_eq!(page.buttons(), ["Acknowledge"]);
}

#[tokio::test]
async fn an_empty_group_is_said_and_a_group_that_cannot_be_looked_up_is_mentioned_all_the_same() {
    let night = SlackStory::of(night::opened()).await;
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
async fn a_page_goes_out_although_it_cannot_be_looked_for_before_the_repeat() {
    for trouble in [Trouble::Down, Trouble::Refuses("missing_scope"), Trouble::RateLimited(30)] {
        let night = SlackStory::of(night::opened()).await;
        night.slack.trouble("chat.postMessage", Trouble::Down);
        night.fails(night.task("call-1", call())).await;
        night.slack.trouble("conversations.history", trouble);
        night.performs(Task { attempt: 2, ..night.task("call-1", call()) }).await;
        assert!(night.slack.transcript().contains("L1 Platform On-Call* is mentioned"), "{}", night.slack.transcript());
    }
}

#[tokio::test]
async fn a_page_that_was_rate_limited_is_not_looked_for_since_nothing_was_posted() {
    let night = SlackStory::of(night::opened()).await;
    night.slack.trouble("chat.postMessage", Trouble::RateLimited(0));
    night.fails(night.task("call-1", call())).await;
    night.performs(Task { attempt: 2, ..night.task("call-1", call()) }).await;
    assert_eq!(night.slack.calls("conversations.history"), 0);
    assert_eq!(night.slack.messages().len(), 1);
}

#[tokio::test]
async fn an_attempt_that_may_have_got_through_is_looked_for_also_after_a_429() {
    let night = SlackStory::of(night::opened()).await;
    night.slack.trouble("chat.postMessage", Trouble::AnswerLost);
    night.fails(night.task("call-1", call())).await;
    // The search fails, and so does the repeat: it is still open whether the first got through.
    night.slack.trouble("conversations.history", Trouble::Down);
    night.slack.trouble("chat.postMessage", Trouble::RateLimited(0));
    night.fails(Task { attempt: 2, ..night.task("call-1", call()) }).await;
    night.performs(Task { attempt: 2, ..night.task("call-1", call()) }).await;
    assert_eq!(night.slack.messages().len(), 1, "{}", night.slack.transcript());
}

#[tokio::test]
async fn a_card_that_may_have_got_through_is_found_by_the_newer_drawing_that_took_its_place() {
    let night = SlackStory::of(night::opened()).await;
    night.slack.trouble("chat.postMessage", Trouble::AnswerLost);
    night.fails(night.task("card", draw())).await;
    night.performs(night.task("card", draw())).await;
    assert_eq!(night.slack.messages().len(), 1, "{}", night.slack.transcript());
}

#[tokio::test]
async fn a_429_stops_all_posts_to_the_channel_and_a_page_goes_first_when_it_is_over() {
    let night = SlackStory::of(night::opened()).await;
    let card = night.performs(night.task("card", draw())).await;
    let note = |number: u32| {
        let notice = Notice::Note { by: night::who("U0ONCALL"), text: format!("note {number}") };
        Task { root: root(&id(&card)), ..night.task(&format!("note-{number}"), Work::Post { to: channel(), notice }) }
    };
    night.slack.trouble("chat.postMessage", Trouble::RateLimited(0));
    let before = night.slack.calls("chat.postMessage");
    for number in 1..=3 {
        let error = night.fails(note(number)).await;
        assert!(matches!(error, PerformError::Again { after: Some(_), .. }), "{error:?}");
    }
    assert_eq!(night.slack.calls("chat.postMessage"), before + 1, "the others do not go on calling");
    assert!(night.counted("slack_rate_limited_total{method=\"chat.postMessage\"} 1"));
    assert!(night.counted("slack_posts_waiting 3"));
    night.performs(Task { root: root(&id(&card)), ..night.task("call-1", call()) }).await;
    assert!(night.slack.messages()[1].text.contains("is mentioned"), "429s of details do not delay a page");
    assert!(night.counted("calls_sent_total{way=\"slack\"} 1"));
    // The card says what waits, at a time that stays true.
    night.performs(Task { root: root(&id(&card)), ..night.task("card", draw()) }).await;
    let seen = night.slack.messages()[0].seen();
    assert!(seen.contains("3 post(s) of the bot waited at"), "{seen}");
}

#[tokio::test]
async fn resolve_turns_the_first_message_green_in_place() {
    let night = SlackStory::of(night::opened()).await;
    let card = id(&night.performs(night.task("card", draw())).await);
    assert!(night.slack.messages()[0].seen().starts_with("🔴"));
    let closed = Incident {
        status: IncidentStatus::Closed {
            at: night::at(30),
            reason: CloseReason::Person(night::who("U0ONCALL").into()),
        },
        ladder: Ladder::Still,
        ..night::diagnosed()
    };
    night.performs(Task { root: root(&card), incident: closed.into(), ..night.task("card", draw()) }).await;
    let messages = night.slack.messages();
    assert_eq!((messages.len(), messages[0].edits), (1, 1), "edited, not posted again");
    assert!(messages[0].seen().starts_with("🟢") && messages[0].buttons().is_empty(), "{}", messages[0].seen());
}

#[tokio::test]
async fn a_hundred_and_sixty_alerts_are_one_usable_message_with_a_count() {
    let mut incident = night::diagnosed();
    let alert = incident.alerts.values().next().unwrap().clone();
    for number in 0..160 {
        let mut one = alert.clone();
        one.sighting.summary = Some(format!("pod {number} fails its handshakes"));
        one.sighting.pod = Some(night::pod(&format!("frontend-{number}")));
        incident.alerts.insert(crate::incident::Fingerprint(format!("f{number}")), one);
    }
    let night = SlackStory::of(incident).await;
    night.performs(night.task("card", draw())).await;
    let seen = night.slack.messages()[0].seen();
    assert!(seen.contains("161 of 161 alert(s) firing"), "{seen}");
    assert!(seen.contains("more summaries") && seen.contains("more"), "{seen}");
    assert!(!night.slack.messages()[0].buttons().is_empty(), "what can be done is still there");
}

#[tokio::test]
async fn while_fixes_are_off_a_verdict_names_no_button_that_is_not_there() {
    let night = SlackStory::of(night::diagnosed()).await;
    let card = id(&night.performs(night.task("card", draw())).await);
    let work = Work::Post { to: channel(), notice: Notice::Verdict { run: RunNumber(1) } };
    let off = Task { root: root(&card), writes_enabled: false, ..night.task("verdict-1", work) };
    night.performs(off).await;
    let post = night.slack.messages()[1].clone();
    assert!(post.buttons().is_empty());
    assert!(!post.seen().contains("with the button") && post.seen().contains("/mtls writes on"), "{}", post.seen());
}

#[tokio::test]
async fn trouble_of_slack_is_told_from_trouble_of_the_message() {
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
        let night = SlackStory::of(night::opened()).await;
        night.slack.trouble("chat.postMessage", trouble);
        assert_eq!(night.fails(night.task("card", draw())).await, expected);
    }
}

#[tokio::test]
async fn a_post_waits_for_its_card_but_not_for_ever() {
    let night = SlackStory::of(night::diagnosed()).await;
    let work = || Work::Post { to: channel(), notice: Notice::Verdict { run: RunNumber(1) } };
    assert!(matches!(night.fails(night.task("verdict-1", work())).await, PerformError::Again { after: None, .. }));
    night.performs(Task { attempt: 5, ..night.task("verdict-1", work()) }).await;
    assert_eq!(night.slack.messages().len(), 1);
}

#[tokio::test]
async fn a_post_whose_card_met_with_an_outage_waits_for_it_however_often_it_was_tried() {
    let night = SlackStory::of(night::diagnosed()).await;
    night.slack.trouble("chat.postMessage", Trouble::Down);
    night.fails(night.task("card", draw())).await;
    let work = || Work::Post { to: channel(), notice: Notice::Verdict { run: RunNumber(1) } };
    let late = || Task { attempt: 50, ..night.task("verdict-1", work()) };
    assert!(matches!(night.fails(late()).await, PerformError::Again { after: None, .. }));
    assert!(night.slack.messages().is_empty(), "it does not go out ahead of its card");
    let card = night.performs(Task { attempt: 2, ..night.task("card", draw()) }).await;
    night.performs(Task { root: root(&id(&card)), ..late() }).await;
    assert_eq!(night.slack.messages().len(), 2);
}

#[tokio::test]
async fn raw_output_that_is_too_long_becomes_a_file_in_the_thread() {
    let mut incident = night::diagnosed();
    let verdict = incident.verdict.as_mut().unwrap();
    verdict.checks = (0..200).map(|_| verdict.checks[0].clone()).collect();
    let night = SlackStory::of(incident).await;
    let card = night.performs(night.task("card", draw())).await;
    let work = || Work::Post { to: channel(), notice: Notice::Verdict { run: RunNumber(1) } };
    night.performs(Task { root: root(&id(&card)), ..night.task("verdict-1", work()) }).await;
    let files = night.slack.files();
    assert_eq!((files[0].name.as_str(), files[0].thread.as_deref()), ("checks.txt", Some(id(&card).as_str())));
    assert_eq!(files[0].content.matches("1.1-svid-dates").count(), 200);
    night.slack.trouble("files.getUploadURLExternal", Trouble::Down);
    night.performs(Task { root: root(&id(&card)), ..night.task("verdict-2", work()) }).await;
    assert_eq!(night.slack.messages().len(), 3, "the post stands although the file failed");
    let seen = night.slack.messages()[2].seen();
    assert!(seen.contains("did not take the rest") && !seen.contains("in the file below"), "{seen}");
    // A crash between the post and its file: the post is found again, and the file comes after all.
    night.performs(Task { attempt: 2, root: root(&id(&card)), ..night.task("verdict-1", work()) }).await;
    assert_eq!((night.slack.messages().len(), night.slack.files().len()), (3, 2));
}

#[tokio::test]
async fn after_the_last_window_all_are_called_by_name_again() {
    let rung = Rung::AllPaged { until: night::at(165) };
    let ladder = Ladder::Running { rung, holder: None };
    let first = vec![FirstCall { level: LevelNumber(3), version: 1 }];
    let calls = Calls { first, ..Calls::default() };
    let night = SlackStory::of(Incident { ladder, calls, ..night::diagnosed() }).await;
    let work = Work::Mention {
        to: channel(),
        level: LevelNumber(3),
        mentions: vec![Mention::user(Platform::Slack, "U0INFRA")],
        reason: CallReason::Repeat,
        rung,
    };
    night.performs(night.task("call-9", work)).await;
    assert!(night.slack.transcript().contains("<@U0INFRA> *L3 Infrastructure* is mentioned again"));
}
