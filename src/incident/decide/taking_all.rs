//! Taking every incident that is open: each is decided on its own, and the answer counts.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::{DecisionContext, may_be_given};
use crate::{
    incident::{Act, Answer, Event, Incident, Policy, Refusal},
    people::{Actor, Role},
};

/// What one open incident comes to when somebody takes all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Share {
    /// The person takes it.
    Taken(Vec<Event>),
    /// The person had it already.
    Theirs,
    /// Somebody else has it, and keeps it.
    Somebodys,
    /// Its alerts are resolved, and it closes by itself.
    Ending,
    /// It only tells that a rule sees nothing: nobody is called for it, so nobody takes it.
    OnlyTells,
}

/// What a person may take all for: the same as for one.
pub fn may_take_all(actor: &Actor, now: Timestamp) -> Result<(), Refusal> {
    if actor.has_old_rights(now) {
        return Err(Refusal::RightsUnknown);
    }
    if actor.may(Role::Commander, now) { Ok(()) } else { Err(Refusal::NotAllowed(Role::Commander)) }
}

/// One incident's share of it. One that a storm holds back stays held back, so that no channel gets hundreds of cards: when
/// it stands on its own later, the person has it.
pub fn share(incident: &Incident, actor: &Actor, now: Timestamp, policy: &Policy) -> Share {
    let scene = DecisionContext { incident, actor, now, policy };
    match may_be_given(&Act::AcknowledgeAll, incident).and_then(|()| scene.acknowledge()) {
        Ok((events, _)) => Share::Taken(events),
        Err(Refusal::AlreadyAcknowledged(holder)) if actor.is(&holder) => Share::Theirs,
        Err(Refusal::AlreadyAcknowledged(_)) => Share::Somebodys,
        Err(Refusal::OnlyTold(_)) => Share::OnlyTells,
        Err(_) => Share::Ending,
    }
}

/// How many came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    shown: u32,
    held_back: u32,
    theirs: u32,
    somebodys: u32,
    ending: u32,
    only_tells: u32,
    left: bool,
}

impl Taken {
    /// Counts one.
    pub fn count(&mut self, incident: &Incident, share: &Share) {
        let number = match share {
            Share::Taken(_) if incident.quiet => &mut self.held_back,
            Share::Taken(_) => &mut self.shown,
            Share::Theirs => &mut self.theirs,
            Share::Somebodys => &mut self.somebodys,
            Share::Ending => &mut self.ending,
            Share::OnlyTells => &mut self.only_tells,
        };
        *number = number.saturating_add(1);
    }

    /// More are open than are taken at once.
    pub fn and_more(&mut self) {
        self.left = true;
    }

    /// How many were looked at.
    pub fn all(&self) -> u32 {
        let all = [self.shown, self.held_back, self.theirs, self.somebodys, self.ending, self.only_tells];
        all.into_iter().fold(0, u32::saturating_add)
    }

    /// The answer to the person.
    pub fn answer(&self) -> Answer {
        let taken = self.shown.saturating_add(self.held_back);
        let mut text = match taken {
            0 => "There was nothing to take".to_owned(),
            1 => "You have 1 incident more".to_owned(),
            more => format!("You have {more} incidents more"),
        };
        if self.held_back > 0 {
            // Writing into a String cannot fail.
            let _ = write!(text, ", {} of them held back in a storm", self.held_back);
        }
        text.push('.');
        if self.shown > 0 {
            let which = if self.held_back > 0 { "those that are shown" } else { "them" };
            // Writing into a String cannot fail.
            let _ = write!(
                text,
                " Nobody else is called about {which}; without a sign of work on one (a command, a fix, a note) for a whole \
                 window, its level is called again."
            );
        }
        if self.held_back > 0 {
            text.push_str(
                " One that is held back is shown when it still fires after the storm; it is yours then, and its level is \
                 called if it was left alone for a whole window.",
            );
        }
        let others = [
            (self.theirs, "yours already"),
            (self.somebodys, "somebody else's, who keeps it"),
            (self.ending, "resolved, and closing by itself"),
            (self.only_tells, "about a rule that sees nothing, for which nobody is called"),
        ];
        for (count, what) in others.into_iter().filter(|(count, _)| *count > 0) {
            let _ = write!(text, " {count} {what}.");
        }
        if self.left {
            text.push_str(" More are open: say `ack all` again.");
        }
        Answer { text }
    }
}
