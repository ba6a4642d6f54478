//! Many services that fail at once: how long people and pages wait meanwhile, and what an opening costs when many
//! incidents are open.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes, header};
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use mtls_medic::{
    alertmanager::{Authentication, Credential},
    clock::SystemClock,
    commands::bot::{Bot, Parts},
    engine::{Done, Engine, Inbox, Perform, PerformError, Task},
    escalation::{self, LevelNumber, PagerName},
    http::serve,
    incident::{Act, CallReason, Command, Destination, Face, IncidentId, Lacks, Outcome, Policy, Room, Work},
    people::{Actor, PersonId, Platform, Role},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;

use crate::line;

const CONNECTIONS: usize = 64;
/// Incidents that stand on their own before everything fails: people work on these.
const WORKED_ON: usize = 400;
/// How many of them at most while one load goes on.
const WORKED_ON_AT_ONCE: usize = 130;
/// How many alerts a large body has.
const LARGE: usize = 1_000;
/// How many alerts of one incident flap.
const FLAPPING: usize = 960;
/// How many notes are taken meanwhile.
const NOTES: usize = 60;
/// How often the people of one incident write one: more often than they can type.
const NOTES_EVERY: Duration = Duration::from_millis(250);
/// How often somebody begins to work while all fails: a fast machine is through with it after half a second.
const WORKS_EVERY: Duration = Duration::from_millis(8);
/// How often a crowd writes into one incident.
const BEGINS_EVERY: Duration = Duration::from_millis(25);
/// How long somebody waits for a page before the measurement is given up.
const WAITED_MOST: Duration = Duration::from_mins(1);

/// Measures all of it.
pub(crate) async fn run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j.sqlite");
    let before = LoadedBot::start(&path, 100_000).await;
    before.single(0, WORKED_ON).await;
    before.pages.until(WORKED_ON).await;
    before.stop().await;

    let bot = LoadedBot::start(&path, 10).await;
    let opening = bot.meanwhile(async {
        bot.single(WORKED_ON, 2_600).await;
        bot.large(3_000, 2).await;
    });
    let first_half = opening.await;
    let at_5_000 = bot.rate(5_000).await;
    let opening = bot.meanwhile(async {
        bot.large(6_000, 2).await;
        bot.single(8_000, 2_000).await;
    });
    let mut waits = first_half;
    waits.add(opening.await);
    let at_10_000 = bot.rate(10_000).await;
    let quiet = bot.meanwhile(tokio::time::sleep(Duration::from_secs(3))).await;

    line("openings_at_5000_open", at_5_000, "per_second", "-");
    line("openings_at_10000_open", at_10_000, "per_second", "-");
    line("openings_at_10000_over_5000", at_10_000 / at_5_000, "times", ">=0.9");
    line("command_p99_with_10000_opening", p99(waits.commands), "ms", "<=1000");
    line("page_p99_with_10000_opening", p99(waits.pages), "ms", "<=1000");
    line("command_p99_with_10000_open", p99(quiet.commands), "ms", "<=1000");
    line("page_p99_with_10000_open", p99(quiet.pages), "ms", "<=1000");
    bot.stop().await;

    // In the second, notes wait mostly for each other: 40 a second on one incident.
    let behind_alerts = behind_flapping_alerts(NOTES_EVERY).await;
    line("command_p99_behind_960_flapping_alerts", behind_alerts, "ms", "<=1000");
    let behind_a_crowd = behind_flapping_alerts(BEGINS_EVERY).await;
    line("command_p99_behind_960_flapping_alerts_and_a_crowd", behind_a_crowd, "ms", "-");
}

async fn behind_flapping_alerts(pause: Duration) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let bot = LoadedBot::start(&folder.path().join("j.sqlite"), 10).await;
    let waits = bot.flapping(pause).await;
    bot.stop().await;
    p99(waits)
}

fn p99(mut waits: Vec<f64>) -> f64 {
    assert!(waits.len() >= 50, "only {} figures were taken", waits.len());
    waits.sort_by(f64::total_cmp);
    let place = waits.len().saturating_mul(99).div_ceil(100).saturating_sub(1);
    waits.get(place).copied().unwrap()
}

/// Milliseconds that people waited.
#[derive(Default)]
struct Waits {
    commands: Vec<f64>,
    pages: Vec<f64>,
}

impl Waits {
    fn add(&mut self, other: Self) {
        self.commands.extend(other.commands);
        self.pages.extend(other.pages);
    }
}

/// A pager and a chat that take everything at once. The pager remembers when an escalated incident was paged.
#[derive(Default)]
struct Pages {
    opened: Mutex<usize>,
    escalated: Mutex<BTreeMap<IncidentId, Instant>>,
    paged: Notify,
}

