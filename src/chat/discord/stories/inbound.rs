//! What people ask on Discord: who is heard, what they are told, and what they cannot do; by the gateway and over HTTP.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use axum::{Router, body::to_bytes, http::StatusCode, response::Response};
use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::fake_interactions::{APPLICATION, CHANNEL, GUILD, Person, Signer, in_thread, ping};
use crate::{
    chat::{
        AT_ONCE_MOST, Ask, Reply, Roster, Says, Whose,
        card::{Press, plain, tests as night},
        discord::{
            AnswerCalls, DiscordDesk, DiscordHome, DiscordPress, DiscordReception, Drawing, Hear, NotAnswered,
            PublicKey, router,
        },
    },
    clock::{Clock, VirtualClock},
    engine::SubmitError,
    http::Bodies,
    incident::{Act, Answer, Command, Incident, IncidentId, Refusal, SwitchRequest, TakeAll},
    metrics::Metrics,
    people::{Mention, PersonId, Platform, Role, SamePeople},
};

const APPROVERS: &str = "100000000000000012";
const ON_CALL: &str = "100000000000000001";
const SECURITY: &str = "100000000000000002";
const STRANGER: &str = "100000000000000003";

/// Decides by roles alone, and remembers what was asked of it.
struct Engine {
    clock: Arc<VirtualClock>,
    incident: Arc<Incident>,
    commands: Mutex<Vec<Command>>,
    /// While it is set, nobody gets an answer.
    stuck: AtomicBool,
    goes_on: Notify,
    /// What reading an incident runs into.
    reading: Mutex<Reading>,
}

/// How it goes when somebody reads an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Works,
    Fails,
    Hangs,
}

#[async_trait]
impl Ask for Engine {
    async fn submit(&self, command: Command) -> Result<Answer, SubmitError> {
        while self.stuck.load(Ordering::SeqCst) {
            self.goes_on.notified().await;
        }
        let approves = matches!(command.act, Act::Approve { .. } | Act::Reject { .. });
        let role = if approves { Role::Approver } else { Role::Commander };
        if command.actor.has_old_rights(self.clock.now()) {
            return Err(Refusal::RightsUnknown.into());
        }
        if !command.actor.may(role, self.clock.now()) {
            return Err(Refusal::NotAllowed(role).into());
        }
        self.commands.lock().unwrap().push(command);
        Ok(Answer { text: "Done.".to_owned() })
    }

    async fn take_all(&self, _: TakeAll) -> Result<Answer, SubmitError> {
        Ok(Answer { text: "All taken.".to_owned() })
    }

    async fn switch_writes(&self, _: SwitchRequest) -> Result<Answer, SubmitError> {
        Ok(Answer { text: "Switched.".to_owned() })
    }

    async fn incident(&self, id: IncidentId) -> Result<Option<Arc<Incident>>, SubmitError> {
        let reading = *self.reading.lock().unwrap();
        match reading {
            Reading::Works => {}
            Reading::Fails => return Err(SubmitError::Busy),
            Reading::Hangs => std::future::pending().await,
        }
        Ok((self.incident.id == id).then(|| self.incident.clone()))
    }

    async fn live(&self) -> Result<Vec<Arc<Incident>>, SubmitError> {
        Ok(vec![self.incident.clone()])
    }
}

/// Keeps the calls, a line each, and can be in trouble.
#[derive(Default)]
struct Calls {
    made: Mutex<Vec<(String, Value)>>,
    /// So many calls of this kind fail with this.
    trouble: Mutex<Vec<(&'static str, NotAnswered)>>,
}

impl Calls {
    fn take(&self, kind: &'static str, call: String, body: &Value) -> Result<(), NotAnswered> {
        let mut trouble = self.trouble.lock().unwrap();
        if let Some(place) = trouble.iter().position(|(of, _)| *of == kind) {
            return Err(trouble.remove(place).1);
        }
        self.made.lock().unwrap().push((call, body.clone()));
        Ok(())
    }
}

/// Which person a token of the fake was given to is not said: its interaction is.
fn of(token: &SecretString) -> bool {
    token.expose_secret().starts_with("token-")
}

#[async_trait]
impl AnswerCalls for Calls {
    async fn first(&self, id: &str, token: &SecretString, body: &Value) -> Result<(), NotAnswered> {
        assert_eq!(token.expose_secret(), format!("token-{id}"));
        self.take("first", format!("first answer {}", body["type"]), body)
    }

