//! The real `serve` as a child process, held to the memory of the chart.

use std::{
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use mtls_medic::bounds::MEMORY;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{cgroup::Cgroup, neighbours};

pub const TOKEN: &str = "alertmanager-token";
const SIGNING: &str = "signing-secret";
/// How long a probe waits (deploy/chart: `timeoutSeconds`).
const PROBE: Duration = Duration::from_secs(5);
/// How long Slack waits for the answer to what somebody typed or pressed.
const SLACK: Duration = Duration::from_secs(3);
/// How long a process may take to come up.
const PATIENCE: Duration = Duration::from_mins(1);

/// One life of the bot.
pub struct Victim {
    pub address: SocketAddr,
    child: std::sync::Mutex<Child>,
    folder: tempfile::TempDir,
    cgroup: Option<Cgroup>,
}

/// The configuration of a workspace at this address.
pub fn slack(url: &str) -> Value {
    json!({
        "mode": "http", "bot_token": {"env": "BOT"}, "app_token": {"env": "APP"}, "signing_secret": {"env": "SIGNING"},
        "team": "T0EXAMPLE", "channel": "C0INCIDENTS", "api": url,
    })
}

/// The configuration of an API server at this address, of which a kubeconfig is made.
pub fn api_server(url: &str) -> Value {
    json!({"kubernetes": {"kubeconfig": url}})
}

fn kubeconfig_for(url: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {}}],
    })
    .to_string()
}

