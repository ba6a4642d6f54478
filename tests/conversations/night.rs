//! A night: the mesh, the bot and the workspace, put together as `serve` does, on a clock that runs fast.

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::Router;
use jiff::{SignedDuration, Timestamp};
use mtls_medic::{
    alertmanager::{Mapping, Webhook},
    approval::Rule,
    chat::slack::{Client, Desk, Directory, Home, Look, Roster, SlackOut, router},
    clock::{Clock, SpedClock},
    cluster::{ClusterAdapter, Settings, connect_to},
    engine::{Engine, Inbox},
    escalation::{self, Level, LevelNumber},
    incident::{Destination, Face, Incident, Policy, Room},
    journal::Journal,
    people::Mention,
    simulate::{Simulation, world::Scenario},
};

use crate::fake_slack::{BOT_TOKEN, CHANNEL, FakeSlack, SIGNING_SECRET, Signer, TEAM};

/// How fast the clock runs: a hold time of five minutes in as many seconds.
const RATE: f64 = 60.0;

pub struct Night {
    slack: FakeSlack,
    clock: Arc<SpedClock>,
    engine: Engine,
    inbox: Inbox,
    bot: Router,
    simulation: Simulation,
    _folder: tempfile::TempDir,
}

fn policy() -> Policy {
    let level = |number: u8, team: &str, minutes: i64| Level {
        number: LevelNumber(number),
        team: team.to_owned(),
        window: SignedDuration::from_mins(minutes),
        mentions: vec![Mention::User(format!("U0LEVEL{number}"))],
        pager: None,
    };
    Policy {
        escalation: escalation::Policy {
            levels: vec![
                level(1, "Platform On-Call", 15),
                level(2, "Platform Security", 30),
                level(3, "Infrastructure", 60),
            ],
            repeat_every: SignedDuration::from_hours(1),
            reminder_percent: 33,
            fallback_pager: None,
        },
        approval: Rule { needed: 1, expires_after: SignedDuration::from_mins(30) },
        channels: vec![Destination { face: Face::Slack, channel: CHANNEL.to_owned() }],
        hold: SignedDuration::from_mins(5),
        flap: SignedDuration::from_mins(30),
        stale_after: SignedDuration::from_hours(8),
        storm_per_minute: 10,
        verification_window: SignedDuration::from_mins(2),
        replacement_within: SignedDuration::from_mins(5),
        writes_enabled: true,
    }
}

impl Night {
    pub async fn of(scenario: Scenario) -> Self {
        let slack = FakeSlack::open().await;
        let clock = Arc::new(SpedClock::new(Timestamp::now(), RATE));
        let simulation = Simulation::start(clock.clone(), scenario, "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let reach = connect_to(&simulation.url(), Settings::default()).unwrap();
        let cluster = Arc::new(ClusterAdapter::new(reach, clock.clone()));
        let client = Client::new(&slack.api(), &BOT_TOKEN.to_owned().into()).unwrap();
        let user = |id: &str| Mention::User(id.to_owned());
        let roster = Roster { commanders: vec![user("U0ONCALL"), user("U0SEC")], approvers: vec![user("U0SEC")] };
        let directory = Arc::new(Directory::new(client.clone(), TEAM.to_owned(), roster, clock.clone()));
        let look = Look { links: Vec::new() };
        let face = Arc::new(SlackOut::new(client.clone(), directory.clone(), look));
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("journal.sqlite")).await.unwrap();
        let engine = Engine::builder(journal, clock.clone(), "prod-eu-1", policy())
            .performer(Room::Cluster, cluster.clone())
            .performer(Room::Execute, cluster)
            .performer(Room::Chat(Face::Slack), face)
            .build()
            .await
            .unwrap();
        engine.start();
        let inbox = engine.inbox();
        let home = Home {
            team: TEAM.to_owned(),
            enterprise: None,
            channels: [CHANNEL.to_owned()].into(),
            groups: Vec::new(),
            hooks: slack.hooks(),
        };
        let desk = Desk::new(Arc::new(inbox.clone()), client, directory, home, clock.clone());
        let bot = router(desk, SIGNING_SECRET.to_owned().into(), clock.clone());
        Self { slack, clock, engine, inbox, bot, simulation, _folder: folder }
    }

    async fn delivers(&self, file: &str) {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/alertmanager").join(file);
        let webhook = Webhook::parse(&std::fs::read(path).unwrap()).unwrap();
        let (delivery, _) = Mapping::default().delivery(webhook);
        self.inbox.deliver(&delivery).await.unwrap();
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

    pub async fn is_told(&self, user: &str, words: &str) {
        self.slack.tells(user, words).await;
    }

    pub async fn channel_shows(&self, words: &str) {
        self.slack.until(words, |slack| slack.transcript().contains(words)).await;
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

    pub async fn ends(self) {
        self.engine.stop(Duration::from_secs(5)).await;
        self.simulation.stop().await;
    }
}
