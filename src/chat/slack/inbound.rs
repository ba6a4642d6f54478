//! Takes a request of a person to its private answer: one way for commands and buttons, over HTTP and Socket Mode.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{
    answers,
    asked::{Asked, Pressed, What},
    block_kit::{self, Message},
    client::Client,
    outlived_buttons::{is_card, still_works, why_gone, without_buttons},
    people::Directory,
};
use crate::{
    chat::{
        Ask, OtherBot, Whose,
        card::{Card, Line, Press, person, text, with_times, words},
        grammar::{self, ParseContext, Said},
    },
    clock::Clock,
    engine::SubmitError,
    escalation::LevelNumber,
    incident::{Act, Command, FixPhase, Incident, IncidentId, Refusal, SwitchRequest, TakeAll},
    people::{Actor, PersonId, Platform},
};

/// How many requests are worked on at once; one more is asked to try again. A press costs two or three calls to Slack.
pub const AT_ONCE_MOST: usize = 64;
/// How many people the bot tells at once that it is busy; each costs one call.
const TOLD_BUSY_MOST: usize = 16;
/// Slack's own host for private answers.
pub const SLACK_HOOKS: &str = "https://hooks.slack.com";

/// Which workspace and channels are ours.
#[derive(Debug, Clone)]
pub struct Home {
    /// The workspace.
    pub team: String,
    /// The organisation, on Enterprise Grid.
    pub enterprise: Option<String>,
    /// The channels that are listened to.
    pub channels: BTreeSet<String>,
    /// Which bot this is.
    pub whose: Whose,
    /// Which user groups stand for which level.
    pub groups: Vec<(String, LevelNumber)>,
    /// [`SLACK_HOOKS`] outside of tests: no other address is answered to.
    pub hooks: String,
}

/// Too much is being worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bot is busy: try again in a moment")]
pub struct BusyDesk;

/// Where requests arrive.
pub struct Desk {
    ask: Arc<dyn Ask>,
    client: Client,
    directory: Arc<Directory>,
    home: Home,
    clock: Arc<dyn Clock>,
    places: Arc<Semaphore>,
    spare: Arc<Semaphore>,
}

/// What the person is told, and whether what they asked was done.
struct Told {
    message: Message,
    done: bool,
}

impl From<Vec<Line>> for Told {
    fn from(lines: Vec<Line>) -> Self {
        Self { message: block_kit::answer(&lines), done: false }
    }
}

