//! The incident that stands for a storm: it counts, names and diagnoses what stands behind it.

use super::rehearsal::{MINUTE, Rehearsal, target, three_in_the_morning, verdict};
use crate::{
    escalation::LevelNumber,
    incident::{
        Act, AlertEffect, AlertSighting, AlertStatus, Cause, Command, Event, Incident, IncidentId, IncidentStatus,
        Notice, Outcome, QuietOnes, Refusal, RunNumber, SightingContext, StormLook, Timer, Triage, Work, apply, begin,
        decide, held_back, settle, still_wanted, storm,
    },
    mesh::TargetRef,
    triage::{CallAtOnce, FixName, Scenario, Survey, Verdict},
};

fn context(night: &Rehearsal) -> SightingContext<'_> {
    SightingContext { now: night.now, policy: &night.policy, fresh: IncidentId::new(7), quiet: false, group: None }
}

fn standing(night: &Rehearsal, count: u32) -> Incident {
    let quiet = QuietOnes { count, newest: Some(night.now) };
    let AlertEffect::Open(events) = storm(None, "prod", quiet, &StormLook::default(), &context(night)) else {
        panic!("a storm opens")
    };
    let mut incident = begin(&events[0], night.now).unwrap();
    for event in &events[1..] {
        apply(&mut incident, event, night.now);
    }
    incident
}

#[test]
fn a_storm_ends_by_itself_when_no_quiet_incident_is_left_and_never_goes_stale() {
    let night = Rehearsal::quiet();
    let mut incident = standing(&night, 40);
    let none = QuietOnes { count: 0, newest: None };
    let AlertEffect::Change(events) = storm(Some(&incident), "prod", none, &StormLook::default(), &context(&night))
    else {
        panic!("it clears")
    };
    for event in &events {
        apply(&mut incident, event, night.now);
    }
    let IncidentStatus::Clearing { until } = incident.status else { panic!("{:?}", incident.status) };
    let hold = Outcome::Elapsed { timer: Timer::HoldEnds { until }, last_seen: night.now };
    assert!(settle(&incident, &hold, until, &night.policy).iter().any(|event| matches!(event, Event::Closed { .. })));
    let again = QuietOnes { count: 41, newest: Some(night.now) };
    let AlertEffect::Change(events) = storm(Some(&incident), "prod", again, &StormLook::default(), &context(&night))
    else {
        panic!("it goes on")
    };
    assert!(events.contains(&Event::ClearingEnded));

    let stale = Outcome::Elapsed { timer: Timer::StaleCheck, last_seen: three_in_the_morning() };
    let much_later = night.now + 24 * 60 * MINUTE;
    assert!(settle(&standing(&night, 40), &stale, much_later, &night.policy).is_empty());
}

#[test]
fn a_storm_that_a_person_closed_does_not_come_back_for_the_same_incidents() {
    let night = Rehearsal::quiet();
    let mut incident = standing(&night, 40);
    let by = super::rehearsal::person("U0ONCALL");
    apply(&mut incident, &Event::Closed { reason: crate::incident::CloseReason::Person(by.into()) }, night.now);
    let same = QuietOnes { count: 40, newest: Some(night.now - MINUTE) };
    assert_eq!(
        storm(Some(&incident), "prod", same, &StormLook::default(), &context(&night)),
        AlertEffect::Nothing,
        "as after a restart"
    );
    let newer = QuietOnes { count: 41, newest: Some(night.now + MINUTE) };
    assert!(matches!(
        storm(Some(&incident), "prod", newer, &StormLook::default(), &context(&night)),
        AlertEffect::Change(_)
    ));
}

fn in_storm(number: u32, service: &str, namespace: &str) -> Incident {
    let mut night = Rehearsal::quiet();
    night.storms = true;
    let target = TargetRef::parse(namespace.parse().unwrap(), service).unwrap();
    let alert = AlertSighting { target: Some(target), ..Rehearsal::sighting("frontend-1", AlertStatus::Firing) };
    night.sees(&alert);
    Incident { id: IncidentId::new(number), ..night.incident().clone() }
}

fn services(look: &StormLook) -> Vec<String> {
    look.services.iter().map(ToString::to_string).collect()
}

