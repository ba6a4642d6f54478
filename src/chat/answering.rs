//! One place that turns what was said into an answer, whichever face heard it.

use std::sync::Arc;

use super::{
    Ask, OtherBot, Whose, answers,
    card::{Card, Confirm, Line, Press, person, sentence, text, words},
    grammar::{self, Chosen, Misunderstood, Notation, ParseContext, Said, Verb},
    outlived_presses::{still_works, why_gone},
};
use crate::{
    clock::Clock,
    engine::SubmitError,
    escalation::LevelNumber,
    incident::{Act, Command, FixPhase, Incident, IncidentId, Refusal, SwitchRequest, TakeAll},
    people::{Actor, PersonId, Platform},
};

/// What a person said, as a face has read it.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// A line of words, without the platform's name for all commands.
    Typed(String),
    /// A command by its parts.
    Chosen(Chosen),
    /// A button; `None` when what it was drawn for cannot be read (a button of another version).
    Press(Option<Press>),
}

impl Heard {
    /// Whether what is asked counts only from somebody who was not shown that it failed: a fix that runs, calls that stop for
    /// good. What cannot be told counts too.
    pub fn needs_to_be_meant_still(&self) -> bool {
        match self {
            Self::Typed(_) => true,
            Self::Chosen(chosen) => {
                matches!(chosen.verb, Verb::Fix | Verb::Approve | Verb::Resolve | Verb::Writes)
            }
            Self::Press(press) => press.as_ref().is_none_or(|press| {
                matches!(press.act, Act::ProposeFix { .. } | Act::Approve { .. } | Act::Resolve { .. })
            }),
        }
    }
}

/// Where it was said.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub platform: Platform,
    /// The workspace, for the ids of people.
    pub workspace: &'a str,
    /// How people are written there.
    pub notation: &'a dyn Notation,
    /// Which groups stand for which level.
    pub groups: &'a [(String, LevelNumber)],
}

/// What the person hears.
#[derive(Debug, Clone, PartialEq)]
pub enum Says {
    Lines(Vec<Line>),
    /// Where an incident stands. A private copy is not redrawn, so it has no buttons that would grow old.
    Card(Box<Card>),
}

/// The private answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub says: Says,
    /// Whether it was done.
    pub done: bool,
}

impl Reply {
    /// What was done.
    fn did(lines: Vec<Line>) -> Self {
        Self { says: Says::Lines(lines), done: true }
    }
}

impl From<Vec<Line>> for Reply {
    /// Nothing was done.
    fn from(lines: Vec<Line>) -> Self {
        Self { says: Says::Lines(lines), done: false }
    }
}

/// What becomes of the buttons of a post in which one was pressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Buttons {
    /// Others may press them.
    Stay,
    /// They are gone, and this stands in their place.
    Go(Line),
}

/// What stands between a press and its decision, on platforms whose buttons do not ask back themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskedBack {
    /// The press counts.
    Nothing,
    Confirm(Confirm),
    /// It cannot work any more, and this is why: it is not decided on, for a moment later it might.
    Gone(Line),
    /// The incident could not be read: nothing counts that was not confirmed.
    NotKnown,
}

/// Answers what people say.
pub struct Answering {
    ask: Arc<dyn Ask>,
    whose: Whose,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Answering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answering").field("whose", &self.whose).finish_non_exhaustive()
    }
}

impl Answering {
    /// Answers for the bot `whose`, who asks the engine through `ask`.
    pub fn new(ask: Arc<dyn Ask>, whose: Whose, clock: Arc<dyn Clock>) -> Self {
        Self { ask, whose, clock }
    }

    /// The name by which an answer says who speaks, where bots of several clusters answer.
    pub fn signature(&self) -> Option<String> {
        self.whose.to_be_named().map(|cluster| format!("The bot of {cluster}"))
    }

    /// The incidents that are open.
    pub async fn live(&self) -> Result<Vec<Arc<Incident>>, SubmitError> {
        self.ask.live().await
    }

    /// What has to be asked back before a press counts, as the incident stands now.
    pub async fn asked_back(&self, press: &Press) -> AskedBack {
        if self.whose.check(press.incident, press.cluster.as_deref()).is_err() {
            return AskedBack::Nothing;
        }
        let Ok(Some(incident)) = self.ask.incident(self.whose.ours(press.incident)).await else {
            return AskedBack::NotKnown;
        };
        let own = Card::of(&incident).buttons.into_iter().find(|button| button.press.is_same_as(press));
        match own {
            Some(button) => button.confirm.map_or(AskedBack::Nothing, AskedBack::Confirm),
            None => AskedBack::Gone(why_gone(&press.act, &incident)),
        }
    }

    /// Whether a button is this bot's: its incident may have the number of one of ours.
    pub fn of_this_bot(&self, heard: &Heard) -> Result<(), OtherBot> {
        let Heard::Press(Some(press)) = heard else { return Ok(()) };
        self.whose.check(press.incident, press.cluster.as_deref())
    }

