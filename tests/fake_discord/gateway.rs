//! Discord's gateway for tests: greets, takes sessions, resumes them, acknowledges heartbeats, and can be in trouble.
//!
//! It knows nothing of the bot; unit tests and conversation tests share it (`#[path]`).
#![allow(dead_code, unused_imports, reason = "each test uses a part of it")]
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing
)]

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    Router,
    extract::{
        Query, State as Of, WebSocketUpgrade,
        ws::{CloseFrame, Message as Frame, WebSocket},
    },
    response::Response,
    routing::get,
};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

/// Opcodes, as Discord's reference numbers them.
const DISPATCH: u64 = 0;
const HEARTBEAT: u64 = 1;
const IDENTIFY: u64 = 2;
const RESUME: u64 = 6;
const RECONNECT: u64 = 7;
const INVALID_SESSION: u64 = 9;
const HELLO: u64 = 10;
const HEARTBEAT_ACK: u64 = 11;

/// What is done through an open connection.
#[derive(Debug, Clone)]
enum Order {
    Send(String),
    SendBytes(Vec<u8>),
    Close(u16),
    /// Nothing more is read and nothing is answered: the network is gone.
    Mute,
    /// The connection ends without a word.
    Cut,
}

#[derive(Default)]
struct State {
    /// The data of every IDENTIFY.
    identified: Vec<Value>,
    /// The data of every RESUME.
    resumed: Vec<Value>,
    heartbeats: Vec<Value>,
    /// With which code the bot closed, each time it did.
    closed_by_bot: Vec<u16>,
    connections: Vec<mpsc::UnboundedSender<Order>>,
    /// The session that can be resumed.
    session: Option<String>,
    sessions: usize,
    sequence: u64,
    /// The next sessions are refused with these codes.
    refusals: VecDeque<u16>,
    /// What was sent while nobody listened: a resumed session gets it.
    missed: Vec<String>,
    greets: Option<u64>,
    acknowledges: bool,
}

/// The gateway.
#[derive(Clone)]
pub struct FakeGateway {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
    address: String,
    /// How long a thing may take that is waited for.
    pub patience: Duration,
}

impl FakeGateway {
    /// Opens it on a port of its own.
    pub async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gateway = Self {
            // Discord's own interval.
            state: Arc::new(Mutex::new(State { greets: Some(41_250), acknowledges: true, ..State::default() })),
            changed: watch::Sender::new(0),
            address: format!("ws://{}", listener.local_addr().unwrap()),
            patience: Duration::from_secs(20),
        };
        let router = Router::new().route("/", get(upgrade)).with_state(gateway.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        gateway
    }

    /// Where it is, as `GET /gateway/bot` says it.
    pub fn address(&self) -> String {
        self.address.clone()
    }

    /// The interval of heartbeats that it asks for, in milliseconds; `None`: it does not greet at all.
    pub fn greets_with(&self, interval: Option<u64>) {
        self.lock().greets = interval;
    }

    /// Whether it acknowledges heartbeats.
    pub fn acknowledges(&self, acknowledges: bool) {
        self.lock().acknowledges = acknowledges;
    }

    /// The next session or resumption is refused with this close code; further ones queue up.
    pub fn refuses_next(&self, code: u16) {
        self.lock().refusals.push_back(code);
    }

    /// The session is over: it cannot be resumed.
    pub fn forgets_session(&self) {
        self.lock().session = None;
    }

    /// Sends an event, with the next sequence number. Where nobody listens it waits for the bot to resume.
    pub fn dispatches(&self, name: &str, data: &Value) {
        let mut state = self.lock();
        state.sequence += 1;
        let event = json!({ "op": DISPATCH, "t": name, "s": state.sequence, "d": data }).to_string();
        let nobody_listens = |last: &mpsc::UnboundedSender<Order>| last.send(Order::Send(event.clone())).is_err();
        if state.connections.last().is_none_or(nobody_listens) {
            state.missed.push(event);
        }
    }

    /// Sends an interaction.
    pub fn interacts(&self, interaction: &Value) {
        self.dispatches("INTERACTION_CREATE", interaction);
    }

    /// Sends anything through the newest connection.
    pub fn sends(&self, text: &str) {
        self.order(Order::Send(text.to_owned()));
    }

    pub fn sends_bytes(&self, bytes: &[u8]) {
        self.order(Order::SendBytes(bytes.to_owned()));
    }

    /// Asks the bot to reconnect.
    pub fn asks_to_reconnect(&self) {
        self.sends(&json!({ "op": RECONNECT, "d": null }).to_string());
    }

    /// Says that the session is invalid.
    pub fn invalidates(&self, resumable: bool) {
        if !resumable {
            self.forgets_session();
        }
        self.sends(&json!({ "op": INVALID_SESSION, "d": resumable }).to_string());
    }

    /// Asks for a heartbeat at once.
    pub fn asks_for_heartbeat(&self) {
        self.sends(&json!({ "op": HEARTBEAT, "d": null }).to_string());
    }

    /// Closes the newest connection with a code.
    pub fn closes(&self, code: u16) {
        self.order(Order::Close(code));
    }

    /// From now on nothing that the newest connection is sent is read, and nothing is answered.
    pub fn mutes(&self) {
        self.order(Order::Mute);
    }

