//! Nights whose stories run on each face: the same lines on Slack and on Discord.

mod calls;
mod decisions;
mod refusals;
mod trouble;
mod whole_nights;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

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
    clock::{Clock, SpedClock, VirtualClock},
    cluster::{Settings, connect_to},
    commands::{
        bot::{Bot, Parts},
        chat::ChatParts,
        discord::{self, DiscordParts},
        slack::{self, SlackParts},
    },
    engine::{Engine, Inbox},
    escalation,
    http::Bodies,
    incident::{Destination, Event, Face, Incident, Keeper, OwnCluster, Policy},
    metrics::Metrics,
    people::{Mention, PersonId, Platform, SamePeople},
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
const STRANGER: [&str; 2] = ["U0STRANGER", "100000000000000504"];
/// The alert's cluster.
const CLUSTER: &str = "prod-eu-1";
/// The server's role of those who approve.
const APPROVERS: &str = "100000000000000600";
/// The workspace's group of the same.
const SLACK_APPROVERS: &str = "S0APPROVERS";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    Slack,
    Discord,
}

impl On {
    /// Somebody's id there.
    fn id(self, who: [&str; 2]) -> &str {
        let [slack, discord] = who;
        match self {
            Self::Slack => slack,
            Self::Discord => discord,
        }
    }

    /// As a mention of them is written there.
    fn mention(self, who: [&str; 2]) -> String {
        format!("<@{}>", self.id(who))
    }
}

/// Plays a story on each face by itself.
async fn on_each_face<Played: Future<Output = ()>>(story: impl Fn(On) -> Played) {
    tokio::join!(story(On::Slack), story(On::Discord));
}

/// What a night begins with.
struct Setting {
    faces: Vec<On>,
    clock: Arc<dyn Clock>,
    policy: Policy,
    /// The bot's own.
    cluster: &'static str,
}

impl Setting {
    /// On a clock that runs fast, with the runbook's windows.
    fn on(faces: &[On]) -> Self {
        let clock = Arc::new(SpedClock::new(Timestamp::now(), RATE));
        Self { faces: faces.to_owned(), clock, policy: policy(faces), cluster: CLUSTER }
    }
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
    tokens: Mutex<BTreeMap<String, BTreeSet<String>>>,
    /// What Discord was answered with the response itself, by person.
    first_answers: Mutex<Vec<(String, Value)>>,
    /// Who has lost the role of those who approve on Discord.
    without_role: Mutex<Vec<String>>,
    _folder: tempfile::TempDir,
}

/// The chats that bots share.
#[derive(Default)]
struct Fakes {
    slack: Option<FakeSlack>,
    discord: Option<FakeDiscord>,
}

