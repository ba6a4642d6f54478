//! Decides what a person's command does: events, or a refusal that says what to do next. Rights are checked here and
//! nowhere else, whichever way the command came (button, slash command, web page).

mod fixing;
mod joining;
mod taking;
mod taking_all;

pub use taking_all::{Share, Taken, may_take_all, share};

pub use joining::{Joining, can_take_in, join, wants_to_join};

use jiff::Timestamp;

use super::{
    Act, Answer, CloseReason, ClosedBy, Command, Event, FixEnd, Incident, Policy, REASON_MOST, Refusal, Triage, apply,
    offer::no_target, storm::leave_storm_for, storm::stands_for_a_storm,
};
use crate::{
    escalation::{Ladder, Rung},
    mesh::TargetRef,
    people::{Actor, Role},
};

/// The longest note, in characters: it must fit into one chat message with its frame.
pub const NOTE_MOST: usize = 2000;

/// What a command does.
pub(super) type Decided = Result<(Vec<Event>, String), Refusal>;

/// What a decision looks at besides the command.
#[derive(Clone, Copy)]
pub(super) struct DecisionContext<'a> {
    pub(super) incident: &'a Incident,
    pub(super) actor: &'a Actor,
    pub(super) now: Timestamp,
    pub(super) policy: &'a Policy,
}

/// Decides a command.
pub fn decide(
    incident: &Incident,
    command: &Command,
    now: Timestamp,
    policy: &Policy,
) -> Result<(Vec<Event>, Answer), Refusal> {
    let scene = DecisionContext { incident, actor: &command.actor, now, policy };
    scene.require(role_for(&command.act))?;
    may_be_given(&command.act, incident)?;
    // A person who commands a quiet incident wants it looked after: it leaves the storm first.
    let left = leave_storm_for(incident, &command.act, now);
    let mut woken = incident.clone();
    for event in &left {
        apply(&mut woken, event, now);
    }
    let scene = DecisionContext { incident: &woken, ..scene };
    let (decided, mut text) = scene.act(&command.act)?;
    let (taken, told) = scene.taken_by_working(&command.act).unzip();
    text.extend(told.iter().map(|told: &String| format!(" {told}")));
    let work = scene.sign_of_work(&decided);
    let taken = taken.into_iter().flatten();
    Ok((left.into_iter().chain(taken).chain(decided).chain(work).collect(), Answer { text }))
}

/// Whether this incident takes an act at all, from any person and by any command.
fn may_be_given(act: &Act, incident: &Incident) -> Result<(), Refusal> {
    if !incident.is_live() {
        return Err(incident.ended());
    }
    if incident.key.is_of_rule() && !matches!(act, Act::Note { .. } | Act::Resolve { .. }) {
        return Err(Refusal::OnlyTold(incident.id));
    }
    incident.refused_as_foreign(act).map_or(Ok(()), Err)
}

/// Whether it stands for a storm of which services are known.
fn has_a_look(incident: &Incident) -> bool {
    incident.storm_look.as_ref().is_some_and(|look| !look.looked_at().is_empty())
}

/// A reason in as many characters as fit into one line of a post, with a mark where it was cut.
fn bounded_reason(reason: &str) -> String {
    if reason.chars().count() <= REASON_MOST {
        return reason.to_owned();
    }
    let kept = reason.chars().take(REASON_MOST.saturating_sub(1));
    kept.chain(['…']).collect()
}

fn role_for(act: &Act) -> Role {
    match act {
        Act::Approve { .. } | Act::Reject { .. } => Role::Approver,
        _ => Role::Commander,
    }
}

