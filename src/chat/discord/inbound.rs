//! Discord's side of the desk: which requests are ours, who asks, and how a private answer gets back.

mod direct;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::SignedDuration;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::sync::{OnceCell, Semaphore};

use super::{
    first_answer::{FirstAnswer, for_one_alone},
    interaction::{Asked, Pressed, Typing, What},
    message::Message,
    modal,
    people::{self, DiscordNotation},
};
use crate::{
    chat::{
        Answering, Ask, Buttons, Desk, Heard, Place, Reception, Reply, Roster, Whose, answers::sentence, card::Press,
    },
    clock::Clock,
    escalation::LevelNumber,
    metrics::{Metric, Metrics},
    people::{Actor, Platform},
};

/// How long Discord takes answers by the token of an interaction, less the time that one may be on its way.
const TOKEN_LASTS: SignedDuration = SignedDuration::from_mins(14);
/// How long Discord waits for the first answer before it shows the person that what they asked has failed, and the time that
/// one may be on its way beside it.
const SHOWN_AS_FAILED_AFTER: SignedDuration = SignedDuration::from_secs(5);
/// How many answers are on their way at once that need no work: forms and questions. One more is not given.
const DIRECT_MOST: usize = 16;
/// The same of suggestions, which are asked for with each key that anybody types: they hold up no question about an approval.
const SUGGESTED_MOST: usize = 8;
/// How long is waited before a private answer that failed is tried once more.
const SAID_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// Over HTTP the answer may overtake the response that announces it; Discord does not know its place until then.
const ANNOUNCED_WITHIN: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// Which server and channels are ours.
#[derive(Debug, Clone)]
pub struct DiscordHome {
    pub application: String,
    /// The server.
    pub guild: String,
    /// The channels that are listened to, with their threads.
    pub channels: BTreeSet<String>,
    /// Which bot this is.
    pub whose: Whose,
    /// Which roles stand for which level.
    pub groups: Vec<(String, LevelNumber)>,
    pub roster: Roster,
}

/// Why an answer did not arrive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAnswered {
    /// 404: Discord does not know the interaction, not yet or not any more.
    #[error("Discord does not know the interaction")]
    Unknown,
    #[error("{0}")]
    Failed(String),
}

/// The calls by which interactions are answered.
#[async_trait]
pub trait AnswerCalls: Send + Sync {
    /// `POST /interactions/{id}/{token}/callback`.
    async fn first(&self, id: &str, token: &SecretString, body: &Value) -> Result<(), NotAnswered>;
    /// `PATCH /webhooks/{application}/{token}/messages/@original`: the answer that was announced, or the pressed message.
    async fn edit(&self, application: &str, token: &SecretString, message: &Value) -> Result<(), NotAnswered>;
    /// `POST /webhooks/{application}/{token}`.
    async fn follow_up(&self, application: &str, token: &SecretString, message: &Value) -> Result<(), NotAnswered>;
    /// `POST /channels/{channel}/messages`.
    async fn post(&self, channel: &str, message: &Value) -> Result<(), NotAnswered>;
}

/// How this face draws.
#[derive(Debug, Clone, Copy)]
pub struct Drawing {
    /// A private answer, and who speaks.
    pub reply: fn(&Reply, Option<&str>) -> Value,
}

/// The desk of the Discord face.
pub type DiscordDesk = Desk<DiscordReception>;

/// Discord's side of the desk.
pub struct DiscordReception {
    calls: Arc<dyn AnswerCalls>,
    drawing: Drawing,
    home: DiscordHome,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    direct: Arc<Semaphore>,
    suggested: Arc<Semaphore>,
}

/// An interaction on its way through the desk.
#[derive(Debug)]
pub struct Request {
    asked: Asked,
    heard: Heard,
    key: String,
    by_http: bool,
    /// Set once Discord was given its first answer.
    announced: OnceCell<Announced>,
}

/// What became of the first answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Announced {
    /// More can be said by the interaction's token.
    Taken,
    /// The person may see that it is worked on.
    NotKnown,
    /// It came too late: the person saw that what they asked had failed.
    TooLate,
}

/// What is answered without any work.
enum Direct {
    Answer(FirstAnswer),
    Suggest(Typing),
    /// Discord has no dialog that asks back: the question is an answer with a button of its own.
    AskBack(Press),
}

