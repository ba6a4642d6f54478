//! Socket Mode: heard without a way into the cluster, and never deaf for long.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{APP_TOKEN, SlackStory, fake_slack::Trouble, night};
use crate::{
    chat::slack::{Client, Patience, Socket},
    incident::Act,
};

struct SocketStory {
    night: SlackStory,
    socket: Arc<Socket>,
    stop: CancellationToken,
}

impl SocketStory {
    async fn open() -> Self {
        let night = SlackStory::of(night::opened()).await;
        Self::over(night).await
    }

    async fn over(night: SlackStory) -> Self {
        let milliseconds = Duration::from_millis;
        let patience =
            Patience { silence: milliseconds(200), waits: vec![milliseconds(1)], farewell: Duration::from_mins(1) };
        Self::patient(night, patience).await
    }

    async fn patient(night: SlackStory, patience: Patience) -> Self {
        let client = Client::new(&night.slack.api(), &APP_TOKEN.to_owned().into()).unwrap();
        let socket = Socket::new(client, night.desk.clone(), patience);
        let stop = CancellationToken::new();
        tokio::spawn(Arc::clone(&socket).run(stop.clone()));
        let line = Self { night, socket, stop };
        line.is_open(1).await;
        line
    }

    /// Waits until this many connections are open.
    async fn is_open(&self, count: usize) {
        let mut watch = self.socket.watch();
        let waiting = watch.wait_for(|open| *open == count);
        tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("never").unwrap();
    }

    async fn opened(&self, count: usize) {
        self.night.slack.until("another connection", |slack| slack.sockets_opened() >= count).await;
    }

    async fn says(&self, user: &str, text: &str) {
        let slack = &self.night.slack;
        let envelope = slack.envelope("slash_commands", &slack.typed(user, text));
        slack.until("the acknowledgement", |slack| slack.is_acknowledged(&envelope)).await;
    }
}

#[tokio::test]
async fn a_command_is_acknowledged_by_its_envelope_and_answered_privately() {
    let line = SocketStory::open().await;
    line.says("U0ONCALL", "ack").await;
    line.night.slack.tells("U0ONCALL", "Done.").await;
    assert_eq!(line.night.commands(), [Act::Acknowledge]);
    let strange = line.night.slack.envelope("events_api", &json!({ "type": "event_callback" }));
    line.night.slack.until("even what is not ours is acknowledged", |slack| slack.is_acknowledged(&strange)).await;
}

#[tokio::test]
async fn a_press_through_the_socket_is_decided_as_any_other() {
    use crate::{engine::Perform, incident::Work};
    let night = SlackStory::of(night::opened()).await;
    night.out.perform(night.task("card", Work::DrawCard { to: super::channel() })).await.unwrap();
    let line = SocketStory::over(night).await;
    let payload = line.night.slack.pressed("U0STRANGER", "Acknowledge");
    line.night.slack.envelope("interactive", &payload);
    line.night.slack.tells("U0STRANGER", "Only people who may command the bot").await;
    assert!(line.night.commands().is_empty());
}

#[tokio::test]
async fn a_refresh_opens_the_next_connection_before_the_old_one_closes() {
    let line = SocketStory::open().await;
    line.night.slack.through_socket(&json!({ "type": "disconnect", "reason": "refresh_requested" }));
    line.is_open(2).await;
    line.says("U0ONCALL", "ack").await;
    line.night.slack.tells("U0ONCALL", "Done.").await;
}

#[tokio::test]
async fn a_slack_that_greets_and_dismisses_is_not_called_in_a_loop() {
    let hour = Duration::from_hours(1);
    let patience = Patience { silence: hour, waits: vec![Duration::from_millis(1), hour], farewell: hour };
    let line = SocketStory::patient(SlackStory::of(night::opened()).await, patience).await;
    let dismissed = json!({ "type": "disconnect", "reason": "refresh_requested" });
    line.night.slack.through_socket(&dismissed);
    line.is_open(2).await;
    line.night.slack.through_socket(&dismissed);
    // Ten times to the workspace and back is time enough for another connection, if one were opened at once.
    for number in 1..=10 {
        line.says("U0ONCALL", &format!("note {number}")).await;
    }
    assert_eq!(line.night.slack.sockets_opened(), 2);
}