impl Desk {
    /// A desk.
    pub fn new(
        ask: Arc<dyn Ask>,
        client: Client,
        directory: Arc<Directory>,
        home: Home,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(AT_ONCE_MOST));
        let spare = Arc::new(Semaphore::new(TOLD_BUSY_MOST));
        Arc::new(Self { ask, client, directory, home, clock, places, spare })
    }

    /// Takes a request and works on it in the background: Slack wants its answer within 3 s, whatever the work takes.
    pub fn take(self: &Arc<Self>, asked: Asked) -> Result<(), BusyDesk> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            self.say_busy(asked);
            return Err(BusyDesk);
        };
        let desk = Arc::clone(self);
        tokio::spawn(async move {
            desk.work(&asked).await;
            drop(place);
        });
        Ok(())
    }

    /// Tells somebody whose press could not be taken: unlike a command, a press has no answer that Slack would show.
    fn say_busy(self: &Arc<Self>, asked: Asked) {
        tracing::warn!(user = asked.user, "a request was sent away: the bot is busy");
        self.client.count_refusal("busy");
        let Ok(place) = Arc::clone(&self.spare).try_acquire_owned() else { return };
        if matches!(asked.what, What::Press { .. }) {
            let desk = Arc::clone(self);
            tokio::spawn(async move {
                let told =
                    Told::from(vec![words("The bot is busy, and your press was not taken: try again in a moment.")]);
                desk.whisper(&asked, &told.message).await;
                drop(place);
            });
        }
    }

    /// Counts something that was asked and not understood or not Slack's.
    pub(super) fn count_refusal(&self, reason: &'static str) {
        self.client.count_refusal(reason);
    }

    /// Returns when nothing is being worked on any more; for a graceful stop and for tests.
    pub async fn quiet(&self) {
        let all = u32::try_from(AT_ONCE_MOST).unwrap_or(u32::MAX);
        drop(self.places.acquire_many(all).await);
        drop(self.spare.acquire_many(u32::try_from(TOLD_BUSY_MOST).unwrap_or(u32::MAX)).await);
    }

    async fn work(&self, asked: &Asked) {
        if let Some(refusal) = self.not_ours(asked) {
            tracing::warn!(team = asked.team, channel = asked.channel, user = asked.user, "{refusal}");
            return self.whisper(asked, &Told::from(vec![words(refusal)]).message).await;
        }
        if let Err(other) = self.of_this_bot(asked) {
            tracing::warn!(incident = %other.incident, cluster = other.theirs, "a press was meant for the bot of another cluster");
            self.client.count_refusal("other_bot");
            return self.whisper(asked, &Told::from(vec![answers::sentence(&other)]).message).await;
        }
        let actor = self.directory.actor(&asked.user).await;
        let What::Press { press, label, message: Some(message) } = &asked.what else {
            return self.whisper(asked, &self.answer(asked, actor).await.message).await;
        };
        if is_card(&message.blocks) {
            // The card is drawn anew by its own effect: an edit here could overtake it with an older state.
            return self.whisper(asked, &self.answer(asked, actor).await.message).await;
        }
        // The buttons go away at the click, while it is being decided; but not because of people who may press nothing.
        let may_press = !actor.roles.is_empty();
        let pressed = vec![person(&actor.id), text(format!(" pressed {label}: it is being decided."))];
        let marking = async {
            if may_press {
                self.edit(asked, message, &without_buttons(&message.blocks, &pressed)).await;
            }
        };
        let by = actor.id.clone();
        let (told, ()) = tokio::join!(self.answer(asked, actor), marking);
        let settling = async {
            if let Some(blocks) = self.decided(press.as_ref(), label, message, &by, told.done).await
                && (may_press || blocks != message.blocks)
            {
                self.edit(asked, message, &blocks).await;
            }
        };
        tokio::join!(settling, self.whisper(asked, &told.message));
    }

    /// What the pressed post looks like once it is decided; `None` when it stays as it was marked.
    async fn decided(
        &self,
        press: Option<&Press>,
        label: &str,
        message: &Pressed,
        by: &PersonId,
        done: bool,
    ) -> Option<Vec<Value>> {
        let stripped = |why: &Line| Some(without_buttons(&message.blocks, why));
        let Some(press) = press else { return stripped(&words("These buttons are of another version of the bot.")) };
        let who_did_it = vec![person(by), text(format!(": {label}"))];
        match self.ask.incident(press.incident).await {
            // One vote of several: the question still stands for the others.
            Ok(Some(incident)) if done && needs_more_votes(&incident, by) => Some(message.blocks.clone()),
            _ if done => stripped(&who_did_it),
            Ok(Some(incident)) if !still_works(press, &incident) => stripped(&why_gone(&press.act, &incident)),
            // Refused to this person only, or not decided: others may press it.
            _ => Some(message.blocks.clone()),
        }
    }

    /// Whether the button that was pressed, if one was, is this bot's: its incident may have the number of one of ours.
    fn of_this_bot(&self, asked: &Asked) -> Result<(), OtherBot> {
        let What::Press { press: Some(press), .. } = &asked.what else { return Ok(()) };
        self.home.whose.check(press.incident, press.cluster.as_deref())
    }

    async fn edit(&self, asked: &Asked, message: &Pressed, blocks: &[Value]) {
        if let Err(error) = self.client.update(&asked.channel, &message.id, &message.text, blocks).await {
            tracing::warn!(%error, "the buttons of a post that was pressed could not be changed");
        }
    }

    async fn answer(&self, asked: &Asked, actor: Actor) -> Told {
        match &asked.what {
            What::Press { press: Some(press), .. } => {
                self.submit(self.home.whose.ours(press.incident), press.act.clone(), actor, &asked.key).await
            }
            What::Press { press: None, .. } => {
                vec![words("That button is of another version of the bot: use the newest card, or a command.")].into()
            }
            What::Command(typed) => self.command(typed, actor, &asked.key).await,
        }
    }

    /// Why a request is not ours to answer.
    fn not_ours(&self, asked: &Asked) -> Option<&'static str> {
        let other_team = asked.team != self.home.team
            || asked.user_team.as_ref().is_some_and(|team| *team != self.home.team)
            || (self.home.enterprise.is_some() && asked.enterprise != self.home.enterprise);
        if other_team {
            self.client.count_refusal("foreign_team");
            return Some("This bot listens to people of its own workspace only.");
        }
        let elsewhere = !self.home.channels.contains(&asked.channel);
        if elsewhere {
            self.client.count_refusal("foreign_channel");
        }
        elsewhere.then_some("This bot listens in its incident channel only: please ask there.")
    }

    async fn command(&self, typed: &str, actor: Actor, key: &str) -> Told {
        let live = match self.ask.live().await {
            Ok(live) => live,
            Err(error) => return answers::refusal(&error).into(),
        };
        let ids: Vec<IncidentId> = live.iter().map(|incident| incident.id).collect();
        let place = ParseContext {
            platform: Platform::Slack,
            workspace: &self.home.team,
            thread: None,
            live: &ids,
            whose: self.home.whose.clone(),
            groups: &self.home.groups,
        };
        match grammar::parse(typed, &place) {
            Err(error) => vec![answers::sentence(&error)].into(),
            Ok(Said::Help) => answers::help(&actor, self.clock.now(), &live).into(),
            Ok(Said::Incidents) => answers::list(&live).into(),
            Ok(Said::Status(id)) => self.status(id).await,
            Ok(Said::Writes { on, reason }) => self.switch(on, reason, actor, key).await,
            Ok(Said::AckAll) => self.take_all(actor, key).await,
            Ok(Said::Act(id, act)) => self.submit(id, act, actor, key).await,
        }
    }

    async fn switch(&self, on: bool, reason: String, actor: Actor, key: &str) -> Told {
        let request = SwitchRequest { actor, key: key.to_owned(), on, reason };
        match self.ask.switch_writes(request).await {
            Ok(answer) => Told { done: true, ..vec![with_times(&answer.text)].into() },
            Err(error) => answers::refusal(&error).into(),
        }
    }

    async fn take_all(&self, actor: Actor, key: &str) -> Told {
        match self.ask.take_all(TakeAll { actor, key: key.to_owned() }).await {
            Ok(answer) => Told { done: true, ..vec![with_times(&answer.text)].into() },
            Err(error) => answers::refusal(&error).into(),
        }
    }

    async fn status(&self, id: IncidentId) -> Told {
        match self.ask.incident(id).await {
            Ok(Some(incident)) => {
                // A private copy is not redrawn, so it gets no buttons that would grow old.
                let card = Card { buttons: Vec::new(), ..Card::of(&incident) };
                Told { message: block_kit::card(&card, &format!("status/{id}")), done: true }
            }
            Ok(None) => answers::refusal(&SubmitError::Refused(Refusal::NoIncident(id))).into(),
            Err(error) => answers::refusal(&error).into(),
        }
    }

    async fn submit(&self, id: IncidentId, act: Act, actor: Actor, key: &str) -> Told {
        let command = Command { incident: id, actor, key: key.to_owned(), act };
        match self.ask.submit(command).await {
            Ok(answer) => Told { done: true, ..vec![with_times(&answer.text)].into() },
            Err(SubmitError::Refused(Refusal::AlreadyAcknowledged(holder))) => answers::taken(id, &holder).into(),
            Err(error) => answers::refusal(&error).into(),
        }
    }

    /// Answers privately: through Slack's address for this request, once; or by an ephemeral message if that fails.
    async fn whisper(&self, asked: &Asked, message: &Message) {
        let signed =
            self.home.whose.to_be_named().map(|cluster| message.clone().signed(&format!("The bot of {cluster}")));
        let message = signed.as_ref().unwrap_or(message);
        let body = json!({
            "response_type": "ephemeral",
            "replace_original": false,
            "text": message.text,
            "blocks": message.blocks,
        });
        if let Some(address) = asked.response_url.as_deref().filter(|address| self.is_slacks(address)) {
            let sent = self.client.outgoing.post(address, "application/json", None, body.to_string().into_bytes());
            match sent.await {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, "a private answer could not be given through its address"),
            }
        }
        if let Err(error) = self.client.whisper(&asked.channel, &asked.user, message).await {
            tracing::warn!(user = asked.user, %error, "a private answer could not be given");
        }
    }

    /// Whether an address for answers is Slack's own: nothing else is ever called because a payload says so.
    fn is_slacks(&self, address: &str) -> bool {
        let origin = |address: &str| url::Url::parse(address).map(|parsed| parsed.origin()).ok();
        let (theirs, ours) = (origin(address), origin(&self.home.hooks));
        theirs.is_some() && theirs == ours
    }
}

/// Whether this person's vote was counted and others are still asked.
fn needs_more_votes(incident: &Incident, by: &PersonId) -> bool {
    let phase = incident.fix.as_ref().map(|fix| &fix.phase);
    matches!(phase, Some(FixPhase::Asking { question }) if question.approved_by.contains(by))
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").field("home", &self.home).finish_non_exhaustive()
    }
}
