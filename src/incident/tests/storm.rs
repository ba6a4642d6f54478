//! What opens within a storm is called about as one, until somebody takes it up or the storm is over.

use super::rehearsal::{MINUTE, Night, three_in_the_morning};
use crate::{
    escalation::LevelNumber,
    incident::{
        Act, AlertStatus, Event, Incident, IncidentId, Life, Outcome, QuietOnes, Seen, Sighted, Timer, Work, apply,
        begin, leave_storm, settle, storm,
    },
};

const L1: LevelNumber = LevelNumber(1);

fn in_a_storm() -> Night {
    let mut night = Night::quiet();
    night.storms = true;
    night.alert("frontend-1", AlertStatus::Firing);
    assert!(night.waiting.iter().all(|effect| matches!(effect.work, Work::Timer { .. })));
    night
}

fn shown(night: &Night) -> bool {
    night.waiting.iter().any(|effect| matches!(effect.work, Work::DrawCard { .. }))
}

#[test]
fn the_first_command_about_a_quiet_incident_gives_it_its_card_its_triage_and_its_ladder() {
    let mut night = in_a_storm();
    night.says("U0ONCALL", Act::Note { text: "this one is ours".to_owned() }).unwrap();
    assert!(shown(&night));
    assert!(night.waiting.iter().any(|effect| matches!(effect.work, Work::Triage { run: 1 })));
    assert!(night.takes_calls().is_empty(), "whoever wrote the note has it");
    night.passes(15 * MINUTE);
    assert_eq!(night.takes_calls(), [L1], "and then did nothing");
    night.passes(15 * MINUTE);
    assert_eq!(night.takes_calls(), [LevelNumber(2)]);
}

#[test]
fn a_command_that_is_answered_with_called_now_calls() {
    let mut night = in_a_storm();
    night.says("U0ONCALL", Act::Escalate { from: None }).unwrap();
    assert_eq!(night.takes_calls(), [L1, LevelNumber(2)]);

    let mut taken = in_a_storm();
    taken.says("U0ONCALL", Act::Acknowledge).unwrap();
    assert!(taken.takes_calls().is_empty());

    let mut closed = in_a_storm();
    closed.says("U0ONCALL", Act::Resolve).unwrap();
    assert!(closed.takes_calls().is_empty() && !closed.incident().is_live());
}

#[test]
fn what_still_fires_when_the_storm_is_over_is_called_about_on_its_own() {
    let night = in_a_storm();
    let events = leave_storm(night.incident(), night.now);
    assert!(events.contains(&Event::LeftStorm));
    assert!(events.iter().any(|event| matches!(event, Event::RungBegan { .. })));
    assert!(leave_storm(Night::with_an_alert().incident(), night.now).is_empty());
}

#[test]
fn an_incident_that_opens_again_respects_the_brake() {
    let mut night = Night::with_an_alert();
    night.takes_calls();
    night.alert("frontend-1", AlertStatus::Resolved);
    night.passes(6 * MINUTE);
    night.storms = true;
    night.alert("frontend-1", AlertStatus::Firing);
    assert!(night.incident().quiet && night.incident().is_live());
    assert!(night.takes_calls().is_empty());

    night.alert("frontend-1", AlertStatus::Resolved);
    night.passes(6 * MINUTE);
    night.storms = false;
    night.alert("frontend-1", AlertStatus::Firing);
    assert!(!night.incident().quiet);
    assert_eq!(night.takes_calls(), [L1]);
}

fn context(night: &Night) -> Sighted<'_> {
    Sighted { now: night.now, policy: &night.policy, fresh: IncidentId(7), quiet: false, group: None }
}

fn standing(night: &Night, count: u32) -> Incident {
    let quiet = QuietOnes { count, newest: Some(night.now) };
    let Seen::Open(events) = storm(None, "prod", quiet, &context(night)) else { panic!("a storm opens") };
    let mut incident = begin(&events[0], night.now).unwrap();
    for event in &events[1..] {
        apply(&mut incident, event, night.now);
    }
    incident
}

#[test]
fn a_storm_ends_by_itself_when_no_quiet_incident_is_left_and_never_goes_stale() {
    let night = Night::quiet();
    let mut incident = standing(&night, 40);
    let none = QuietOnes { count: 0, newest: None };
    let Seen::Change(events) = storm(Some(&incident), "prod", none, &context(&night)) else { panic!("it clears") };
    for event in &events {
        apply(&mut incident, event, night.now);
    }
    let Life::Clearing { until } = incident.life else { panic!("{:?}", incident.life) };
    let hold = Outcome::Elapsed { timer: Timer::HoldEnds { until }, last_seen: night.now };
    assert!(settle(&incident, &hold, until, &night.policy).iter().any(|event| matches!(event, Event::Closed { .. })));
    let again = QuietOnes { count: 41, newest: Some(night.now) };
    let Seen::Change(events) = storm(Some(&incident), "prod", again, &context(&night)) else { panic!("it goes on") };
    assert!(events.contains(&Event::ClearingEnded));

    let stale = Outcome::Elapsed { timer: Timer::StaleCheck, last_seen: three_in_the_morning() };
    let much_later = night.now + 24 * 60 * MINUTE;
    assert!(settle(&standing(&night, 40), &stale, much_later, &night.policy).is_empty());
}

#[test]
fn a_storm_that_a_person_closed_does_not_come_back_for_the_same_incidents() {
    let night = Night::quiet();
    let mut incident = standing(&night, 40);
    let by = super::rehearsal::person("U0ONCALL");
    apply(&mut incident, &Event::Closed { reason: crate::incident::CloseReason::Person(by) }, night.now);
    let same = QuietOnes { count: 40, newest: Some(night.now - MINUTE) };
    assert_eq!(storm(Some(&incident), "prod", same, &context(&night)), Seen::Nothing, "as after a restart");
    let newer = QuietOnes { count: 41, newest: Some(night.now + MINUTE) };
    assert!(matches!(storm(Some(&incident), "prod", newer, &context(&night)), Seen::Change(_)));
}
