//! How long people wait on each face: from the webhook to the card, from a command to its private answer, and from
//! `escalate` to the call that mentions somebody. The bot is whole but for the network to the chat: its fake is next to it and answers at once.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use axum::{Router, body::Body, http::Request};
use jiff::Timestamp;
use mtls_medic::{
    alertmanager::Authentication,
    chat::{
        Look, Roster, Whose,
        discord::{DiscordHome, PublicKey, Rest},
        slack::{Client, Home},
    },
    clock::SystemClock,
    commands::{
        bot::{Bot, Parts},
        chat::ChatParts,
        discord::{self, DiscordParts},
        slack::{self, SlackParts},
    },
    engine::Engine,
    escalation::{Level, LevelNumber},
    http::Bodies,
    incident::{Face, Room},
    metrics::Metrics,
    people::{Mention, Platform},
};
use serde_json::json;
use tower::ServiceExt;

use crate::{
    body,
    fake_interactions::{self as interactions, APPLICATION, GUILD, Person},
    fake_rest::{self as rest, FakeDiscord},
    fake_slack::{self as workspace, FakeSlack},
    line, policy,
};

/// Of so many figures the 198th is the 99th percentile.
const TIMES: usize = 200;

/// Measures both faces.
pub(crate) async fn run() {
    on_slack().await;
    on_discord().await;
}

/// The bot on one face, by its routes.
struct Bench {
    engine: Arc<Engine>,
    routes: Router,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn with(chat: Box<dyn ChatParts>, face: Face, channel: &str, mention: &Mention) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock);
        let mut policy = policy(100_000, Room::Chat(face), channel);
        let Some(first) = policy.escalation.levels.pop() else { panic!("the policy has a level") };
        let level = |number| Level { number: LevelNumber(number), mentions: vec![mention.clone()], ..first.clone() };
        policy.escalation.levels = vec![level(1), level(2)];
        let journal = folder.path().join("j.sqlite");
        let mut parts = Parts::new(journal, clock.clone(), "bench", policy, Authentication::AtTheProxy);
        parts.performers.push(chat.face());
        let bot = Bot::start(parts).await.unwrap();
        let listening = chat.listen(bot.inbox.clone(), clock, Bodies::default());
        Self { engine: bot.engine, routes: bot.routes.merge(listening.routes), _folder: folder }
    }

    async fn alerts(&self, service: usize) {
        let request = Request::post("/webhooks/alertmanager").body(Body::from(body(service))).unwrap();
        assert!(self.routes.clone().oneshot(request).await.unwrap().status().is_success());
    }
}