/// A request as Slack signs it now.
fn signed(path: &str, body: &str) -> String {
    let now = Timestamp::now().as_second();
    let mut mac = Hmac::<Sha256>::new_from_slice(SIGNING.as_bytes()).unwrap();
    mac.update(format!("v0:{now}:{body}").as_bytes());
    let sign = hex::encode(mac.finalize().into_bytes());
    format!(
        "POST /slack/{path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         x-slack-request-timestamp: {now}\r\nx-slack-signature: v0={sign}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

impl Victim {
    /// Starts it with these keys in place of the usual ones, and waits until it answers.
    pub async fn with(more: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address: SocketAddr = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let nobody = neighbours::nobody().await;
        let mut config = json!({
            "listen": address.to_string(), "journal": folder.path().join("journal.sqlite"), "cluster": "c",
            "alertmanager": {"bearer_tokens": [{"env": "TOKEN"}]},
            "slack": slack(&nobody),
            "people": {"levels": [{"team": "L1", "window": "15m", "mention": {"users": ["U0ONCALL"]}}],
                "commanders": {"users": ["U0ONCALL"]}},
        });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let kubeconfig = folder.path().join("kubeconfig");
        let api_server = config["kubernetes"]["kubeconfig"].as_str().map_or(nobody, ToOwned::to_owned);
        std::fs::write(&kubeconfig, kubeconfig_for(&api_server)).unwrap();
        config["kubernetes"] = json!({"kubeconfig": kubeconfig});
        let file = folder.path().join("config.yaml");
        std::fs::write(&file, config.to_string()).unwrap();
        let cgroup = Cgroup::make();
        if cgroup.is_none() {
            println!("no cgroup can be had here: no limit is set, and the peak is measured");
        }
        let procs = cgroup.as_ref().map_or_else(|| "/dev/null".into(), Cgroup::procs);
        let child = Command::new("/bin/sh")
            .args(["-c", "echo $$ > \"$0\" && exec \"$@\""])
            .arg(procs)
            .arg(env!("CARGO_BIN_EXE_mtls-medic"))
            .args(["serve", "--config"])
            .arg(file)
            .envs([("TOKEN", TOKEN), ("BOT", "xoxb-1"), ("APP", "xapp-1"), ("SIGNING", SIGNING)])
            .env("RUST_LOG", "off")
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let victim = Self { address, child: child.into(), folder, cgroup };
        let up = async {
            while TcpStream::connect(address).await.is_err() {
                let ended = victim.child.lock().unwrap().try_wait().unwrap();
                assert!(ended.is_none(), "serve did not come up: {}", victim.log());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let came_up = tokio::time::timeout(PATIENCE, up).await.is_ok();
        assert!(came_up, "serve did not come up: {}", victim.log());
        victim
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// The status of an answer, over a connection of its own.
    async fn asks(&self, request: &[u8]) -> Option<u16> {
        let mut stream = TcpStream::connect(self.address).await.ok()?;
        // It may be refused by its head: then the answer comes before all is sent.
        drop(stream.write_all(request).await);
        let mut line = [0; 12];
        stream.read_exact(&mut line).await.ok()?;
        std::str::from_utf8(&line[9..]).ok()?.parse().ok()
    }

    /// A probe or a scrape is answered, in the time that it has.
    pub async fn answers(&self, path: &str) {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        let answer = tokio::time::timeout(PROBE, self.asks(request.as_bytes())).await;
        assert_eq!(answer.ok().flatten(), Some(200), "{path}: {}", self.log());
    }

    /// What Slack signed is answered, in the time that Slack waits.
    pub async fn hears_slack(&self) {
        let command =
            "command=%2Fmtls&text=help&user_id=U0ONCALL&team_id=T0EXAMPLE&channel_id=C0INCIDENTS&trigger_id=t";
        let press = json!({
            "type": "block_actions", "user": {"id": "U0ONCALL", "team_id": "T0EXAMPLE"}, "team": {"id": "T0EXAMPLE"},
            "channel": {"id": "C0INCIDENTS"}, "trigger_id": "p",
            "actions": [{"type": "button", "action_id": "x", "value": "of another version", "action_ts": "1.0",
                "text": {"type": "plain_text", "text": "Acknowledge"}}],
            "message": {"ts": "1.0", "text": "", "blocks": []},
        });
        let press: String = url::form_urlencoded::byte_serialize(press.to_string().as_bytes()).collect();
        for (path, body) in [("commands", command.to_owned()), ("interactivity", format!("payload={press}"))] {
            let answer = tokio::time::timeout(SLACK, self.asks(signed(path, &body).as_bytes())).await;
            assert_eq!(answer.ok().flatten(), Some(200), "{path}: {}", self.log());
        }
    }

    /// Whom it serves is served, in the time that they wait.
    pub async fn is_well(&self) {
        self.answers("/healthz").await;
        self.answers("/metrics").await;
        // Under an attack it may well not be ready; it says so in time.
        let ready = tokio::time::timeout(PROBE, self.asks(b"GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        assert!(matches!(ready.ok().flatten(), Some(200 | 503)), "{}", self.log());
        let answer = tokio::time::timeout(PROBE, self.webhook(r#"{"version":"4","alerts":[]}"#.to_owned())).await;
        assert_eq!(answer.ok(), Some(200), "{}", self.log());
    }

    /// What was too much for it is stored when it is sent again, as Alertmanager does.
    pub async fn takes_alerts_again(&self) {
        let again = async {
            while self.webhook(r#"{"version":"4","alerts":[]}"#.to_owned()).await != 200 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, again).await.is_ok(), "{}", self.log());
    }

    /// The status that a body of Alertmanager's is answered with; 0 for none.
    pub async fn webhook(&self, body: String) -> u16 {
        let head = format!(
            "POST /webhooks/alertmanager HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.asks(format!("{head}{body}").as_bytes()).await.unwrap_or(0)
    }

    /// One alert fires.
    pub async fn fires(&self, service: &str) {
        let labels = json!({"alertname": "MTLSHandshakeFailureRateHigh", "namespace": "web", "service": service});
        let alert = json!({"status": "firing", "startsAt": "2026-01-01T00:00:00Z", "labels": labels,
            "fingerprint": service});
        let body = json!({"version": "4", "groupKey": service, "status": "firing", "alerts": [alert]});
        assert_eq!(self.webhook(body.to_string()).await, 200);
    }

    /// It lives, and has kept to its memory; what it took at most is printed.
    pub async fn lives(&self, under: &str) {
        let ended = self.child.lock().unwrap().try_wait().unwrap();
        assert!(ended.is_none(), "it died under {under}: {ended:?}\n{}", self.log());
        self.answers("/healthz").await;
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.lock().unwrap().id())).unwrap();
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<usize>().ok());
        let peak = peak.unwrap() * 1024;
        let mib = |bytes: usize| bytes / 1024 / 1024;
        let within = if self.cgroup.is_some() { "within the limit of a cgroup" } else { "without a cgroup" };
        println!("peak_memory_under_{under} {} MiB <={} ({within})", mib(peak), mib(MEMORY) * 7 / 8);
        assert!(peak <= MEMORY / 8 * 7, "it took {} MiB under {under}", mib(peak));
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap();
        drop(child.kill());
        drop(child.wait());
    }
}
