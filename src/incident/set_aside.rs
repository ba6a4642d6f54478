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
    let end = match (kind, &fix.phase) {
        (kinds::PLAN, FixPhase::Drawing) => {
            let reason = "the stored task that draws its plan could not be read: ask for the fix again".to_owned();
            FixEnd::Refused { reasons: vec![reason] }
        }
        (kinds::SAMPLE, FixPhase::Approved { .. }) => {
            let reason =
                "it was not begun, because the stored task before it could not be read; the fix can be asked for again";
            FixEnd::Failed { step: StepNumber::FIRST, reason: reason.to_owned() }
        }
        // A write of it may have been done.
        (kinds::STEP, FixPhase::Stepping { step, .. }) => FixEnd::Unknown { step: *step },
        (kinds::POLL, FixPhase::Settling { step, .. }) => {
            let reason = "the step was done, and what came of it is not known, because the stored task that looks for it could \
                 not be read: look at its target before anything else";
            FixEnd::Failed { step: *step, reason: reason.to_owned() }
        }
        (kinds::SAMPLE, FixPhase::Verifying { .. }) => {
            let reason = "the counters were not watched, because a stored task could not be read".to_owned();
            FixEnd::Verified {
                verification: Verification { proof: Proof::Unproven, reasons: vec![reason], rate: None },
            }
        }
        _ => return None,
    };
    Some(Event::FixEnded { fix: fix.number, end })
}
