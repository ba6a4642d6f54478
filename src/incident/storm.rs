//! The storm: many incidents that are called about as one, the one that stands for them, and how each leaves it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    Act, AlertEffect, CallReason, CloseReason, Event, Incident, IncidentId, IncidentKey, IncidentStatus, LevelCall,
    RunNumber, SightingContext, Triage,
    alert_seen::{evidence_meanwhile, fires_again, first_call},
    apply,
    escalate::climb_events,
};
use crate::{escalation::Rung, mesh::TargetRef};

/// The key of the incident that stands for the storms of a cluster.
pub fn storm_key(cluster: &str) -> IncidentKey {
    IncidentKey::of_storm(cluster)
}

pub(super) fn stands_for_a_storm(incident: &Incident) -> bool {
    // An incident that has alerts of its own stands for itself, whatever an earlier version called it.
    incident.storm.is_some() || (incident.key.is_of_storm() && incident.alerts.is_empty())
}

/// The live incidents that nobody is called about one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietOnes {
    pub count: u32,
    /// When the newest of them opened, or opened again.
    pub newest: Option<Timestamp>,
}

/// How many services of a storm are named on its card.
const SERVICES_NAMED: usize = 8;
/// How many of those are looked at, one pod each. With SPIRE's server and the agents of their nodes that is what a triage
/// of one service with its sample of pods asks of the API server, and some more.
const SERVICES_LOOKED_AT: usize = 5;
/// How often a storm that grows is looked at again, and after how long at the earliest.
const LOOKS_MOST: u32 = 5;
const LOOKS_APART: SignedDuration = SignedDuration::from_mins(1);
/// It has grown when it has doubled, and by so many at least.
const GROWN_BY: u32 = 10;

/// Which services of a storm are known, as its diagnostics look at them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StormLook {
    /// A few of the services, of as many namespaces as there are; the first are those that are looked at.
    pub services: Vec<TargetRef>,
    /// How many more there are.
    pub more: u32,
    /// How many incidents of it do not say which service they are about.
    pub without_target: u32,
    /// How many are of clusters that this bot does not look after.
    pub of_other_clusters: u32,
    /// How many incidents the storm had.
    pub count: u32,
    /// How often it has been looked at, this time included.
    pub looks: u32,
}

impl StormLook {
    /// The services that are looked at.
    pub fn looked_at(&self) -> &[TargetRef] {
        self.services.get(..SERVICES_LOOKED_AT).unwrap_or(&self.services)
    }
}

/// What is known of the services of incidents that are held back, oldest first: namespaces take turns, so that one of them
/// does not stand for the storm.
pub fn held_back<'a>(quiet: impl IntoIterator<Item = &'a Incident>) -> StormLook {
    let mut look = StormLook::default();
    let mut services: BTreeMap<_, Vec<&TargetRef>> = BTreeMap::new();
    for incident in quiet {
        match &incident.target {
            _ if incident.is_foreign() => look.of_other_clusters = look.of_other_clusters.saturating_add(1),
            None => look.without_target = look.without_target.saturating_add(1),
            Some(target) => {
                let of_namespace = services.entry(&target.namespace).or_default();
                if !of_namespace.contains(&target) {
                    of_namespace.push(target);
                }
            }
        }
    }
    let all: usize = services.values().map(Vec::len).sum();
    let longest = services.values().map(Vec::len).max().unwrap_or(0);
    let in_turn = (0..longest).flat_map(|turn| services.values().filter_map(move |list| list.get(turn).copied()));
    look.services = in_turn.take(SERVICES_NAMED).cloned().collect();
    look.more = u32::try_from(all.saturating_sub(look.services.len())).unwrap_or(u32::MAX);
    look
}

/// What happens to the incident that stands for the storm: it opens, grows, is looked at, ends, or goes on. `held` is what
/// is known of the services of those that are held back.
pub fn storm(
    standing: Option<&Incident>,
    cluster: &str,
    quiet: QuietOnes,
    held: &StormLook,
    context: &SightingContext<'_>,
) -> AlertEffect {
    match standing {
        Some(incident) if incident.is_live() => goes_on(incident, quiet.count, held, context),
        _ if quiet.count == 0 => AlertEffect::Nothing,
        Some(incident) => after_its_end(incident, cluster, quiet, held, context),
        None => AlertEffect::Open(opening(cluster, quiet.count, held, context)),
    }
}