/// What is tried again within this is tried now.
const SOON: SignedDuration = SignedDuration::from_mins(3);

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
        approvers: vec![Mention::group(Platform::Slack, SLACK_APPROVERS), Mention::group(Platform::Discord, APPROVERS)],
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
        Self::of(Setting::on(faces), Fakes::default()).await
    }

    /// On a clock that stands still until the story moves it.
    async fn still(on: On) -> (Self, Arc<VirtualClock>) {
        let clock = Arc::new(VirtualClock::starting_at(Timestamp::now()));
        (Self::of(Setting { clock: clock.clone(), ..Setting::on(&[on]) }, Fakes::default()).await, clock)
    }

    /// The bot of another cluster, in the same channels.
    async fn beside(&self, cluster: &'static str) -> Self {
        let faces: Vec<On> = [On::Slack, On::Discord].into_iter().filter(|on| self.is_on(*on)).collect();
        let policy = Policy { cluster: OwnCluster::new(cluster, []), ..policy(&faces) };
        let setting = Setting { faces, clock: self.clock.clone(), policy, cluster };
        Self::of(setting, Fakes { slack: self.slack.clone(), discord: self.discord.clone() }).await
    }

    async fn of(setting: Setting, fakes: Fakes) -> Self {
        let Setting { faces, clock, policy, cluster } = setting;
        let listen = "127.0.0.1:0".parse().unwrap();
        let simulation = Simulation::start(clock.clone(), Scenario::ExpiredCertificate, listen).await.unwrap();
        let reach = connect_to(&simulation.url(), Settings::default()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal.sqlite");
        let open = Authentication::AtTheProxy;
        let mut parts = Parts::new(journal, clock.clone(), cluster, policy, open).in_reach(reach);
        let (mut chats, mut slack, mut discord): (Vec<Box<dyn ChatParts>>, _, _) = (Vec::new(), None, None);
        let whose = Whose::new(OwnCluster::new(cluster, []), Keeper::new(cluster, false));
        if faces.contains(&On::Slack) {
            let fake = if let Some(fake) = fakes.slack { fake } else { FakeSlack::open().await };
            fake.group(SLACK_APPROVERS, &[SECURITY[0], OTHER[0]]);
            chats.push(Box::new(slack_parts(&fake, &clock, whose.clone())));
            slack = Some(fake);
        }
        if faces.contains(&On::Discord) {
            let fake =
                if let Some(fake) = fakes.discord { fake } else { FakeDiscord::open(interactions::CHANNEL).await };
            chats.push(Box::new(discord_parts(&fake, &clock, whose)));
            discord = Some(fake);
        }
        parts.performers.extend(chats.iter().map(|chat| chat.face()));
        let Bot { engine, inbox, routes, .. } = Bot::start(parts).await.unwrap();
        let mut bot = routes;
        for chat in chats {
            bot = bot.merge(chat.listen(inbox.clone(), clock.clone(), Bodies::default()).routes);
        }
        let (tokens, first_answers, without_role) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self {
            slack,
            discord,
            clock,
            engine,
            inbox,
            bot,
            simulation,
            tokens,
            first_answers,
            without_role,
            _folder: folder,
        }
    }

    fn is_on(&self, on: On) -> bool {
        match on {
            On::Slack => self.slack.is_some(),
            On::Discord => self.discord.is_some(),
        }
    }

    fn slack(&self) -> &FakeSlack {
        self.slack.as_ref().unwrap()
    }

    fn discord(&self) -> &FakeDiscord {
        self.discord.as_ref().unwrap()
    }

    /// Does all that is due, and what is tried again soon; the windows of people are not passed.
    async fn settles(&self, clock: &VirtualClock) {
        self.engine.settled().await.unwrap();
        while let Some(due) = self.engine.next_due().await.unwrap().filter(|due| *due < clock.now() + SOON) {
            clock.set(due.max(clock.now()));
            self.engine.settled().await.unwrap();
        }
    }

    async fn alertmanager_delivers(&self, file: &str) {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/alertmanager").join(file);
        let request = Request::post("/webhooks/alertmanager").body(Body::from(std::fs::read(path).unwrap())).unwrap();
        assert_eq!(self.bot.clone().oneshot(request).await.unwrap().status(), 200);
    }

    fn person<'a>(&self, who: [&'a str; 2]) -> Person<'a> {
        let removed = self.without_role.lock().unwrap().iter().any(|user| user == who[1]);
        let roles: &[&str] = if !removed && (who == SECURITY || who == OTHER) { &[APPROVERS] } else { &[] };
        Person { user: who[1], roles, at: self.clock.now().as_second() }
    }

    /// Gives the first answer.
    async fn interacts(&self, who: [&str; 2], interaction: &Value) -> Value {
        let token = interaction["token"].as_str().unwrap().to_owned();
        self.tokens.lock().unwrap().entry(who[1].to_owned()).or_default().insert(token);
        let signer = interactions::Signer::at(self.clock.now().as_second());
        let response = signer.sends(&self.bot, interaction).await;
        assert!(response.status().is_success(), "{interaction}: {}", response.status());
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let answer: Value = serde_json::from_slice(&body).unwrap();
        self.first_answers.lock().unwrap().push((who[1].to_owned(), answer.clone()));
        answer
    }

    /// Begins to press the newest button that begins so, and gives the request that decides: on Discord the press of the
    /// answer to what was asked back, where something is.
    async fn holds_down(&self, on: On, who: [&str; 2], label: &str) -> Value {
        match on {
            On::Slack => {
                self.slack().until(label, |slack| slack.with_button(label).is_some()).await;
                self.slack().pressed(who[0], label)
            }
            On::Discord => {
                self.discord().until(label, |discord| discord.with_button(label).is_some()).await;
                let (message, id) = self.discord().with_button(label).unwrap();
                let press = self.person(who).presses(&message, &id);
                if id.starts_with("1!") {
                    return press;
                }
                let question = self.interacts(who, &press).await;
                self.confirms(who, &question)
            }
        }
    }

    /// The press of the button of what was asked back on Discord.
    fn confirms(&self, who: [&str; 2], question: &Value) -> Value {
        let yes = question["data"]["components"][0]["components"][0]["custom_id"].as_str().unwrap();
        let message = json!({ "id": "100000000000000900", "flags": 64, "embeds": [], "components": [], "type": 0 });
        self.person(who).presses(&message, yes)
    }

    /// A request arrives: for the first time, or again.
    async fn arrives(&self, on: On, who: [&str; 2], request: &Value) {
        match on {
            On::Slack => {
                let signer = workspace::Signer::at(self.clock.now().as_second());
                assert!(signer.interaction(&self.bot, request).await.status().is_success());
            }
            On::Discord => drop(self.interacts(who, request).await),
        }
    }

    /// Presses a button, and confirms it where that is asked.
    async fn decides(&self, on: On, who: [&str; 2], label: &str) {
        let request = self.holds_down(on, who, label).await;
        self.arrives(on, who, &request).await;
    }

    /// How often a person was told this privately.
    fn times_told(&self, on: On, who: [&str; 2], words: &str) -> usize {
        let told: Vec<String> = match on {
            On::Slack => self.slack().whispers(who[0]),
            On::Discord => {
                let tokens = self.tokens.lock().unwrap().get(who[1]).cloned().unwrap_or_default();
                let later = tokens.iter().flat_map(|token| self.discord().whispers(token));
                let first = self.first_answers.lock().unwrap().clone();
                let first =
                    first.into_iter().filter(|(user, _)| user == who[1]).map(|(_, answer)| answer["data"].clone());
                later.chain(first).map(|said| said.to_string().replace('\\', "")).collect()
            }
        };
        told.iter().filter(|said| said.contains(words)).count()
    }

    /// The person is told it once more than so often.
    async fn is_told_again(&self, on: On, who: [&str; 2], words: &str, before: usize) {
        match on {
            On::Slack => self.slack().until(words, |_| self.times_told(on, who, words) > before).await,
            On::Discord => self.discord().until(words, |_| self.times_told(on, who, words) > before).await,
        }
    }

    /// Asks for something that is refused: in these words, privately, and nothing has changed.
    async fn is_refused(&self, on: On, who: [&str; 2], verb: &str, options: &[(&str, &str)], words: &str) {
        let before = (self.decisions().await, self.times_told(on, who, words));
        self.says(on, who, verb, options).await;
        self.is_told_again(on, who, words, before.1).await;
        assert_eq!(
            self.decisions().await,
            before.0,
            "{verb} {options:?} was refused and changed something all the same"
        );
    }

    /// Somebody is no longer among those who approve, wherever their group is kept.
    fn leaves<'a>(&self, on: On, who: [&'a str; 2]) -> [&'a str; 2] {
        match on {
            On::Slack => self.slack().group(SLACK_APPROVERS, &[SECURITY[0]]),
            On::Discord => self.without_role.lock().unwrap().push(who[1].to_owned()),
        }
        who
    }

    /// Deletes the card, as a person could.
    fn deletes_the_card(&self, on: On) {
        match on {
            On::Slack => self.slack().delete(&self.slack_card().ts),
            On::Discord => self.discord().delete(&self.discord().in_channel()[0].id, false),
        }
    }

    fn slack_card(&self) -> workspace::Message {
        self.slack().messages().into_iter().find(workspace::Message::is_card).unwrap()
    }

    fn is_in_the_thread_of_the_card(&self, on: On, words: &str) -> bool {
        match on {
            On::Slack => {
                let card = self.slack_card().ts;
                let is_it = |one: &workspace::Message| one.seen().contains(words) && one.thread.as_ref() == Some(&card);
                self.slack().messages().iter().any(is_it)
            }
            On::Discord => {
                let is_card = |one: &rest::Message| one.seen().contains("On the hook");
                let card = self.discord().in_channel().into_iter().rfind(is_card).unwrap().id;
                self.discord().messages().iter().any(|one| one.seen().contains(words) && one.channel == card)
            }
        }
    }

    /// All that people decided.
    async fn decisions(&self) -> Vec<String> {
        let by_a_person = |event: &Event| {
            matches!(
                event,
                Event::Acknowledged { .. }
                    | Event::FixProposed { .. }
                    | Event::FixApproved { .. }
                    | Event::FixEnded { .. }
                    | Event::Closed { .. }
            )
        };
        self.events().await.iter().filter(|event| by_a_person(event)).map(|event| format!("{event:?}")).collect()
    }

    async fn events(&self) -> Vec<Event> {
        let stored = self.inbox.events(self.incident().await.id).await.unwrap();
        stored.into_iter().map(|stored| stored.event).collect()
    }

    async fn approvals(&self) -> usize {
        self.events().await.iter().filter(|event| matches!(event, Event::FixApproved { .. })).count()
    }

    /// The messages that people see, oldest first.
    fn seen(&self, on: On) -> Vec<String> {
        match on {
            On::Slack => self.slack().messages().iter().map(workspace::Message::seen).collect(),
            On::Discord => self.discord().messages().iter().map(|one| one.seen().replace('\\', "")).collect(),
        }
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
                self.interacts(who, &self.person(who).commands(verb, &options)).await;
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
                self.interacts(who, &self.person(who).presses(&message, &id)).await
            }
        }
    }

    async fn is_told(&self, on: On, who: [&str; 2], words: &str) {
        self.is_told_again(on, who, words, 0).await;
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

fn slack_parts(fake: &FakeSlack, clock: &Arc<dyn Clock>, whose: Whose) -> SlackParts {
    let client = Client::new(&fake.api(), &workspace::BOT_TOKEN.to_owned().into()).unwrap();
    let home = Home {
        team: workspace::TEAM.to_owned(),
        enterprise: None,
        channels: [workspace::CHANNEL.to_owned()].into(),
        whose,
        groups: Vec::new(),
        hooks: fake.hooks(),
    };
    let signed = slack::ConnectionMode::Http(workspace::SIGNING_SECRET.to_owned().into());
    SlackParts::new(client, home, roster(), Look::default(), signed, clock.clone())
}

fn discord_parts(fake: &FakeDiscord, clock: &Arc<dyn Clock>, whose: Whose) -> DiscordParts {
    let token = rest::BOT_TOKEN.to_owned().into();
    let client = Rest::new(&fake.api(), &token, Metrics::default()).unwrap();
    let home = DiscordHome {
        application: APPLICATION.to_owned(),
        guild: GUILD.to_owned(),
        channels: [interactions::CHANNEL.to_owned()].into(),
        whose,
        groups: Vec::new(),
        roster: roster(),
    };
    let key = PublicKey::parse(&interactions::Signer::at(0).public_key()).unwrap();
    let way = discord::ConnectionMode::Http(key);
    DiscordParts::new(client, token, home, Look::default(), way, clock.clone(), Metrics::default())
}
