//! The gateway: heard without a way into the cluster, and never deaf for long.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::fake_gateway::FakeGateway;
use crate::{
    chat::discord::{Entrance, FindGateway, Gateway, GatewayPatience, Hear, NoEntrance, ToMend},
    metrics::Metrics,
};

const TOKEN: &str = "a-token-that-nobody-logs";

/// Keeps what it hears.
pub(super) struct Listener {
    heard: watch::Sender<Vec<Value>>,
    refused: watch::Sender<Vec<&'static str>>,
}

impl Default for Listener {
    fn default() -> Self {
        Self { heard: watch::Sender::new(vec![]), refused: watch::Sender::new(vec![]) }
    }
}

impl Hear for Listener {
    fn interaction(self: Arc<Self>, json: &str) {
        self.heard.send_modify(|heard| heard.push(serde_json::from_str(json).unwrap()));
    }

    fn count_refusal(&self, reason: &'static str) {
        self.refused.send_modify(|refused| refused.push(reason));
    }
}

/// Always says the same.
pub(super) struct Says(pub Entrance);

#[async_trait]
impl FindGateway for Says {
    async fn find(&self) -> Result<Entrance, NoEntrance> {
        Ok(self.0.clone())
    }
}

/// Says where the fake gateway is, after what it was told to say first.
struct SignPost {
    gateway: FakeGateway,
    first: Mutex<VecDeque<Result<Entrance, NoEntrance>>>,
    asked: watch::Sender<usize>,
}

#[async_trait]
impl FindGateway for SignPost {
    async fn find(&self) -> Result<Entrance, NoEntrance> {
        self.asked.send_modify(|asked| *asked += 1);
        let said = self.first.lock().unwrap().pop_front();
        said.unwrap_or_else(|| Ok(entrance(&self.gateway, 1_000)))
    }
}

fn entrance(gateway: &FakeGateway, sessions_left: u32) -> Entrance {
    Entrance { address: gateway.address(), sessions_left, renewed_in: Duration::from_hours(20) }
}

struct GatewayStory {
    discord: FakeGateway,
    gateway: Arc<Gateway>,
    listener: Arc<Listener>,
    sign_post: Arc<SignPost>,
    metrics: Metrics,
    stop: CancellationToken,
}

/// Quick, and never impatient by itself.
pub(super) fn quick() -> GatewayPatience {
    GatewayPatience {
        beat: Duration::from_hours(1),
        greeting: Duration::from_hours(1),
        waits: vec![Duration::from_millis(1)],
        between_sessions: Duration::ZERO,
        slow: Duration::from_hours(1),
    }
}

impl GatewayStory {
    async fn started(patience: GatewayPatience, prepare: impl FnOnce(&FakeGateway, &SignPost)) -> Self {
        let discord = FakeGateway::open().await;
        let listener = Arc::new(Listener::default());
        let sign_post =
            Arc::new(SignPost { gateway: discord.clone(), first: Mutex::default(), asked: watch::Sender::new(0) });
        prepare(&discord, &sign_post);
        let (metrics, stop) = (Metrics::default(), CancellationToken::new());
        let token = TOKEN.to_owned().into();
        let gateway = Gateway::new(token, sign_post.clone(), listener.clone(), metrics.clone(), patience);
        tokio::spawn(Arc::clone(&gateway).run(stop.clone()));
        Self { discord, gateway, listener, sign_post, metrics, stop }
    }

    async fn open() -> Self {
        let story = Self::started(quick(), |_, _| {}).await;
        story.is_open(true).await;
        story
    }

    async fn is_open(&self, open: bool) {
        until(&self.gateway.watch(), |now| *now == open).await;
    }

    /// Waits until so many interactions were heard, and says which they were.
    async fn heard(&self, count: usize) -> Vec<Value> {
        until(&self.listener.heard.subscribe(), |heard| heard.len() >= count).await;
        self.listener.heard.borrow().iter().map(|interaction| interaction["id"].clone()).collect()
    }
}

