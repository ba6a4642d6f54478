//! A night: the mesh, the bot and the workspace, put together as `serve` does, on a clock that runs fast.

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::{Router, body::Body, http::Request};
use jiff::{SignedDuration, Timestamp};
use mtls_medic::{
    alertmanager::Authentication,
    approval::ApprovalRule,
    chat::{
        Look, Roster, Whose,
        slack::{Client, Home},
    },
    clock::{Clock, SpedClock, VirtualClock},
    cluster::{Settings, connect_to},
    commands::{
        bot::{Bot, Parts},
        chat::ChatParts,
        slack::{ConnectionMode, SlackParts},
    },
    engine::{Engine, Inbox},
    escalation::{self},
    http::Bodies,
    incident::{Destination, Event, Face, Incident, OwnCluster, Policy},
    people::{Mention, Platform},
    simulate::{Simulation, world::Scenario},
};

use serde_json::{Value, json};
use tower::ServiceExt;

use crate::fake_slack::{BOT_TOKEN, CHANNEL, FakeSlack, Message, SIGNING_SECRET, Signer, TEAM};

/// How fast the clock runs: a hold time of five minutes in as many seconds.
const RATE: f64 = 60.0;

pub struct Night {
    pub slack: FakeSlack,
    clock: Arc<dyn Clock>,
    pub engine: Arc<Engine>,
    pub inbox: Inbox,
    bot: Router,
    pub simulation: Simulation,
    _folder: tempfile::TempDir,
}

fn policy() -> Policy {
    let users = ["U0LEVEL1", "U0LEVEL2", "U0LEVEL3"].map(|user| Mention::user(Platform::Slack, user));
    let channel = Destination { face: Face::Slack, channel: CHANNEL.to_owned() };
    Policy {
        approval: ApprovalRule { needed: 1, expires_after: SignedDuration::from_mins(30) },
        writes_enabled: true,
        ..Policy::usual(escalation::EscalationPolicy::runbook(users), vec![channel])
    }
}

impl Night {
    /// A night on a clock that runs fast, with the runbook's windows.
    pub async fn of(scenario: Scenario) -> Self {
        Self::with(scenario, Arc::new(SpedClock::new(Timestamp::now(), RATE)), policy()).await
    }

    /// A night whose windows are so long that nothing happens by itself while people talk.
    pub async fn calm(scenario: Scenario) -> Self {
        let mut policy = policy();
        for level in &mut policy.escalation.levels {
            level.window = SignedDuration::from_hours(12);
        }
        Self::with(scenario, Arc::new(SpedClock::new(Timestamp::now(), RATE)), policy).await
    }

    /// A night whose fixes are watched for so long that they are still running while people talk.
    pub async fn thorough(scenario: Scenario) -> Self {
        let policy = Policy { verification_window: SignedDuration::from_hours(1), ..policy() };
        Self::with(scenario, Arc::new(SpedClock::new(Timestamp::now(), RATE)), policy).await
    }

    /// A night in which people are called about one incident a minute, and about the rest as one storm.
    pub async fn stormy(scenario: Scenario) -> Self {
        let policy = Policy { storm_per_minute: 1, ..policy() };
        Self::with(scenario, Arc::new(SpedClock::new(Timestamp::now(), RATE)), policy).await
    }

    /// A night of the bot of another cluster than the alerts'.
    pub async fn elsewhere(scenario: Scenario) -> Self {
        let policy = Policy { cluster: OwnCluster::new("blue", []), ..policy() };
        Self::with(scenario, Arc::new(SpedClock::new(Timestamp::now(), RATE)), policy).await
    }

    /// Alerts of these services fire in one body.
    pub async fn alerts_fire_on(&self, services: &[(&str, &str)]) {
        let alerts: Vec<Value> = services
            .iter()
            .map(|(namespace, service)| {
                json!({
                    "status": "firing", "startsAt": self.clock.now().to_string(), "fingerprint": format!("f-{service}"),
                    "labels": {
                        "alertname": "MTLSHandshakeFailureRateHigh", "cluster": "prod-eu-1", "namespace": namespace,
                        "service": service,
                    },
                })
            })
            .collect();
        let body = json!({ "version": "4", "groupKey": "g", "status": "firing", "alerts": alerts }).to_string();
        self.webhook_comes(body.into()).await;
    }

    async fn webhook_comes(&self, body: Vec<u8>) {
        let request = Request::post("/webhooks/alertmanager").body(Body::from(body)).unwrap();
        let response = self.bot.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
    }

    /// A night whose questions expire after two minutes.
    pub async fn impatient(scenario: Scenario) -> Self {
        let policy =
            Policy { approval: ApprovalRule { needed: 1, expires_after: SignedDuration::from_mins(2) }, ..policy() };
        Self::with(scenario, Arc::new(SpedClock::new(Timestamp::now(), RATE)), policy).await
    }

    /// A night on a clock that stands still until the test moves it.
    pub async fn standing_still(scenario: Scenario, clock: Arc<VirtualClock>) -> Self {
        Self::with(scenario, clock, policy()).await
    }

