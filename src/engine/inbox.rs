//! What comes in: alerts, and what people ask. Every answer is given after commit.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use super::{SubmitError, build::Shared};
use crate::{
    incident::{
        Act, AlertDelivery, AlertStatus, Answer, Command, Event, Incident, IncidentId, IncidentKey, NewEffect, Refusal,
        Seen, Sighted, apply, begin, decide, effects, end_cut_off, sight,
    },
    journal::{Append, AppendError, Change, StoredAnswer, StoredEvent, StoredIncident},
    people::PersonId,
};

/// How often a decision is taken again when the incident has moved meanwhile. Each time somebody else got further.
pub(super) const DECIDED_AGAIN_MOST: usize = 20;

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
    /// Takes one webhook body: one transaction over its alerts.
    pub async fn deliver(&self, delivery: &AlertDelivery) -> Result<Accepted, SubmitError> {
        for _ in 0..DECIDED_AGAIN_MOST {
            let now = self.0.clock.now();
            let mut draft = Draft::new(&self.0, now);
            draft.take(delivery).await?;
            let (append, accepted, quiet) = draft.finish();
            let watched = self.0.watched(&append);
            match self.0.journal.append(append).await {
                Ok(()) => {
                    self.0.unclaimed(&watched);
                    self.0.storm.opened(now, accepted.opened.len());
                    if quiet > 0 {
                        self.0.storm.notify();
                    }
                    self.0.announce(accepted.opened.iter().chain(&accepted.changed));
                    return Ok(accepted);
                }
                Err(AppendError::Conflict) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Err(SubmitError::Busy)
    }

    /// Takes one command of a person. A key that was seen before gives the first answer again.
    pub async fn submit(&self, command: &Command) -> Result<Answer, SubmitError> {
        let key = request_key(&command.actor.id, &command.key);
        for _ in 0..DECIDED_AGAIN_MOST {
            if let Some(answer) = self.0.journal.answer(&key).await.map_err(not_stored)? {
                return replayed(answer);
            }
            let now = self.0.clock.now();
            let stored = self.0.journal.incident(command.incident).await.map_err(not_stored)?;
            let decided = match stored {
                None => Err(Refusal::NoIncident(command.incident)),
                Some(stored) => decide(&stored.incident, command, now, &self.0.policy())
                    .map(|(events, answer)| (self.0.change(stored.incident, events, now), answer)),
            };
            let (changes, answer, kept) = match decided {
                Ok((change, answer)) => (vec![change], Ok(answer.clone()), StoredAnswer::Done(answer.text)),
                Err(refusal) => (Vec::new(), Err(refusal.clone()), StoredAnswer::Refused(refusal.to_string())),
            };
            let append = Append { changes, answer: Some((key.clone(), kept, now)), ..Append::default() };
            let watched = self.0.watched(&append);
            match self.0.journal.append(append).await {
                Ok(()) => {
                    self.0.unclaimed(&watched);
                    self.0.announce([&command.incident]);
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

impl Shared {
    /// What `events` make of an incident, and ask for.
    pub(super) fn change(&self, before: Incident, events: Vec<Event>, at: Timestamp) -> Change {
        let policy = self.policy();
        let read_version = before.version;
        let mut after = before;
        let mut asked: Vec<NewEffect> = Vec::new();
        for event in &events {
            apply(&mut after, event, at);
            add_effects(&mut asked, effects(&after, event, at, &policy));
        }
        Change { read_version, after, events, effects: asked, at }
    }

    /// A new incident.
    pub(super) fn opening(&self, events: Vec<Event>, at: Timestamp) -> Option<Change> {
        let policy = self.policy();
        let first = events.first()?;
        let mut after = begin(first, at)?;
        let mut asked = effects(&after, first, at, &policy);
        for event in events.iter().skip(1) {
            apply(&mut after, event, at);
            add_effects(&mut asked, effects(&after, event, at, &policy));
        }
        Some(Change { read_version: 0, after, events, effects: asked, at })
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

/// One webhook body on its way to one transaction.
struct Draft<'a> {
    shared: &'a Shared,
    now: Timestamp,
    changes: BTreeMap<IncidentKey, Change>,
    known: BTreeMap<IncidentKey, Option<Incident>>,
    seen: Vec<(IncidentId, Timestamp)>,
    groups: Vec<(String, IncidentId)>,
    accepted: Accepted,
    quiet: usize,
}

impl<'a> Draft<'a> {
    fn new(shared: &'a Shared, now: Timestamp) -> Self {
        Self {
            shared,
            now,
            changes: BTreeMap::new(),
            known: BTreeMap::new(),
            seen: Vec::new(),
            groups: Vec::new(),
            accepted: Accepted::default(),
            quiet: 0,
        }
    }

    async fn take(&mut self, delivery: &AlertDelivery) -> Result<(), SubmitError> {
        for sighting in &delivery.alerts {
            self.take_alert(delivery, sighting).await?;
        }
        if delivery.truncated > 0 {
            self.take_cut_off(delivery).await?;
        }
        Ok(())
    }

    /// The incident of a key as it stands in this draft.
    async fn current(&mut self, key: &IncidentKey) -> Result<Option<Incident>, SubmitError> {
        if let Some(change) = self.changes.get(key) {
            return Ok(Some(change.after.clone()));
        }
        if let Some(known) = self.known.get(key) {
            return Ok(known.clone());
        }
        let stored = self.shared.journal.newest_of(key).await.map_err(not_stored)?;
        let incident = stored.map(|stored| stored.incident);
        self.known.insert(key.clone(), incident.clone());
        Ok(incident)
    }

    async fn take_alert(
        &mut self,
        delivery: &AlertDelivery,
        sighting: &crate::incident::AlertSighting,
    ) -> Result<(), SubmitError> {
        let incident = self.current(&sighting.key).await?;
        let policy = self.shared.policy();
        let quiet = self.shared.storm.rages(self.now, policy.storm_per_minute, self.accepted.opened.len());
        let context = Sighted { now: self.now, policy: &policy, fresh: IncidentId(0), quiet };
        match sight(incident.as_ref(), sighting, &context) {
            Seen::Nothing => {
                self.accepted.repeated = self.accepted.repeated.saturating_add(1);
                if let Some(incident) = incident.filter(|_| sighting.status == AlertStatus::Firing) {
                    self.seen.push((incident.id, self.now));
                }
            }
            Seen::Change(events) => {
                if let Some(incident) = incident {
                    self.note_group(delivery, incident.id);
                    self.add(incident, events);
                }
            }
            Seen::Open(_) => {
                let fresh = self.shared.journal.fresh_id();
                let context = Sighted { fresh, ..context };
                let Seen::Open(events) = sight(incident.as_ref(), sighting, &context) else { return Ok(()) };
                self.open(&sighting.key, events, quiet);
                self.note_group(delivery, fresh);
            }
        }
        Ok(())
    }

    /// Which incidents were seen in a group is only asked for when its bodies are cut.
    fn note_group(&mut self, delivery: &AlertDelivery, id: IncidentId) {
        self.groups.push((delivery.group_key.clone(), id));
    }

    fn open(&mut self, key: &IncidentKey, events: Vec<Event>, quiet: bool) {
        let Some(change) = self.shared.opening(events, self.now) else { return };
        self.accepted.opened.push(change.after.id);
        self.quiet = self.quiet.saturating_add(usize::from(quiet));
        self.changes.insert(key.clone(), change);
    }

    fn add(&mut self, incident: Incident, events: Vec<Event>) {
        if !self.accepted.opened.contains(&incident.id) && !self.accepted.changed.contains(&incident.id) {
            self.accepted.changed.push(incident.id);
        }
        if events.iter().any(|event| matches!(event, Event::AlertFired { .. })) {
            self.seen.push((incident.id, self.now));
        }
        let key = incident.key.clone();
        let more = self.shared.change(incident, events, self.now);
        match self.changes.remove(&key) {
            None => {
                self.changes.insert(key, more);
            }
            Some(mut earlier) => {
                earlier.after = more.after;
                earlier.events.extend(more.events);
                add_effects(&mut earlier.effects, more.effects);
                self.changes.insert(key, earlier);
            }
        }
    }

    /// A body that was cut: its incidents say so; a resolved group ends also the alerts that it does not list.
    async fn take_cut_off(&mut self, delivery: &AlertDelivery) -> Result<(), SubmitError> {
        let listed: Vec<&str> = delivery.alerts.iter().map(|alert| alert.fingerprint.0.as_str()).collect();
        let policy = self.shared.policy();
        let context = Sighted { now: self.now, policy: &policy, fresh: IncidentId(0), quiet: false };
        let stored = self.shared.journal.live_in_group(&delivery.group_key).await.map_err(not_stored)?;
        let mut keys: Vec<IncidentKey> = stored.into_iter().map(|stored| stored.incident.key).collect();
        keys.extend(delivery.alerts.iter().map(|alert| alert.key.clone()));
        keys.sort();
        keys.dedup();
        for key in keys {
            let Some(incident) = self.current(&key).await? else { continue };
            if delivery.status == AlertStatus::Resolved {
                let events = end_cut_off(&incident, &listed, &context);
                if !events.is_empty() {
                    self.add(incident, events);
                }
            } else if incident.is_live() && incident.cut_off != delivery.truncated {
                self.add(incident, vec![Event::AlertsCutOff { count: delivery.truncated }]);
            }
        }
        Ok(())
    }

    fn finish(self) -> (Append, Accepted, usize) {
        let append = Append {
            changes: self.changes.into_values().collect(),
            seen: self.seen,
            groups: self.groups,
            ..Append::default()
        };
        (append, self.accepted, self.quiet)
    }
}
