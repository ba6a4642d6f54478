//! What an open incident needs when a bot starts: the configuration or the bot itself may be newer than what it was told.

use super::{Event, FixPhase, Incident, IncidentStatus, Policy};

/// The events that put an incident right for this bot and its configuration; none when all is as it should be.
pub fn on_start(incident: &Incident, policy: &Policy) -> Vec<Event> {
    policy.cluster.put_right(incident).into_iter().chain(asked_anew(incident)).collect()
}

/// A question about a plan whose hash an older bot made: nobody could tell what an approval of it would bind to.
fn asked_anew(incident: &Incident) -> Option<Event> {
    let fix = incident.fix.as_ref()?;
    // While its alerts are resolved no plan is drawn; an approval later finds the same.
    let open = incident.status == IncidentStatus::Open;
    let old = open && matches!(fix.phase, FixPhase::Asking { .. }) && fix.plan.as_ref()?.has_old_hash();
    old.then_some(Event::QuestionOutdated { fix: fix.number })
}
