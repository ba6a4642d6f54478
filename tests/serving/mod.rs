//! The real `serve` as a child process, with a workspace and a pager around it that outlive it. What its cluster is, the
//! test says.
#![allow(dead_code, reason = "each test that shares this uses its own part of it")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Child, Command as Process, ExitStatus, Stdio},
    time::Duration,
};

use axum::{body::Body, http::Request};
use http_body_util::BodyExt;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    fake_pager::FakePager,
    fake_slack::{BOT_TOKEN, CHANNEL, FakeSlack, SIGNING_SECRET, Signer, TEAM},
};

pub const TOKEN: &str = "alertmanager-token";
/// Names another binary of the bot than the one under test, as when journals of a release are kept.
const BINARY: &str = "MTLS_MEDIC";
/// How long a process may take to come up, and a thing to happen that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The world around the bot.
pub struct Outside {
    pub slack: FakeSlack,
    pub pager: FakePager,
    folder: tempfile::TempDir,
    port: u16,
}

/// A port where nobody listens now.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// One life of the bot.
pub struct Bot(Child);

impl Outside {
    /// The bot reaches its cluster by this kubeconfig; `more` are keys of its configuration, in place of the usual ones.
    pub async fn with(kubeconfig: &Path, more: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let (slack, pager) = (FakeSlack::open().await, FakePager::open().await);
        let outside = Self { slack, pager, folder, port };
        for (name, secret) in [("token", TOKEN), ("bot", BOT_TOKEN), ("signing", SIGNING_SECRET)] {
            std::fs::write(outside.path(name), secret).unwrap();
        }
        let mut config = outside.config(kubeconfig);
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        // JSON is YAML too.
        std::fs::write(outside.path("config.yaml"), config.to_string()).unwrap();
        outside
    }

    /// A file beside its configuration.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts the journal of an earlier bot in place of this one's.
    pub fn inherits(&self, journal: &Path) {
        std::fs::copy(journal, self.journal()).unwrap();
    }

    /// The bot's journal.
    pub fn journal(&self) -> PathBuf {
        self.path("journal.sqlite")
    }

    /// What the bot has written: its log, and its journal with the files beside it.
    pub fn written(&self) -> Vec<(String, Vec<u8>)> {
        let files = std::fs::read_dir(self.folder.path()).unwrap();
        let named = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let its_own = named.filter(|name| name.starts_with("log") || name.starts_with("journal"));
        its_own.map(|name| (name.clone(), std::fs::read(self.path(&name)).unwrap_or_default())).collect()
    }

    fn config(&self, kubeconfig: &Path) -> Value {
        let file = |name: &str| json!({ "file": self.path(name) });
        json!({
            "listen": format!("127.0.0.1:{}", self.port),
            "journal": self.path("journal.sqlite"),
            "cluster": "prod-eu-1",
            "alertmanager": { "bearer_tokens": [file("token")] },
            "kubernetes": { "kubeconfig": kubeconfig },
            "slack": {
                "mode": "http", "bot_token": file("bot"), "signing_secret": file("signing"),
                "team": TEAM, "channel": CHANNEL, "api": self.slack.api(),
            },
            "people": {
                "levels": [
                    { "team": "Platform On-Call", "window": "15m", "mention": { "users": ["U0LEVEL1"] }, "pager": "on-call" },
                    { "team": "Platform Security", "window": "30m", "mention": { "users": ["U0LEVEL2"] } },
                ],
                "commanders": { "users": ["U0ONCALL", "U0SEC"] },
                "approvers": { "users": ["U0SEC"] },
            },
            "pagers": { "on-call": { "kind": "generic", "url": self.pager.url() } },
            "escalation": { "hold": "1s" },
            "approval": { "verification_window": "3s" },
            "writes": true,
        })
    }

    /// Starts the bot on the same journal, and waits until it answers.
    pub async fn starts(&self) -> Bot {
        self.brings_up(&mut Process::new(binary())).await
    }

    /// The same, with more in its environment.
    pub async fn starts_with(&self, environment: &[(&str, &str)]) -> Bot {
        self.brings_up(Process::new(binary()).envs(environment.iter().copied())).await
    }

    /// The same, by a command that executes what it is given.
    pub async fn starts_by(&self, command: &mut Process) -> Bot {
        self.brings_up(command.arg(binary())).await
    }

    async fn brings_up(&self, command: &mut Process) -> Bot {
        let log = std::fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let child = command
            .args(["serve", "--config"])
            .arg(self.path("config.yaml"))
            .stdout(Stdio::null())
            .stderr(Stdio::from(log))
            .env("NO_COLOR", "1")
            .spawn()
            .unwrap();
        let up = async {
            while self.get("/healthz").await.is_none() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let came_up = tokio::time::timeout(PATIENCE, up).await.is_ok();
        assert!(came_up, "serve did not come up: {}", std::fs::read_to_string(self.path("log")).unwrap());
        Bot(child)
    }

    /// A path of the bot without credentials: status and text.
    pub async fn get_text(&self, path: &str) -> (u16, String) {
        let answer = self.send(Request::get(self.at(path)).body(Body::empty()).unwrap()).await;
        answer.map(|(status, body)| (status, String::from_utf8(body).unwrap())).unwrap_or_default()
    }

    /// What `/readyz` says.
    pub async fn ready(&self) -> (u16, String) {
        self.get_text("/readyz").await
    }

    pub async fn metrics(&self) -> String {
        self.get_text("/metrics").await.1
    }

    /// What it logged in all of its lives.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    async fn send(&self, request: Request<Body>) -> Option<(u16, Vec<u8>)> {
        // A connection of its own for each: the one of a bot that was killed is of no use to the next.
        let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
        let response = client.request(request).await.ok()?;
        let status = response.status().as_u16();
        Some((status, response.into_body().collect().await.ok()?.to_bytes().to_vec()))
    }

