//! What follows when a stored task of an incident cannot be read, as one of a newer version. It is said on the card, and
//! what waited for the task ends: nothing else would ever end it.

use jiff::Timestamp;

use super::{
    Event, FixEnd, FixPhase, Incident, NewEffect, Triage,
    effects::{add_effects, kinds, untimed_effects},
};
use crate::{
    incident::apply,
    remediation::{Proof, StepNumber, Verification},
};

/// An incident of which a task was set aside.
#[derive(Debug, Clone, PartialEq)]
pub struct SetAside {
    /// What became of it.
    pub after: Incident,
    pub events: Vec<Event>,
    pub effects: Vec<NewEffect>,
}

/// Sets the task with this key aside; `error` says why it cannot be read.
pub fn set_aside(incident: Incident, key: &str, error: &str, now: Timestamp) -> SetAside {
    let what = format!("a stored task ({key}) could not be read: do it by hand");
    let could_not = Event::CouldNot { what, reason: error.to_owned() };
    let ended = end_of_what_waits(&incident, key);
    let mut aside = SetAside { after: incident, events: Vec::new(), effects: Vec::new() };
    for event in [could_not].into_iter().chain(ended) {
        apply(&mut aside.after, &event, now);
        add_effects(&mut aside.effects, untimed_effects(&aside.after, &event, now));
        aside.events.push(event);
    }
    aside
}

fn end_of_what_waits(incident: &Incident, key: &str) -> Option<Event> {
    let (kind, _) = key.split_once(':')?;
    if let (kinds::TRIAGE, Triage::Running { run, .. }) = (kind, &incident.triage) {
        let reason = "its stored task could not be read: run the triage again".to_owned();
        return Some(Event::TriageFailed { run: *run, reason });
    }
    let fix = incident.fix.as_ref()?;
    if task_of(&fix.phase)? != kind {
        return None;
    }
    Some(Event::FixEnded { fix: fix.number, end: end_without_task(&fix.phase)? })
}

/// What the key of the task begins with that a phase of a fix waits for; `None` where it waits for people.
fn task_of(phase: &FixPhase) -> Option<&'static str> {
    match phase {
        FixPhase::Drawing => Some(kinds::PLAN),
        FixPhase::Asking { .. } => None,
        FixPhase::Approved { .. } | FixPhase::Verifying { .. } => Some(kinds::SAMPLE),
        FixPhase::Stepping { .. } => Some(kinds::STEP),
        FixPhase::Settling { .. } => Some(kinds::POLL),
    }
}

/// How a fix ends whose task is lost.
fn end_without_task(phase: &FixPhase) -> Option<FixEnd> {
    Some(match phase {
        FixPhase::Asking { .. } => return None,
        FixPhase::Drawing => {
            let reason = "the stored task that draws its plan is lost: ask for the fix again".to_owned();
            FixEnd::Refused { reasons: vec![reason] }
        }
        FixPhase::Approved { .. } => {
            let reason = "it was not begun, because the stored task before it is lost; the fix can be asked for again";
            FixEnd::Failed { step: StepNumber::FIRST, reason: reason.to_owned() }
        }
        // A write of it may have been done.
        FixPhase::Stepping { step, .. } => FixEnd::Unknown { step: *step },
        FixPhase::Settling { step, .. } => {
            let reason = "the step was done, and what came of it is not known, because the stored task that looks for it is \
                 lost: look at its target before anything else";
            FixEnd::Failed { step: *step, reason: reason.to_owned() }
        }
        FixPhase::Verifying { .. } => {
            let reason = "the counters were not watched, because a stored task is lost".to_owned();
            FixEnd::Verified {
                verification: Verification { proof: Proof::Unproven, reasons: vec![reason], rate: None },
            }
        }
    })
}

/// What the key begins with of the task that the fix of an incident waits for.
pub fn awaited_task(incident: &Incident) -> Option<&'static str> {
    task_of(&incident.fix.as_ref()?.phase)
}

/// The end of a fix that waits for a task which is not there: a version up to 2026-11 left some so within a storm.
pub fn without_its_task(incident: &Incident) -> Option<Event> {
    let fix = incident.fix.as_ref()?;
    Some(Event::FixEnded { fix: fix.number, end: end_without_task(&fix.phase)? })
}