impl DiscordReception {
    /// The desk of one server.
    pub fn desk(
        ask: Arc<dyn Ask>,
        calls: Arc<dyn AnswerCalls>,
        drawing: Drawing,
        home: DiscordHome,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Arc<DiscordDesk> {
        let answering = Answering::new(ask, home.whose.clone(), clock.clone());
        let [direct, suggested] = [DIRECT_MOST, SUGGESTED_MOST].map(|most| Arc::new(Semaphore::new(most)));
        Desk::new(Self { calls, drawing, home, clock, metrics, direct, suggested }, answering)
    }

    /// The rights are those of the moment at which Discord sent it.
    fn actor_of(&self, asked: &Asked) -> Actor {
        let as_of = asked.at.min(self.clock.now());
        people::actor(&self.home.roster, &self.home.guild, &asked.user, &asked.roles, as_of)
    }

    fn request(asked: Asked, by_http: bool) -> Request {
        let heard = match &asked.what {
            What::Command(chosen) | What::Form(chosen) => Heard::Chosen(chosen.clone()),
            What::Press(pressed) => Heard::Press(pressed.press.as_ref().map(|drawn| drawn.press.clone())),
            // Answered directly, so nothing is heard.
            What::Ping | What::Typing(_) | What::Unknown(_) => Heard::Press(None),
        };
        let announced = if by_http { OnceCell::new_with(Some(Announced::Taken)) } else { OnceCell::new() };
        Request { key: asked.key(), heard, asked, by_http, announced }
    }

    fn why_not_ours(&self, asked: &Asked) -> Option<(&'static str, &'static str)> {
        let home = &self.home;
        let listened_to = |channel: &String| home.channels.contains(channel);
        if asked.application != home.application {
            Some(("foreign_application", "This bot answers for its own application only."))
        } else if asked.guild.as_ref() != Some(&home.guild) || asked.user.is_empty() {
            Some(("foreign_guild", "This bot listens in its own server only, and to no direct messages."))
        } else if !listened_to(&asked.channel) && !asked.thread_of.as_ref().is_some_and(listened_to) {
            Some(("foreign_channel", "This bot listens in its incident channel only: please ask there."))
        } else {
            None
        }
    }

    /// What is answered without work, if this is such a thing.
    fn direct(&self, asked: &Asked) -> Option<Direct> {
        let answer = match &asked.what {
            What::Ping => FirstAnswer::Pong,
            What::Unknown(why) => {
                self.count_refusal("unknown");
                FirstAnswer::Told((self.drawing.reply)(&vec![sentence(why)].into(), None))
            }
            What::Typing(typing) if self.why_not_ours(asked).is_none() => return Some(Direct::Suggest(typing.clone())),
            What::Typing(_) => FirstAnswer::Suggestions(Vec::new()),
            // A form is opened for those who may send it; the others are told at once.
            What::Command(chosen) if self.why_not_ours(asked).is_none() => {
                let actor = self.actor_of(asked);
                let may = chosen.verb.roles().iter().any(|role| actor.may(*role, self.clock.now()));
                FirstAnswer::Form(modal::wanted(chosen).filter(|_| may)?)
            }
            What::Press(pressed) if self.why_not_ours(asked).is_none() => {
                let unconfirmed = pressed.press.as_ref().filter(|press| !press.confirmed)?;
                return Some(Direct::AskBack(unconfirmed.press.clone()));
            }
            What::Command(_) | What::Form(_) | What::Press(_) => return None,
        };
        Some(Direct::Answer(answer))
    }

    /// Announces that an answer will come, at once and before any work.
    async fn announce(&self, request: &Request) -> Announced {
        let announcing = || self.first(&request.asked, announcement(&request.asked));
        *request.announced.get_or_init(announcing).await
    }

    async fn first(&self, asked: &Asked, answer: FirstAnswer) -> Announced {
        let sent = self.calls.first(&asked.id, &asked.token, &answer.body()).await;
        let Err(error) = sent else { return Announced::Taken };
        tracing::warn!(user = asked.user, %error, "the first answer to an interaction could not be given");
        let is_late = self.clock.now().duration_since(asked.at) > SHOWN_AS_FAILED_AFTER;
        if is_late || error == NotAnswered::Unknown { Announced::TooLate } else { Announced::NotKnown }
    }

    /// Says it by the interaction's token, to this person alone.
    async fn say(&self, asked: &Asked, message: &Value) -> Result<(), NotAnswered> {
        let (mut waits, mut failed) = (ANNOUNCED_WITHIN.iter(), false);
        loop {
            let (application, token) = (&asked.application, &asked.token);
            let said = match asked.what {
                What::Press(_) => self.calls.follow_up(application, token, &for_one_alone(message.clone())).await,
                _ => self.calls.edit(application, token, message).await,
            };
            match (said, waits.next()) {
                (Err(NotAnswered::Unknown), Some(wait)) => tokio::time::sleep(*wait).await,
                (Err(NotAnswered::Failed(_)), _) if !failed => {
                    failed = true;
                    tokio::time::sleep(SAID_AGAIN_AFTER).await;
                }
                (said, _) => return said,
            }
        }
    }

    /// Says it in the channel, where the person is mentioned.
    async fn say_in_channel(&self, asked: &Asked, mut message: Value) {
        if let Some(fields) = message.as_object_mut() {
            let content = fields.get("content").and_then(Value::as_str).unwrap_or_default();
            let content = format!("<@{}> {content}", asked.user);
            fields.insert("content".to_owned(), content.trim_end().into());
            fields.insert("allowed_mentions".to_owned(), json!({ "parse": [], "users": [asked.user] }));
        }
        if let Err(error) = self.calls.post(&asked.channel, &message).await {
            tracing::warn!(user = asked.user, %error, "a private answer could not be given");
        }
    }
}

fn announcement(asked: &Asked) -> FirstAnswer {
    match asked.what {
        What::Press(_) => FirstAnswer::LaterBesideMessage,
        _ => FirstAnswer::Later,
    }
}

/// The post in which a button was pressed, unless it is a card.
fn post(asked: &Asked) -> Option<(&Pressed, &Message)> {
    match &asked.what {
        What::Press(pressed) if !pressed.is_card() => Some((pressed, pressed.message.as_ref()?)),
        _ => None,
    }
}

#[async_trait]
impl Reception for DiscordReception {
    type Asked = Request;

