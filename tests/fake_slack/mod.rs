//! A Slack workspace for tests: keeps messages, checks what it is sent as Slack would, and can be in trouble.
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

mod api;
mod hand;
mod socket;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::Router;
#[allow(unused_imports, reason = "the benchmark presses nothing")]
pub use hand::Signer;
use serde_json::Value;
use tokio::sync::{mpsc, watch};

/// The workspace, its bot token, its app-level token and its only channel.
pub const TEAM: &str = "T0TEAM";
pub const BOT_TOKEN: &str = "xoxb-fake";
pub const APP_TOKEN: &str = "xapp-fake";
pub const CHANNEL: &str = "C0NIGHT";
pub const SIGNING_SECRET: &str = "fake-signing-secret";

/// What the next call of a method runs into.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// 429 with this `Retry-After`, in seconds.
    RateLimited(u64),
    /// 503.
    Down,
    /// 200 with `ok: false` and this error.
    Refuses(&'static str),
    /// It is done, and the answer is lost: what a crash between sending and remembering looks like.
    AnswerLost,
}

/// One message.
#[derive(Debug, Clone)]
pub struct Message {
    pub ts: String,
    pub channel: String,
    pub thread: Option<String>,
    pub broadcast: bool,
    pub text: String,
    pub blocks: Vec<Value>,
    pub metadata: Value,
    pub edits: usize,
    /// What a reader saw before each edit, oldest first.
    pub earlier: Vec<String>,
}

impl Message {
    /// The key by which the bot finds its own message again.
    pub fn key(&self) -> &str {
        self.metadata["event_payload"]["key"].as_str().unwrap_or_default()
    }

    /// Whether it is the card of an incident, and not something that was posted into the channel beside it.
    pub fn is_card(&self) -> bool {
        self.key().ends_with("/card")
    }

    /// All that a reader sees, one block a line.
    pub fn seen(&self) -> String {
        self.blocks.iter().map(api::block_text).collect::<Vec<_>>().join("\n")
    }

    pub fn buttons(&self) -> Vec<String> {
        self.elements().iter().map(|button| button["text"]["text"].as_str().unwrap().to_owned()).collect()
    }

    fn elements(&self) -> Vec<Value> {
        let actions = self.blocks.iter().filter(|block| block["type"] == "actions");
        actions.flat_map(|block| block["elements"].as_array().unwrap().clone()).collect()
    }
}

/// A file that was completed.
#[derive(Debug, Clone)]
pub struct File {
    pub name: String,
    pub thread: Option<String>,
    pub content: String,
}

#[derive(Default)]
pub(crate) struct State {
    pub messages: Vec<Message>,
    pub whispers: Vec<(String, String)>,
    pub files: Vec<File>,
    pub groups: BTreeMap<String, Vec<String>>,
    /// Scopes that the app was installed without.
    pub scopes_missing: Vec<String>,
    pub calls: Vec<String>,
    pub acknowledged: Vec<Value>,
    trouble: BTreeMap<String, VecDeque<Trouble>>,
    uploads: BTreeMap<String, (String, Option<String>)>,
    hooks: BTreeMap<String, (String, usize)>,
    sockets: Vec<mpsc::UnboundedSender<String>>,
    muted: Vec<usize>,
    /// It answers nothing but 503.
    down: bool,
    other_bots: usize,
    pings: usize,
    clock: u64,
    names: u64,
}

/// The workspace.
#[derive(Clone)]
pub struct FakeSlack {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
    origin: String,
    /// How long a thing may take that is waited for.
    pub patience: Duration,
}

impl FakeSlack {
    /// Opens the workspace on a port of its own.
    pub async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let slack =
            Self { state: Arc::default(), changed: watch::Sender::new(0), origin, patience: Duration::from_secs(20) };
        let router: Router = api::router(slack.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        slack
    }

    /// The base of the Web API.
    pub fn api(&self) -> String {
        format!("{}/api", self.origin)
    }

    /// The origin of `response_url`s.
    pub fn hooks(&self) -> String {
        self.origin.clone()
    }

    /// Puts people into a user group.
    pub fn group(&self, group: &str, members: &[&str]) {
        self.lock().groups.insert(group.to_owned(), members.iter().map(|id| (*id).to_owned()).collect());
    }

    /// Installs the app anew, without a scope.
    pub fn takes_scope_away(&self, scope: &str) {
        self.lock().scopes_missing.push(scope.to_owned());
    }

    /// It was in use before: what it names from now on, such as presses, it did not name then.
    pub fn was_in_use(&self) {
        self.lock().names += 1_000;
    }

    /// The next call of `method` runs into `trouble`; further ones queue up.
    pub fn trouble(&self, method: &str, trouble: Trouble) {
        self.lock().trouble.entry(method.to_owned()).or_default().push_back(trouble);
    }

    /// From now on it answers nothing but 503, or answers again.
    pub fn is_down(&self, down: bool) {
        self.lock().down = down;
    }

    /// Every message, oldest first.
    pub fn messages(&self) -> Vec<Message> {
        self.lock().messages.clone()
    }

    /// Whether one of the newest messages shows this.
    pub fn newest_show(&self, words: &str) -> bool {
        self.newest(|seen| seen.contains(words))
    }

    /// Whether one of the newest messages is like this.
    pub fn newest(&self, is_so: impl Fn(&str) -> bool) -> bool {
        self.lock().messages.iter().rev().take(4).any(|message| is_so(&message.seen()))
    }

    /// What one person was told privately, oldest first.
    pub fn whispers(&self, user: &str) -> Vec<String> {
        self.lock().whispers.iter().filter(|(to, _)| to == user).map(|(_, text)| text.clone()).collect()
    }

    /// All that everybody was told privately.
    pub fn all_whispers(&self) -> Vec<String> {
        self.lock().whispers.iter().map(|(_, text)| text.clone()).collect()
    }

    pub fn files(&self) -> Vec<File> {
        self.lock().files.clone()
    }

    /// How often a method was called.
    pub fn calls(&self, method: &str) -> usize {
        self.lock().calls.iter().filter(|called| *called == method).count()
    }

    /// Deletes a message, as a person could.
    pub fn delete(&self, ts: &str) {
        self.lock().messages.retain(|message| message.ts != ts);
    }

    /// The channel as people see it: the thread is indented.
    pub fn transcript(&self) -> String {
        let lines = self.messages().into_iter().map(|message| {
            let indent = if message.thread.is_some() { "    " } else { "" };
            message.seen().lines().map(|line| format!("{indent}{line}\n")).collect::<String>()
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Waits until something is true of the workspace; fails loudly when it never becomes true.
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

    /// Waits until a person is told something privately.
    pub async fn tells(&self, user: &str, words: &str) {
        let what = format!("{user} is told {words:?}");
        self.until(&what, |slack| slack.whispers(user).iter().any(|text| text.contains(words))).await;
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn change(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

impl State {
    fn next_trouble(&mut self, method: &str) -> Option<Trouble> {
        self.calls.push(method.to_owned());
        let trouble = self.trouble.get_mut(method).and_then(VecDeque::pop_front);
        trouble.or_else(|| self.down.then_some(Trouble::Down))
    }

    /// A name that was not given before.
    fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    fn ts(&mut self) -> String {
        self.clock += 1;
        // After the incidents of the tests: those of a virtual clock begin on 2026-03-01, the others now.
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        format!("{}.{:06}", now.max(1_780_000_000) + self.clock, self.clock)
    }
}
