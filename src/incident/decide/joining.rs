//! Two incidents that turn out to be about one service: somebody says so with `target`, and the first joins the second. Its
//! alerts go on there, with their later notices; its own calls and pages end.

use jiff::Timestamp;

use super::{DecisionContext, apply, may_be_given, role_for};
use crate::{
    escalation::{Ladder, Rung},
    incident::{
        Act, AlertStatus, Answer, CloseReason, Command, Event, Incident, IncidentStatus, Policy, Refusal,
        alert_seen::fires_again, storm::leave_storm,
    },
    mesh::TargetRef,
};

/// What becomes of two incidents of which the first joins the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joining {
    /// The events of the incident that joins.
    pub joins: Vec<Event>,
    /// The events of the one that it joins.
    pub taken_in: Vec<Event>,
    /// The answer to the person.
    pub answer: Answer,
}

/// The target that `command` gives `incident`, if another incident that is open for it already is to take it in.
pub fn wants_to_join<'a>(incident: &Incident, command: &'a Command) -> Option<&'a TargetRef> {
    match &command.act {
        Act::SetTarget { target } if incident.is_live() && incident.storm.is_none() => Some(target),
        _ => None,
    }
}

/// Whether `other` can take in `incident` once that is about `target`.
pub fn can_take_in(other: &Incident, incident: &Incident, target: &TargetRef) -> bool {
    let about_it = other.target.as_ref() == Some(target) && other.cluster == incident.cluster;
    other.id != incident.id && other.is_live() && about_it && other.storm.is_none() && !other.key.is_of_rule()
}

/// Lets `incident` join `other`.
pub fn join(
    incident: &Incident,
    other: &Incident,
    command: &Command,
    now: Timestamp,
    policy: &Policy,
) -> Result<Joining, Refusal> {
    let scene = DecisionContext { incident, actor: &command.actor, now, policy };
    scene.require(role_for(&command.act))?;
    may_be_given(&command.act, incident)?;
    let cancelled = scene.cancelled_fix();
    if let (Some(running), None) = (&incident.fix, &cancelled) {
        // Its steps and their proof belong to the thread in which they were approved.
        return Err(Refusal::FixUnderWay(running.name));
    }
    let by = command.actor.id.clone();
    let closed = Event::Closed { reason: CloseReason::Joined { into: other.id, by: by.clone() } };
    let joins = cancelled.into_iter().chain(scene.window_met()).chain([closed]).collect();

    let mut draft = Draft { incident: other.clone(), events: Vec::new(), now };
    draft.add(leave_storm(other, now));
    draft.add([Event::IncidentJoined { incident: incident.id, by: by.clone() }]);
    draft.take_alerts(incident);
    let holder = scene.incident.ladder.holder().cloned().unwrap_or(by);
    let taken = draft.acknowledged_by(&holder, scene);
    let who = if !taken {
        String::new()
    } else if command.actor.is(&holder) {
        format!(" You have {} now.", other.id)
    } else {
        format!(" {holder}, who had {}, has {} now.", incident.id, other.id)
    };
    let (id, into) = (incident.id, other.id);
    let about = other.target.as_ref().map(ToString::to_string).unwrap_or_default();
    let text = format!(
        "{into} is open for {about} already, so {id} joined it: its alerts go on there, and nobody is called for {id} any \
         more.{who}"
    );
    Ok(Joining { joins, taken_in: draft.events, answer: Answer { text } })
}

/// The incident that takes another one in, as its events make it.
struct Draft {
    incident: Incident,
    events: Vec<Event>,
    now: Timestamp,
}

impl Draft {
    fn add(&mut self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            apply(&mut self.incident, &event, self.now);
            self.events.push(event);
        }
    }

    /// What fires there fires here from now on. What ended there has ended.
    fn take_alerts(&mut self, from: &Incident) {
        for (fingerprint, alert) in &from.alerts {
            let fires_here =
                self.incident.alerts.get(fingerprint).is_some_and(|known| known.status == AlertStatus::Firing);
            if alert.status != AlertStatus::Firing || fires_here || !self.incident.has_room_for(fingerprint) {
                continue;
            }
            let sighting = Box::new(alert.sighting.clone());
            self.add([Event::AlertFired { sighting, group: alert.group.clone() }]);
        }
        if matches!(self.incident.status, IncidentStatus::Clearing { .. }) && self.incident.is_firing() {
            self.add(fires_again(&self.incident, self.now));
        }
    }

    /// Whether `holder` takes it by this: where people are called and nobody has come yet. Who has it already shows work.
    fn acknowledged_by(&mut self, holder: &crate::people::PersonId, scene: DecisionContext<'_>) -> bool {
        let incident = self.incident.clone();
        let here = DecisionContext { incident: &incident, ..scene };
        let waits = matches!(
            incident.ladder,
            Ladder::Running { rung: Rung::Waiting { .. } | Rung::AllPaged { .. }, holder: None }
        );
        if waits {
            let rung = here.idle_rung(here.level_now());
            self.add(here.window_met());
            self.add([Event::Acknowledged { by: holder.clone(), rung }]);
        } else {
            self.add(here.sign_of_work(&[]));
        }
        waits
    }
}