    async fn with(scenario: Scenario, clock: Arc<dyn Clock>, policy: Policy) -> Self {
        let slack = FakeSlack::open().await;
        let simulation = Simulation::start(clock.clone(), scenario, "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let reach = connect_to(&simulation.url(), Settings::default()).unwrap();
        let client = Client::new(&slack.api(), &BOT_TOKEN.to_owned().into()).unwrap();
        let user = |id: &str| Mention::user(Platform::Slack, id);
        let roster = Roster {
            commanders: vec![user("U0ONCALL"), user("U0SEC"), user("U0OTHER")],
            approvers: vec![user("U0SEC")],
            ..Roster::default()
        };
        let home = Home {
            team: TEAM.to_owned(),
            enterprise: None,
            channels: [CHANNEL.to_owned()].into(),
            whose: Whose::default(),
            groups: Vec::new(),
            hooks: slack.hooks(),
        };
        let signed = ConnectionMode::Http(SIGNING_SECRET.to_owned().into());
        let workspace = SlackParts::new(client, home, roster, Look::default(), signed, clock.clone());
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal.sqlite");
        let open = Authentication::AtTheProxy;
        let mut parts = Parts::new(journal, clock.clone(), "prod-eu-1", policy, open).in_reach(reach);
        parts.performers.push(workspace.face());
        let Bot { engine, inbox, routes, .. } = Bot::start(parts).await.unwrap();
        let slack_routes = Box::new(workspace).listen(inbox.clone(), clock.clone(), Bodies::default()).routes;
        Self { slack, clock, engine, inbox, bot: routes.merge(slack_routes), simulation, _folder: folder }
    }

    async fn delivers(&self, file: &str) {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/alertmanager").join(file);
        self.webhook_comes(std::fs::read(path).unwrap()).await;
    }

    pub async fn alertmanager_fires(&self) {
        self.delivers("firing-one-service.json").await;
    }

    pub async fn alertmanager_resolves(&self) {
        self.delivers("resolved-one-service.json").await;
    }

    /// Types `/mtls …` as somebody; Slack is answered at once.
    pub async fn says(&self, user: &str, text: &str) {
        let signer = Signer::at(self.clock.now().as_second());
        let response = signer.command(&self.bot, &self.slack.typed(user, text)).await;
        assert!(response.status().is_success(), "{text}: {}", response.status());
    }

    /// Presses the newest button that says so, and gives what Slack sent for it, to be sent again.
    pub async fn presses(&self, user: &str, label: &str) -> Value {
        self.slack.until(label, |slack| slack.with_button(label).is_some()).await;
        let payload = self.slack.pressed(user, label);
        self.is_sent(&payload).await;
        payload
    }

    /// A press arrives: for the first time, or again.
    pub async fn is_sent(&self, payload: &Value) {
        let signer = Signer::at(self.clock.now().as_second());
        let response = signer.interaction(&self.bot, payload).await;
        assert!(response.status().is_success(), "{}", response.status());
    }

    /// Asks for something that is refused: in these words, privately, and nothing has changed.
    pub async fn is_refused(&self, user: &str, text: &str, words: &str) {
        let before = (self.standing().await, self.slack.whispers(user).len());
        self.says(user, text).await;
        self.is_told_next(user, before.1, words).await;
        assert_eq!(self.standing().await, before.0, "{text} was refused and changed something all the same");
    }

    /// What the person is told after so many answers.
    pub async fn is_told_next(&self, user: &str, after: usize, words: &str) {
        self.slack.until(words, |slack| slack.whispers(user).len() > after).await;
        let told = self.slack.whispers(user)[after].clone();
        assert!(told.contains(words), "{words:?} was expected, and this was said: {told}");
    }

    /// All that a decision of a person can change.
    async fn standing(&self) -> Vec<String> {
        let events = self.inbox.events(self.incident().await.id).await.unwrap();
        let by_itself = |event: &Event| {
            matches!(
                event,
                Event::CardPosted { .. }
                    | Event::LevelCalled { .. }
                    | Event::VerificationBegan { .. }
                    | Event::Reminded { .. }
                    | Event::StepStarted { .. }
                    | Event::StepDone { .. }
                    | Event::StepAwaited { .. }
                    | Event::StepSettled { .. }
                    | Event::Sampled { .. }
            )
        };
        events
            .iter()
            .map(|stored| &stored.event)
            .filter(|event| !by_itself(event))
            .map(|event| format!("{event:?}"))
            .collect()
    }

    pub async fn events(&self) -> Vec<Event> {
        let stored = self.inbox.events(self.incident().await.id).await.unwrap();
        stored.into_iter().map(|stored| stored.event).collect()
    }

    pub async fn is_told(&self, user: &str, words: &str) {
        self.slack.tells(user, words).await;
    }

    pub async fn channel_shows(&self, words: &str) {
        self.slack.until(words, |slack| slack.transcript().contains(words)).await;
    }

    /// Waits for a message of its own, not for words on the card, which are there sooner when Slack holds a post up.
    pub async fn is_posted(&self, words: &str) {
        let is_posted = |message: &Message| !message.is_card() && message.seen().contains(words);
        self.slack.until(words, |slack| slack.messages().iter().any(is_posted)).await;
    }

    /// What the card has ever shown, one version after the other.
    pub fn card_ever_showed(&self, words: &str) -> bool {
        self.slack.messages().iter().any(|message| message.earlier.iter().any(|seen| seen.contains(words)))
    }

    pub async fn incident(&self) -> Incident {
        self.inbox.newest(1).await.unwrap()[0].incident.clone()
    }

    /// The incident's cards in the channel. A call that was faster than the card stands beside it: a page waits for nothing.
    pub fn cards(&self) -> usize {
        let is_card = |seen: String| !seen.contains("is mentioned");
        self.slack.messages().iter().filter(|message| message.thread.is_none() && is_card(message.seen())).count()
    }

    pub async fn until_the_fix_has_ended(&self) {
        let ended = async {
            let mut changes = self.inbox.changes();
            while self.incident().await.past_fixes.is_empty() {
                drop(changes.recv().await);
            }
        };
        tokio::time::timeout(Duration::from_secs(30), ended).await.expect("the fix never ended");
    }

    pub async fn ends(self) {
        self.engine.stop(Duration::from_secs(5)).await;
        self.simulation.stop().await;
    }
}
