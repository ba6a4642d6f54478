//! Presses that have grown old: whether one can still work, and how what it asks for was decided meanwhile.

use super::card::{Card, Line, Press, person, sentence, text, with_people, words};
use crate::{
    escalation::Ladder,
    incident::{Act, Incident, IncidentStatus},
    remediation::PlanId,
};

/// Whether a press of this button could be answered with anything but a refusal: the card has every button that works.
pub(in crate::chat) fn still_works(press: &Press, incident: &Incident) -> bool {
    press.incident == incident.id && Card::of(incident).buttons.iter().any(|button| button.press.is_same_as(press))
}

/// How what a button asked for was decided.
pub(in crate::chat) fn why_gone(act: &Act, incident: &Incident) -> Line {
    match incident.status {
        IncidentStatus::Closed { .. } => return words(format!("{} is closed.", incident.id)),
        IncidentStatus::Clearing { .. } => {
            return words("All alerts are resolved: the card at the top says what comes next.");
        }
        IncidentStatus::Open => {}
    }
    match (act, &incident.ladder) {
        (Act::Acknowledge | Act::AcknowledgeAll, Ladder::Running { holder: Some(holder), .. }) => {
            vec![person(holder), text(" has it.")]
        }
        (Act::Acknowledge | Act::AcknowledgeAll, _) => words("Nobody is called now: the card at the top says why."),
        (Act::Approve { plan: Some(plan) } | Act::Reject { plan: Some(plan) }, _) => how_decided(plan, incident),
        _ => words("This is no longer the next step: the card at the top shows what can be done now."),
    }
}

fn how_decided(plan: &PlanId, incident: &Incident) -> Line {
    match incident.fate_of(Some(plan)) {
        Some(fate) => with_people(sentence(&format!("Plan {plan}: {fate}.")), &fate.people()),
        None => words(format!("Plan {plan} is no longer the one that waits: the card at the top shows the newest.")),
    }
}