    async fn edit(&self, application: &str, token: &SecretString, message: &Value) -> Result<(), NotAnswered> {
        assert!(application == APPLICATION && of(token));
        self.take("edit", "edit".to_owned(), message)
    }

    async fn follow_up(&self, application: &str, token: &SecretString, message: &Value) -> Result<(), NotAnswered> {
        assert!(application == APPLICATION && of(token));
        self.take("follow up", "follow up".to_owned(), message)
    }

    async fn post(&self, channel: &str, message: &Value) -> Result<(), NotAnswered> {
        self.take("post", format!("post in {channel}"), message)
    }
}

fn drawn(reply: &Reply, signature: Option<&str>) -> Value {
    let text = match &reply.says {
        Says::Lines(lines) => lines.iter().map(|spans| plain(spans)).collect::<Vec<_>>().join("\n"),
        Says::Card(card) => format!("card of {}", card.incident),
    };
    let content = [signature.unwrap_or_default(), &text].concat();
    json!({ "content": content })
}

const DRAWING: Drawing = Drawing { reply: drawn };

struct DiscordStory {
    clock: Arc<VirtualClock>,
    engine: Arc<Engine>,
    calls: Arc<Calls>,
    desk: Arc<DiscordDesk>,
    metrics: Metrics,
}

impl DiscordStory {
    fn of(incident: Incident) -> Self {
        let clock = Arc::new(VirtualClock::starting_at(night::at(5)));
        let (commands, stuck, goes_on) = (Mutex::default(), AtomicBool::new(false), Notify::new());
        let (incident, reading) = (Arc::new(incident), Mutex::new(Reading::Works));
        let engine = Arc::new(Engine { clock: clock.clone(), incident, commands, stuck, goes_on, reading });
        let (calls, metrics) = (Arc::new(Calls::default()), Metrics::default());
        let slack = PersonId { platform: Platform::Slack, workspace: "T0TEAM".to_owned(), user: "U0SEC".to_owned() };
        let discord = PersonId { platform: Platform::Discord, workspace: GUILD.to_owned(), user: SECURITY.to_owned() };
        let roster = Roster {
            commanders: vec![Mention::user(Platform::Discord, ON_CALL)],
            approvers: vec![Mention::group(Platform::Discord, APPROVERS)],
            same: SamePeople::new([[slack, discord].into()]),
        };
        let home = DiscordHome {
            application: APPLICATION.to_owned(),
            guild: GUILD.to_owned(),
            channels: [CHANNEL.to_owned()].into(),
            whose: Whose::default(),
            groups: Vec::new(),
            roster,
        };
        let desk = DiscordReception::desk(engine.clone(), calls.clone(), DRAWING, home, clock.clone(), metrics.clone());
        Self { clock, engine, calls, desk, metrics }
    }