    /// Cuts the newest connection without a word.
    pub fn cuts(&self) {
        self.order(Order::Cut);
    }

    fn order(&self, order: Order) {
        // A bot that has gone away hears nothing.
        let _ = self.lock().connections.last().unwrap().send(order);
    }

    pub fn identified(&self) -> Vec<Value> {
        self.lock().identified.clone()
    }

    pub fn resumed(&self) -> Vec<Value> {
        self.lock().resumed.clone()
    }

    pub fn heartbeats(&self) -> Vec<Value> {
        self.lock().heartbeats.clone()
    }

    pub fn closed_by_bot(&self) -> Vec<u16> {
        self.lock().closed_by_bot.clone()
    }

    /// How many connections have ever been opened.
    pub fn connections(&self) -> usize {
        self.lock().connections.len()
    }

    /// Waits until something is true of the gateway; fails loudly when it never becomes true.
    pub async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let mut changes = self.changed.subscribe();
        let waiting = async {
            loop {
                changes.borrow_and_update();
                if is_so(self) {
                    return;
                }
                changes.changed().await.unwrap();
            }
        };
        if tokio::time::timeout(self.patience, waiting).await.is_err() {
            let state = self.lock();
            panic!("{what} never happened; identified {:?}, resumed {:?}", state.identified, state.resumed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn change(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// Takes what the bot sent, and returns what it is answered, or the code that it is refused with.
    fn takes(&self, text: &str) -> Result<Vec<String>, u16> {
        let message: Value = serde_json::from_str(text).map_err(|_| 4002_u16)?;
        let mut state = self.lock();
        match message["op"].as_u64().unwrap() {
            HEARTBEAT => {
                state.heartbeats.push(message["d"].clone());
                let answer = json!({ "op": HEARTBEAT_ACK }).to_string();
                Ok(state.acknowledges.then_some(answer).into_iter().collect())
            }
            IDENTIFY => {
                state.identified.push(message["d"].clone());
                if let Some(code) = state.refusals.pop_front() {
                    return Err(code);
                }
                state.sessions += 1;
                state.sequence = 1;
                state.missed.clear();
                let session = format!("session-{}", state.sessions);
                state.session = Some(session.clone());
                let ready = json!({
                    "v": 10, "user": { "id": "900", "username": "mtls-medic", "bot": true }, "guilds": [],
                    "session_id": session, "resume_gateway_url": self.address,
                    "application": { "id": "100", "flags": 0 },
                });
                Ok(vec![json!({ "op": DISPATCH, "t": "READY", "s": 1, "d": ready }).to_string()])
            }
            RESUME => {
                state.resumed.push(message["d"].clone());
                if let Some(code) = state.refusals.pop_front() {
                    return Err(code);
                }
                if state.session.as_deref() != message["d"]["session_id"].as_str() {
                    return Ok(vec![json!({ "op": INVALID_SESSION, "d": false }).to_string()]);
                }
                let mut events = std::mem::take(&mut state.missed);
                let resumed = json!({ "op": DISPATCH, "t": "RESUMED", "s": state.sequence, "d": {} });
                events.push(resumed.to_string());
                Ok(events)
            }
            op => panic!("the bot sent opcode {op}"),
        }
    }
}

async fn upgrade(
    Of(gateway): Of<FakeGateway>,
    Query(query): Query<Vec<(String, String)>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let said = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    assert_eq!((said("v").as_deref(), said("encoding").as_deref()), (Some("10"), Some("json")));
    upgrade.on_upgrade(move |socket| serve(gateway, socket))
}

async fn serve(gateway: FakeGateway, mut socket: WebSocket) {
    let (sender, mut orders) = mpsc::unbounded_channel();
    let greets = {
        let mut state = gateway.lock();
        state.connections.push(sender);
        state.greets
    };
    gateway.change();
    let Some(interval) = greets else { return std::future::pending().await };
    let hello = json!({ "op": HELLO, "d": { "heartbeat_interval": interval } }).to_string();
    if socket.send(Frame::Text(hello.into())).await.is_err() {
        return;
    }
    loop {
        let answers = tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Send(text)) => Ok(vec![text]),
                Some(Order::SendBytes(bytes)) => {
                    let _ = socket.send(Frame::Binary(bytes.into())).await;
                    continue;
                }
                Some(Order::Close(code)) => Err(code),
                Some(Order::Mute) => return std::future::pending().await,
                Some(Order::Cut) | None => return,
            },
            heard = socket.recv() => match heard {
                Some(Ok(Frame::Text(text))) => {
                    let answers = gateway.takes(&text);
                    gateway.change();
                    answers
                }
                Some(Ok(Frame::Close(close))) => {
                    gateway.lock().closed_by_bot.push(close.map_or(1005, |close| close.code));
                    gateway.change();
                    return;
                }
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => return,
            },
        };
        match answers {
            Ok(texts) => {
                for text in texts {
                    if socket.send(Frame::Text(text.into())).await.is_err() {
                        return;
                    }
                }
            }
            Err(code) => {
                let _ = socket.send(Frame::Close(Some(CloseFrame { code, reason: "".into() }))).await;
                return;
            }
        }
    }
}