impl DecisionContext<'_> {
    fn require(&self, role: Role) -> Result<(), Refusal> {
        if self.actor.has_old_rights(self.now) {
            return Err(Refusal::RightsUnknown);
        }
        if self.actor.may(role, self.now) {
            return Ok(());
        }
        // The person who asked for the fix hears the reason that matters, even without the approver's role.
        let own = self.incident.fix.as_ref().is_some_and(|fix| self.actor.is(&fix.requester));
        Err(if role == Role::Approver && own {
            Refusal::Vote(crate::approval::VoteRefusal::OwnRequest)
        } else {
            Refusal::NotAllowed(role)
        })
    }

    fn act(&self, act: &Act) -> Decided {
        match act {
            Act::SetTarget { .. } if stands_for_a_storm(self.incident) => Err(no_target(self.incident)),
            Act::SetTarget { target } => self.set_target(target),
            Act::Triage => self.triage(),
            Act::ProposeFix { fix } => self.propose(*fix),
            Act::Withdraw => self.withdraw(),
            Act::Approve { plan } => self.approve(plan.as_ref()),
            Act::Reject { plan } => self.reject(plan.as_ref()),
            Act::Acknowledge | Act::AcknowledgeAll => self.acknowledge(),
            Act::HandOff { to } => self.hand_off(to),
            Act::Escalate { from } => self.escalate(*from),
            Act::Note { text } => self.note(text),
            Act::Verify => self.verify(),
            Act::Resolve { reason, anyway } => self.resolve(reason.as_deref(), *anyway),
        }
    }

    /// What was approved for one service is neither done nor judged at another: a fix that has written ends first, and one
    /// that has not is dropped.
    fn set_target(&self, target: &TargetRef) -> Decided {
        let moves = self.incident.target.as_ref() != Some(target);
        let dropped = self.incident.fix.as_ref().filter(|_| moves);
        let ended = dropped.and_then(|_| self.ended_before_a_write(FixEnd::TargetChanged));
        if let (Some(running), None) = (dropped, &ended) {
            return Err(Refusal::FixUnderWay(running.name));
        }
        let set = Event::TargetSet { target: target.clone(), by: self.actor.id.clone() };
        let mut text = format!("{} is about {target} now. The diagnostics are running.", self.incident.id);
        text.extend(dropped.map(|fix| format!(" {}", fixing::stays(fix))));
        Ok((ended.into_iter().chain([set, self.triage_event()]).collect(), text))
    }

    fn triage_event(&self) -> Event {
        Event::TriageStarted { run: self.incident.next_run(), by: Some(self.actor.id.clone()) }
    }

    fn triage(&self) -> Decided {
        if self.incident.target.is_none() && !has_a_look(self.incident) {
            return Err(no_target(self.incident));
        }
        if matches!(self.incident.triage, Triage::Running { .. }) {
            return Err(Refusal::TriageRunning);
        }
        Ok((vec![self.triage_event()], "The diagnostics are running; the verdict comes to the thread.".to_owned()))
    }

    fn note(&self, text: &str) -> Decided {
        let text = text.trim();
        let length = text.chars().count();
        if length == 0 || length > NOTE_MOST {
            return Err(Refusal::NoteLength { most: NOTE_MOST, length });
        }
        let event = Event::NoteAdded { by: self.actor.id.clone(), text: text.to_owned() };
        Ok((vec![event], format!("Noted in {}.", self.incident.id)))
    }

    /// Asks back while an alert fires: typed, pressed, or by an old button that knew nothing of it.
    fn resolve(&self, reason: Option<&str>, anyway: bool) -> Decided {
        let why = reason.map(str::trim).filter(|why| !why.is_empty()).map(bounded_reason);
        if self.incident.is_firing() && !anyway {
            let reason = why.unwrap_or_else(|| "REASON".to_owned());
            return Err(Refusal::StillFires { incident: self.incident.id, reason });
        }
        let mut events: Vec<Event> = self.cancelled_fix().into_iter().collect();
        let by = ClosedBy { who: self.actor.id.clone(), why };
        events.push(Event::Closed { reason: CloseReason::Person(by) });
        let text = if self.incident.is_firing() {
            "Closed, although its alert still fires: only a new firing opens it again."
        } else {
            "Closed."
        };
        Ok((events, text.to_owned()))
    }

    /// Any command of a person is a sign of work: it starts the idle clock again, unless it moved the ladder itself.
    fn sign_of_work(&self, events: &[Event]) -> Option<Event> {
        let Ladder::Running { rung: Rung::Acknowledged { level, .. }, .. } = &self.incident.ladder else {
            return None;
        };
        let moves_the_ladder = |event: &Event| {
            matches!(
                event,
                Event::RungBegan { .. } | Event::Acknowledged { .. } | Event::HandedTo { .. } | Event::Closed { .. }
            )
        };
        if events.iter().any(moves_the_ladder) {
            return None;
        }
        Some(Event::WorkSeen { rung: self.idle_rung(*level) })
    }
}
