//! Discord's HTTP API for tests: keeps messages and threads, checks what it is sent as Discord would, and can be in trouble.
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

#[path = "message_limits.rs"]
mod message_limits;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{Query, Request, State as Of},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::sync::watch;

use self::message_limits::fault;

pub const BOT_TOKEN: &str = "fake-bot-token";
/// The bot's own user, and another one.
const BOT_USER: &str = "1";
const SOMEBODY: &str = "7";

/// What the next call runs into.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// 429 with this `retry_after`; `true` where it is about all calls.
    RateLimited(f64, bool),
    /// 503.
    Down,
    /// 403 with this code.
    Refuses(u64),
    /// It is done, and the answer is lost: what a crash between sending and remembering looks like.
    AnswerLost,
}

/// One message.
#[derive(Debug, Clone)]
pub struct Message {
    pub id: String,
    /// The channel or thread.
    pub channel: String,
    pub body: Value,
    /// The user who wrote it.
    pub author: &'static str,
    pub nonce: Option<String>,
    pub edits: usize,
    /// The contents of its files.
    pub files: Vec<String>,
}

impl Message {
    /// All that a reader sees, as it is written.
    pub fn seen(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        let mut say = |value: &Value| lines.extend(value.as_str().filter(|text| !text.is_empty()).map(str::to_owned));
        say(&self.body["content"]);
        for embed in self.body["embeds"].as_array().into_iter().flatten() {
            for text in [&embed["author"]["name"], &embed["title"], &embed["description"]] {
                say(text);
            }
            for field in embed["fields"].as_array().into_iter().flatten() {
                say(&field["name"]);
                say(&field["value"]);
            }
        }
        let buttons: Vec<String> = self.buttons().into_iter().map(|(label, _)| format!("[{label}]")).collect();
        if !buttons.is_empty() {
            lines.push(buttons.join(" "));
        }
        lines.extend(self.files.iter().map(|file| format!("(file of {} bytes)", file.len())));
        lines.join("\n")
    }

    /// Whether it is the card of an incident: its footer says so.
    pub fn is_card(&self) -> bool {
        let footer = self.body["embeds"].as_array().and_then(|embeds| embeds.last()?["footer"]["text"].as_str());
        footer.is_some_and(|text| text.contains(" · card "))
    }

    /// Its buttons: what they say, and the id that a press brings.
    pub fn buttons(&self) -> Vec<(String, String)> {
        let rows = self.body["components"].as_array().cloned().unwrap_or_default();
        let all = rows.iter().flat_map(|row| row["components"].as_array().cloned().unwrap_or_default());
        let pressed =
            |button: Value| Some((button["label"].as_str()?.to_owned(), button["custom_id"].as_str()?.to_owned()));
        all.filter_map(pressed).collect()
    }

    /// As Discord gives it.
    pub fn as_sent(&self, has_thread: bool) -> Value {
        let mut body = self.body.clone();
        let flags = if has_thread { 32 } else { 0 };
        for (name, value) in [
            ("id", json!(self.id)),
            ("channel_id", json!(self.channel)),
            ("type", json!(0)),
            ("flags", json!(flags)),
            ("author", json!({ "id": self.author, "username": "somebody", "bot": self.author == BOT_USER })),
            ("timestamp", json!("2026-03-01T03:00:00.000000+00:00")),
        ] {
            body[name] = value;
        }
        body
    }
}

#[derive(Default)]
struct State {
    messages: Vec<Message>,
    threads: BTreeSet<String>,
    /// Threads that were quiet for too long.
    folded: BTreeSet<String>,
    /// What was posted with each nonce, whatever became of it.
    nonces: BTreeMap<String, Value>,
    /// What one person was told, by the token of their interaction; and the tokens of people.
    whispers: Vec<(String, Value)>,
    first_answers: BTreeMap<String, Value>,
    commands: Value,
    roles: Vec<Value>,
    /// What is read for the set-up, by its path.
    documents: BTreeMap<String, Value>,
    gateway: String,
    calls: Vec<String>,
    trouble: BTreeMap<String, VecDeque<Trouble>>,
    /// Whether the bot may not read what was written: it then may not reply either.
    hides_history: bool,
    /// It answers nothing but 503.
    down: bool,
    next: u64,
}

