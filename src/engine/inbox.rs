//! What comes in: alerts, and what people ask. Every answer is given after commit.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;

use super::{SubmitError, build::Shared};
use crate::{
    incident::{
        Act, Answer, Command, Event, Incident, IncidentId, Keeper, NewEffect, Policy, Refusal, TakeAll, apply, begin,
        can_take_in, decide, effects, join, wants_to_join,
    },
    journal::{Append, AppendError, Change, StoredAnswer, StoredEvent, StoredIncident},
    people::PersonId,
};

/// How often a decision is taken again when the incident has moved meanwhile. Each time somebody else got further.
pub(super) const DECIDED_AGAIN_MOST: usize = 20;

/// How many incidents about one target are looked at for one that can take another in.
const LOOKED_AT_MOST: u32 = 20;

/// What a webhook body came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Incidents that opened.
    pub opened: Vec<IncidentId>,
    /// Incidents that changed.
    pub changed: Vec<IncidentId>,
    /// Alerts that said nothing new.
    pub repeated: usize,
}

/// Takes requests. Cheap to clone.
#[derive(Clone)]
pub struct Inbox(pub(super) Arc<Shared>);

impl Inbox {
    /// Takes one command of a person. A key that was seen before gives the first answer again.
    pub async fn submit(&self, command: &Command) -> Result<Answer, SubmitError> {
        if command.act == Act::AcknowledgeAll {
            return self.take_all(&TakeAll { actor: command.actor.clone(), key: command.key.clone() }).await;
        }
        let key = request_key(&command.actor.id, &command.key);
        // The incident that takes this one in is known once it is read: then there is another round, with the turns of both.
        let mut concerns = BTreeSet::from([command.incident]);
        for _ in 0..DECIDED_AGAIN_MOST {
            if let Some(answer) = self.0.journal.answer(&key).await.map_err(not_stored)? {
                return replayed(answer);
            }
            let _turn = self.0.turns.of(concerns.iter().copied()).await;
            let _still = self.0.time.still().await;
            let now = self.0.clock.now();
            let stored = self.0.journal.incident(command.incident).await.map_err(not_stored)?;
            let decided = match stored {
                None => Err(Refusal::NoIncident(command.incident)),
                Some(stored) => {
                    let other = self.0.takes_in(&stored.incident, command).await?;
                    if let Some(other) = &other
                        && concerns.insert(other.id)
                    {
                        continue;
                    }
                    self.0.decided(stored.incident, other, command, now)
                }
            };
            let (changes, joined, answer, kept) = match decided {
                Ok(Decided { changes, joined, answer }) => {
                    (changes, joined, Ok(answer.clone()), StoredAnswer::Done(answer.text))
                }
                Err(refusal) => {
                    let kept = StoredAnswer::Refused(refusal.to_string());
                    (Vec::new(), None, Err(refusal), kept)
                }
            };
            let moved: Vec<IncidentId> = changes.iter().map(|change| change.after.id).collect();
            let append = Append { changes, joined, answer: Some((key.clone(), kept, now)), ..Append::default() };
            let news = self.0.news_of(&append);
            match self.0.journal.append(append).await {
                Ok(_) => {
                    self.0.stored(&news);
                    self.0.announce(&moved);
                    log_command(command, answer.is_ok());
                    return answer.map_err(SubmitError::Refused);
                }
                Err(AppendError::Conflict) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Err(SubmitError::Busy)
    }

    /// One incident.
    pub async fn incident(&self, id: IncidentId) -> Result<Option<StoredIncident>, SubmitError> {
        self.0.journal.incident(id).await.map_err(not_stored)
    }

    /// The incidents that are not closed, newest first.
    pub async fn live(&self, most: u32) -> Result<Vec<StoredIncident>, SubmitError> {
        self.0.journal.live(most).await.map_err(not_stored)
    }

    /// The newest incidents of any life, newest first.
    pub async fn newest(&self, most: u32) -> Result<Vec<StoredIncident>, SubmitError> {
        self.0.journal.newest(most).await.map_err(not_stored)
    }

    /// Everything that happened to an incident.
    pub async fn events(&self, id: IncidentId) -> Result<Vec<StoredEvent>, SubmitError> {
        self.0.journal.events(id).await.map_err(not_stored)
    }

    /// The incident whose message this is, for commands that are given in its thread.
    pub async fn incident_of_message(&self, channel: &str, message: &str) -> Result<Option<IncidentId>, SubmitError> {
        self.0.journal.incident_of_message(channel, message).await.map_err(not_stored)
    }

    /// The names of incidents as they change, for faces that show them live.
    pub fn changes(&self) -> tokio::sync::broadcast::Receiver<IncidentId> {
        self.0.changes.subscribe()
    }

    /// The bot that keeps the incidents, as their ids carry it.
    pub fn keeper(&self) -> Option<Keeper> {
        self.0.journal.keeper
    }

    /// The rules in force.
    pub fn policy(&self) -> crate::incident::Policy {
        self.0.policy()
    }
}

pub(super) fn request_key(who: &PersonId, key: &str) -> String {
    format!("{:?}/{}/{}/{key}", who.platform, who.workspace, who.user)
}

fn log_command(command: &Command, done: bool) {
    let act = match &command.act {
        // What people write into notes is for the incident, not for the log.
        Act::Note { .. } => "note".to_owned(),
        Act::Resolve { .. } => "resolve".to_owned(),
        other => format!("{other:?}"),
    };
    tracing::info!(incident = %command.incident, by = %command.actor.id, act, done, "a command was decided");
}

pub(super) fn replayed(answer: StoredAnswer) -> Result<Answer, SubmitError> {
    match answer {
        StoredAnswer::Done(text) => Ok(Answer { text }),
        StoredAnswer::Refused(text) => Err(SubmitError::Refused(Refusal::SaidBefore(text))),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is the end of the error: handed to map_err")]
pub(super) fn not_stored(error: crate::journal::JournalError) -> SubmitError {
    SubmitError::NotStored(error.to_string())
}

impl From<AppendError> for SubmitError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Busy | AppendError::Conflict => Self::Busy,
            AppendError::Locked(what) => Self::NotStored(format!("{what} is held")),
            AppendError::NotStored(why) => Self::NotStored(why),
        }
    }
}

/// What a command does, decided.
struct Decided {
    changes: Vec<Change>,
    joined: Option<(IncidentId, IncidentId)>,
    answer: Answer,
}

impl Shared {
    /// What a command does to its incident, or makes of it and `other`, which takes it in.
    fn decided(
        &self,
        incident: Incident,
        other: Option<Incident>,
        command: &Command,
        now: Timestamp,
    ) -> Result<Decided, Refusal> {
        let policy = self.policy();
        if let Some(other) = other {
            let joining = join(&incident, &other, command, now, &policy)?;
            let joined = Some((incident.id, other.id));
            let changes = vec![self.change(incident, joining.joins, now), self.change(other, joining.taken_in, now)];
            return Ok(Decided { changes, joined, answer: joining.answer });
        }
        let (events, answer) = decide(&incident, command, now, &policy)?;
        let changes = vec![self.change(incident, events, now)];
        Ok(Decided { changes, joined: None, answer })
    }

