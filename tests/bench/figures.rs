//! The figures that the bot is held to: a line each, `name value unit goal`. Run by `tests/bench/run`; ends with an error only
//! when something could not be measured.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a benchmark of the terminal")]

mod faces;
#[path = "../fake_discord/gateway.rs"]
mod fake_gateway;
#[path = "../fake_discord/interactions.rs"]
mod fake_interactions;
#[path = "../fake_discord/rest.rs"]
mod fake_rest;
#[path = "../fake_slack/mod.rs"]
mod fake_slack;
mod idle;
mod load;
mod offline;

use std::{
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use fake_slack::{BOT_TOKEN, CHANNEL, FakeSlack, TEAM};
use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes, header};
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use mtls_medic::{
    alertmanager::{Authentication, Credential},
    chat::{
        Look, Roster,
        slack::{Client, Directory, SlackOut},
    },
    clock::SystemClock,
    cluster::{Settings, connect_to, gather},
    commands::bot::{Bot, Parts},
    engine::{Done, Engine, Perform, PerformError, Task},
    escalation,
    http::serve,
    incident::{Destination, Face, Outcome, Policy, Room, Work},
    mesh::{Namespace, TargetRef},
    simulate::{Simulation, api::ApiFault, world::Scenario},
    triage::certificate::{Svid, verify_path},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const CONNECTIONS: usize = 64;
const REQUESTS: usize = 20_000;
const KEYS: usize = 1_000;

fn line(name: &str, value: f64, unit: &str, goal: &str) {
    println!("{name} {value:.2} {unit} {goal}");
}

fn policy(storm_per_minute: u32, room: Room, to: &str) -> Policy {
    let Room::Chat(face) = room else { panic!("{room:?} is no chat") };
    let level = escalation::Level {
        number: escalation::LevelNumber(1),
        team: "L1".to_owned(),
        window: SignedDuration::from_mins(15),
        mentions: vec![mtls_medic::people::Mention::group(mtls_medic::people::Platform::Slack, "S1")],
        pager: None,
    };
    let channel = Destination { face, channel: to.to_owned() };
    Policy { storm_per_minute, ..Policy::usual(escalation::EscalationPolicy::of(vec![level]), vec![channel]) }
}

/// A face that shows nothing.
struct Watch;

#[async_trait]
impl Perform for Watch {
    async fn perform(&self, task: Task) -> Result<Done, PerformError> {
        Ok(match &task.work {
            Work::Mention { to, level, .. } => Outcome::Mentioned { level: *level, to: to.clone(), unexplained: None },
            Work::DrawCard { to } | Work::Post { to, .. } => Outcome::Shown { to: to.clone(), first_card: false },
            _ => Outcome::NoLongerWanted,
        }
        .into())
    }
}

fn body(service: usize) -> Bytes {
    let text = format!(
        r#"{{"version":"4","status":"firing","groupKey":"g{service}","alerts":[{{"status":"firing","startsAt":"2026-11-24T03:00:00Z",
        "fingerprint":"f{service}","labels":{{"alertname":"MTLSHandshakeFailureRateHigh","namespace":"web","service":"s{service}"}}}}]}}"#
    );
    Bytes::from(text)
}

async fn bot(
    storm: u32,
    room: Room,
    face: Arc<dyn Perform>,
    to: &str,
) -> (Arc<Engine>, std::net::SocketAddr, CancellationToken, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let known = Authentication::Credentials(vec![Credential::Bearer("t".into())]);
    let (journal, clock) = (folder.path().join("j.sqlite"), Arc::new(SystemClock));
    let mut parts = Parts::new(journal, clock, "bench", policy(storm, room, to), known);
    parts.performers.push((room, face));
    let bot = Bot::start(parts).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(serve(listener, bot.routes, stop.clone()));
    (bot.engine, address, stop, folder)
}

/// Sends `count` bodies over one connection; the services go round from `first`.
async fn send(address: std::net::SocketAddr, first: usize, count: usize) {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for place in 0..count {
        let request = Request::post("/webhooks/alertmanager")
            .header(header::HOST, "bench")
            .header(header::AUTHORIZATION, "Bearer t")
            .body(Full::new(body((first + place * CONNECTIONS) % KEYS)))
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert!(response.status().is_success(), "a webhook was refused: {}", response.status());
        response.into_body().collect().await.unwrap();
    }
}