    fn at(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let request = Request::get(self.at(path)).header("authorization", format!("Bearer {TOKEN}"));
        let (status, body) = self.send(request.body(Body::empty()).unwrap()).await?;
        (status == 200).then(|| serde_json::from_slice(&body).unwrap_or_default())
    }

    /// The incidents as the bot lists them.
    pub async fn incidents(&self) -> Vec<Value> {
        self.get("/incidents").await.unwrap().as_array().unwrap().clone()
    }

    /// Where Alertmanager sends its webhooks to.
    pub fn webhook(&self) -> String {
        self.at("/webhooks/alertmanager")
    }

    /// Alertmanager sends a group, and is answered 200.
    pub async fn alertmanager_sends(&self, file: &str) {
        assert_eq!(self.alertmanager_tries(file).await, Some(200));
    }

    /// Alertmanager sends a group; the status that it is answered with.
    pub async fn alertmanager_tries(&self, file: &str) -> Option<u16> {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/alertmanager").join(file);
        let request = Request::post(self.webhook()).header("authorization", format!("Bearer {TOKEN}"));
        let answer = self.send(request.body(Body::from(std::fs::read(path).unwrap())).unwrap()).await;
        answer.map(|(status, _)| status)
    }

    /// Alertmanager says of one alert that it fires, or is resolved.
    pub async fn alertmanager_says(&self, status: &str, labels: &BTreeMap<&str, String>) {
        let alert = json!({
            "status": status, "labels": labels, "annotations": {}, "startsAt": "2026-01-01T00:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "", "fingerprint": labels["service"],
        });
        let body = json!({
            "version": "4", "groupKey": "g", "status": status, "receiver": "mtls-medic", "groupLabels": labels,
            "commonLabels": labels, "commonAnnotations": {}, "externalURL": "", "truncatedAlerts": 0, "alerts": [alert],
        });
        let request = Request::post(self.webhook()).header("authorization", format!("Bearer {TOKEN}"));
        let answer = self.send(request.body(Body::from(body.to_string())).unwrap()).await;
        assert_eq!(answer.map(|(status, _)| status), Some(200));
    }

    async fn slack_sends(&self, signed: Request<Body>) {
        let (mut parts, body) = signed.into_parts();
        parts.uri = self.at(parts.uri.path()).parse().unwrap();
        let answer = self.send(Request::from_parts(parts, body)).await;
        assert_eq!(answer.map(|(status, _)| status), Some(200));
    }

    /// Somebody types `/mtls …`.
    pub async fn says(&self, user: &str, text: &str) {
        let signer = Signer::at(Timestamp::now().as_second());
        self.slack_sends(signer.command_request(&self.slack.typed(user, text))).await;
    }

    /// Somebody presses a button that was seen at some time.
    pub async fn presses(&self, payload: &Value) {
        let signer = Signer::at(Timestamp::now().as_second());
        self.slack_sends(signer.interaction_request(payload)).await;
    }

    pub async fn channel_shows(&self, words: &str) {
        self.slack.until(words, |slack| slack.transcript().contains(words)).await;
    }

    /// The card of one incident says so.
    pub async fn card_says(&self, incident: &str, words: &str) {
        let of_it = |seen: &str| seen.lines().next().is_some_and(|title| title.split(' ').any(|word| word == incident));
        let says = |slack: &FakeSlack| {
            slack.messages().iter().filter(|message| message.is_card()).any(|message| {
                let seen = message.seen();
                of_it(&seen) && seen.contains(words)
            })
        };
        self.slack.until(&format!("{incident} says {words}"), says).await;
    }

    pub fn cards(&self) -> usize {
        self.slack.messages().iter().filter(|message| message.is_card()).count()
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        if std::thread::panicking() {
            #[expect(clippy::print_stdout, reason = "shown with the failure")]
            {
                println!("what serve logged:\n{}", std::fs::read_to_string(self.path("log")).unwrap_or_default());
            }
        }
    }
}

/// The bot under test.
fn binary() -> std::ffi::OsString {
    std::env::var_os(BINARY).unwrap_or_else(|| env!("CARGO_BIN_EXE_mtls-medic").into())
}

impl Bot {
    pub fn process(&self) -> u32 {
        self.0.id()
    }

    /// SIGKILL: nothing is finished, nothing is written.
    pub fn killed(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// SIGTERM, and how it ended within the time that Kubernetes was told to give it.
    pub async fn asked_to_stop(mut self) -> ExitStatus {
        Process::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap();
        let id = self.0.id().to_string();
        let ended = tokio::task::spawn_blocking(move || self.0.wait().unwrap());
        if let Ok(status) = tokio::time::timeout(Duration::from_secs(10), ended).await {
            return status.unwrap();
        }
        drop(Process::new("kill").args(["-KILL", &id]).status());
        panic!("it did not stop within 10 s");
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
