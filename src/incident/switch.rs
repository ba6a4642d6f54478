//! The kill switch: fixes can be switched off, and on again, from chat (invariant 10).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Answer, Event, Incident, Refusal};
use crate::people::{Actor, PersonId, Role};

/// The longest reason that is kept, in characters: it stands in one line of a post.
pub const REASON_MOST: usize = 300;

/// What somebody asks of the switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwitchRequest {
    /// Who asks, with their rights.
    pub actor: Actor,
    /// The platform's own key for this request: the same key gets the first answer again.
    pub key: String,
    /// Whether fixes may run from now on.
    pub on: bool,
    /// Why, in their words; may be empty.
    pub reason: String,
}

/// How the switch stands since somebody last moved it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteSwitch {
    /// Whether fixes may run.
    pub on: bool,
    /// Who moved it.
    pub by: PersonId,
    pub at: Timestamp,
    /// Why, in their words.
    pub reason: String,
}

/// Decides whether the switch moves. People who may command or approve can stop fixes: stopping is always safe. Only
/// those who may approve fixes can let them run again, and only where the configuration lets them run at all (`configured`).
pub fn decide_switch(request: &SwitchRequest, configured: bool, now: Timestamp) -> Result<WriteSwitch, Refusal> {
    let actor = &request.actor;
    if actor.has_old_rights(now) {
        return Err(Refusal::RightsUnknown);
    }
    let may_stop = actor.may(Role::Commander, now) || actor.may(Role::Approver, now);
    if request.on && !actor.may(Role::Approver, now) {
        return Err(Refusal::NotAllowed(Role::Approver));
    }
    if !may_stop {
        return Err(Refusal::NotAllowed(Role::Commander));
    }
    if request.on && !configured {
        return Err(Refusal::WritesOff);
    }
    let reason = request.reason.trim().chars().take(REASON_MOST).collect();
    Ok(WriteSwitch { on: request.on, by: actor.id.clone(), at: now, reason })
}

/// What the switch means for one live incident: everybody who works on it is told.
pub fn switched(incident: &Incident, switch: &WriteSwitch) -> Vec<Event> {
    if !incident.is_live() {
        return Vec::new();
    }
    vec![Event::WritesSwitched { on: switch.on, by: switch.by.clone(), reason: switch.reason.clone() }]
}

/// The answer to the person who moved the switch.
pub fn answer_to_switch(switch: &WriteSwitch) -> Answer {
    let text = if switch.on {
        "Fixes may run again. Each one still needs the approval of somebody else."
    } else {
        "Fixes are off: nothing is written to the cluster any more. What was written already is still waited for. \
         An approver lets them run again: `writes on`"
    };
    Answer { text: text.to_owned() }
}
