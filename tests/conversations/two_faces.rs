//! The same night on Slack alone, on Discord alone, and on both at once: what is said on one is seen on the other.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, sync::Mutex, time::Duration};

use axum::{Router, body::Body, http::Request};
use jiff::{SignedDuration, Timestamp};
use mtls_medic::{
    alertmanager::Authentication,
    approval::ApprovalRule,
    chat::{
        Look, Roster, Whose,
        discord::{DiscordHome, PublicKey, Rest},
        slack::{Client, Home},
    },
    clock::{Clock, SpedClock},
    cluster::{Settings, connect_to},
    commands::{
        bot::{Bot, Parts},
        chat::ChatParts,
        discord::{self, DiscordParts},
        slack::{self, SlackParts},
    },
    engine::{Engine, Inbox},
    escalation,
    http::{Bodies, Metrics},
    incident::{Destination, Face, FixEnd, FixPhase, Incident, IncidentStatus, Policy},
    people::{Mention, PersonId, Platform, SamePeople},
    remediation::Proof,
    simulate::{Simulation, world::Scenario},
};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{
    fake_interactions::{self as interactions, APPLICATION, GUILD, Person},
    fake_rest::{self as rest, FakeDiscord},
    fake_slack::{self as workspace, FakeSlack},
};

/// How fast the clock runs.
const RATE: f64 = 60.0;

/// Everybody, by their ids on Slack and on Discord. Only `SECURITY` is linked.
const ON_CALL: [&str; 2] = ["U0ONCALL", "100000000000000501"];
const SECURITY: [&str; 2] = ["U0SEC", "100000000000000502"];
const OTHER: [&str; 2] = ["U0OTHER", "100000000000000503"];
/// The server's role of those who approve.
const APPROVERS: &str = "100000000000000600";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    Slack,
    Discord,
}

/// One bot, and the chats that it is on.
struct Night {
    slack: Option<FakeSlack>,
    discord: Option<FakeDiscord>,
    clock: Arc<dyn Clock>,
    engine: Arc<Engine>,
    inbox: Inbox,
    bot: Router,
    simulation: Simulation,
    /// The tokens of what each person asked on Discord: private answers go by them.
    tokens: Mutex<BTreeMap<String, Vec<String>>>,
    _folder: tempfile::TempDir,
}

fn on_slack(user: &str) -> PersonId {
    PersonId { platform: Platform::Slack, workspace: workspace::TEAM.to_owned(), user: user.to_owned() }
}

fn on_discord(user: &str) -> PersonId {
    PersonId { platform: Platform::Discord, workspace: GUILD.to_owned(), user: user.to_owned() }
}

fn roster() -> Roster {
    let user = |[slack, discord]: [&str; 2]| {
        [Mention::user(Platform::Slack, slack), Mention::user(Platform::Discord, discord)]
    };
    Roster {
        commanders: [ON_CALL, SECURITY, OTHER].into_iter().flat_map(user).collect(),
        approvers: vec![
            Mention::user(Platform::Slack, SECURITY[0]),
            Mention::user(Platform::Slack, OTHER[0]),
            Mention::group(Platform::Discord, APPROVERS),
        ],
        same: SamePeople::new([[on_slack(SECURITY[0]), on_discord(SECURITY[1])].into()]),
    }
}

fn policy(faces: &[On]) -> Policy {
    let slack = Destination { face: Face::Slack, channel: workspace::CHANNEL.to_owned() };
    let discord = Destination { face: Face::Discord, channel: interactions::CHANNEL.to_owned() };
    let channels = faces.iter().map(|face| if *face == On::Slack { slack.clone() } else { discord.clone() }).collect();
    let mut ladder =
        escalation::EscalationPolicy::runbook(["1", "2", "3"].map(|one| Mention::user(Platform::Page, one)));
    for (number, level) in (1..).zip(&mut ladder.levels) {
        level.mentions = vec![
            Mention::user(Platform::Slack, format!("U0LEVEL{number}")),
            Mention::user(Platform::Discord, format!("10000000000000070{number}")),
        ];
    }
    Policy {
        approval: ApprovalRule { needed: 1, expires_after: SignedDuration::from_mins(30) },
        writes_enabled: true,
        ..Policy::usual(ladder, channels)
    }
}