async fn webhooks() {
    let (engine, address, stop, _folder) = bot(10, Room::Chat(Face::Page), Arc::new(Watch), "c").await;
    let began = Instant::now();
    let senders = (0..CONNECTIONS).map(|first| tokio::spawn(send(address, first, REQUESTS / CONNECTIONS)));
    futures::future::join_all(senders).await.into_iter().for_each(Result::unwrap);
    let seconds = began.elapsed().as_secs_f64();
    let sent = u32::try_from(REQUESTS / CONNECTIONS * CONNECTIONS).unwrap();
    line("webhook_durable_rate", f64::from(sent) / seconds, "per_second", ">=2000");
    let kept = engine.inbox().newest(10_000).await.unwrap();
    let kept = kept.iter().filter(|stored| !stored.incident.key.0.starts_with("storm/")).count();
    line("webhook_incidents_kept", f64::from(u32::try_from(kept).unwrap()), "of_1000", "=1000");
    stop.cancel();
    engine.stop(Duration::from_secs(5)).await;
}

async fn first_message() {
    let slack = FakeSlack::open().await;
    slack.group("S1", &["U0ONCALL"]);
    let client = Client::new(&slack.api(), &BOT_TOKEN.to_owned().into()).unwrap();
    let roster = Roster::default();
    let directory = Arc::new(Directory::new(client.clone(), TEAM.to_owned(), roster, Arc::new(SystemClock)));
    let face = Arc::new(SlackOut::new(client, directory, Look::default()));
    let (engine, address, stop, _folder) = bot(100_000, Room::Chat(Face::Slack), face, CHANNEL).await;
    let mut waits = Vec::new();
    for service in 0..200 {
        let began = Instant::now();
        send(address, service, 1).await;
        let about = format!("svc/s{service}`");
        slack.until(&about, |slack| slack.newest_show(&about)).await;
        waits.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    waits.sort_by(f64::total_cmp);
    // Of 200 figures the 198th: the 99th percentile.
    let p99 = waits.get(197).copied().unwrap();
    line("webhook_to_first_message_p99", p99, "ms", "<=500");
    stop.cancel();
    engine.stop(Duration::from_secs(5)).await;
}

async fn triage() {
    const SLOWEST: Duration = Duration::from_millis(400);
    let loopback = "127.0.0.1:0".parse().unwrap();
    let simulation = Simulation::start(Arc::new(SystemClock), Scenario::ExpiredCertificate, loopback).await.unwrap();
    simulation.options.inject("create", "pods/exec", ApiFault::delay(SLOWEST));
    let reach = connect_to(&simulation.url(), Settings::default()).unwrap();
    let target = TargetRef::parse(Namespace::parse("payments").unwrap(), "svc/ledger").unwrap();
    let began = Instant::now();
    gather(&reach, &target, Arc::new(SystemClock), Arc::new(|_: &str| {})).await.unwrap();
    let ratio = began.elapsed().as_secs_f64() / SLOWEST.as_secs_f64();
    line("triage_over_slowest_check", ratio, "times", "<=1.3");
    simulation.stop().await;
}

fn certificates() {
    let root_key = rcgen::KeyPair::generate().unwrap();
    let mut root = rcgen::CertificateParams::default();
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    root.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let root_der = root.self_signed(&root_key).unwrap().der().to_vec();
    let issuer = rcgen::Issuer::new(root, root_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let mut leaf = rcgen::CertificateParams::default();
    leaf.subject_alt_names = vec![rcgen::SanType::URI("spiffe://td/ns/web/sa/frontend".try_into().unwrap())];
    leaf.distinguished_name.push(rcgen::DnType::CommonName, "leaf");
    let leaf_der = leaf.signed_by(&key, &issuer).unwrap().der().to_vec();
    let roots = vec![root_der];
    let now = Timestamp::now();
    let (mut count, began) = (0_u32, Instant::now());
    while began.elapsed() < Duration::from_secs(2) {
        Svid::read(&leaf_der).unwrap();
        verify_path(&leaf_der, &[], &roots, now).unwrap();
        count += 1;
    }
    let ours = f64::from(count) / began.elapsed().as_secs_f64();
    let output =
        Command::new("openssl").args(["speed", "-seconds", "2", "ecdsap256"]).output().expect("openssl is needed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let verify: f64 = text.split_whitespace().last().and_then(|word| word.parse().ok()).expect("openssl's figure");
    line("certificate_paths", ours, "per_second", "-");
    line("certificate_paths_of_openssl_verify", ours / verify * 100.0, "percent", ">=60");
}

#[tokio::main]
async fn main() {
    // Cargo hands benches an argument of its own; words choose some of the figures: `cargo bench --bench figures -- faces`.
    let chosen: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let wants = |part: &str| chosen.is_empty() || chosen.iter().any(|word| word == part);
    if wants("webhooks") {
        webhooks().await;
        first_message().await;
    }
    if wants("faces") {
        faces::run().await;
    }
    if wants("triage") {
        triage().await;
    }
    if wants("load") {
        load::run().await;
    }
    if wants("certificates") {
        certificates();
    }
    if wants("offline") {
        offline::run();
    }
    if wants("idle") {
        idle::run().await;
    }
}