impl Pages {
    async fn until(&self, count: usize) {
        while *self.opened.lock().unwrap() < count {
            tokio::time::timeout(WAITED_MOST, self.paged.notified()).await.expect("a page never came");
        }
    }

    async fn of(&self, incident: IncidentId) -> Instant {
        let began = Instant::now();
        loop {
            if let Some(at) = self.escalated.lock().unwrap().get(&incident) {
                return *at;
            }
            assert!(began.elapsed() < WAITED_MOST, "a page never came");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[async_trait]
impl Perform for Pages {
    async fn perform(&self, task: Task) -> Result<Done, PerformError> {
        Ok(match &task.work {
            Work::CallPager { pager, level, reason, .. } => {
                match reason {
                    CallReason::Escalated { .. } => {
                        self.escalated.lock().unwrap().insert(task.incident.id, Instant::now());
                    }
                    _ => *self.opened.lock().unwrap() += 1,
                }
                self.paged.notify_one();
                let page = Some((pager.clone(), task.key.clone()));
                Outcome::PagerCalled { level: *level, page, lacks: Lacks::default() }
            }
            Work::Triage { run } => Outcome::TriageFailed { run: *run, reason: "a benchmark".to_owned() },
            Work::Mention { to, level, .. } => Outcome::Mentioned { level: *level, to: to.clone(), unexplained: None },
            Work::DrawCard { to } | Work::Post { to, .. } => Outcome::Shown { to: to.clone(), first_card: false },
            _ => Outcome::NoLongerWanted,
        }
        .into())
    }
}

fn policy(storm_per_minute: u32) -> Policy {
    let level = |number: u8| escalation::Level {
        number: LevelNumber(number),
        team: format!("L{number}"),
        window: SignedDuration::from_mins(15),
        mentions: Vec::new(),
        pager: Some(PagerName("bench".to_owned())),
    };
    let channel = Destination { face: Face::Page, channel: "c".to_owned() };
    Policy {
        storm_per_minute,
        ..Policy::usual(escalation::EscalationPolicy::of(vec![level(1), level(2)]), vec![channel])
    }
}

fn alert(service: usize) -> String {
    format!(
        r#"{{"status":"firing","startsAt":"2026-11-24T03:00:00Z","fingerprint":"load{service}",
        "labels":{{"alertname":"MTLSHandshakeFailureRateHigh","namespace":"web","service":"load{service}"}}}}"#
    )
}

fn body(services: impl Iterator<Item = usize>) -> Bytes {
    let services: Vec<usize> = services.collect();
    let group = services.first().copied().unwrap();
    let alerts: Vec<String> = services.into_iter().map(alert).collect();
    let alerts = alerts.join(",");
    Bytes::from(format!(r#"{{"version":"4","status":"firing","groupKey":"g{group}","alerts":[{alerts}]}}"#))
}

/// All pods of one service fail, or work again.
fn flap(round: usize) -> Bytes {
    let status = if round.is_multiple_of(2) { "firing" } else { "resolved" };
    let (minute, second) = (round / 2 / 60 % 60, round / 2 % 60);
    let alert = |pod: usize| {
        format!(
            r#"{{"status":"{status}","startsAt":"2026-11-24T03:{minute:02}:{second:02}Z","fingerprint":"flap{pod}",
            "labels":{{"alertname":"MTLSHandshakeFailureRateHigh","namespace":"web","service":"flap","pod":"flap-{pod}"}}}}"#
        )
    };
    let alerts: Vec<String> = (0..FLAPPING).map(alert).collect();
    let alerts = alerts.join(",");
    Bytes::from(format!(r#"{{"version":"4","status":"{status}","groupKey":"flap","alerts":[{alerts}]}}"#))
}

struct LoadedBot {
    engine: Arc<Engine>,
    inbox: Inbox,
    pages: Arc<Pages>,
    address: SocketAddr,
    stop: CancellationToken,
    worked_on: Mutex<u32>,
}

impl LoadedBot {
    async fn start(path: &Path, storm: u32) -> Self {
        let pages = Arc::new(Pages::default());
        let bot = loop {
            let known = Authentication::Credentials(vec![Credential::Bearer("t".into())]);
            let mut parts = Parts::new(path.to_owned(), Arc::new(SystemClock), "bench", policy(storm), known);
            for room in [Room::Chat(Face::Page), Room::Pager, Room::Cluster] {
                parts.performers.push((room, pages.clone()));
            }
            match Bot::start(parts).await {
                Ok(bot) => break bot,
                // The writer of the bot before ends in its own time.
                Err(mtls_medic::journal::JournalError::InUse(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
                Err(other) => panic!("{other}"),
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, bot.routes, stop.clone()));
        Self { inbox: bot.inbox, engine: bot.engine, pages, address, stop, worked_on: Mutex::new(0) }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.engine.stop(Duration::from_secs(5)).await;
    }

    /// Sends a body a service.
    async fn single(&self, first: usize, count: usize) {
        let senders = (0..CONNECTIONS).map(|place| {
            let bodies =
                (first + place..first + count).step_by(CONNECTIONS).map(|service| body(std::iter::once(service)));
            tokio::spawn(send(self.address, bodies.collect::<Vec<_>>()))
        });
        futures::future::join_all(senders).await.into_iter().for_each(Result::unwrap);
    }

    /// Sends large bodies, all at once.
    async fn large(&self, first: usize, count: usize) {
        let senders = (0..count).map(|place| {
            let first = first + place * LARGE;
            tokio::spawn(send(self.address, vec![body(first..first + LARGE)]))
        });
        futures::future::join_all(senders).await.into_iter().for_each(Result::unwrap);
    }

    /// How many incidents open a second where `open` are open.
    async fn rate(&self, open: usize) -> f64 {
        let began = Instant::now();
        self.single(open, 1_000).await;
        1_000.0 / began.elapsed().as_secs_f64()
    }

    /// How long notes, one begun after each `pause`, wait on an incident whose alerts all end and fire again as fast as two
    /// senders can say so, from the first note to the last.
    async fn flapping(&self, pause: Duration) -> Vec<f64> {
        let over = CancellationToken::new();
        let senders = [0, 1].map(|first| {
            let over = over.clone();
            let flaps = (first..).step_by(2).take_while(move |_| !over.is_cancelled()).map(flap);
            tokio::spawn(send(self.address, flaps))
        });
        while self.inbox.live(1).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut begun = Vec::new();
        for number in 0..NOTES {
            let (inbox, text) = (self.inbox.clone(), format!("note {number} each {pause:?}"));
            begun.push(tokio::spawn(async move { command(&inbox, IncidentId::new(1), Act::Note { text }).await }));
            tokio::time::sleep(pause).await;
        }
        let waits = futures::future::join_all(begun).await;
        over.cancel();
        futures::future::join_all(senders).await.into_iter().for_each(Result::unwrap);
        waits.into_iter().map(Result::unwrap).collect()
    }

    /// How long people wait while `load` goes on.
    async fn meanwhile(&self, load: impl Future<Output = ()>) -> Waits {
        let over = CancellationToken::new();
        let people = async {
            let mut begun = Vec::new();
            while !over.is_cancelled() && begun.len() < WORKED_ON_AT_ONCE {
                let number = {
                    let mut number = self.worked_on.lock().unwrap();
                    *number += 1;
                    *number
                };
                let (inbox, pages) = (self.inbox.clone(), self.pages.clone());
                begun.push(tokio::spawn(work(inbox, pages, IncidentId::new(number))));
                tokio::time::sleep(WORKS_EVERY).await;
            }
            begun
        };
        let load = async {
            load.await;
            over.cancel();
        };
        let (begun, ()) = tokio::join!(people, load);
        let mut waits = Waits::default();
        for one in futures::future::join_all(begun).await {
            waits.add(one.unwrap());
        }
        waits
    }
}

/// Somebody escalates, and acknowledges once the next level was paged.
async fn work(inbox: Inbox, pages: Arc<Pages>, incident: IncidentId) -> Waits {
    let escalated = command(&inbox, incident, Act::Escalate { from: None }).await;
    let asked = Instant::now();
    let page = pages.of(incident).await.saturating_duration_since(asked);
    let acknowledged = command(&inbox, incident, Act::Acknowledge).await;
    Waits { commands: vec![escalated, acknowledged], pages: vec![milliseconds(page)] }
}

async fn command(inbox: &Inbox, incident: IncidentId, act: Act) -> f64 {
    let id = PersonId { platform: Platform::Slack, workspace: "T".to_owned(), user: "U1".to_owned() };
    let actor = Actor { id, also: [].into(), roles: [Role::Commander].into(), as_of: Timestamp::now() };
    let command = Command { incident, actor, key: format!("{incident}-{act:?}"), act };
    let began = Instant::now();
    inbox.submit(&command).await.unwrap_or_else(|error| panic!("{incident}: {error}"));
    milliseconds(began.elapsed())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Sends bodies over one connection, one after another, and again those that are to come again.
async fn send(address: SocketAddr, bodies: impl IntoIterator<Item = Bytes, IntoIter: Send> + Send) {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for body in bodies {
        loop {
            let request = Request::post("/webhooks/alertmanager")
                .header(header::HOST, "bench")
                .header(header::AUTHORIZATION, "Bearer t")
                .body(Full::new(body.clone()))
                .unwrap();
            let response = sender.send_request(request).await.unwrap();
            let status = response.status();
            response.into_body().collect().await.unwrap();
            if status.is_success() {
                break;
            }
            assert!(status.is_server_error(), "a webhook was refused: {status}");
        }
    }
}