/// The events with which a storm of so many incidents is looked at for the time `looks`. None where no service is known.
fn look(run: RunNumber, count: u32, looks: u32, held: &StormLook) -> Vec<Event> {
    let seen = Event::StormSeen { look: StormLook { count, looks, ..held.clone() } };
    let triage = (!held.services.is_empty()).then_some(Event::TriageStarted { run, by: None });
    [seen].into_iter().chain(triage).collect()
}

/// Whether a storm of so many incidents is looked at again: never while it is looked at, and not for ever.
fn is_looked_at_again(incident: &Incident, count: u32, held: &StormLook, now: Timestamp) -> bool {
    let last = match &incident.triage {
        Triage::Running { .. } => return false,
        Triage::Done { at, .. } => Some(*at),
        Triage::NotRun | Triage::Failed { .. } => None,
    };
    let rested = last.is_none_or(|last| now.duration_since(last) >= LOOKS_APART);
    let due = incident.storm_look.as_ref().is_none_or(|look| {
        // It was looked at with its first alerts, before the services of the others were known.
        let saw_few = look.looked_at().len() < held.looked_at().len();
        let grown = count >= look.count.saturating_mul(2).max(look.count.saturating_add(GROWN_BY));
        look.looks < LOOKS_MOST && (saw_few || rested && grown)
    });
    due && !held.services.is_empty()
}

fn goes_on(incident: &Incident, count: u32, held: &StormLook, context: &SightingContext<'_>) -> AlertEffect {
    let mut events = Vec::new();
    match incident.status {
        IncidentStatus::Open if count == 0 => {
            events.push(Event::ClearingBegan { until: context.now + context.policy.hold });
        }
        IncidentStatus::Clearing { .. } if count > 0 => events.extend(fires_again(incident, context.now)),
        _ => {}
    }
    if Some(count) > incident.storm {
        events.push(Event::StormGrew { count });
    }
    if count > 0 && is_looked_at_again(incident, count, held, context.now) {
        let looks = incident.storm_look.as_ref().map_or(0, |look| look.looks).saturating_add(1);
        events.extend(look(incident.next_run(), count, looks, held));
    }
    if events.is_empty() { AlertEffect::Nothing } else { AlertEffect::Change(events) }
}

fn after_its_end(
    incident: &Incident,
    cluster: &str,
    quiet: QuietOnes,
    held: &StormLook,
    context: &SightingContext<'_>,
) -> AlertEffect {
    let IncidentStatus::Closed { at, reason } = &incident.status else { return AlertEffect::Nothing };
    // The person who closed it knew of those that were there: only newer ones are another storm.
    if matches!(reason, CloseReason::Person(_)) && quiet.newest.is_none_or(|newest| newest <= *at) {
        return AlertEffect::Nothing;
    }
    if context.now.duration_since(*at) > context.policy.flap {
        return AlertEffect::Open(opening(cluster, quiet.count, held, context));
    }
    let mut events = vec![Event::Reopened, Event::StormGrew { count: quiet.count }];
    events.extend(look(incident.next_run(), quiet.count, 1, held));
    let climb = incident.policy.open(context.now);
    events.extend(climb.map(|climb| climb_events(climb, &CallReason::Opened)).unwrap_or_default());
    AlertEffect::Change(events)
}

fn opening(cluster: &str, count: u32, held: &StormLook, context: &SightingContext<'_>) -> Vec<Event> {
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
    events.extend(look(RunNumber::FIRST, count, 1, held));
    events.extend(first_call(context));
    events
}

/// How long before a storm an incident opened that is still a part of it: the time over which the brake counts.
pub const JUST_BEFORE: SignedDuration = SignedDuration::from_mins(1);

