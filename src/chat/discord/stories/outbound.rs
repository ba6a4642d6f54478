//! What goes out: once, in place, in a thread, and found again after a crash.

use std::sync::Arc;

use super::{
    fake_interactions::{CHANNEL, GUILD},
    fake_rest::{BOT_TOKEN, FakeDiscord, Trouble},
};
use crate::{
    chat::{
        Look, Roster,
        card::tests as night,
        discord::{DiscordOut, Rest},
    },
    clock::VirtualClock,
    engine::{Done, MessageRef, Perform, PerformError, Progress, Task},
    escalation::{LevelNumber, Rung},
    incident::{CallReason, Destination, Face, Incident, Notice, Outcome, RunNumber, Work},
    metrics::Metrics,
    people::{Mention, Platform},
};

const ON_CALL: &str = "100000000000000501";

pub(super) struct DiscordStory {
    pub(super) discord: FakeDiscord,
    clock: Arc<VirtualClock>,
    incident: Arc<Incident>,
    out: DiscordOut,
    metrics: Metrics,
}

pub(super) fn channel() -> Destination {
    Destination { face: Face::Discord, channel: CHANNEL.to_owned() }
}

pub(super) fn draw() -> Work {
    Work::DrawCard { to: channel() }
}

pub(super) fn call() -> Work {
    Work::Mention {
        to: channel(),
        level: LevelNumber(1),
        mentions: vec![Mention::group(Platform::Discord, ON_CALL)],
        reason: CallReason::Opened,
        rung: Rung::Waiting { level: LevelNumber(1), until: night::at(15) },
    }
}

pub(super) fn note(text: &str) -> Work {
    Work::Post { to: channel(), notice: Notice::Note { by: night::who("U0ONCALL"), text: text.to_owned() } }
}

pub(super) fn id(done: &Done) -> String {
    done.delivery.as_ref().unwrap().message.id.clone()
}

pub(super) fn root(done: &Done) -> MessageRef {
    MessageRef { id: id(done), version: 1 }
}

impl DiscordStory {
    pub(super) async fn of(incident: Incident) -> Self {
        let discord = FakeDiscord::open(CHANNEL).await;
        discord.has_roles(&[ON_CALL]);
        let clock = Arc::new(VirtualClock::starting_at(night::at(5)));
        let metrics = Metrics::default();
        let out = Self::process(&discord, &clock, &metrics);
        Self { discord, clock, incident: Arc::new(incident), out, metrics }
    }

    fn process(discord: &FakeDiscord, clock: &Arc<VirtualClock>, metrics: &Metrics) -> DiscordOut {
        let rest = Rest::new(&discord.api(), &BOT_TOKEN.to_owned().into(), metrics.clone()).unwrap();
        DiscordOut::new(rest, GUILD.to_owned(), Roster::default(), clock.clone(), Look::default())
    }

    /// The same server and a process that remembers nothing.
    pub(super) fn restarted(self) -> Self {
        let out = Self::process(&self.discord, &self.clock, &self.metrics);
        Self { out, ..self }
    }

    pub(super) fn task(&self, key: &str, work: Work) -> Task {
        Task {
            key: key.to_owned(),
            work,
            incident: self.incident.clone(),
            attempt: 1,
            wanted: jiff::Timestamp::UNIX_EPOCH,
            root: None,
            writes_enabled: true,
            progress: Progress::default(),
        }
    }

    pub(super) async fn performs(&self, task: Task) -> Done {
        self.out.perform(task).await.unwrap()
    }

    pub(super) async fn fails(&self, task: Task) -> PerformError {
        self.out.perform(task).await.unwrap_err()
    }
}

#[tokio::test]
async fn the_card_is_posted_once_and_turns_green_in_place() {
    let night = DiscordStory::of(night::opened()).await;
    let first = night.performs(night.task("card", draw())).await;
    let Outcome::CardPosted { link: Some(link), .. } = &first.outcome else { panic!("{:?}", first.outcome) };
    assert_eq!(link.as_str(), format!("https://discord.com/channels/{GUILD}/{}", id(&first)));
    let asking = Task { root: Some(root(&first)), incident: night::asking().into(), ..night.task("card", draw()) };
    let second = night.performs(asking).await;
    assert_eq!(second.outcome, Outcome::Shown { to: channel(), first_card: false });
    let messages = night.discord.messages();
    assert_eq!((messages.len(), messages[0].edits), (1, 1));
    assert!(messages[0].seen().contains("waits for approval"), "{}", messages[0].seen());
}

