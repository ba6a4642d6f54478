//! Takes one command of a person.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{
    answers::{replayed, request_key},
    commit::{Decision, until_stored},
    shared::Shared,
    submit_error::SubmitError,
};
use crate::{
    incident::{Act, Answer, Command, Incident, IncidentId, Refusal, can_take_in, decide, join, wants_to_join},
    journal::{Append, Change, StoredAnswer},
};

/// How many incidents about one target are looked at for one that can take another in.
const LOOKED_AT_MOST: u32 = 20;

/// Takes one command; returns after commit. A key that was seen before gives the first answer again.
pub(super) async fn take(shared: &Shared, command: &Command) -> Result<Answer, SubmitError> {
    let key = request_key(&command.actor.id, &command.key);
    let concerns = BTreeSet::from([command.incident]);
    until_stored(TakeCommand { shared, command, key, concerns }).await?.unwrap_or(Err(SubmitError::Busy))
}

struct TakeCommand<'a> {
    shared: &'a Shared,
    command: &'a Command,
    key: String,
    /// The incident that takes this one in is known once it is read: then there is another round, with the turns of both.
    concerns: BTreeSet<IncidentId>,
}

impl Decision for TakeCommand<'_> {
    type Stored = Result<Answer, SubmitError>;
    type Error = SubmitError;

    async fn attempt(&mut self) -> Result<Option<Self::Stored>, SubmitError> {
        let (shared, command) = (self.shared, self.command);
        if let Some(answer) = shared.journal.answer(&self.key).await? {
            return Ok(Some(replayed(answer)));
        }
        let _turn = shared.turns.of(self.concerns.iter().copied()).await;
        let _still = shared.time.still().await;
        let now = shared.clock.now();
        let decided = match shared.journal.incident(command.incident).await? {
            None => Err(Refusal::NoIncident(command.incident)),
            Some(stored) => {
                let other = shared.takes_in(&stored.incident, command).await?;
                if let Some(other) = &other
                    && self.concerns.insert(other.id)
                {
                    return Ok(None);
                }
                shared.decided(stored.incident, other, command, now)
            }
        };
        let (changes, joined, answer, kept) = match decided {
            Ok(DecidedCommand { changes, joined, answer }) => {
                (changes, joined, Ok(answer.clone()), StoredAnswer::Done(answer.text))
            }
            Err(refusal) => {
                let kept = StoredAnswer::Refused(refusal.to_string());
                (Vec::new(), None, Err(refusal), kept)
            }
        };
        let append = Append { changes, joined, answer: Some((self.key.clone(), kept, now)), ..Append::default() };
        let stored = shared.commit(append).await?;
        Ok(stored.map(|_| {
            log_command(command, answer.is_ok());
            answer.map_err(SubmitError::Refused)
        }))
    }
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

/// What a command does, decided.
struct DecidedCommand {
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
    ) -> Result<DecidedCommand, Refusal> {
        let policy = self.rules.policy();
        if let Some(other) = other {
            let joining = join(&incident, &other, command, now, &policy)?;
            let joined = Some((incident.id, other.id));
            let changes = vec![self.change(incident, joining.joins, now), self.change(other, joining.taken_in, now)];
            return Ok(DecidedCommand { changes, joined, answer: joining.answer });
        }
        let (events, answer) = decide(&incident, command, now, &policy)?;
        let changes = vec![self.change(incident, events, now)];
        Ok(DecidedCommand { changes, joined: None, answer })
    }

    /// The incident that is open already for the target that `incident` is given: the oldest of them.
    async fn takes_in(&self, incident: &Incident, command: &Command) -> Result<Option<Incident>, SubmitError> {
        let Some(target) = wants_to_join(incident, command) else { return Ok(None) };
        let about = self.journal.live_about(target, LOOKED_AT_MOST).await?;
        let mut others = about.into_iter().map(|stored| stored.incident);
        Ok(others.find(|other| can_take_in(other, incident, target)))
    }
}
