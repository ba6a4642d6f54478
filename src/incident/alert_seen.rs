//! What an alert of a webhook body means for an incident (design section 6). Idempotent: an alert that says what is
//! known already changes nothing, however often it is sent.

use jiff::Timestamp;

use super::{
    AlertSighting, AlertStatus, CallReason, CloseReason, Event, Incident, IncidentId, IncidentStatus, Policy,
    RunNumber, Triage, apply,
    episode::{as_seen, ends, is_later, went_on_at},
    escalate::climb_events,
    settle::{evidence_call, survey_call},
    storm::owed,
};
use crate::escalation::{Climb, Ladder};

/// What is known besides the alert.
#[derive(Debug, Clone, Copy)]
pub struct SightingContext<'a> {
    /// The time.
    pub now: Timestamp,
    /// The rules.
    pub policy: &'a Policy,
    /// The name that a new incident would get.
    pub fresh: IncidentId,
    /// Whether more incidents open than people can carry.
    pub quiet: bool,
    /// Alertmanager's group that the alert came in.
    pub group: Option<&'a str>,
}

/// What an alert means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlertEffect {
    /// Nothing new.
    Nothing,
    /// The newest incident of that key changes.
    Change(Vec<Event>),
    /// A new incident begins; the first event is [`Event::Opened`].
    Open(Vec<Event>),
}

/// What one alert means, given the newest incident of its key.
pub fn sight(incident: Option<&Incident>, sighting: &AlertSighting, context: &SightingContext<'_>) -> AlertEffect {
    let sighting = &as_seen(sighting, context.now);
    match (incident, sighting.status) {
        (None, AlertStatus::Resolved) => AlertEffect::Nothing,
        (None, AlertStatus::Firing) => AlertEffect::Open(opening(sighting, context)),
        (Some(incident), AlertStatus::Resolved) => resolved(incident, sighting, context),
        (Some(incident), AlertStatus::Firing) => firing(incident, sighting, context),
    }
}

/// Ends the alerts of an incident that a resolved group no longer lists because its body was cut (`truncatedAlerts`).
/// `listed` are the fingerprints that the body still has.
pub fn end_cut_off(incident: &Incident, listed: &[&str], context: &SightingContext<'_>) -> Vec<Event> {
    let ended: Vec<_> = incident
        .alerts
        .iter()
        .filter(|(fingerprint, alert)| {
            let of_this_group = alert.group.as_deref().is_none_or(|group| Some(group) == context.group);
            of_this_group && alert.status == AlertStatus::Firing && !listed.contains(&fingerprint.0.as_str())
        })
        .map(|(fingerprint, _)| Event::AlertResolved { fingerprint: fingerprint.clone() })
        .collect();
    let still_firing = incident.alerts.values().filter(|alert| alert.status == AlertStatus::Firing).count();
    let begins_clearing = !ended.is_empty() && ended.len() == still_firing && incident.status == IncidentStatus::Open;
    ended.into_iter().chain(begins_clearing.then(|| clearing(context))).collect()
}

fn opening(sighting: &AlertSighting, context: &SightingContext<'_>) -> Vec<Event> {
    let mut events = vec![
        Event::Opened {
            id: context.fresh,
            key: sighting.key.clone(),
            alert: sighting.name.clone(),
            cluster: sighting.cluster.clone(),
            target: sighting.target.clone(),
            policy: Box::new(context.policy.escalation.clone()),
            channels: context.policy.channels.clone(),
            quiet: context.quiet,
        },
        fired_event(sighting, context),
    ];
    let own = &context.policy.cluster;
    let foreign = !own.is(&sighting.cluster);
    if foreign {
        events.insert(1, Event::OfAnotherCluster { ours: own.name().to_owned(), first: false });
    }
    // That a rule sees nothing is told, and calls nobody: there is nothing to diagnose or to fix in the mesh.
    if context.quiet || sighting.unseeing.is_some() {
        return events;
    }
    if sighting.target.is_some() && !foreign {
        events.push(Event::TriageStarted { run: RunNumber(1), by: None });
    }
    events.extend(first_call(context));
    events
}

pub(super) fn first_call(context: &SightingContext<'_>) -> Vec<Event> {
    let climb: Option<Climb> = context.policy.escalation.open(context.now);
    climb.map(|climb| climb_events(climb, &CallReason::Opened)).unwrap_or_default()
}

fn fired_event(sighting: &AlertSighting, context: &SightingContext<'_>) -> Event {
    Event::AlertFired { sighting: Box::new(sighting.clone()), group: context.group.map(str::to_owned) }
}