/// Milliseconds, as they were taken.
#[derive(Default)]
struct Waits(BTreeMap<&'static str, Vec<f64>>);

impl Waits {
    fn took(&mut self, what: &'static str, began: Instant) {
        self.0.entry(what).or_default().push(began.elapsed().as_secs_f64() * 1_000.0);
    }

    fn print(self, face: &str) {
        for (what, mut waits) in self.0 {
            waits.sort_by(f64::total_cmp);
            let p99 = waits.get(TIMES * 99 / 100 - 1).copied().unwrap();
            line(&format!("{what}_p99_on_{face}"), p99, "ms", "<=500");
        }
    }
}

fn is_card(seen: &str, incident: &str) -> bool {
    shows(seen, incident) && seen.contains("UNANSWERED")
}

fn is_call(seen: &str, incident: &str) -> bool {
    shows(seen, incident) && seen.contains("asks for you")
}

/// Without the markup of either face.
fn shows(seen: &str, incident: &str) -> bool {
    seen.replace(['*', '\\'], "").contains(&format!("{incident} "))
}

async fn on_slack() {
    let slack = FakeSlack::open().await;
    let client = Client::new(&slack.api(), &workspace::BOT_TOKEN.to_owned().into()).unwrap();
    let home = Home {
        team: workspace::TEAM.to_owned(),
        enterprise: None,
        channels: [workspace::CHANNEL.to_owned()].into(),
        whose: Whose::default(),
        groups: Vec::new(),
        hooks: slack.hooks(),
    };
    let on_call = Mention::user(Platform::Slack, "U0ONCALL");
    let roster = Roster { commanders: vec![on_call.clone()], ..Roster::default() };
    let signed = slack::ConnectionMode::Http(workspace::SIGNING_SECRET.to_owned().into());
    let parts = SlackParts::new(client, home, roster, Look::default(), signed, Arc::new(SystemClock));
    let bench = Bench::with(Box::new(parts), Face::Slack, workspace::CHANNEL, &on_call).await;
    let mut waits = Waits::default();
    for service in 0..TIMES {
        let incident = format!("INC-{}", service + 1);
        let began = Instant::now();
        bench.alerts(service).await;
        slack.until("the card", |slack| slack.newest(|seen| is_card(seen, &incident))).await;
        waits.took("webhook_to_card", began);
        let told = slack.whispers("U0ONCALL").len();
        let hand = workspace::Signer::at(Timestamp::now().as_second());
        let typed = slack.typed("U0ONCALL", &format!("escalate {incident}"));
        let began = Instant::now();
        assert!(hand.command(&bench.routes, &typed).await.status().is_success());
        slack.until("an answer", |slack| slack.whispers("U0ONCALL").len() > told).await;
        waits.took("command_to_answer", began);
        slack.until("the call", |slack| slack.newest(|seen| is_call(seen, &incident))).await;
        waits.took("command_to_call", began);
    }
    waits.print("slack");
    bench.engine.stop(std::time::Duration::from_secs(5)).await;
}

async fn on_discord() {
    const ON_CALL: &str = "100000000000000501";
    let fake = FakeDiscord::open(interactions::CHANNEL).await;
    let token = rest::BOT_TOKEN.to_owned().into();
    let client = Rest::new(&fake.api(), &token, Metrics::default()).unwrap();
    let on_call = Mention::user(Platform::Discord, ON_CALL);
    let home = DiscordHome {
        application: APPLICATION.to_owned(),
        guild: GUILD.to_owned(),
        channels: [interactions::CHANNEL.to_owned()].into(),
        whose: Whose::default(),
        groups: Vec::new(),
        roster: Roster { commanders: vec![on_call.clone()], ..Roster::default() },
    };
    let key = PublicKey::parse(&interactions::Signer::at(0).public_key()).unwrap();
    let signed = discord::ConnectionMode::Http(key);
    let (look, clock) = (Look::default(), Arc::new(SystemClock));
    let parts = DiscordParts::new(client, token, home, look, signed, clock, Metrics::default());
    let bench = Bench::with(Box::new(parts), Face::Discord, interactions::CHANNEL, &on_call).await;
    let mut waits = Waits::default();
    for service in 0..TIMES {
        let incident = format!("INC-{}", service + 1);
        let began = Instant::now();
        bench.alerts(service).await;
        fake.until("the card", |fake| fake.newest(|seen| is_card(seen, &incident))).await;
        waits.took("webhook_to_card", began);
        let now = Timestamp::now().as_second();
        let asked =
            Person { user: ON_CALL, roles: &[], at: now }.commands("escalate", &[("incident", json!(incident))]);
        let token = asked.get("token").and_then(serde_json::Value::as_str).unwrap().to_owned();
        let began = Instant::now();
        let answered = interactions::Signer::at(now).sends(&bench.routes, &asked).await;
        assert!(answered.status().is_success());
        let body = axum::body::to_bytes(answered.into_body(), 1 << 20).await.unwrap();
        let first: serde_json::Value = serde_json::from_slice(&body).unwrap();
        // 4: the answer itself; 5: it follows.
        if first.get("type") != Some(&json!(4)) {
            fake.until("an answer", |fake| !fake.whispers(&token).is_empty()).await;
        }
        waits.took("command_to_answer", began);
        fake.until("the call", |fake| fake.newest(|seen| is_call(seen, &incident))).await;
        waits.took("command_to_call", began);
    }
    waits.print("discord");
    bench.engine.stop(std::time::Duration::from_secs(5)).await;
}