impl Night {
    async fn on(faces: &[On]) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SpedClock::new(Timestamp::now(), RATE));
        let listen = "127.0.0.1:0".parse().unwrap();
        let simulation = Simulation::start(clock.clone(), Scenario::ExpiredCertificate, listen).await.unwrap();
        let reach = connect_to(&simulation.url(), Settings::default()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal.sqlite");
        let open = Authentication::AtTheProxy;
        let mut parts = Parts::new(journal, clock.clone(), "prod-eu-1", policy(faces), open).in_reach(reach);
        let (mut chats, mut slack, mut discord): (Vec<Box<dyn ChatParts>>, _, _) = (Vec::new(), None, None);
        if faces.contains(&On::Slack) {
            let fake = FakeSlack::open().await;
            chats.push(Box::new(slack_parts(&fake, &clock)));
            slack = Some(fake);
        }
        if faces.contains(&On::Discord) {
            let fake = FakeDiscord::open(interactions::CHANNEL).await;
            chats.push(Box::new(discord_parts(&fake, &clock)));
            discord = Some(fake);
        }
        parts.performers.extend(chats.iter().map(|chat| chat.face()));
        let Bot { engine, inbox, routes, .. } = Bot::start(parts).await.unwrap();
        let mut bot = routes;
        for chat in chats {
            bot = bot.merge(chat.listen(inbox.clone(), clock.clone(), Bodies::default()).routes);
        }
        let tokens = Mutex::default();
        Self { slack, discord, clock, engine, inbox, bot, simulation, tokens, _folder: folder }
    }

    async fn alertmanager_delivers(&self, file: &str) {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/alertmanager").join(file);
        let request = Request::post("/webhooks/alertmanager").body(Body::from(std::fs::read(path).unwrap())).unwrap();
        assert_eq!(self.bot.clone().oneshot(request).await.unwrap().status(), 200);
    }

    fn person<'a>(&self, who: [&'a str; 2]) -> Person<'a> {
        let roles: &[&str] = if who == SECURITY || who == OTHER { &[APPROVERS] } else { &[] };
        Person { user: who[1], roles, at: self.clock.now().as_second() }
    }

    /// Gives the first answer.
    async fn interacts(&self, who: [&str; 2], interaction: Value) -> Value {
        let token = interaction["token"].as_str().unwrap().to_owned();
        self.tokens.lock().unwrap().entry(who[1].to_owned()).or_default().push(token);
        let signer = interactions::Signer::at(self.clock.now().as_second());
        let response = signer.sends(&self.bot, &interaction).await;
        assert!(response.status().is_success(), "{interaction}: {}", response.status());
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    /// Gives a command: typed on Slack, chosen by its parts on Discord.
    async fn says(&self, on: On, who: [&str; 2], verb: &str, options: &[(&str, &str)]) {
        match on {
            On::Slack => {
                let words: Vec<&str> = std::iter::once(verb).chain(options.iter().map(|(_, word)| *word)).collect();
                let signer = workspace::Signer::at(self.clock.now().as_second());
                let typed = self.slack.as_ref().unwrap().typed(who[0], &words.join(" "));
                assert!(signer.command(&self.bot, &typed).await.status().is_success());
            }
            On::Discord => {
                let options: Vec<(&str, Value)> = options.iter().map(|(name, word)| (*name, json!(word))).collect();
                self.interacts(who, self.person(who).commands(verb, &options)).await;
            }
        }
    }

    /// Presses the newest button that begins so.
    async fn presses(&self, on: On, who: [&str; 2], label: &str) -> Value {
        match on {
            On::Slack => {
                let slack = self.slack.as_ref().unwrap();
                slack.until(label, |slack| slack.with_button(label).is_some()).await;
                let signer = workspace::Signer::at(self.clock.now().as_second());
                let payload = slack.pressed(who[0], label);
                assert!(signer.interaction(&self.bot, &payload).await.status().is_success());
                Value::Null
            }
            On::Discord => {
                let discord = self.discord.as_ref().unwrap();
                discord.until(label, |discord| discord.with_button(label).is_some()).await;
                let (message, id) = discord.with_button(label).unwrap();
                self.interacts(who, self.person(who).presses(&message, &id)).await
            }
        }
    }

    async fn is_told(&self, on: On, who: [&str; 2], words: &str) {
        match on {
            On::Slack => self.slack.as_ref().unwrap().tells(who[0], words).await,
            On::Discord => {
                let told = |discord: &FakeDiscord| {
                    let tokens = self.tokens.lock().unwrap().get(who[1]).cloned().unwrap_or_default();
                    tokens.iter().flat_map(|token| discord.whispers(token)).any(|said| said.to_string().contains(words))
                };
                self.discord.as_ref().unwrap().until(words, told).await;
            }
        }
    }

    /// Each channel shows it.
    async fn all_show(&self, words: &str) {
        if let Some(slack) = &self.slack {
            slack.until(words, |slack| slack.transcript().contains(words)).await;
        }
        if let Some(discord) = &self.discord {
            discord.until(words, |discord| discord.transcript().replace('\\', "").contains(words)).await;
        }
    }

    async fn incident(&self) -> Incident {
        self.inbox.newest(1).await.unwrap()[0].incident.clone()
    }

    async fn ends(self) {
        self.engine.stop(Duration::from_secs(5)).await;
        self.simulation.stop().await;
    }
}

fn slack_parts(fake: &FakeSlack, clock: &Arc<dyn Clock>) -> SlackParts {
    let client = Client::new(&fake.api(), &workspace::BOT_TOKEN.to_owned().into()).unwrap();
    let home = Home {
        team: workspace::TEAM.to_owned(),
        enterprise: None,
        channels: [workspace::CHANNEL.to_owned()].into(),
        whose: Whose::default(),
        groups: Vec::new(),
        hooks: fake.hooks(),
    };
    let signed = slack::ConnectionMode::Http(workspace::SIGNING_SECRET.to_owned().into());
    SlackParts::new(client, home, roster(), Look::default(), signed, clock.clone())
}