#[test]
fn a_storm_names_services_of_every_namespace_and_counts_what_it_does_not_name() {
    let mut all: Vec<Incident> = (0..20).map(|n| in_storm(n, &format!("svc-{n:02}"), "web")).collect();
    all.push(in_storm(20, "cart", "shop"));
    all.push(in_storm(21, "cart", "shop"));
    all.push(Incident { target: None, ..in_storm(22, "x", "web") });
    all.push(Incident { foreign_to: Some("blue".to_owned()), ..in_storm(23, "y", "web") });
    let look = held_back(&all);
    assert_eq!(services(&look)[..3], ["shop svc/cart", "web svc/svc-00", "web svc/svc-01"]);
    assert_eq!((look.services.len(), look.more, look.looked_at().len()), (8, 13, 5));
    assert_eq!((look.without_target, look.of_other_clusters), (1, 1));
}

/// What a storm of `count` incidents comes to, given what is known of its services.
fn grows(night: &Rehearsal, incident: &mut Incident, count: u32, held: &StormLook) -> Vec<Event> {
    let quiet = QuietOnes { count, newest: Some(night.now) };
    let AlertEffect::Change(events) = storm(Some(incident), "prod", quiet, held, &context(night)) else {
        return Vec::new();
    };
    for event in &events {
        apply(incident, event, night.now);
    }
    events
}

fn begins_a_look(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event, Event::TriageStarted { .. }))
}

#[test]
fn a_storm_is_diagnosed_when_it_opens_and_again_when_it_has_grown_and_not_for_ever() {
    let mut night = Rehearsal::quiet();
    let held = held_back(&[in_storm(1, "cart", "shop")]);
    let quiet = QuietOnes { count: 12, newest: Some(night.now) };
    let AlertEffect::Open(events) = storm(None, "prod", quiet, &held, &context(&night)) else {
        panic!("a storm opens")
    };
    assert!(begins_a_look(&events), "{events:?}");
    let mut incident = begin(&events[0], night.now).unwrap();
    for event in &events[1..] {
        apply(&mut incident, event, night.now);
    }
    assert!(!begins_a_look(&grows(&night, &mut incident, 40, &held)), "not while it is looked at");
    let (mut looks, mut count) = (1, 40);
    for _ in 0..20 {
        let done = Outcome::Surveyed {
            run: incident.last_run().unwrap(),
            survey: Box::new(survey(&night, None)),
            evidence: None,
        };
        for event in settle(&incident, &done, night.now, &night.policy) {
            apply(&mut incident, &event, night.now);
        }
        assert!(!begins_a_look(&grows(&night, &mut incident, count * 2, &held)), "not twice within a minute");
        night.now += 2 * MINUTE;
        count *= 2;
        looks += usize::from(begins_a_look(&grows(&night, &mut incident, count, &held)));
        assert!(!begins_a_look(&grows(&night, &mut incident, count + 1, &held)), "one more is no growth");
    }
    assert_eq!(looks, 5);
}

#[test]
fn what_a_look_at_the_storm_came_to_is_posted() {
    let night = Rehearsal::quiet();
    let mut incident = standing(&night, 12);
    grows(&night, &mut incident, 13, &held_back(&[in_storm(1, "cart", "shop")]));
    let to = night.policy.channels[0].clone();
    let post = Work::Post { to, notice: Notice::Verdict { run: RunNumber(1) } };
    assert!(!still_wanted(&incident, &post, night.now), "nothing was found yet");
    let done = Outcome::Surveyed { run: RunNumber(1), survey: Box::new(survey(&night, None)), evidence: None };
    for event in settle(&incident, &done, night.now, &night.policy) {
        apply(&mut incident, &event, night.now);
    }
    assert!(still_wanted(&incident, &post, night.now));
}

#[test]
fn a_storm_that_opens_again_quotes_nothing_of_the_storm_before() {
    let mut night = Rehearsal::quiet();
    let held = held_back(&[in_storm(1, "cart", "shop")]);
    let mut incident = standing(&night, 12);
    grows(&night, &mut incident, 13, &held);
    let done = Outcome::Surveyed { run: RunNumber(1), survey: Box::new(survey(&night, None)), evidence: None };
    for event in settle(&incident, &done, night.now, &night.policy) {
        apply(&mut incident, &event, night.now);
    }
    assert!(matches!(Cause::of(&incident), Cause::Surveyed(_)));
    apply(&mut incident, &Event::Closed { reason: crate::incident::CloseReason::AlertsResolved }, night.now);
    night.now += MINUTE;
    grows(&night, &mut incident, 12, &held);
    assert!(incident.is_live());
    assert_eq!((Cause::of(&incident), incident.survey.as_ref()), (Cause::Running, None));
}