    fn heard<'a>(&self, request: &'a Request) -> &'a Heard {
        &request.heard
    }

    fn key<'a>(&self, request: &'a Request) -> &'a str {
        &request.key
    }

    fn user<'a>(&self, request: &'a Request) -> &'a str {
        &request.asked.user
    }

    fn place(&self) -> Place<'_> {
        Place {
            platform: Platform::Discord,
            workspace: &self.home.guild,
            notation: &DiscordNotation,
            groups: &self.home.groups,
        }
    }

    fn not_ours(&self, request: &Request) -> Option<&'static str> {
        let asked = &request.asked;
        let (reason, refusal) = self.why_not_ours(asked)?;
        self.count_refusal(reason);
        tracing::warn!(guild = asked.guild, channel = asked.channel, user = asked.user, "{refusal}");
        Some(refusal)
    }

    async fn actor(&self, request: &Request) -> Actor {
        self.announce(request).await;
        self.actor_of(&request.asked)
    }

    /// After an interruption the gateway brings what was asked up to five minutes before.
    fn shown_as_failed(&self, request: &Request) -> Option<&'static str> {
        let too_late = request.announced.get() == Some(&Announced::TooLate);
        too_late.then_some(
            "What you asked came too late: Discord had shown you that it failed, so it was not done. Ask again if you still \
             want it.",
        )
    }

    fn pressed_in_post<'a>(&self, request: &'a Request) -> Option<&'a str> {
        post(&request.asked).map(|(pressed, _)| pressed.label.as_str())
    }

    async fn mark(&self, request: &Request, buttons: &Buttons) {
        let Some((_, message)) = post(&request.asked) else { return };
        self.announce(request).await;
        let message = match buttons {
            Buttons::Stay => message.body(),
            Buttons::Go(why) => message.clone().without_buttons(why).body(),
        };
        let asked = &request.asked;
        let mut waits = ANNOUNCED_WITHIN.iter();
        while let Err(error) = self.calls.edit(&asked.application, &asked.token, &message).await {
            match (&error, waits.next()) {
                (NotAnswered::Unknown, Some(wait)) => tokio::time::sleep(*wait).await,
                _ => return tracing::warn!(%error, "the buttons of a post that was pressed could not be changed"),
            }
        }
    }

    /// Answers by the interaction's token while that lasts, and then in the channel.
    async fn whisper(&self, request: &Request, reply: &Reply, signature: Option<&str>) {
        let asked = &request.asked;
        let message = (self.drawing.reply)(reply, signature);
        // Nothing was announced where nothing had to be worked on: then this is the first answer itself.
        let first = || self.first(asked, FirstAnswer::Told(message.clone()));
        let mut is_first = false;
        let announced = *request
            .announced
            .get_or_init(|| {
                is_first = true;
                first()
            })
            .await;
        if announced == Announced::Taken && is_first {
            return;
        }
        if announced == Announced::Taken && self.clock.now().duration_since(asked.at) < TOKEN_LASTS {
            match self.say(asked, &message).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, "a private answer could not be given through its interaction"),
            }
        }
        if self.why_not_ours(asked).is_none() {
            self.say_in_channel(asked, message).await;
        }
    }

    fn told_busy_apart(&self, request: &Request) -> bool {
        !request.by_http
    }

    fn count_refusal(&self, reason: &'static str) {
        self.metrics.count(Metric::DiscordRefusalsTotal { reason }, 1);
    }
}

impl std::fmt::Debug for DiscordReception {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiscordReception").field("home", &self.home).finish_non_exhaustive()
    }
}