    fn person<'a>(&self, user: &'a str, roles: &'a [&'a str]) -> Person<'a> {
        Person { user, roles, at: self.clock.now().as_second() }
    }

    /// By the gateway.
    async fn hears(&self, interaction: &Value) {
        Arc::clone(&self.desk).interaction(&interaction.to_string());
        self.desk.quiet().await;
        // What needs no work is answered in a task of its own.
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    fn trouble(&self, kind: &'static str, error: NotAnswered) {
        self.calls.trouble.lock().unwrap().push((kind, error));
    }

    /// What was sent, a line each: the call, and what it said.
    fn sent(&self) -> String {
        let made = std::mem::take(&mut *self.calls.made.lock().unwrap());
        let lines = made.iter().map(|(call, body)| {
            let data = if call.starts_with("first") { &body["data"] } else { body };
            let private = if data["flags"] == 64 { " (private)" } else { "" };
            format!("{call}{private}: {}", data["content"].as_str().unwrap_or("-"))
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn acts(&self) -> Vec<Act> {
        self.engine.commands.lock().unwrap().iter().map(|command| command.act.clone()).collect()
    }

    fn signer(&self) -> Signer {
        Signer::at(self.clock.now().as_second())
    }

    fn routes(&self) -> Router {
        let key = PublicKey::parse(&self.signer().public_key()).unwrap();
        router(self.desk.clone(), key, self.clock.clone(), Bodies::default())
    }

    async fn asks_over_http(&self, interaction: &Value) -> Value {
        let answer = body(self.signer().sends(&self.routes(), interaction).await).await;
        self.desk.quiet().await;
        answer
    }

    fn counted(&self, reason: &str) -> bool {
        self.metrics.render().contains(&format!("discord_refusals_total{{reason=\"{reason}\"}}"))
    }
}

async fn body(response: Response) -> Value {
    assert_eq!(response.status(), StatusCode::OK);
    serde_json::from_slice(&to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap()
}

/// A post with one button, as the bot sent it and Discord keeps it.
fn post(press: &Press) -> Value {
    let button = json!({ "type": 2, "style": 1, "label": "Approve", "custom_id": confirmed(press) });
    json!({
        "id": "100000000000000600", "flags": 0, "content": "",
        "embeds": [{ "description": "restart-pod?", "footer": { "text": "key" } }],
        "components": [{ "type": 1, "components": [button] }],
    })
}

/// The custom id of a button that asks nothing back any more.
fn confirmed(press: &Press) -> String {
    DiscordPress { press: press.clone(), confirmed: true }.custom_id().unwrap()
}

fn approve(incident: u32) -> Press {
    Press { incident: IncidentId::new(incident), cluster: None, act: Act::Approve { plan: Some(night::plan().id()) } }
}

fn pressed(person: &Person<'_>, press: &Press) -> Value {
    person.presses(&post(press), &confirmed(press))
}

#[tokio::test]
async fn a_command_is_announced_before_it_is_worked_on_and_answered_to_one_person() {
    let night = DiscordStory::of(night::opened());
    let interaction = night.person(ON_CALL, &[]).commands("ack", &[("incident", json!("INC-7"))]);
    night.hears(&interaction).await;
    insta::assert_snapshot!(night.sent(), @r"
    first answer 5 (private): -
    edit: Done.
    ");
    let command = night.engine.commands.lock().unwrap()[0].clone();
    assert_eq!(command.key, format!("discord/{}", interaction["id"].as_str().unwrap()));
    let person = PersonId { platform: Platform::Discord, workspace: GUILD.to_owned(), user: ON_CALL.to_owned() };
    assert_eq!((command.actor.id, command.act), (person, Act::Acknowledge));
}

#[tokio::test]
async fn the_roles_that_count_are_those_of_the_moment_and_the_links_to_other_platforms_come_along() {
    let night = DiscordStory::of(night::asking());
    night.hears(&night.person(SECURITY, &[APPROVERS]).commands("approve", &[])).await;
    assert_eq!(night.acts(), [Act::Approve { plan: None }]);
    let also = night.engine.commands.lock().unwrap()[0].actor.also.clone();
    assert_eq!(also.first().map(|id| id.user.as_str()), Some("U0SEC"), "nobody approves from the other side");
    night.sent();
    night.hears(&night.person(SECURITY, &[]).commands("approve", &[])).await;
    insta::assert_snapshot!(night.sent(), @r"
    first answer 5 (private): -
    edit: Only people who may approve fixes (config: people.approvers) can do that
    ");
}

#[tokio::test]
async fn an_interaction_that_arrives_long_after_it_was_sent_gives_no_rights() {
    let night = DiscordStory::of(night::opened());
    let interaction = night.person(ON_CALL, &[]).commands("ack", &[]);
    night.clock.advance(SignedDuration::from_mins(6));
    night.hears(&interaction).await;
    assert!(night.acts().is_empty());
}

#[tokio::test]
async fn other_servers_channels_applications_and_direct_messages_are_refused() {
    let night = DiscordStory::of(night::opened());
    let elsewhere = json!("100000000000000777");
    let person = night.person(ON_CALL, &[]);
    let with = |name: &str, value: &Value| {
        let mut interaction = person.commands("ack", &[]);
        interaction[name] = value.clone();
        interaction
    };
    let mut direct = with("user", &json!({ "id": ON_CALL }));
    for name in ["guild_id", "member"] {
        direct.as_object_mut().unwrap().remove(name);
    }
    let mut foreign_thread = in_thread(person.commands("ack", &[]), "100000000000000500");
    foreign_thread["channel"]["parent_id"] = elsewhere.clone();
    for interaction in [
        with("application_id", &elsewhere),
        with("guild_id", &elsewhere),
        with("channel_id", &elsewhere),
        direct,
        foreign_thread,
    ] {
        night.hears(&interaction).await;
    }
    insta::assert_snapshot!(night.sent(), @r"
    first answer 4 (private): This bot answers for its own application only.
    first answer 4 (private): This bot listens in its own server only, and to no direct messages.
    first answer 4 (private): This bot listens in its incident channel only: please ask there.
    first answer 4 (private): This bot listens in its own server only, and to no direct messages.
    first answer 4 (private): This bot listens in its incident channel only: please ask there.
    ");
    assert!(night.acts().is_empty());
    assert!(night.counted("foreign_application") && night.counted("foreign_guild") && night.counted("foreign_channel"));
    night.hears(&in_thread(person.commands("ack", &[]), "100000000000000500")).await;
    assert_eq!(night.acts(), [Act::Acknowledge], "the incident's own thread is in the channel");
}

#[tokio::test]
async fn the_buttons_of_a_post_go_at_the_press_and_the_person_is_told_beside_it() {
    let night = DiscordStory::of(night::asking());
    night.hears(&pressed(&night.person(SECURITY, &[APPROVERS]), &approve(7))).await;
    let made = night.calls.made.lock().unwrap().clone();
    let calls: Vec<&str> = made.iter().map(|(call, _)| call.as_str()).collect();
    assert_eq!(calls[..2], ["first answer 6", "edit"], "before anything is decided");
    let mut rest = calls[2..].to_vec();
    rest.sort_unstable();
    assert_eq!(rest, ["edit", "follow up"]);
    let edits: Vec<&Value> = made.iter().filter(|(call, _)| call == "edit").map(|(_, body)| body).collect();
    assert!(edits.iter().all(|edit| edit["components"] == json!([])));
    let embeds = edits[1]["embeds"].as_array().unwrap();
    assert_eq!(embeds.len(), 1);
    assert_eq!(embeds[0]["footer"]["text"], "key", "our key stays in the last embed");
    assert_eq!(embeds[0]["fields"][0]["name"], "No button is left here");
    assert_eq!(night.acts(), [approve(7).act]);
}

#[tokio::test]
async fn a_refused_press_leaves_the_buttons_to_others_and_a_strangers_press_touches_nothing() {
    let night = DiscordStory::of(night::asking());
    night.hears(&pressed(&night.person(STRANGER, &[]), &approve(7))).await;
    insta::assert_snapshot!(night.sent(), @r"
    first answer 6: -
    follow up (private): Only people who may approve fixes (config: people.approvers) can do that
    ");
    night.hears(&pressed(&night.person(ON_CALL, &[]), &approve(7))).await;
    let made = night.calls.made.lock().unwrap().clone();
    let last = made.iter().rfind(|(call, _)| call == "edit").map(|(_, body)| body.clone()).unwrap();
    assert_eq!(last["components"], post(&approve(7))["components"], "they are back");
    assert!(night.acts().is_empty());
}

#[tokio::test]
async fn the_card_is_not_touched_since_it_is_drawn_anew_by_its_own_effect() {
    let has_a_thread = |interaction: &mut Value| interaction["message"]["flags"] = json!(32);
    let says_so_below = |interaction: &mut Value| {
        interaction["message"]["embeds"] = json!([{ "footer": { "text": "INC-7 · card 0123456789abcdef" } }]);
    };
    for is_card in [has_a_thread as fn(&mut Value), says_so_below] {
        let night = DiscordStory::of(night::asking());
        let mut interaction = pressed(&night.person(SECURITY, &[APPROVERS]), &approve(7));
        is_card(&mut interaction);
        night.hears(&interaction).await;
        assert_eq!(night.sent().trim_end(), "first answer 6: -\nfollow up (private): Done.");
    }
}

#[tokio::test]
async fn a_note_without_text_opens_a_form_and_the_form_writes_the_note() {
    let night = DiscordStory::of(night::opened());
    let on_call = night.person(ON_CALL, &[]);
    night.hears(&on_call.commands("note", &[])).await;
    let (call, body) = night.calls.made.lock().unwrap().remove(0);
    assert_eq!(call, "first answer 9");
    night.hears(&on_call.fills_in(&body["data"], "seen it")).await;
    insta::assert_snapshot!(night.sent(), @r"
    first answer 5 (private): -
    edit: Done.
    ");
    assert_eq!(night.acts(), [Act::Note { text: "seen it".to_owned() }]);

    night.hears(&night.person(STRANGER, &[]).commands("note", &[])).await;
    assert!(!night.sent().contains("first answer 9"), "nobody fills in a form in vain");
}

#[tokio::test]
async fn what_fits_is_suggested_at_once_and_nothing_elsewhere() {
    let night = DiscordStory::of(night::opened());
    let typing = night.person(STRANGER, &[]).types("status", &[], "incident", "inc");
    night.hears(&typing).await;
    let (call, body) = night.calls.made.lock().unwrap().remove(0);
    assert_eq!((call.as_str(), &body["data"]["choices"][0]["value"]), ("first answer 8", &json!("INC-7")));
    let mut elsewhere = typing.clone();
    elsewhere["channel_id"] = json!("100000000000000777");
    assert_eq!(night.asks_over_http(&elsewhere).await, json!({ "type": 8, "data": { "choices": [] } }));
    assert_eq!(night.asks_over_http(&typing).await["data"]["choices"][0]["value"], "INC-7");
}

#[tokio::test]
async fn over_http_the_first_answer_is_the_response_and_the_rest_follows() {
    let night = DiscordStory::of(night::opened());
    let on_call = night.person(ON_CALL, &[]);
    assert_eq!(night.asks_over_http(&ping()).await, json!({ "type": 1 }));
    let announced = json!({ "type": 5, "data": { "flags": 64 } });
    assert_eq!(night.asks_over_http(&on_call.commands("ack", &[])).await, announced);
    assert_eq!(night.sent(), "edit: Done.");
    assert_eq!(night.asks_over_http(&pressed(&on_call, &approve(7))).await, json!({ "type": 6 }));
    assert!(night.sent().contains("follow up (private)"));
    let strange = night.asks_over_http(&on_call.commands("dance", &[])).await;
    assert_eq!((&strange["type"], &strange["data"]["flags"]), (&json!(4), &json!(64)));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_overtakes_its_announcement_waits_for_it() {
    let night = DiscordStory::of(night::opened());
    night.trouble("edit", NotAnswered::Unknown);
    night.trouble("edit", NotAnswered::Unknown);
    night.asks_over_http(&night.person(ON_CALL, &[]).commands("ack", &[])).await;
    assert_eq!(night.sent(), "edit: Done.");
}

#[tokio::test(start_paused = true)]
async fn where_the_interaction_can_no_longer_be_answered_the_person_is_told_in_the_channel() {
    let night = DiscordStory::of(night::opened());
    let on_call = night.person(ON_CALL, &[]);
    night.trouble("first", NotAnswered::Unknown);
    night.hears(&on_call.commands("ack", &[])).await;
    // Once is tried again: what is private does not become everybody's for one 503.
    for failures in 1..=2 {
        for _ in 0..failures {
            night.trouble("edit", NotAnswered::Failed("503".to_owned()));
        }
        night.hears(&on_call.commands("ack", &[])).await;
    }
    let made = night.calls.made.lock().unwrap().clone();
    assert_eq!(made[0].1["allowed_mentions"], json!({ "parse": [], "users": [ON_CALL] }));
    insta::assert_snapshot!(night.sent(), @r"
    post in 100000000000000300: <@100000000000000001> Done.
    first answer 5 (private): -
    edit: Done.
    first answer 5 (private): -
    post in 100000000000000300: <@100000000000000001> Done.
    ");

    night.engine.stuck.store(true, Ordering::SeqCst);
    Arc::clone(&night.desk).interaction(&on_call.commands("help", &[]).to_string());
    Arc::clone(&night.desk).interaction(&on_call.commands("ack", &[]).to_string());
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    night.sent();
    night.clock.advance(SignedDuration::from_mins(15));
    night.engine.stuck.store(false, Ordering::SeqCst);
    night.engine.goes_on.notify_waiters();
    night.desk.quiet().await;
    let late = night.sent();
    assert!(late.starts_with(&format!("post in {CHANNEL}: <@{ON_CALL}> ")), "the token lasts 15 minutes: {late}");
}

#[tokio::test]
async fn forged_replayed_and_unreadable_requests_are_refused() {
    let night = DiscordStory::of(night::opened());
    let (routes, interaction) = (night.routes(), night.person(ON_CALL, &[]).commands("ack", &[]));
    let now = night.clock.now().as_second();
    let forged = Signer::forger(now).sends(&routes, &interaction).await;
    let replayed = Signer::at(now - 301).sends(&routes, &interaction).await;
    assert_eq!([forged.status(), replayed.status()], [StatusCode::UNAUTHORIZED; 2]);
    assert!(night.counted("bad_signature"));
    assert_eq!(night.signer().sends(&routes, &json!([])).await.status(), StatusCode::BAD_REQUEST);
    let heavy = json!({ "a": vec![json!({}); 2_000] });
    assert_eq!(night.signer().sends(&routes, &heavy).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let long = json!("x".repeat(crate::bounds::DISCORD_MESSAGE));
    assert_eq!(night.signer().sends(&routes, &long).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert!(night.acts().is_empty() && night.sent().is_empty());
}

#[tokio::test]
async fn a_busy_bot_says_so_and_takes_nothing() {
    let night = DiscordStory::of(night::opened());
    night.engine.stuck.store(true, Ordering::SeqCst);
    let on_call = night.person(ON_CALL, &[]);
    for _ in 0..AT_ONCE_MOST {
        Arc::clone(&night.desk).interaction(&on_call.commands("ack", &[]).to_string());
    }
    let answer = body(night.signer().sends(&night.routes(), &on_call.commands("ack", &[])).await).await;
    assert_eq!(
        (&answer["type"], &answer["data"]["content"]),
        (&json!(4), &json!("The bot is busy: try again in a moment"))
    );
    Arc::clone(&night.desk).interaction(&on_call.commands("ack", &[]).to_string());
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    assert!(night.sent().contains("first answer 4 (private): The bot is busy, and your command was not taken"));
    night.engine.stuck.store(false, Ordering::SeqCst);
    night.engine.goes_on.notify_waiters();
    night.desk.quiet().await;
    assert_eq!(night.acts().len(), AT_ONCE_MOST);
}

/// A press as Discord brings it, not confirmed.
fn unconfirmed(person: &Person<'_>, press: &Press) -> Value {
    let id = DiscordPress { press: press.clone(), confirmed: false }.custom_id().unwrap();
    person.presses(&post(press), &id)
}

#[tokio::test]
async fn a_press_that_changes_something_is_asked_back_and_decides_nothing_yet() {
    let night = DiscordStory::of(night::asking());
    let answer = night.asks_over_http(&unconfirmed(&night.person(SECURITY, &[APPROVERS]), &approve(7))).await;
    assert_eq!((&answer["type"], &answer["data"]["flags"]), (&json!(4), &json!(64)));
    assert_eq!(answer["data"]["embeds"][0]["title"], "Approve restart-pod?");
    assert_eq!(night.acts(), []);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_confirmed_is_decided_on_neither_when_the_question_cannot_be_asked_nor_when_it_is_over() {
    for (reading, incident, said) in [
        (Reading::Fails, night::asking(), "could not be read in time"),
        (Reading::Hangs, night::asking(), "could not be read in time"),
        (Reading::Works, night::opened(), "no longer the one that waits"),
    ] {
        let night = DiscordStory::of(incident);
        *night.engine.reading.lock().unwrap() = reading;
        let press = unconfirmed(&night.person(SECURITY, &[APPROVERS]), &approve(7));
        let answer = night.asks_over_http(&press).await;
        let told = answer["data"]["content"].as_str().unwrap();
        assert!(told.contains(said), "{reading:?}: {told}");
        assert_eq!(night.acts(), [], "{reading:?}");
    }
}

#[tokio::test]
async fn an_approval_that_was_shown_as_failed_and_comes_after_an_interruption_is_not_given() {
    let night = DiscordStory::of(night::asking());
    let approver = night.person(SECURITY, &[APPROVERS]);
    let (presses, commands) = (pressed(&approver, &approve(7)), approver.commands("approve", &[]));
    night.clock.advance(SignedDuration::from_secs(40));
    // The token of the one is void; of the other Discord could not be asked.
    night.trouble("first", NotAnswered::Unknown);
    night.hears(&presses).await;
    night.trouble("first", NotAnswered::Failed("503".to_owned()));
    night.hears(&commands).await;
    assert!(night.acts().is_empty(), "{:?}", night.acts());
    insta::assert_snapshot!(night.sent(), @r"
    post in 100000000000000300: <@100000000000000002> What you asked came too late: Discord had shown you that it failed, so it was not done. Ask again if you still want it.
    post in 100000000000000300: <@100000000000000002> What you asked came too late: Discord had shown you that it failed, so it was not done. Ask again if you still want it.
    ");
    assert!(night.counted("shown_as_failed"));
}

#[tokio::test]
async fn what_does_no_harm_when_it_is_late_is_done_late() {
    let night = DiscordStory::of(night::opened());
    let takes = night.person(ON_CALL, &[]).commands("ack", &[]);
    night.clock.advance(SignedDuration::from_secs(40));
    night.trouble("first", NotAnswered::Unknown);
    night.hears(&takes).await;
    assert_eq!(night.acts(), [Act::Acknowledge]);
}