/// The events with which an incident that opened just before a storm joins it: people are called once for all of it. None
/// where a level was reached or a person works on it, and for one that opened again, which people know: it goes on by itself.
pub fn join_storm(incident: &Incident, storm: IncidentId, now: Timestamp) -> Vec<Event> {
    let of_a_service = !incident.key.is_of_rule() && !stands_for_a_storm(incident);
    let waits = incident.status == IncidentStatus::Open && !incident.quiet;
    let is_new = incident.reopened_at.is_none() && now.duration_since(incident.opened_at) <= JUST_BEFORE;
    let heard = incident.calls.asked.iter().any(LevelCall::got_through) || !incident.calls.pages.is_empty();
    let worked_on = incident.ladder.holder().is_some() || incident.fix.is_some() || !incident.past_fixes.is_empty();
    let joins = of_a_service && waits && is_new && !heard && !worked_on;
    joins.then_some(Event::JoinedStorm { storm: Some(storm) }).into_iter().collect()
}

/// The events with which a quiet incident comes to stand on its own: its card, its triage, its ladder. None for one
/// that does already. While it clears nobody is called: `fires_again` does what is left, if it comes to that.
pub fn leave_storm(incident: &Incident, now: Timestamp) -> Vec<Event> {
    if !incident.quiet {
        return Vec::new();
    }
    let mut alone = incident.clone();
    apply(&mut alone, &Event::LeftStorm, now);
    let owed = if alone.status == IncidentStatus::Open { owed(&alone, now) } else { Vec::new() };
    [Event::LeftStorm].into_iter().chain(owed).collect()
}

/// What an incident that fires, and that nobody was called about by itself so far, is owed: its triage, its ladder, and the
/// call that what was found meanwhile asks for.
pub(super) fn owed(incident: &Incident, now: Timestamp) -> Vec<Event> {
    if incident.key.is_of_rule() {
        return Vec::new();
    }
    let looks = incident.target.is_some() && !incident.is_foreign() && !looked_at_since_it_opened(incident);
    let run = incident.next_run();
    let triage = looks.then_some(Event::TriageStarted { run, by: None });
    let mut events: Vec<Event> = triage.into_iter().chain(owed_call(incident, now)).collect();
    let mut called = incident.clone();
    for event in &events {
        apply(&mut called, event, now);
    }
    events.extend(evidence_meanwhile(&called, now));
    events
}

/// Calls now the level that the bot would have called meanwhile. One that somebody took within the storm is theirs, unless they
/// left it alone for a whole window.
fn owed_call(incident: &Incident, now: Timestamp) -> Vec<Event> {
    let climb = match incident.ladder.rung() {
        Some(Rung::Acknowledged { until, .. }) if *until > now => None,
        Some(Rung::Acknowledged { level, .. }) => Some((incident.policy.call_from(*level, now), CallReason::Idle)),
        Some(Rung::Waiting { .. } | Rung::AllPaged { .. }) | None => {
            incident.policy.open(now).map(|climb| (climb, CallReason::Opened))
        }
    };
    climb.map(|(climb, reason)| climb_events(climb, &reason)).unwrap_or_default()
}

/// Whether its diagnostics have begun since it opened, or opened again: what was found before says nothing of now.
fn looked_at_since_it_opened(incident: &Incident) -> bool {
    let opened = incident.reopened_at.unwrap_or(incident.opened_at);
    match &incident.triage {
        Triage::Running { since, .. } => *since >= opened,
        Triage::Done { at, .. } => *at >= opened,
        // When one failed is not known: looking once more costs little.
        Triage::NotRun | Triage::Failed { .. } => false,
    }
}

/// The same, because a person gave a command about it: what they do themselves is left to them.
pub(super) fn leave_storm_for(incident: &Incident, act: &Act, now: Timestamp) -> Vec<Event> {
    let mut events = leave_storm(incident, now);
    match act {
        Act::Resolve { .. } => events.truncate(1),
        Act::Triage | Act::SetTarget { .. } => {
            events.retain(|event| !matches!(event, Event::TriageStarted { .. }));
        }
        _ => {}
    }
    events
}