    /// Which incident is meant, if it is about one.
    pub async fn about(&self, heard: &Heard, place: &Place<'_>) -> Option<IncidentId> {
        let Heard::Press(press) = heard else {
            let live = self.ask.live().await.ok()?;
            return match self.read(heard, &live, place)? {
                Ok(Said::Act(id, _)) => Some(id),
                _ => None,
            };
        };
        press.as_ref().map(|press| press.incident)
    }

    /// Reads a command; `None` for a press, which needs no reading.
    fn read(&self, heard: &Heard, live: &[Arc<Incident>], place: &Place<'_>) -> Option<Result<Said, Misunderstood>> {
        let ids: Vec<IncidentId> = live.iter().map(|incident| incident.id).collect();
        let Place { platform, workspace, notation, groups } = *place;
        let context =
            ParseContext { platform, notation, workspace, thread: None, live: &ids, whose: self.whose.clone(), groups };
        match heard {
            Heard::Typed(typed) => Some(grammar::parse(typed, &context)),
            Heard::Chosen(chosen) => Some(grammar::said(chosen, &context)),
            Heard::Press(_) => None,
        }
    }

    /// Answers `actor`. A `key` that was seen before gets the first answer again.
    pub async fn answer(&self, heard: &Heard, actor: Actor, key: &str, place: &Place<'_>) -> Reply {
        if let Heard::Press(Some(press)) = heard {
            return self.submit(self.whose.ours(press.incident), press.act.clone(), actor, key).await;
        }
        let live = match self.ask.live().await {
            Ok(live) => live,
            Err(error) => return answers::refusal(&error).into(),
        };
        match self.read(heard, &live, place) {
            None => {
                vec![words("That button is of another version of the bot: use the newest card, or a command.")].into()
            }
            Some(said) => self.command(said, &live, actor, key).await,
        }
    }

    async fn command(
        &self,
        said: Result<Said, Misunderstood>,
        live: &[Arc<Incident>],
        actor: Actor,
        key: &str,
    ) -> Reply {
        match said {
            Err(error) => vec![answers::sentence(&error)].into(),
            Ok(Said::Help) => answers::help(&actor, self.clock.now(), live).into(),
            Ok(Said::Incidents) => answers::list(live).into(),
            Ok(Said::Status(id)) => self.status(id).await,
            Ok(Said::Writes { on, reason }) => {
                let request = SwitchRequest { actor, key: key.to_owned(), on, reason };
                told(self.ask.switch_writes(request).await)
            }
            Ok(Said::AckAll) => told(self.ask.take_all(TakeAll { actor, key: key.to_owned() }).await),
            Ok(Said::Act(id, act)) => self.submit(id, act, actor, key).await,
        }
    }

    async fn status(&self, id: IncidentId) -> Reply {
        match self.ask.incident(id).await {
            Ok(Some(incident)) => {
                let card = Card { buttons: Vec::new(), ..Card::of(&incident) };
                Reply { says: Says::Card(Box::new(card)), done: true }
            }
            Ok(None) => answers::refusal(&SubmitError::Refused(Refusal::NoIncident(id))).into(),
            Err(error) => answers::refusal(&error).into(),
        }
    }

    async fn submit(&self, id: IncidentId, act: Act, actor: Actor, key: &str) -> Reply {
        let command = Command { incident: id, actor, key: key.to_owned(), act };
        match self.ask.submit(command).await {
            Err(SubmitError::Refused(Refusal::AlreadyAcknowledged(holder))) => answers::taken(id, &holder).into(),
            other => told(other),
        }
    }

    /// What becomes of the buttons of a post once `by` has pressed one that says `label`, and it was decided.
    pub async fn buttons_after(&self, press: Option<&Press>, label: &str, by: &PersonId, done: bool) -> Buttons {
        let Some(press) = press else {
            return Buttons::Go(words("These buttons are of another version of the bot."));
        };
        match self.ask.incident(press.incident).await {
            // One vote of several: the question still stands for the others.
            Ok(Some(incident)) if done && needs_more_votes(&incident, by) => Buttons::Stay,
            _ if done => Buttons::Go(vec![person(by), text(format!(": {label}"))]),
            Ok(Some(incident)) if !still_works(press, &incident) => Buttons::Go(why_gone(&press.act, &incident)),
            // Refused to this person only, or not decided: others may press it.
            _ => Buttons::Stay,
        }
    }
}

fn told(answer: Result<crate::incident::Answer, SubmitError>) -> Reply {
    match answer {
        Ok(answer) => Reply::did(vec![sentence(&answer.text)]),
        Err(error) => answers::refusal(&error).into(),
    }
}

/// Whether this person's vote was counted and others are still asked.
fn needs_more_votes(incident: &Incident, by: &PersonId) -> bool {
    let phase = incident.fix.as_ref().map(|fix| &fix.phase);
    matches!(phase, Some(FixPhase::Asking { question }) if question.approved_by.contains(by))
}