async fn until<T: Clone>(watch: &watch::Receiver<T>, is_so: impl FnMut(&T) -> bool) {
    let mut watch = watch.clone();
    tokio::time::timeout(Duration::from_secs(20), watch.wait_for(is_so)).await.expect("never").unwrap();
}

#[tokio::test]
async fn the_bot_asks_for_no_intents_and_hears_what_people_ask() {
    let night = GatewayStory::open().await;
    let identified = night.discord.identified().pop().unwrap();
    assert_eq!(identified["token"], TOKEN);
    assert_eq!((&identified["intents"], &identified["compress"]), (&json!(0), &json!(false)));
    night.discord.interacts(&json!({ "id": "1" }));
    assert_eq!(night.heard(1).await, ["1"]);
    assert!(night.metrics.render().contains("mtls_medic_discord_gateway_open 1"));
    assert!(night.metrics.render().contains("mtls_medic_discord_gateway_sessions_left 1000"));
}

#[tokio::test]
async fn what_people_asked_while_the_connection_was_broken_is_heard_when_the_session_is_resumed() {
    let night = GatewayStory::open().await;
    night.discord.interacts(&json!({ "id": "1" }));
    night.heard(1).await;
    night.discord.cuts();
    night.discord.until("the bot comes back", |discord| discord.connections() >= 2).await;
    night.discord.interacts(&json!({ "id": "2" }));
    assert_eq!(night.heard(2).await, ["1", "2"]);
    assert_eq!(
        night.discord.resumed(),
        [json!({ "token": TOKEN, "session_id": "session-1", "seq": 2 })],
        "the last event that was heard is named"
    );
    assert_eq!(night.discord.identified().len(), 1, "sessions are few: a thousand a day");
}

#[tokio::test]
async fn discord_may_ask_the_bot_to_reconnect_at_any_time_and_loses_nothing() {
    let night = GatewayStory::open().await;
    for count in 1..=3 {
        night.discord.asks_to_reconnect();
        night.discord.until("a resumption", |discord| discord.resumed().len() == count).await;
        night.is_open(true).await;
    }
    assert_eq!(night.discord.closed_by_bot(), [4000, 4000, 4000], "a close with 1000 would have ended the session");
    night.discord.interacts(&json!({ "id": "1" }));
    night.heard(1).await;
}

#[tokio::test]
async fn a_session_that_discord_calls_invalid_is_begun_anew_and_a_resumable_one_resumed() {
    let night = GatewayStory::open().await;
    night.discord.invalidates(true);
    night.discord.until("a resumption", |discord| discord.resumed().len() == 1).await;
    night.is_open(true).await;
    night.discord.invalidates(false);
    night.discord.until("a new session", |discord| discord.identified().len() == 2).await;
    night.is_open(true).await;
    night.discord.forgets_session();
    night.discord.cuts();
    night.discord.until("a new session in the place of one that is gone", |it| it.identified().len() == 3).await;
    assert_eq!(night.discord.resumed().len(), 2);
}

#[tokio::test]
async fn an_old_session_is_given_up_after_a_few_failures() {
    let night = GatewayStory::open().await;
    for _ in 0..3 {
        night.discord.refuses_next(4000);
    }
    night.discord.cuts();
    night.discord.until("a new session", |discord| discord.identified().len() == 2).await;
    night.is_open(true).await;
    assert!(night.discord.resumed().len() < 4);
}

#[tokio::test]
async fn a_connection_that_went_silent_without_a_word_is_replaced() {
    let patience = GatewayPatience { beat: Duration::from_millis(100), ..quick() };
    let night = GatewayStory::started(patience, |_, _| {}).await;
    night.is_open(true).await;
    night.discord.mutes();
    night.discord.until("another connection", |discord| discord.connections() >= 2).await;
    night.is_open(true).await;
    night.discord.interacts(&json!({ "id": "1" }));
    night.heard(1).await;
}