#[tokio::test]
async fn of_connections_that_slack_dismisses_and_does_not_close_two_are_held() {
    let patience = Patience {
        silence: Duration::from_hours(1),
        waits: vec![Duration::from_millis(1)],
        farewell: Duration::from_hours(1),
    };
    let line = SocketStory::patient(SlackStory::of(night::opened()).await, patience).await;
    let dismissed = json!({ "type": "disconnect", "reason": "refresh_requested" });
    line.night.slack.through_socket(&dismissed);
    line.is_open(2).await;
    line.night.slack.through_socket(&dismissed);
    // Ten times to the workspace and back is time enough for another connection, if there were a place for one.
    for number in 1..=10 {
        line.says("U0ONCALL", &format!("note {number}")).await;
    }
    assert_eq!(line.night.slack.sockets_opened(), 2);
    line.night.slack.cut();
    line.opened(3).await;
    line.is_open(2).await;
}

#[tokio::test]
async fn a_connection_that_slack_dismisses_and_does_not_close_is_left_after_a_while() {
    let patience = Patience {
        silence: Duration::from_hours(1),
        waits: vec![Duration::from_millis(1)],
        farewell: Duration::from_millis(50),
    };
    let line = SocketStory::patient(SlackStory::of(night::opened()).await, patience).await;
    line.night.slack.through_socket(&json!({ "type": "disconnect", "reason": "refresh_requested" }));
    line.opened(2).await;
    line.is_open(1).await;
    line.says("U0ONCALL", "ack").await;
    line.night.slack.tells("U0ONCALL", "Done.").await;
    assert_eq!(line.night.slack.sockets_opened(), 2);
}

#[tokio::test]
async fn after_an_outage_the_bot_hears_again_and_readiness_says_when_it_does_not() {
    let line = SocketStory::open().await;
    line.night.slack.trouble("apps.connections.open", Trouble::Down);
    line.night.slack.trouble("apps.connections.open", Trouble::RateLimited(0));
    line.night.slack.cut();
    line.is_open(0).await;
    assert!(!line.socket.is_open());
    line.opened(2).await;
    line.is_open(1).await;
    line.says("U0ONCALL", "ack").await;
    line.night.slack.tells("U0ONCALL", "Done.").await;
}

#[tokio::test]
async fn a_connection_that_went_silent_without_a_word_is_replaced() {
    let line = SocketStory::open().await;
    line.night.slack.mute();
    line.opened(2).await;
    line.is_open(1).await;
    line.says("U0ONCALL", "ack").await;
    line.night.slack.tells("U0ONCALL", "Done.").await;
}

#[tokio::test]
async fn a_quiet_night_is_no_dead_connection() {
    let line = SocketStory::open().await;
    // Slack answers pings, so the connection lives on through many silences.
    line.night.slack.pinged(3).await;
    assert_eq!(line.night.slack.sockets_opened(), 1);
}

#[tokio::test]
async fn no_token_stands_in_what_is_logged_or_said() {
    use crate::{engine::Perform, incident::Work};
    let line = SocketStory::open().await;
    let night = &line.night;
    let mut logged = format!("{:?} {:?} {:?}", night.out, night.desk, line.socket);
    for trouble in [Trouble::Refuses("invalid_auth"), Trouble::Down, Trouble::RateLimited(0)] {
        night.slack.trouble("chat.postMessage", trouble);
        let task = night.task("card", Work::DrawCard { to: super::channel() });
        if let Err(error) = night.out.perform(task).await {
            logged = format!("{logged} {error} {error:?}");
        }
    }
    assert!(logged.contains("check the bot's token"), "{logged}");
    for secret in [super::BOT_TOKEN, APP_TOKEN, super::fake_slack::SIGNING_SECRET] {
        assert!(!logged.contains(secret) && !night.slack.transcript().contains(secret), "{secret} in {logged}");
    }
}

#[tokio::test]
async fn a_stop_closes_the_connection() {
    let line = SocketStory::open().await;
    line.stop.cancel();
    line.is_open(0).await;
}