fn discord_parts(fake: &FakeDiscord, clock: &Arc<dyn Clock>) -> DiscordParts {
    let token = rest::BOT_TOKEN.to_owned().into();
    let client = Rest::new(&fake.api(), &token, Metrics::default()).unwrap();
    let home = DiscordHome {
        application: APPLICATION.to_owned(),
        guild: GUILD.to_owned(),
        channels: [interactions::CHANNEL.to_owned()].into(),
        whose: Whose::default(),
        groups: Vec::new(),
        roster: roster(),
    };
    let key = PublicKey::parse(&interactions::Signer::at(0).public_key()).unwrap();
    let way = discord::ConnectionMode::Http(key);
    DiscordParts::new(client, token, home, Look::default(), way, clock.clone(), Metrics::default())
}

/// Alert, call, acknowledge, triage, fix asked, approved by somebody else, proved, closed.
async fn a_whole_night(faces: &[On], first: On, then: On) {
    let night = Night::on(faces).await;
    night.alertmanager_delivers("firing-one-service.json").await;
    night.all_show("is mentioned").await;
    night.all_show("expired certificate").await;

    night.says(first, ON_CALL, "ack", &[]).await;
    night.is_told(first, ON_CALL, "Nobody else is called").await;
    night.all_show("has it").await;
    night.says(then, OTHER, "ack", &[]).await;
    night.is_told(then, OTHER, "has acknowledged it already").await;
    night.says(first, ON_CALL, "fix", &[("fix", "restart-pod")]).await;
    night.all_show("Approval wanted").await;
    night.says(first, ON_CALL, "approve", &[]).await;
    night.is_told(first, ON_CALL, "somebody else has to approve it").await;
    if first != then {
        night.says(then, OTHER, "approve", &[]).await;
        night.is_told(then, OTHER, "does not say who you are there").await;
        night.says(then, ON_CALL, "approve", &[]).await;
        night.is_told(then, ON_CALL, "may approve").await;
    }
    night.says(then, SECURITY, "approve", &[]).await;
    night.is_told(then, SECURITY, "Approved: restart-pod runs now").await;

    night.all_show("worked").await;
    night.alertmanager_delivers("resolved-one-service.json").await;
    night.all_show("Closed").await;
    night.all_show("🟢").await;

    let incident = night.incident().await;
    assert!(matches!(incident.status, IncidentStatus::Closed { .. }));
    let end = &incident.past_fixes[0].end;
    assert!(matches!(end, FixEnd::Verified { verification } if verification.proof == Proof::Worked), "{end:?}");
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_on_slack_alone() {
    a_whole_night(&[On::Slack], On::Slack, On::Slack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_on_discord_alone() {
    a_whole_night(&[On::Discord], On::Discord, On::Discord).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_on_both_asked_for_on_slack_and_approved_on_discord() {
    a_whole_night(&[On::Slack, On::Discord], On::Slack, On::Discord).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_on_both_asked_for_on_discord_and_approved_on_slack() {
    a_whole_night(&[On::Slack, On::Discord], On::Discord, On::Slack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_button_that_was_pressed_on_one_face_is_gone_from_both() {
    let night = Night::on(&[On::Slack, On::Discord]).await;
    night.alertmanager_delivers("firing-one-service.json").await;
    night.all_show("is mentioned").await;
    night.presses(On::Discord, ON_CALL, "Acknowledge").await;
    night.is_told(On::Discord, ON_CALL, "Nobody else is called").await;
    let gone_from_slack = |slack: &FakeSlack| slack.with_button("Acknowledge").is_none();
    night.slack.as_ref().unwrap().until("the button is gone from Slack", gone_from_slack).await;
    let gone_from_discord = |discord: &FakeDiscord| discord.with_button("Acknowledge").is_none();
    night.discord.as_ref().unwrap().until("the button is gone from Discord", gone_from_discord).await;
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_discord_a_press_that_changes_something_is_asked_back_and_decided_on_once_it_is_confirmed() {
    let night = Night::on(&[On::Discord]).await;
    night.alertmanager_delivers("firing-one-service.json").await;
    night.all_show("expired certificate").await;
    night.says(On::Discord, ON_CALL, "fix", &[("fix", "restart-pod")]).await;
    night.all_show("Approval wanted").await;
    let question = night.presses(On::Discord, SECURITY, "Approve").await;
    assert_eq!(question["type"], 4, "{question}");
    assert_eq!(question["data"]["embeds"][0]["title"], "Approve restart-pod?");
    assert!(matches!(night.incident().await.fix.unwrap().phase, FixPhase::Asking { .. }), "nothing was decided yet");
    let yes = question["data"]["components"][0]["components"][0]["custom_id"].as_str().unwrap();
    let message = json!({ "id": "100000000000000900", "flags": 64, "embeds": [], "components": [], "type": 0 });
    night.interacts(SECURITY, night.person(SECURITY).presses(&message, yes)).await;
    night.all_show("worked").await;
    night.ends().await;
}