#[test]
fn a_dead_connection_is_noticed_within_half_a_minute() {
    let patience = GatewayPatience::default();
    // A heartbeat goes out at most one interval after the connection died, and is missed another one later.
    assert!(patience.beat * 2 + Duration::from_secs(5) <= Duration::from_secs(30));
}

#[tokio::test]
async fn heartbeats_come_more_often_than_discord_asks_and_carry_the_last_event() {
    let patience = GatewayPatience { beat: Duration::from_millis(500), ..quick() };
    let night = GatewayStory::started(patience, |_, _| {}).await;
    night.is_open(true).await;
    night.discord.interacts(&json!({ "id": "1" }));
    night.discord.until("heartbeats", |it| it.heartbeats().iter().filter(|beat| **beat == 2).count() >= 2).await;
    assert_eq!(night.discord.connections(), 1, "a quiet night is no dead connection");
}

#[tokio::test]
async fn a_heartbeat_that_discord_asks_for_comes_at_once() {
    let night = GatewayStory::open().await;
    night.discord.asks_for_heartbeat();
    night.discord.until("a heartbeat", |discord| discord.heartbeats().contains(&json!(1))).await;
}

#[tokio::test]
async fn an_event_that_is_not_understood_costs_only_itself() {
    let night = GatewayStory::open().await;
    night.discord.dispatches("TYPING_START", &json!({ "user_id": "1" }));
    for strange in [r#"{"op":0,"t":7,"s":"x"}"#, "not JSON", r#"{"op":77,"d":{}}"#, "[]", r#"{"op":0}"#] {
        night.discord.sends(strange);
    }
    night.discord.sends(&format!(r#"{{"op":0,"t":"INTERACTION_CREATE","s":9,"d":[{}{{}}]}}"#, "{},".repeat(1_000)));
    night.discord.interacts(&json!({ "id": "1" }));
    assert_eq!(night.heard(1).await, ["1"]);
    assert_eq!(*night.listener.refused.borrow(), ["unreadable", "unreadable", "unreadable", "too_many_parts"]);
    assert_eq!(night.discord.connections(), 1);
}

#[tokio::test]
async fn frames_that_are_too_long_or_no_text_end_the_connection_and_not_the_bot() {
    let night = GatewayStory::open().await;
    night.discord.sends(&"x".repeat(2 * crate::bounds::DISCORD_MESSAGE));
    night.discord.until("another connection", |discord| discord.connections() >= 2).await;
    night.is_open(true).await;
    night.discord.sends_bytes(&[0x78, 0x9c]);
    night.discord.until("another connection", |discord| discord.connections() >= 3).await;
    night.is_open(true).await;
    night.discord.interacts(&json!({ "id": "1" }));
    night.heard(1).await;
}

#[tokio::test]
async fn a_bad_token_is_said_aloud_and_tried_again_slowly() {
    let patience = GatewayPatience { slow: Duration::from_millis(1), ..quick() };
    let night = GatewayStory::started(patience, |discord, _| {
        for _ in 0..3 {
            discord.refuses_next(4004);
        }
    })
    .await;
    night.is_open(true).await;
    assert_eq!(night.discord.identified().len(), 4, "somebody mended it, and the bot was not restarted");
    assert_eq!(night.gateway.to_mend(), None);

    let night = GatewayStory::started(quick(), |discord, _| discord.refuses_next(4014)).await;
    until(&night.sign_post.asked.subscribe(), |asked| *asked == 1).await;
    night.discord.until("the refusal", |discord| discord.identified().len() == 1).await;
    while night.gateway.to_mend().is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(night.gateway.to_mend(), Some(ToMend::Intents));
    assert_eq!(night.discord.connections(), 1, "the next attempt is in an hour");
}

#[tokio::test]
async fn where_the_gateway_is_not_known_the_bot_asks_again_and_begins_no_session_that_discord_does_not_allow() {
    let wait = |after| Err(NoEntrance { reason: "503".to_owned(), after, mend: None });
    let night = GatewayStory::started(quick(), |_, sign_post| {
        sign_post.first.lock().unwrap().extend([wait(None), wait(Some(Duration::from_millis(1)))]);
    })
    .await;
    night.is_open(true).await;
    assert_eq!(*night.sign_post.asked.borrow(), 3);

    let night = GatewayStory::started(quick(), |discord, sign_post| {
        let none = Entrance { renewed_in: Duration::from_millis(1), ..entrance(discord, 0) };
        sign_post.first.lock().unwrap().extend([Ok(none.clone()), Ok(none)]);
    })
    .await;
    night.is_open(true).await;
    assert_eq!(*night.sign_post.asked.borrow(), 3, "it waits until the day's sessions are renewed");
    assert_eq!(night.discord.connections(), 1, "one more would reset the token");
}

/// One wrong answer must not make the bot deaf for a day, and to ask again costs no session.
#[tokio::test]
async fn that_no_session_may_begin_for_a_day_is_asked_again_within_minutes() {
    let patience = GatewayPatience { slow: Duration::from_millis(1), ..quick() };
    let night = GatewayStory::started(patience, |discord, sign_post| {
        sign_post.first.lock().unwrap().push_back(Ok(entrance(discord, 0)));
    })
    .await;
    night.is_open(true).await;
    assert_eq!(night.discord.connections(), 1);
}

#[tokio::test]
async fn a_heartbeat_that_discord_asks_for_in_between_is_not_taken_for_a_dead_connection() {
    let patience = GatewayPatience { beat: Duration::from_secs(1), ..quick() };
    let night = GatewayStory::started(patience, |_, _| {}).await;
    night.is_open(true).await;
    night.discord.until("a heartbeat", |discord| !discord.heartbeats().is_empty()).await;
    night.discord.acknowledges(false);
    let before = night.discord.heartbeats().len();
    night.discord.asks_for_heartbeat();
    night.discord.until("the one asked for", |discord| discord.heartbeats().len() > before).await;
    night.discord.acknowledges(true);
    night.discord.until("two more", |discord| discord.heartbeats().len() > before + 2).await;
    assert_eq!(night.discord.connections(), 1);
}

#[tokio::test]
async fn a_gateway_that_never_greets_or_never_takes_the_session_is_left() {
    let patience = GatewayPatience { greeting: Duration::from_millis(50), ..quick() };
    let night = GatewayStory::started(patience, |discord, _| discord.greets_with(None)).await;
    night.discord.until("several attempts", |discord| discord.connections() >= 3).await;
    assert!(!night.gateway.is_open() && night.discord.identified().is_empty());
    night.discord.greets_with(Some(41_250));
    night.is_open(true).await;
}

#[tokio::test]
async fn an_address_that_is_no_secure_web_socket_gets_no_token() {
    let night = GatewayStory::started(quick(), |discord, sign_post| {
        let foreign = Entrance { address: "ws://gateway.example".to_owned(), ..entrance(discord, 1_000) };
        sign_post.first.lock().unwrap().push_back(Ok(foreign));
    })
    .await;
    night.is_open(true).await;
    assert_eq!(*night.sign_post.asked.borrow(), 2);
}

#[tokio::test]
async fn a_stop_ends_the_session_and_the_bot_is_shown_as_gone() {
    let night = GatewayStory::open().await;
    night.stop.cancel();
    night.discord.until("the goodbye", |discord| discord.closed_by_bot() == [1000]).await;
    night.is_open(false).await;
    assert_eq!(night.discord.connections(), 1);
}

#[tokio::test]
async fn no_token_stands_in_what_is_shown() {
    let night = GatewayStory::open().await;
    assert_eq!(format!("{:?}", night.gateway), "Gateway(open: true)");
}
