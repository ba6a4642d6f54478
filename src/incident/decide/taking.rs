//! Who has it: acknowledge, hand off, escalate.

use super::{Decided, Scene};
use crate::{
    escalation::{Ladder, LevelNumber, Rung},
    incident::{CallReason, Event, HandOffTo, Refusal, climb::climb_events},
    people::PersonId,
};

impl Scene<'_> {
    /// The idle clock of somebody who has it on behalf of `level`.
    pub(super) fn idle_rung(&self, level: LevelNumber) -> Rung {
        let window = self.incident.policy.level(level).map_or(self.incident.policy.repeat_every, |level| level.window);
        Rung::Acknowledged { level, until: self.now + window }
    }

    fn level_now(&self) -> LevelNumber {
        let highest = || self.incident.policy.levels.iter().map(|level| level.number).max();
        match &self.incident.ladder {
            Ladder::Running { rung, .. } | Ladder::Paused { rung, .. } => match rung {
                Rung::Waiting { level, .. } | Rung::Acknowledged { level, .. } => *level,
                Rung::AllPaged { .. } => highest().unwrap_or(LevelNumber::FIRST),
            },
            Ladder::Still => LevelNumber::FIRST,
        }
    }

    fn holder(&self) -> Option<&PersonId> {
        match &self.incident.ladder {
            Ladder::Running { holder, .. } | Ladder::Paused { holder, .. } => holder.as_ref(),
            Ladder::Still => None,
        }
    }

    pub(super) fn acknowledge(&self) -> Decided {
        self.require_open()?;
        if let Some(holder) = self.holder() {
            return Err(Refusal::AlreadyAcknowledged(holder.clone()));
        }
        let met = self.window_met();
        let rung = self.idle_rung(self.level_now());
        let taken = Event::Acknowledged { by: self.actor.id.clone(), rung };
        let text = format!(
            "You have {}. Nobody else is called; without a sign of work (a command, a fix, a note) by {:.0}, your level \
             is called again.",
            self.incident.id,
            rung.until()
        );
        Ok((met.into_iter().chain([taken]).collect(), text))
    }

    /// The window that was answered by somebody taking it, or giving it to somebody.
    fn window_met(&self) -> Option<Event> {
        let waiting = |rung: &&Rung| matches!(rung, Rung::Waiting { .. } | Rung::AllPaged { .. });
        self.incident.ladder.rung().filter(waiting).map(|rung| Event::WindowMet { rung: *rung })
    }

    pub(super) fn hand_off(&self, to: &HandOffTo) -> Decided {
        self.require_open()?;
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
        self.require_open()?;
        let now_at = self.level_now();
        if from.is_some_and(|from| from != now_at) {
            return Err(Refusal::AlreadyEscalated);
        }
        let all_called = matches!(self.incident.ladder.rung(), Some(Rung::AllPaged { .. }));
        let next = self.incident.policy.above(now_at).filter(|_| !all_called);
        let Some(next) = next else { return Err(Refusal::NoHigherLevel(now_at)) };
        let reason = CallReason::Escalated { by: self.actor.id.clone() };
        let climb = self.incident.policy.call_from(next.number, self.now);
        Ok((climb_events(climb, &reason), format!("{} {} is called now.", next.number, next.team)))
    }
}