#[test]
fn what_a_look_found_while_the_storm_cleared_calls_when_it_rages_again() {
    let night = Rehearsal::quiet();
    let held = held_back(&[in_storm(1, "cart", "shop")]);
    let mut incident = standing(&night, 12);
    grows(&night, &mut incident, 13, &held);
    grows(&night, &mut incident, 0, &held);
    let done =
        Outcome::Surveyed { run: RunNumber(1), survey: Box::new(survey(&night, Some(CallAtOnce::L2))), evidence: None };
    for event in settle(&incident, &done, night.now, &night.policy) {
        apply(&mut incident, &event, night.now);
    }
    let events = grows(&night, &mut incident, 13, &held);
    assert!(
        events.iter().any(|event| matches!(event, Event::CalledBeside { level: LevelNumber(2), .. })),
        "{events:?}"
    );
}

#[test]
fn a_storm_whose_services_nobody_names_is_looked_at_once_one_is_known() {
    let mut night = Rehearsal::quiet();
    let mut incident = standing(&night, 12);
    assert_eq!(incident.triage, Triage::NotRun);
    night.now += MINUTE;
    let held = held_back(&[in_storm(1, "cart", "shop")]);
    assert!(begins_a_look(&grows(&night, &mut incident, 13, &held)));
}

fn survey(night: &Rehearsal, call_at_once: Option<CallAtOnce>) -> Survey {
    let found = Verdict { call_at_once, ..verdict(Scenario::SpireServer, Vec::new(), night.now) };
    Survey::of(&[found], Vec::new(), night.now)
}

#[test]
fn a_storm_that_spires_server_explains_calls_the_security_team_at_once() {
    let night = Rehearsal::quiet();
    let held = held_back(&[in_storm(1, "cart", "shop")]);
    let mut incident = standing(&night, 12);
    grows(&night, &mut incident, 13, &held);
    let done =
        Outcome::Surveyed { run: RunNumber(1), survey: Box::new(survey(&night, Some(CallAtOnce::L2))), evidence: None };
    let events = settle(&incident, &done, night.now, &night.policy);
    assert!(matches!(&events[0], Event::Surveyed { run: RunNumber(1), .. }));
    let called = events.iter().any(|event| matches!(event, Event::CalledBeside { level: LevelNumber(2), .. }));
    assert!(called, "{events:?}");
    let late = Outcome::Surveyed { run: RunNumber(0), survey: Box::new(survey(&night, None)), evidence: None };
    assert!(settle(&incident, &late, night.now, &night.policy).is_empty(), "a run that is no longer the newest");
}

#[test]
fn what_stands_for_many_is_diagnosed_on_command_and_has_no_service_and_no_fix_of_its_own() {
    let mut night = Rehearsal::quiet();
    let mut incident = standing(&night, 12);
    incident.id = IncidentId::new(1);
    night.incident = Some(incident.clone());
    let refused = |act| match night_says(&night, act) {
        Err(refusal) => refusal.to_string(),
        Ok(()) => panic!("it was done"),
    };
    let many =
        "INC-1 stands for many incidents and has no service of its own: name one of them, as `incidents` lists them";
    assert_eq!(refused(Act::SetTarget { target: target() }), many);
    assert_eq!(refused(Act::ProposeFix { fix: FixName::RestartPod }), many);
    assert_eq!(refused(Act::Triage), many);
    let look = StormLook { looks: 5, count: 12, ..held_back(&[in_storm(1, "cart", "shop")]) };
    apply(&mut incident, &Event::StormSeen { look }, night.now);
    night.incident = Some(incident);
    assert!(night_says(&night, Act::Triage).is_ok(), "also after the bot has looked as often as it does by itself");
}

fn night_says(night: &Rehearsal, act: Act) -> Result<(), Refusal> {
    let command = Command { incident: IncidentId::new(1), actor: night.actor("U0SEC"), key: "k".to_owned(), act };
    decide(night.incident(), &command, night.now, &night.policy).map(drop)
}
