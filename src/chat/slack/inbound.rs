//! From what somebody asked to a private answer: one way for commands and buttons, over HTTP and Socket Mode.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{
    answers,
    asked::{Asked, Pressed, What},
    block_kit::{self, Message},
    client::Client,
    mrkdwn,
    people::Directory,
};
use crate::{
    chat::{
        Ask,
        card::{Card, Line, with_times, words},
        grammar::{self, Place, Said},
    },
    clock::Clock,
    engine::SubmitError,
    escalation::LevelNumber,
    incident::{Act, Command, IncidentId, Refusal, SwitchRequest},
    people::{Actor, Platform},
    remediation::PlanId,
};

/// How many requests are worked on at once; one more is asked to try again. A press costs two or three calls to Slack.
pub const AT_ONCE_MOST: usize = 64;
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
        Arc::new(Self { ask, client, directory, home, clock, places: Arc::new(Semaphore::new(AT_ONCE_MOST)) })
    }

    /// Takes a request and works on it in the background: Slack wants its answer within 3 s, whatever the work takes.
    pub fn take(self: &Arc<Self>, asked: Asked) -> Result<(), BusyDesk> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| BusyDesk)?;
        let desk = Arc::clone(self);
        tokio::spawn(async move {
            desk.work(&asked).await;
            drop(place);
        });
        Ok(())
    }

    /// Returns when nothing is being worked on any more; for a graceful stop and for tests.
    pub async fn quiet(&self) {
        let all = u32::try_from(AT_ONCE_MOST).unwrap_or(u32::MAX);
        drop(self.places.acquire_many(all).await);
    }

    async fn work(&self, asked: &Asked) {
        let told = self.answer(asked).await;
        if let (true, What::Press { label, message: Some(message), .. }) = (told.done, &asked.what) {
            self.retire(asked, label, message).await;
        }
        self.whisper(asked, &told.message).await;
    }

    async fn answer(&self, asked: &Asked) -> Told {
        if let Some(refusal) = self.not_ours(asked) {
            tracing::warn!(team = asked.team, channel = asked.channel, user = asked.user, "{refusal}");
            return vec![words(refusal)].into();
        }
        let actor = self.directory.actor(&asked.user).await;
        match &asked.what {
            What::Press { press: Some(press), .. } => {
                self.submit(press.incident, press.act.clone(), actor, &asked.key).await
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
            return Some("This bot listens to people of its own workspace only.");
        }
        let elsewhere = !self.home.channels.contains(&asked.channel);
        elsewhere.then_some("This bot listens in its incident channel only: please ask there.")
    }

    async fn command(&self, typed: &str, actor: Actor, key: &str) -> Told {
        let live = match self.ask.live().await {
            Ok(live) => live,
            Err(error) => return answers::refusal(&error).into(),
        };
        let ids: Vec<IncidentId> = live.iter().map(|incident| incident.id).collect();
        let place = Place {
            platform: Platform::Slack,
            workspace: &self.home.team,
            thread: None,
            live: &ids,
            groups: &self.home.groups,
        };
        match grammar::parse(typed, &place) {
            Err(error) => vec![words(error.to_string())].into(),
            Ok(Said::Help) => answers::help(&actor, self.clock.now()).into(),
            Ok(Said::Incidents) => answers::list(&live).into(),
            Ok(Said::Status(id)) => self.status(id).await,
            Ok(Said::Writes { on, reason }) => self.switch(on, reason, actor, key).await,
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
        let act = match self.whole_plan(id, act).await {
            Ok(act) => act,
            Err(error) => return answers::refusal(&error).into(),
        };
        let command = Command { incident: id, actor, key: key.to_owned(), act };
        match self.ask.submit(command).await {
            Ok(answer) => Told { done: true, ..vec![with_times(&answer.text)].into() },
            Err(error) => answers::refusal(&error).into(),
        }
    }

    /// People type the first characters of a plan's hash, as the card shows them; decisions compare all of it.
    async fn whole_plan(&self, id: IncidentId, act: Act) -> Result<Act, SubmitError> {
        let (Act::Approve { plan: Some(typed) } | Act::Reject { plan: Some(typed) }) = &act else { return Ok(act) };
        let incident = self.ask.incident(id).await?;
        let shown: Option<PlanId> =
            incident.and_then(|incident| incident.fix.as_ref().and_then(crate::incident::Fix::plan_id));
        let Some(whole) = shown.filter(|plan| plan.0.starts_with(&typed.0)) else { return Ok(act) };
        Ok(match act {
            Act::Approve { .. } => Act::Approve { plan: Some(whole) },
            _ => Act::Reject { plan: Some(whole) },
        })
    }

    /// Takes the buttons off a post whose button was pressed and did something. The card is drawn anew by itself.
    async fn retire(&self, asked: &Asked, label: &str, message: &Pressed) {
        let is_card = message
            .blocks
            .iter()
            .any(|block| block.get("block_id").and_then(Value::as_str).is_some_and(|key| key.ends_with("/card")));
        if is_card {
            return;
        }
        let who = mrkdwn::person(&crate::people::PersonId {
            platform: Platform::Slack,
            workspace: self.home.team.clone(),
            user: asked.user.clone(),
        });
        let (label, _) = mrkdwn::escape(label, 75);
        let mut blocks: Vec<Value> =
            message.blocks.iter().filter(|block| block["type"] != "actions").cloned().collect();
        let done = json!({ "type": "mrkdwn", "text": format!("{who}: {label}"), "verbatim": true });
        blocks.push(json!({ "type": "context", "elements": [done] }));
        if let Err(error) = self.client.update(&asked.channel, &message.id, &message.text, &blocks).await {
            tracing::warn!(%error, "the buttons of an answered post could not be taken away");
        }
    }

    /// Answers privately: through Slack's address for this request, once; or by an ephemeral message if that fails.
    async fn whisper(&self, asked: &Asked, message: &Message) {
        let body = json!({
            "response_type": "ephemeral",
            "replace_original": false,
            "text": message.text,
            "blocks": message.blocks,
        });
        if let Some(address) = asked.response_url.as_deref().filter(|address| self.is_slacks(address)) {
            let sent = self.client.outgoing.post(address, "application/json", None, body.to_string().into_bytes());
            match sent.await {
                Ok(_) => return,
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

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").field("home", &self.home).finish_non_exhaustive()
    }
}