fn firing(incident: &Incident, sighting: &AlertSighting, context: &SightingContext<'_>) -> AlertEffect {
    if !incident.has_room_for(&sighting.fingerprint) && incident.is_live() {
        // Counted with those that were cut off; one by one they would be an event each time that they are repeated.
        return AlertEffect::Nothing;
    }
    let known = incident.alerts.get(&sighting.fingerprint);
    let new_episode = known.is_none_or(|alert| is_later(alert, sighting, context.now));
    let mut fired = vec![fired_event(sighting, context)];
    if incident.stale_since.is_some() {
        // Its source speaks again: whether it goes on doing so is looked at again.
        fired.push(Event::StillRepeated);
    }
    match &incident.status {
        IncidentStatus::Open => {
            let fires_already = known.is_some_and(|alert| alert.status == AlertStatus::Firing);
            let was_stale = incident.stale_since.is_some();
            let events = if new_episode || !fires_already || was_stale { fired } else { Vec::new() };
            // An earlier version left some open without a ladder.
            let owed = if is_uncalled(incident) { owed(incident, context.now) } else { Vec::new() };
            let events: Vec<Event> = events.into_iter().chain(owed).collect();
            if events.is_empty() { AlertEffect::Nothing } else { AlertEffect::Change(events) }
        }
        IncidentStatus::Clearing { .. } => {
            fired.extend(fires_again(incident, context.now));
            AlertEffect::Change(fired)
        }
        // Resolved by a person while the alert still fires: only a new episode counts.
        IncidentStatus::Closed { reason: CloseReason::Person(_), at }
            if !new_episode || known.is_some_and(|alert| went_on_at(alert, sighting, *at)) =>
        {
            AlertEffect::Nothing
        }
        // Its alerts went on in another incident, which is gone by now.
        IncidentStatus::Closed { reason: CloseReason::Joined { .. }, .. } => {
            AlertEffect::Open(opening(sighting, context))
        }
        IncidentStatus::Closed { at, .. } if context.now.duration_since(*at) <= context.policy.flap => {
            AlertEffect::Change(reopening(incident, fired_event(sighting, context), context))
        }
        IncidentStatus::Closed { .. } => AlertEffect::Open(opening(sighting, context)),
    }
}

/// The events with which an incident that clears is open again. Its window goes on; where none ran before, because a storm
/// held it back until it cleared, its ladder begins now.
pub(super) fn fires_again(incident: &Incident, now: Timestamp) -> Vec<Event> {
    let mut open = incident.clone();
    apply(&mut open, &Event::ClearingEnded, now);
    let follows = if is_uncalled(&open) { owed(&open, now) } else { evidence_meanwhile(&open, now) };
    [Event::ClearingEnded].into_iter().chain(follows).collect()
}

/// Whether it is open and stands on its own, and its ladder has not begun, although somebody can be called.
fn is_uncalled(incident: &Incident) -> bool {
    let still = incident.status == IncidentStatus::Open && !incident.quiet && incident.ladder == Ladder::Still;
    still && incident.policy.first().is_some()
}

/// What was found while nobody could be called for it (the alerts were resolved, a storm held the incident back) calls now.
pub(super) fn evidence_meanwhile(incident: &Incident, now: Timestamp) -> Vec<Event> {
    let of_this_opening = matches!(&incident.triage, Triage::Done { at, .. } if *at >= incident.this_opening());
    match (&incident.verdict, &incident.survey) {
        _ if !of_this_opening => Vec::new(),
        (Some(verdict), _) => evidence_call(incident, verdict, now),
        (None, Some(survey)) => survey_call(incident, survey, now),
        (None, None) => Vec::new(),
    }
}

fn reopening(incident: &Incident, fired: Event, context: &SightingContext<'_>) -> Vec<Event> {
    if context.quiet {
        let joined = (!incident.quiet).then_some(Event::JoinedStorm { storm: None });
        return joined.into_iter().chain([Event::Reopened, fired]).collect();
    }
    let mut events: Vec<Event> = incident.quiet.then_some(Event::LeftStorm).into_iter().collect();
    events.extend([Event::Reopened, fired]);
    if incident.key.is_of_rule() {
        return events;
    }
    if incident.target.is_some() && !incident.is_foreign() {
        events.push(Event::TriageStarted { run: incident.next_run(), by: None });
    }
    let climb = incident.policy.open(context.now);
    events.extend(climb.map(|climb| climb_events(climb, &CallReason::Opened)).unwrap_or_default());
    events
}

fn resolved(incident: &Incident, sighting: &AlertSighting, context: &SightingContext<'_>) -> AlertEffect {
    let Some(known) = incident.alerts.get(&sighting.fingerprint) else { return AlertEffect::Nothing };
    if known.status == AlertStatus::Resolved || !ends(known, sighting) {
        return AlertEffect::Nothing;
    }
    let ended = Event::AlertResolved { fingerprint: sighting.fingerprint.clone() };
    let others_fire = incident
        .alerts
        .iter()
        .any(|(fingerprint, alert)| *fingerprint != sighting.fingerprint && alert.status == AlertStatus::Firing);
    if others_fire || incident.status != IncidentStatus::Open {
        return AlertEffect::Change(vec![ended]);
    }
    AlertEffect::Change(vec![ended, clearing(context)])
}

fn clearing(context: &SightingContext<'_>) -> Event {
    Event::ClearingBegan { until: context.now + context.policy.hold }
}