/// The server.
#[derive(Clone)]
pub struct FakeDiscord {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
    origin: String,
    channel: String,
    /// How long a thing may take that is waited for.
    pub patience: Duration,
}

impl FakeDiscord {
    /// Opens the server on a port of its own; `channel` is its only channel.
    pub async fn open(channel: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let (state, changed) = (Arc::default(), watch::Sender::new(0));
        let fake = Self { state, changed, origin, channel: channel.to_owned(), patience: Duration::from_secs(20) };
        let router = Router::new().fallback(call).with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        fake
    }

    /// The base of the API.
    pub fn api(&self) -> String {
        format!("{}/api/v10", self.origin)
    }

    /// The next call of this kind (`POST messages`, `PATCH messages`, …) runs into `trouble`; further ones queue up.
    pub fn trouble(&self, call: &str, trouble: Trouble) {
        self.lock().trouble.entry(call.to_owned()).or_default().push_back(trouble);
    }

    /// From now on it answers nothing but 503, or answers again.
    pub fn is_down(&self, down: bool) {
        self.lock().down = down;
    }

    /// The server has these roles.
    pub fn has_roles(&self, roles: &[&str]) {
        self.lock().roles = roles.iter().map(|id| json!({ "id": id, "name": id, "permissions": "0" })).collect();
    }

    /// The bot has no permission to read the message history.
    pub fn hides_history(&self) {
        self.lock().hides_history = true;
    }

    /// A few minutes passed, after which Discord knows no nonce any more.
    pub fn forgets_nonces(&self) {
        self.lock().nonces.clear();
    }

    /// A person writes into the channel.
    pub fn hears(&self, text: &str) {
        self.hears_as(json!({ "content": text }));
    }

    /// A person's message has so many small parts.
    pub fn hears_parts(&self, parts: usize) {
        self.hears_as(json!({ "content": "look", "attachments": vec![json!({}); parts] }));
    }

    /// Somebody's webhook repeats a message, with all that stands in it.
    pub fn hears_a_copy_of(&self, message: &Message) {
        self.hears_as(message.body.clone());
    }

    fn hears_as(&self, body: Value) {
        let mut state = self.lock();
        let (id, channel) = (state.id(), self.channel.clone());
        state.messages.push(Message { id, channel, body, author: SOMEBODY, nonce: None, edits: 0, files: Vec::new() });
    }

    /// It answers reads of this path with `document`; with 404 while it has none.
    pub fn has(&self, path: &str, document: Value) {
        self.lock().documents.insert(path.to_owned(), document);
    }

    /// These commands are registered.
    pub fn has_commands(&self, commands: Value) {
        self.lock().commands = commands;
    }

    /// Where its gateway is.
    pub fn gateway_is_at(&self, address: &str) {
        address.clone_into(&mut self.lock().gateway);
    }

    /// Every message, oldest first.
    pub fn messages(&self) -> Vec<Message> {
        self.lock().messages.clone()
    }

    /// The messages of the channel itself.
    pub fn in_channel(&self) -> Vec<Message> {
        self.messages().into_iter().filter(|message| message.channel == self.channel).collect()
    }

    /// How often a kind of call was made.
    pub fn calls(&self, call: &str) -> usize {
        self.lock().calls.iter().filter(|called| *called == call).count()
    }

    /// What was registered as commands.
    pub fn commands(&self) -> Value {
        self.lock().commands.clone()
    }

    /// Deletes a message, as a person could; its thread goes with it where `thread` says so.
    pub fn delete(&self, id: &str, thread: bool) {
        let mut state = self.lock();
        state.messages.retain(|message| message.id != id && !(thread && message.channel == id));
        if thread {
            state.threads.remove(id);
        }
    }