    /// The incident that is open already for the target that `incident` is given: the oldest of them.
    async fn takes_in(&self, incident: &Incident, command: &Command) -> Result<Option<Incident>, SubmitError> {
        let Some(target) = wants_to_join(incident, command) else { return Ok(None) };
        let about = self.journal.live_about(target, LOOKED_AT_MOST).await.map_err(not_stored)?;
        let mut others = about.into_iter().map(|stored| stored.incident);
        Ok(others.find(|other| can_take_in(other, incident, target)))
    }

    /// What `events` make of an incident, and ask for.
    pub(super) fn change(&self, before: Incident, events: Vec<Event>, at: Timestamp) -> Change {
        let policy = self.policy();
        let mut change = unchanged(before, at);
        extend(&mut change, events, at, &policy);
        change
    }

    /// A new incident.
    pub(super) fn opening(&self, events: Vec<Event>, at: Timestamp) -> Option<Change> {
        let policy = self.policy();
        let mut events = events.into_iter();
        let first = events.next()?;
        let after = begin(&first, at)?;
        let asked = effects(&after, &first, at, &policy);
        let mut change = Change { read_version: 0, after, events: vec![first], effects: asked, at };
        extend(&mut change, events, at, &policy);
        Some(change)
    }
}

pub(super) fn unchanged(before: Incident, at: Timestamp) -> Change {
    Change { read_version: before.version, after: before, events: Vec::new(), effects: Vec::new(), at }
}

/// Adds events to a change, in place: a body of a thousand alerts copies no incident a thousand times.
pub(super) fn extend(change: &mut Change, events: impl IntoIterator<Item = Event>, at: Timestamp, policy: &Policy) {
    for event in events {
        apply(&mut change.after, &event, at);
        add_effects(&mut change.effects, effects(&change.after, &event, at, policy));
        change.events.push(event);
    }
}

/// Effects of one slot replace each other before they are ever written.
fn add_effects(asked: &mut Vec<NewEffect>, new: Vec<NewEffect>) {
    for effect in new {
        if effect.slot.is_some() {
            asked.retain(|other| other.slot != effect.slot);
        }
        asked.push(effect);
    }
}
