//! Changes the state by one event. Replaying the events of an incident gives its state again, so nothing here decides.

use jiff::Timestamp;

use super::{
    Alert, AlertStatus, EarlierVerdict, Event, HistoryLine, Incident, IncidentStatus, Triage, apply_fix::apply_fix,
};
use crate::escalation::{Ladder, Rung};

/// How many lines of history a state keeps; all of them are in the journal.
const HISTORY_MOST: usize = 30;
/// How many troubles a state keeps.
const TROUBLES_MOST: usize = 5;

/// The state after the first event of an incident; `None` when that is not [`Event::Opened`].
pub fn begin(first: &Event, at: Timestamp) -> Option<Incident> {
    let Event::Opened { id, key, alert, cluster, target, policy, channels, quiet } = first else { return None };
    Some(Incident {
        id: *id,
        version: 1,
        key: key.clone(),
        alert: alert.clone(),
        cluster: cluster.clone(),
        foreign_to: None,
        target: target.clone(),
        opened_at: at,
        created_at: None,
        reopened_at: None,
        status: IncidentStatus::Open,
        alerts: std::collections::BTreeMap::new(),
        cut_off: 0,
        cut_off_by: std::collections::BTreeMap::new(),
        stale_since: None,
        quiet: *quiet,
        joined: None,
        storm: None,
        storm_look: None,
        survey: None,
        policy: (**policy).clone(),
        ladder: Ladder::Still,
        calls: super::Calls::default(),
        channels: channels.clone(),
        triage: Triage::NotRun,
        verdict: None,
        left_out: Vec::new(),
        earlier: None,
        evidence: None,
        fix: None,
        past_fixes: Vec::new(),
        history: vec![HistoryLine { at, text: "opened".to_owned() }],
        troubles: Vec::new(),
    })
}

/// The state after one more event.
pub fn apply(incident: &mut Incident, event: &Event, at: Timestamp) {
    if let Event::ClockSet { by, .. } = event {
        // It was read from the same JSON, so it is read again.
        if let Ok(moved) = super::moved(incident, *by) {
            // Its keeper is no part of what is stored.
            let (id, created_at) = (incident.id, Some(incident.created_at()));
            *incident = Incident { id, created_at, ..moved };
        }
    }
    incident.version = incident.version.saturating_add(1);
    apply_life(incident, event, at);
    apply_ladder(incident, event, at);
    apply_triage(incident, event, at);
    super::apply_calls::apply_calls(incident, event, at);
    apply_fix(incident, event, at);
    if let Some(text) = super::history::line(event) {
        keep_newest(&mut incident.history, HistoryLine { at, text }, HISTORY_MOST);
    }
    let trouble = match event {
        Event::CouldNot { what, reason } => format!("{what}: {reason}"),
        Event::OverdueNoticed { what, since } => {
            format!("{what} is late since {since:.0}: do not wait for it, do it by hand; the bot goes on trying")
        }
        _ => return,
    };
    keep_newest(&mut incident.troubles, HistoryLine { at, text: trouble }, TROUBLES_MOST);
}

fn keep_newest(lines: &mut Vec<HistoryLine>, line: HistoryLine, most: usize) {
    lines.push(line);
    let surplus = lines.len().saturating_sub(most);
    lines.drain(..surplus);
}