    /// A thread was quiet for too long.
    pub fn folds(&self, thread: &str) {
        self.lock().folded.insert(thread.to_owned());
    }

    /// The newest message that has such a button, with its id and as a press brings it.
    pub fn with_button(&self, label: &str) -> Option<(Value, String)> {
        let state = self.lock();
        state.messages.iter().rev().find_map(|message| {
            let (_, id) = message.buttons().into_iter().find(|(said, _)| said.starts_with(label))?;
            Some((message.as_sent(state.threads.contains(&message.id)), id))
        })
    }

    /// What people were told privately through this interaction.
    pub fn whispers(&self, token: &str) -> Vec<Value> {
        self.lock().whispers.iter().filter(|(to, _)| to == token).map(|(_, said)| said.clone()).collect()
    }

    /// Whether one of the newest messages is like this.
    pub fn newest(&self, is_so: impl Fn(&str) -> bool) -> bool {
        self.lock().messages.iter().rev().take(4).any(|message| is_so(&message.seen()))
    }

    /// The channel as people see it: threads are indented.
    pub fn transcript(&self) -> String {
        let lines = self.messages().into_iter().map(|message| {
            let indent = if message.channel == self.channel { "" } else { "    " };
            message.seen().lines().map(|line| format!("{indent}{line}\n")).collect::<String>()
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Waits until something is true of the server; fails loudly when it never becomes true.
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
            panic!("{what} never happened; the channel:\n{}\nwhispers: {:?}", self.transcript(), self.lock().whispers);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn id(&mut self) -> String {
        self.next += 1;
        // After the incidents of the tests, whichever clock they have.
        let at = u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap() - 1_420_070_400_000;
        ((at << 22) + self.next).to_string()
    }
}

fn refused(status: StatusCode, code: u64, message: &str) -> Response {
    (status, axum::Json(json!({ "code": code, "message": message }))).into_response()
}

async fn call(Of(fake): Of<FakeDiscord>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let path = head.uri.path().trim_start_matches("/api/v10/").to_owned();
    let parts: Vec<&str> = path.split('/').collect();
    let kind = format!("{} {}", head.method, name(&parts));
    let trouble = {
        let mut state = fake.lock();
        state.calls.push(kind.clone());
        let trouble = state.trouble.get_mut(&kind).and_then(VecDeque::pop_front);
        trouble.or_else(|| state.down.then_some(Trouble::Down))
    };
    let response = match trouble {
        Some(Trouble::RateLimited(after, global)) => {
            let body = json!({ "message": "You are being rate limited.", "retry_after": after, "global": global });
            (StatusCode::TOO_MANY_REQUESTS, axum::Json(body)).into_response()
        }
        Some(Trouble::Down) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Some(Trouble::Refuses(code)) => refused(StatusCode::FORBIDDEN, code, "Missing Permissions"),
        Some(Trouble::AnswerLost) => {
            fake.done(&head.method, &parts, &head.uri, &head.headers, &body);
            StatusCode::BAD_GATEWAY.into_response()
        }
        None => fake.done(&head.method, &parts, &head.uri, &head.headers, &body),
    };
    fake.changed.send_modify(|count| *count += 1);
    response
}

/// What a path is about.
fn name(parts: &[&str]) -> &'static str {
    match parts {
        ["channels", _, "messages"] | ["channels", _, "messages", _] => "messages",
        ["channels", _, "messages", _, "threads"] => "threads",
        ["interactions", ..] => "interactions",
        ["webhooks", ..] => "webhooks",
        ["users", "@me"] => "bot",
        ["applications", "@me"] => "application",
        ["applications", ..] => "commands",
        ["guilds", _] => "guild",
        ["guilds", _, "members", _] => "member",
        ["guilds", _, "roles"] => "roles",
        ["channels", _] => "channel",
        ["gateway", "bot"] => "gateway",
        _ => "other",
    }
}

impl FakeDiscord {
    fn done(&self, method: &Method, parts: &[&str], uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Response {
        let by_token = matches!(parts.first(), Some(&"interactions" | &"webhooks"));
        let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        if !by_token && authorization != Some(&format!("Bot {BOT_TOKEN}")) {
            return refused(StatusCode::UNAUTHORIZED, 0, "401: Unauthorized");
        }
        let mut state = self.lock();
        match (method, parts) {
            (&Method::POST, ["channels", channel, "messages"]) => {
                if *channel != self.channel && !state.threads.contains(*channel) {
                    return refused(StatusCode::NOT_FOUND, 10_003, "Unknown Channel");
                }
                let (said, files) = read(headers, body);
                self.post(&mut state, channel, said, files)
            }
            (&Method::PATCH, ["channels", channel, "messages", id]) => {
                let said: Value = serde_json::from_slice(body).unwrap();
                if let Some(fault) = fault(&said) {
                    return refused(StatusCode::BAD_REQUEST, 50_035, &fault);
                }
                if state.folded.contains(*channel) {
                    return refused(StatusCode::BAD_REQUEST, 50_083, "Thread is archived");
                }
                match state.messages.iter_mut().find(|message| message.id == *id && message.channel == *channel) {
                    None => refused(StatusCode::NOT_FOUND, 10_008, "Unknown Message"),
                    Some(message) => {
                        message.body = said;
                        message.edits += 1;
                        axum::Json(message.as_sent(false)).into_response()
                    }
                }
            }
            (&Method::GET, ["channels", channel, "messages"]) => {
                if *channel != self.channel && !state.threads.contains(*channel) {
                    return refused(StatusCode::NOT_FOUND, 10_003, "Unknown Channel");
                }
                if state.hides_history {
                    return axum::Json(json!([])).into_response();
                }
                let query: BTreeMap<String, String> =
                    url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
                let before: u64 = query.get("before").map_or(u64::MAX, |id| id.parse().unwrap());
                let limit: usize = query["limit"].parse().unwrap();
                assert!((1..=100).contains(&limit), "Discord gives 100 at most");
                let found = state.messages.iter().filter(|message| message.channel == *channel);
                let found: Vec<Value> = found
                    .rev()
                    .filter(|message| message.id.parse::<u64>().unwrap() < before)
                    .take(limit)
                    .map(|message| message.as_sent(state.threads.contains(&message.id)))
                    .collect();
                axum::Json(found).into_response()
            }
            (&Method::POST, ["channels", channel, "messages", id, "threads"]) => {
                if !state.messages.iter().any(|message| message.id == *id && message.channel == *channel) {
                    return refused(StatusCode::NOT_FOUND, 10_008, "Unknown Message");
                }
                let asked: Value = serde_json::from_slice(body).unwrap();
                let length = asked["name"].as_str().unwrap().encode_utf16().count();
                assert!((1..=100).contains(&length), "the name of a thread has 1 to 100 characters");
                if !state.threads.insert((*id).to_owned()) {
                    return refused(StatusCode::BAD_REQUEST, 160_004, "A thread has already been created");
                }
                (StatusCode::CREATED, axum::Json(json!({ "id": id, "type": 11 }))).into_response()
            }
            (&Method::PATCH, ["channels", thread]) => {
                assert_eq!(serde_json::from_slice::<Value>(body).unwrap(), json!({ "archived": false }));
                state.folded.remove(*thread);
                axum::Json(json!({ "id": thread })).into_response()
            }
            (&Method::POST, ["interactions", _, token, "callback"]) => {
                let answer: Value = serde_json::from_slice(body).unwrap();
                if state.first_answers.contains_key(*token) {
                    return refused(StatusCode::BAD_REQUEST, 40_060, "Interaction has already been acknowledged.");
                }
                if answer["type"] == json!(4) {
                    state.whispers.push(((*token).to_owned(), answer["data"].clone()));
                }
                state.first_answers.insert((*token).to_owned(), answer);
                StatusCode::NO_CONTENT.into_response()
            }
            (&Method::PATCH, ["webhooks", _, token, "messages", "@original"])
            | (&Method::POST, ["webhooks", _, token]) => {
                let said: Value = serde_json::from_slice(body).unwrap();
                if let Some(fault) = fault(&said) {
                    return refused(StatusCode::BAD_REQUEST, 50_035, &fault);
                }
                state.whispers.push(((*token).to_owned(), said));
                axum::Json(json!({ "id": state.id() })).into_response()
            }
            (&Method::PUT, ["applications", _, "guilds", _, "commands"]) => {
                state.commands = serde_json::from_slice(body).unwrap();
                axum::Json(state.commands.clone()).into_response()
            }
            (&Method::GET, ["guilds", _, "roles"]) => axum::Json(state.roles.clone()).into_response(),
            (&Method::GET, ["applications", _, "guilds", _, "commands"]) => {
                axum::Json(state.commands.as_array().cloned().unwrap_or_default()).into_response()
            }
            (
                &Method::GET,
                ["users" | "applications", "@me"] | ["guilds" | "channels", _] | ["guilds", _, "members", _],
            ) => match state.documents.get(&parts.join("/")) {
                Some(document) => axum::Json(document.clone()).into_response(),
                None if *parts == ["users", "@me"] => axum::Json(json!({ "id": BOT_USER })).into_response(),
                None => refused(StatusCode::NOT_FOUND, 0, "Unknown"),
            },
            (&Method::GET, ["gateway", "bot"]) => axum::Json(json!({
                "url": state.gateway, "shards": 1,
                "session_start_limit": { "total": 1_000, "remaining": 999, "reset_after": 86_400_000, "max_concurrency": 1 },
            }))
            .into_response(),
            (method, parts) => panic!("the bot called {method} {parts:?}, which this Discord does not know"),
        }
    }

    fn post(&self, state: &mut State, channel: &str, mut said: Value, files: Vec<String>) -> Response {
        if let Some(fault) = fault(&said).filter(|_| files.is_empty()) {
            return refused(StatusCode::BAD_REQUEST, 50_035, &fault);
        }
        if state.hides_history && !said["message_reference"].is_null() {
            let why = "Cannot reply without permission to read message history";
            return refused(StatusCode::FORBIDDEN, 160_002, why);
        }
        let nonce = said["nonce"].as_str().map(str::to_owned);
        let enforced = said["enforce_nonce"] == json!(true);
        if let Some(known) = nonce.as_ref().filter(|_| enforced).and_then(|nonce| state.nonces.get(nonce)) {
            return axum::Json(known.clone()).into_response();
        }
        let fields = said.as_object_mut().unwrap();
        fields.remove("nonce");
        fields.remove("enforce_nonce");
        let id = state.id();
        // A post unfolds its thread.
        state.folded.remove(channel);
        let message = Message { id, channel: channel.to_owned(), body: said, author: BOT_USER, nonce, edits: 0, files };
        let sent = message.as_sent(false);
        if let Some(nonce) = &message.nonce {
            state.nonces.insert(nonce.clone(), sent.clone());
        }
        state.messages.push(message);
        axum::Json(sent).into_response()
    }
}

/// A message, and the contents of its files.
fn read(headers: &HeaderMap, body: &Bytes) -> (Value, Vec<String>) {
    let kind = headers[header::CONTENT_TYPE].to_str().unwrap();
    let Some(boundary) = kind.strip_prefix("multipart/form-data; boundary=") else {
        return (serde_json::from_slice(body).unwrap(), Vec::new());
    };
    let text = std::str::from_utf8(body).unwrap();
    let line = format!("--{boundary}");
    let parts = text.split(&line).filter_map(|part| part.split_once("\r\n\r\n"));
    let (mut said, mut files) = (Value::Null, Vec::new());
    for (head, content) in parts {
        let content = content.strip_suffix("\r\n").unwrap();
        if head.contains("payload_json") {
            said = serde_json::from_str(content).unwrap();
        } else {
            assert!(head.contains("filename=\""), "a part of a form is named");
            files.push(content.to_owned());
        }
    }
    (said, files)
}
