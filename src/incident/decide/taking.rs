//! Who has it: acknowledge, hand off, escalate.

use jiff::Timestamp;

use super::{Decided, DecisionContext};
use crate::{
    escalation::{Ladder, LevelNumber, Rung},
    incident::{Act, CallReason, Event, HandOffTo, IncidentStatus, Refusal, escalate::climb_events, offer::open},
    people::Role,
};

/// What follows for somebody who has taken an incident.
fn until_called_again(until: Timestamp) -> String {
    format!(
        "Nobody else is called; without a sign of work (a command, a fix, a note) by {until:.0}, your level is called \
         again."
    )
}

/// Whether an act is work on the fault: a person who does it takes an incident that nobody has.
fn is_work(act: &Act) -> bool {
    match act {
        // Naming the target starts the diagnostics, and watching the counters again is a look at the fault.
        Act::SetTarget { .. }
        | Act::Triage
        | Act::ProposeFix { .. }
        | Act::Approve { .. }
        | Act::Note { .. }
        | Act::Verify => true,
        // A fix that is rejected or taken back leaves the fault to nobody, so the calls go on. The others say themselves
        // who has it from now on, or that nobody has to.
        Act::Withdraw
        | Act::Reject { .. }
        | Act::Acknowledge
        | Act::AcknowledgeAll
        | Act::HandOff { .. }
        | Act::Escalate { .. }
        | Act::Resolve { .. } => false,
    }
}

impl DecisionContext<'_> {
    /// The idle clock of somebody who has it on behalf of `level`.
    pub(super) fn idle_rung(&self, level: LevelNumber) -> Rung {
        self.incident.policy.idle(level, self.now)
    }

    pub(super) fn level_now(&self) -> LevelNumber {
        let highest = || self.incident.policy.levels.iter().map(|level| level.number).max();
        match &self.incident.ladder {
            Ladder::Running { rung, .. } | Ladder::Paused { rung, .. } => {
                rung.level().or_else(highest).unwrap_or(LevelNumber::FIRST)
            }
            Ladder::Still => LevelNumber::FIRST,
        }
    }

    /// Working is acknowledging (design section 5): a person who may acknowledge and works on an incident that nobody
    /// has, takes it. Returns the events, and the answer to the person.
    pub(super) fn taken_by_working(&self, act: &Act) -> Option<(Vec<Event>, String)> {
        let nobody_has_it = self.window_met().is_some() && self.incident.status == IncidentStatus::Open;
        let may_acknowledge = self.actor.may(Role::Commander, self.now);
        if !(nobody_has_it && may_acknowledge && is_work(act)) {
            return None;
        }
        let (events, until) = self.take();
        Some((events, format!("You have it now. {}", until_called_again(until))))
    }

    /// The window is answered, and the actor's idle clock runs; with its end.
    fn take(&self) -> (Vec<Event>, Timestamp) {
        let rung = self.idle_rung(self.level_now());
        let taken = Event::Acknowledged { by: self.actor.id.clone(), rung };
        (self.window_met().into_iter().chain([taken]).collect(), rung.until())
    }

    pub(super) fn acknowledge(&self) -> Decided {
        open(self.incident)?;
        if let Some(holder) = self.incident.ladder.holder() {
            return Err(Refusal::AlreadyAcknowledged(holder.clone()));
        }
        let (events, until) = self.take();
        Ok((events, format!("You have {}. {}", self.incident.id, until_called_again(until))))
    }

    /// The window that was answered by somebody taking it, or giving it to somebody.
    pub(super) fn window_met(&self) -> Option<Event> {
        let waiting = |rung: &&Rung| matches!(rung, Rung::Waiting { .. } | Rung::AllPaged { .. });
        self.incident.ladder.rung().filter(waiting).map(|rung| Event::WindowMet { rung: *rung })
    }

    pub(super) fn hand_off(&self, to: &HandOffTo) -> Decided {
        open(self.incident)?;
        match to {
            HandOffTo::Person(person) => {
                let rung = self.idle_rung(self.level_now());
                let event = Event::HandedTo { to: person.clone(), by: self.actor.id.clone(), rung };
                let events = self.window_met().into_iter().chain([event]).collect();
                Ok((events, format!("{} is handed over, and the new holder is mentioned.", self.incident.id)))
            }
            HandOffTo::Level(level) => {
                if self.incident.policy.level(*level).is_none() {
                    let known = self.incident.policy.levels.iter().map(|level| level.number).collect();
                    return Err(Refusal::NoSuchLevel { wanted: *level, known });
                }
                let reason = CallReason::HandedOver { by: self.actor.id.clone() };
                let climb = self.incident.policy.call_from(*level, self.now);
                Ok((climb_events(climb, &reason), format!("{level} is called now.")))
            }
        }
    }

    pub(super) fn escalate(&self, from: Option<LevelNumber>) -> Decided {
        open(self.incident)?;
        let now_at = self.level_now();
        if from.is_some_and(|from| from != now_at) {
            return Err(Refusal::AlreadyEscalated);
        }
        let incident = self.incident.id;
        if let Some(Rung::AllPaged { until }) = self.incident.ladder.rung() {
            return Err(Refusal::AllCalled { incident, until: *until });
        }
        let next = self.incident.policy.above(now_at);
        let next = next.ok_or(Refusal::NoHigherLevel { incident, level: now_at })?;
        let reason = CallReason::Escalated { by: self.actor.id.clone() };
        let climb = self.incident.policy.call_from(next.number, self.now);
        Ok((climb_events(climb, &reason), format!("{} {} is called now.", next.number, next.team)))
    }
}
