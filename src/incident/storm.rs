//! The storm: many incidents that are called about as one, the one that stands for them, and how each leaves it.

use jiff::Timestamp;

use super::{
    Act, CallReason, CloseReason, Event, Incident, IncidentKey, Life, Seen, Sighted, Triage, climb::climb_events,
    sight::first_call,
};
use crate::escalation::Ladder;

/// The start of the key of an incident that stands for a storm.
const STORM: &str = "storm/";

/// The key of the incident that stands for the storms of a cluster.
pub fn storm_key(cluster: &str) -> IncidentKey {
    IncidentKey(format!("{STORM}{cluster}"))
}

pub(super) fn stands_for_a_storm(incident: &Incident) -> bool {
    incident.storm.is_some() || incident.key.0.starts_with(STORM)
}

/// The live incidents that nobody is called about one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietOnes {
    /// How many.
    pub count: u32,
    /// When the newest of them opened, or opened again.
    pub newest: Option<Timestamp>,
}

/// What happens to the incident that stands for the storm: it opens, grows, ends, or goes on.
pub fn storm(standing: Option<&Incident>, cluster: &str, quiet: QuietOnes, context: &Sighted<'_>) -> Seen {
    match standing {
        Some(incident) if incident.is_live() => goes_on(incident, quiet.count, context),
        _ if quiet.count == 0 => Seen::Nothing,
        Some(incident) => after_its_end(incident, cluster, quiet, context),
        None => Seen::Open(opening(cluster, quiet.count, context)),
    }
}

fn goes_on(incident: &Incident, count: u32, context: &Sighted<'_>) -> Seen {
    let mut events = Vec::new();
    match incident.life {
        Life::Open if count == 0 => {
            events.push(Event::ClearingBegan { until: context.now + context.policy.hold });
        }
        Life::Clearing { .. } if count > 0 => events.push(Event::ClearingEnded),
        _ => {}
    }
    if Some(count) > incident.storm {
        events.push(Event::StormGrew { count });
    }
    if events.is_empty() { Seen::Nothing } else { Seen::Change(events) }
}

fn after_its_end(incident: &Incident, cluster: &str, quiet: QuietOnes, context: &Sighted<'_>) -> Seen {
    let Life::Closed { at, reason } = &incident.life else { return Seen::Nothing };
    // Whoever closed it knew of those that were there: only newer ones are another storm.
    if matches!(reason, CloseReason::Person(_)) && quiet.newest.is_none_or(|newest| newest <= *at) {
        return Seen::Nothing;
    }
    if context.now.duration_since(*at) > context.policy.flap {
        return Seen::Open(opening(cluster, quiet.count, context));
    }
    let mut events = vec![Event::Reopened, Event::StormGrew { count: quiet.count }];
    let climb = incident.policy.open(context.now);
    events.extend(climb.map(|climb| climb_events(climb, &CallReason::Opened)).unwrap_or_default());
    Seen::Change(events)
}

fn opening(cluster: &str, count: u32, context: &Sighted<'_>) -> Vec<Event> {
    let opened = Event::Opened {
        id: context.fresh,
        key: storm_key(cluster),
        alert: "many mTLS alerts at once".to_owned(),
        cluster: cluster.to_owned(),
        target: None,
        policy: Box::new(context.policy.escalation.clone()),
        channels: context.policy.channels.clone(),
        quiet: false,
    };
    let mut events = vec![opened, Event::StormGrew { count }];
    events.extend(first_call(context));
    events
}

/// The events with which a quiet incident comes to stand on its own: its card, its triage, its ladder. None for one
/// that does already.
pub fn leave_storm(incident: &Incident, now: Timestamp) -> Vec<Event> {
    if !incident.quiet {
        return Vec::new();
    }
    let mut events = vec![Event::LeftStorm];
    if incident.life != Life::Open {
        return events;
    }
    if incident.target.is_some() && incident.triage == Triage::NotRun {
        events.push(Event::TriageStarted { run: 1, by: None });
    }
    if incident.ladder == Ladder::Still {
        let climb = incident.policy.open(now);
        events.extend(climb.map(|climb| climb_events(climb, &CallReason::Opened)).unwrap_or_default());
    }
    events
}

/// The same, because a person gave a command about it: what they do themselves is left to them.
pub(super) fn leave_storm_for(incident: &Incident, act: &Act, now: Timestamp) -> Vec<Event> {
    let mut events = leave_storm(incident, now);
    match act {
        Act::Resolve => events.truncate(1),
        Act::Triage | Act::SetTarget { .. } => {
            events.retain(|event| !matches!(event, Event::TriageStarted { .. }));
        }
        _ => {}
    }
    events
}