#[tokio::test]
async fn posts_stand_in_one_thread_that_is_made_from_the_card() {
    let night = DiscordStory::of(night::opened()).await;
    let card = night.performs(night.task("card", draw())).await;
    for word in ["first", "second"] {
        night.performs(Task { root: Some(root(&card)), ..night.task(&format!("note-{word}"), note(word)) }).await;
    }
    assert_eq!((night.discord.in_channel().len(), night.discord.messages().len()), (1, 3));
    assert_eq!(night.discord.calls("POST threads"), 1);
}

#[tokio::test]
async fn a_post_waits_for_its_card_and_then_goes_into_the_channel_rather_than_nowhere() {
    let night = DiscordStory::of(night::opened()).await;
    assert!(matches!(night.fails(night.task("note-1", note("x"))).await, PerformError::Again { .. }));
    night.performs(Task { attempt: 5, ..night.task("note-1", note("x")) }).await;
    assert_eq!(night.discord.in_channel().len(), 1);
}

#[tokio::test]
async fn a_thread_that_somebody_deleted_with_its_card_is_replaced_by_the_channel() {
    let night = DiscordStory::of(night::opened()).await;
    let card = night.performs(night.task("card", draw())).await;
    let (_, message) = id(&card).split_once('/').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    night.performs(Task { root: Some(root(&card)), ..night.task("note-1", note("x")) }).await;
    night.discord.delete(&message, true);
    let again = night.performs(Task { root: Some(root(&card)), ..night.task("card", draw()) }).await;
    assert_ne!(id(&again), id(&card), "a card is always owed");
    night.performs(Task { root: Some(root(&card)), ..night.task("note-2", note("y")) }).await;
    assert_eq!(night.discord.in_channel().len(), 2, "{}", night.discord.transcript());
}

#[tokio::test]
async fn a_call_mentions_its_role_and_nobody_else() {
    let night = DiscordStory::of(night::opened()).await;
    night.performs(night.task("call-1", call())).await;
    let said = &night.discord.messages()[0].body;
    assert_eq!(said["allowed_mentions"], serde_json::json!({ "parse": [], "users": [], "roles": [ON_CALL] }));
    assert!(said["content"].as_str().unwrap().starts_with(&format!("<@&{ON_CALL}> ")), "{said}");
}