fn apply_life(incident: &mut Incident, event: &Event, at: Timestamp) {
    match event {
        Event::StormGrew { count } => incident.storm = Some(*count),
        Event::StormSeen { look } => incident.storm_look = Some(look.clone()),
        Event::OfAnotherCluster { ours, .. } => incident.foreign_to = Some(ours.clone()),
        Event::OfOurCluster => incident.foreign_to = None,
        Event::LeftStorm => (incident.quiet, incident.joined) = (false, None),
        Event::JoinedStorm { storm } => (incident.quiet, incident.joined) = (true, *storm),
        Event::AlertFired { sighting, group } => {
            incident.stale_since = None;
            make_room(incident, &sighting.fingerprint);
            let known = incident.alerts.get(&sighting.fingerprint);
            let alert = Alert {
                sighting: (**sighting).clone(),
                status: AlertStatus::Firing,
                group: group.clone(),
                start_before: known.and_then(|known| start_before(known, sighting)),
            };
            incident.alerts.insert(sighting.fingerprint.clone(), alert);
        }
        Event::AlertResolved { fingerprint } => {
            if let Some(alert) = incident.alerts.get_mut(fingerprint) {
                alert.status = AlertStatus::Resolved;
            }
        }
        Event::AlertsCutOff { count, group } => incident.cuts_off(group.as_ref(), *count),
        Event::WentStale { last_seen } => incident.stale_since = Some(*last_seen),
        Event::ClearingBegan { until } => incident.status = IncidentStatus::Clearing { until: *until },
        Event::ClearingEnded => incident.status = IncidentStatus::Open,
        Event::Closed { reason } => incident.status = IncidentStatus::Closed { at, reason: reason.clone() },
        Event::Reopened => {
            incident.status = IncidentStatus::Open;
            incident.reopened_at = Some(at);
        }
        Event::TargetSet { target, .. } => {
            // What was found at another service says nothing about this one.
            if incident.target.as_ref() != Some(target) {
                incident.verdict = None;
                incident.evidence = None;
            }
            incident.target = Some(target.clone());
        }
        _ => {}
    }
}

fn start_before(known: &Alert, new: &super::AlertSighting) -> Option<Timestamp> {
    let known_start = known.sighting.said_start();
    if known_start == new.said_start() { known.start_before } else { Some(known_start) }
}

/// The oldest alerts that have ended make room for those that fire.
fn make_room(incident: &mut Incident, new: &super::Fingerprint) {
    if incident.alerts.len() < super::ALERTS_MOST || incident.alerts.contains_key(new) {
        return;
    }
    let ended = incident.alerts.iter().filter(|(_, alert)| alert.status == AlertStatus::Resolved);
    let oldest = ended.min_by_key(|(_, alert)| alert.sighting.starts_at).map(|(fingerprint, _)| fingerprint.clone());
    if let Some(oldest) = oldest {
        incident.alerts.remove(&oldest);
    }
}

fn apply_ladder(incident: &mut Incident, event: &Event, at: Timestamp) {
    let ladder = std::mem::replace(&mut incident.ladder, Ladder::Still);
    let running = |rung: &Rung, holder| Ladder::Running { rung: *rung, holder };
    incident.ladder = match event {
        Event::RungBegan { rung, .. } => running(rung, None),
        Event::Acknowledged { by, rung } => running(rung, Some(by.clone())),
        Event::HandedTo { to, rung, .. } => running(rung, Some(to.clone())),
        Event::WorkSeen { rung } => match ladder {
            Ladder::Running { holder, .. } => running(rung, holder),
            other => other,
        },
        Event::ClearingBegan { .. } => ladder.paused(at),
        Event::ClearingEnded => ladder.resumed(at),
        Event::Closed { .. } => Ladder::Still,
        _ => ladder,
    };
}

fn apply_triage(incident: &mut Incident, event: &Event, at: Timestamp) {
    match event {
        // An earlier finding says nothing about the alerts that fire now.
        Event::Reopened => {
            let found = incident.verdict.take();
            incident.earlier = found.map(|found| EarlierVerdict { scenario: found.scenario, at: found.at });
            incident.evidence = None;
            incident.survey = None;
        }
        Event::TriageStarted { run, .. } => incident.triage = Triage::Running { run: *run, since: at },
        Event::TriageFinished { run, verdict, evidence, left_out } => {
            incident.triage = Triage::Done { run: *run, at };
            incident.verdict = Some((**verdict).clone());
            incident.left_out.clone_from(left_out);
            incident.evidence.clone_from(evidence);
        }
        Event::Surveyed { run, survey, evidence } => {
            incident.triage = Triage::Done { run: *run, at };
            incident.survey = Some((**survey).clone());
            incident.evidence.clone_from(evidence);
        }
        Event::TriageFailed { run, reason } => {
            incident.triage = Triage::Failed { run: *run, reason: reason.clone() };
        }
        _ => {}
    }
}