#[tokio::test]
async fn a_role_that_was_deleted_is_nobody_and_one_that_cannot_be_looked_up_is_called_all_the_same() {
    let night = DiscordStory::of(night::opened()).await;
    night.discord.has_roles(&["100000000000000777"]);
    let outcome = night.performs(night.task("call-1", call())).await.outcome;
    let Outcome::NobodyBehind { why, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(why, format!("the role {ON_CALL} is gone from the server"));
    night.discord.trouble("GET roles", Trouble::Down);
    let called = night.performs(night.task("call-2", call())).await.outcome;
    assert!(matches!(called, Outcome::Mentioned { .. }), "{called:?}");
}

#[tokio::test]
async fn what_cannot_be_looked_for_is_posted_once_all_the_same_for_discord_knows_its_nonce() {
    let night = DiscordStory::of(night::opened()).await;
    night.discord.trouble("POST messages", Trouble::AnswerLost);
    night.fails(night.task("call-1", call())).await;
    night.discord.trouble("GET messages", Trouble::Down);
    night.performs(Task { attempt: 2, ..night.task("call-1", call()) }).await;
    assert_eq!(night.discord.messages().len(), 1);
}

#[tokio::test]
async fn after_a_429_nobody_knocks_again_before_discord_allows_it_and_pages_go_first() {
    let night = DiscordStory::of(night::opened()).await;
    night.discord.trouble("POST messages", Trouble::RateLimited(600.0, false));
    let refused = night.fails(night.task("call-1", call())).await;
    let PerformError::Again { after: Some(after), .. } = refused else { panic!("{refused:?}") };
    assert!((599..=600).contains(&after.as_secs()), "{after:?}");
    let page = night.fails(night.task("call-2", call())).await;
    let post = night.fails(Task { attempt: 5, ..night.task("note-1", note("x")) }).await;
    let wait = |error: &PerformError| match error {
        PerformError::Again { after: Some(after), .. } => *after,
        other => panic!("{other:?}"),
    };
    assert!(wait(&page) < wait(&post), "the page waits less: {page:?}, {post:?}");
    assert_eq!(night.discord.calls("POST messages"), 1, "nobody knocked at a shut door");
    assert!(night.metrics.render().contains("mtls_medic_discord_rate_limited_total{call=\"post\"} 1"));
}

#[tokio::test]
async fn a_429_about_everything_shuts_every_door() {
    let night = DiscordStory::of(night::opened()).await;
    night.discord.trouble("POST messages", Trouble::RateLimited(600.0, true));
    night.fails(night.task("card", draw())).await;
    let card = Some(MessageRef { id: format!("{CHANNEL}/1"), version: 1 });
    night.fails(Task { root: card, ..night.task("card", draw()) }).await;
    assert_eq!(night.discord.calls("PATCH messages"), 0);
}

#[tokio::test]
async fn raw_output_that_is_too_long_is_a_file_of_its_message_and_one_that_discord_does_not_take_is_not_promised() {
    let mut incident = night::diagnosed();
    let verdict = incident.verdict.as_mut().unwrap();
    verdict.checks = (0..200).map(|_| verdict.checks[0].clone()).collect();
    let night = DiscordStory::of(incident).await;
    let card = night.performs(night.task("card", draw())).await;
    let verdict = |key: &str| {
        let work = Work::Post { to: channel(), notice: Notice::Verdict { run: RunNumber(1) } };
        Task { root: Some(root(&card)), ..night.task(key, work) }
    };
    night.performs(verdict("verdict-1")).await;
    let posts = night.discord.messages();
    assert_eq!((posts.len(), posts[1].files.len()), (2, 1));
    assert_eq!(posts[1].files[0].matches("1.1-svid-dates").count(), 200);
    night.discord.trouble("POST messages", Trouble::Refuses(40_005));
    night.performs(verdict("verdict-2")).await;
    let seen = night.discord.messages()[2].seen();
    assert!(seen.contains("did not take the rest") && !seen.contains("in the file"), "{seen}");
}

#[tokio::test]
async fn a_missing_permission_is_named_with_what_to_do_and_tried_again() {
    let night = DiscordStory::of(night::opened()).await;
    night.discord.trouble("POST messages", Trouble::Refuses(50_013));
    insta::assert_snapshot!(night.fails(night.task("card", draw())).await, @"Discord refused to post: HTTP 403, code 50013 (Missing Permissions); give the bot its permissions in the channel (deploy/discord.md)");
    night.performs(Task { attempt: 2, ..night.task("card", draw()) }).await;
}

#[tokio::test]
async fn a_call_answers_the_card_in_the_channel_where_everybody_sees_it() {
    let night = DiscordStory::of(night::opened()).await;
    let card = night.performs(night.task("card", draw())).await;
    night.performs(Task { root: Some(root(&card)), ..night.task("call-1", call()) }).await;
    let posts = night.discord.in_channel();
    assert_eq!((posts.len(), night.discord.calls("POST threads")), (2, 0));
    assert_eq!(posts[1].body["message_reference"]["message_id"], posts[0].id);
}

#[tokio::test]
async fn without_the_right_to_read_history_calls_and_what_a_thread_refuses_are_messages_of_their_own() {
    let night = DiscordStory::of(night::opened()).await;
    let card = night.performs(night.task("card", draw())).await;
    night.discord.hides_history();
    night.performs(Task { root: Some(root(&card)), ..night.task("call-1", call()) }).await;
    night.discord.trouble("POST threads", Trouble::Refuses(50_013));
    night.performs(Task { root: Some(root(&card)), ..night.task("note-1", note("x")) }).await;
    let posts = night.discord.in_channel();
    assert_eq!(posts.len(), 3, "{}", night.discord.transcript());
    assert!(posts[1].body["content"].as_str().unwrap().starts_with(&format!("<@&{ON_CALL}> ")), "{:?}", posts[1]);
}

#[tokio::test]
async fn the_buttons_of_a_call_go_when_it_was_answered_also_in_another_process_and_after_its_thread_was_folded_away() {
    let night = DiscordStory::of(night::opened()).await;
    let card = night.performs(night.task("card", draw())).await;
    let found =
        Work::Post { to: channel(), notice: Notice::Reminder { level: Some(LevelNumber(1)), until: night::at(15) } };
    night.performs(Task { root: Some(root(&card)), ..night.task("call-1", call()) }).await;
    night.performs(Task { root: Some(root(&card)), ..night.task("reminder-1", found) }).await;
    let with_buttons = |night: &DiscordStory| {
        night.discord.messages()[1..].iter().filter(|message| !message.buttons().is_empty()).count()
    };
    assert_eq!(with_buttons(&night), 2, "{}", night.discord.transcript());
    let message = night.discord.in_channel()[0].id.clone();
    night.discord.folds(&message);
    let night = night.restarted();
    let taken = Task { root: Some(root(&card)), incident: night::asking().into(), ..night.task("card", draw()) };
    night.performs(taken).await;
    assert_eq!(with_buttons(&night), 0, "{}", night.discord.transcript());
}

#[tokio::test]
async fn a_thread_that_cannot_be_made_keeps_nothing_from_people() {
    let night = DiscordStory::of(night::opened()).await;
    let card = night.performs(night.task("card", draw())).await;
    night.discord.trouble("POST threads", Trouble::Refuses(50_013));
    night.performs(Task { root: Some(root(&card)), ..night.task("note-1", note("x")) }).await;
    assert_eq!(night.discord.in_channel().len(), 2);
}
