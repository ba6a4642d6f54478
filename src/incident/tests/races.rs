//! Everything that can meet in one instant, in every order, and random nights against the invariants.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::random_nights::{moves, play, verified};
use super::rehearsal::{MINUTE, Rehearsal, target};
use crate::incident::{
    Act, Event, FixEnd, FixPhase, HandOffTo, Incident, IncidentStatus, Outcome, Refusal, Round, Timer, Work, apply,
    begin, moved,
};
use crate::triage::FixName;
use crate::{
    escalation::{LevelNumber, Rung},
    incident::FixNumber,
};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Meets {
    Acknowledge,
    Resolve,
    Approve,
    Expire,
}

const ALL: [Meets; 4] = [Meets::Acknowledge, Meets::Resolve, Meets::Approve, Meets::Expire];

fn happens(night: &mut Rehearsal, what: Meets) -> Result<(), Refusal> {
    match what {
        Meets::Acknowledge => night.says("U0ONCALL", Act::Acknowledge).map(drop),
        Meets::Resolve => night.says("U0OTHER", Act::Resolve { reason: None, anyway: true }).map(drop),
        Meets::Approve => night.says("U0SECURITY", Act::Approve { plan: None }).map(drop),
        Meets::Expire => {
            let fix = night.incident().fix.clone();
            if let Some((number, plan)) = fix.and_then(|fix| fix.plan_id().map(|plan| (fix.number, plan))) {
                let timer = Timer::QuestionExpires { fix: number, plan };
                night.outcome(&Outcome::Elapsed { timer, last_seen: night.now });
            }
            Ok(())
        }
    }
}

/// A plan waits for approval, and nobody has the incident: the person who asked has given it back to the first level.
fn unheld_with_a_question() -> Rehearsal {
    let mut night = Rehearsal::with_a_question(&["frontend-1"]);
    night.says("U0ONCALL", Act::HandOff { to: HandOffTo::Level(LevelNumber(1)) }).unwrap();
    night
}

/// The invariants of the end of every pair, whatever the order was.
fn check(night: &Rehearsal, first: Meets, second: Meets) {
    let incident = night.incident();
    let label = format!("{first:?} then {second:?}");
    let resolved = [first, second].contains(&Meets::Resolve);
    assert_eq!(!incident.is_live(), resolved, "{label}: closed stays closed, and nothing else closes");
    if resolved {
        assert!(incident.ladder.rung().is_none(), "{label}: nobody is called for a closed incident");
    }
    let approvals = night.events.iter().filter(|event| matches!(event, Event::FixApproved { .. })).count();
    let ended_first = night.events.iter().position(|event| matches!(event, Event::FixEnded { .. }));
    let approved_at = night.events.iter().position(|event| matches!(event, Event::FixApproved { .. }));
    assert!(approvals <= 1, "{label}: approved once at most");
    if let (Some(ended), Some(approved)) = (ended_first, approved_at) {
        assert!(approved < ended, "{label}: a fix that ended is not approved afterwards");
    }
    assert_eq!(night.writes(), 0, "{label}: no write before the counters were read");
}

#[test]
fn every_ordered_pair_of_acknowledge_resolve_approve_and_expire_in_one_instant() {
    for first in ALL {
        for second in ALL {
            let mut night = unheld_with_a_question();
            // The very instant at which the question expires.
            night.now += 10 * MINUTE;
            let one = happens(&mut night, first);
            let two = happens(&mut night, second);
            check(&night, first, second);
            assert!(
                one.is_ok() || matches!(one, Err(Refusal::Vote(_))),
                "{first:?} comes first and meets an open incident: {one:?}"
            );
            match (first, second) {
                (Meets::Resolve, Meets::Expire) => assert!(two.is_ok()),
                (Meets::Resolve, _) => assert!(matches!(two, Err(Refusal::Closed(_))), "{second:?}: {two:?}"),
                (_, Meets::Resolve) => assert!(two.is_ok(), "{first:?}: {two:?}"),
                (Meets::Acknowledge, Meets::Acknowledge) => {
                    assert!(matches!(two, Err(Refusal::AlreadyAcknowledged(_))));
                }
                // At the instant of expiry the question is over: an approval does not count any more.
                (_, Meets::Approve) => assert!(two.is_err(), "{first:?} then Approve: {two:?}"),
                _ => {}
            }
        }
    }
}

#[test]
fn every_ordered_pair_a_microsecond_before_the_question_expires_and_then_the_expiry() {
    for first in ALL {
        for second in ALL {
            let mut night = unheld_with_a_question();
            night.now += 10 * MINUTE - jiff::SignedDuration::from_micros(1);
            for one in [first, second] {
                if one == Meets::Expire {
                    night.now += jiff::SignedDuration::from_micros(1);
                }
                drop(happens(&mut night, one));
            }
            check(&night, first, second);
            let before_it = matches!(first, Meets::Acknowledge | Meets::Approve);
            let approves_in_time = first == Meets::Approve || (second == Meets::Approve && before_it);
            let approved = night.events.iter().any(|event| matches!(event, Event::FixApproved { .. }));
            assert_eq!(approved, approves_in_time, "{first:?} then {second:?}");
        }
    }
}

#[test]
fn an_instant_before_it_expires_an_approval_counts_and_the_expiry_then_finds_nothing() {
    let mut night = Rehearsal::with_a_question(&["frontend-1"]);
    night.passes(9 * MINUTE);
    happens(&mut night, Meets::Approve).unwrap();
    night.passes(5 * MINUTE);
    assert!(matches!(night.incident().fix.as_ref().unwrap().phase, FixPhase::Approved { .. }));
}

/// What must hold after every move.
fn holds(night: &Rehearsal) {
    let incident = night.incident();
    if !incident.is_live() {
        assert!(incident.ladder.rung().is_none());
    }
    if incident.status == IncidentStatus::Open {
        let called = incident.quiet || incident.ladder.rung().is_some();
        assert!(called, "an open incident that stands on its own always has a window running");
        assert!(incident.is_firing() || night.events.contains(&Event::Reopened) || !incident.alerts.is_empty());
    }
    for (place, event) in night.events.iter().enumerate() {
        if let Event::StepStarted { fix, plan, .. } = event {
            let approved = night.events[..place]
                .iter()
                .any(|before| matches!(before, Event::FixApproved { fix: f, plan: p, .. } if f == fix && p == plan));
            assert!(approved, "a step started without the approval of its plan");
            let asked = night.events[..place].iter().rev().find_map(|before| match before {
                Event::FixProposed { fix: f, by, .. } if f == fix => Some(by),
                _ => None,
            });
            let by_another = night.events[..place].iter().any(|before| {
                matches!(before, Event::FixApproved { fix: f, by, .. }
                    if f == fix && !by.is_empty() && by.iter().all(|by| Some(by) != asked))
            });
            assert!(by_another, "nobody but the requester approved it");
            let ended =
                night.events[..place].iter().any(|before| matches!(before, Event::FixEnded { fix: f, .. } if f == fix));
            assert!(!ended, "a write after the end of its fix");
            let twice = night.events[..place].iter().any(|before| before == event);
            assert!(!twice, "the same step of the same plan ran twice");
        }
        match event {
            Event::RungBegan { rung, call, .. } => every_call_is_due_or_superseded(night, place, rung, call),
            Event::CalledBeside { level, rung, .. } => every_call_is_due_or_superseded(night, place, rung, &[*level]),
            _ => {}
        }
        if let Event::FixEnded { end: FixEnd::Verified { verification }, .. } = event {
            assert_ne!(verification.proof, crate::remediation::Proof::Worked, "no sample was ever given");
        }
    }
}

/// Nothing takes a call off the list in these nights, so each must still be there, unless its slot says otherwise.
fn every_call_is_due_or_superseded(night: &Rehearsal, place: usize, rung: &Rung, call: &[LevelNumber]) {
    for level in call {
        let planned = night
            .waiting
            .iter()
            .any(|effect| matches!(&effect.work, Work::Mention { level: l, rung: r, .. } if l == level && r == rung));
        assert!(planned, "event {place}: {level} was to be called in {rung:?} and nobody does");
    }
}

fn replayed(night: &Rehearsal) -> Option<Incident> {
    let mut incident: Option<Incident> = None;
    for (event, at) in night.events.iter().zip(&night.times) {
        match (incident.as_mut(), event) {
            (_, Event::Opened { .. }) | (None, _) => incident = begin(event, *at),
            (Some(incident), _) => apply(incident, event, *at),
        }
    }
    incident
}

/// The way that the random nights must be able to find.
#[test]
fn the_moves_of_the_random_nights_lead_to_a_verification() {
    let night = verified();
    assert!(matches!(night.incident().past_fixes[0].end, FixEnd::Verified { .. }), "{:?}", night.incident().fix);
    holds(&night);
}

proptest! {
    #[test]
    fn whatever_the_order_of_requests_and_outcomes_the_invariants_hold(moves in moves()) {
        let mut night = Rehearsal::with_an_alert();
        for one in &moves {
            play(&mut night, one);
            holds(&night);
        }
        let again = replayed(&night).unwrap();
        prop_assert_eq!(&again, night.incident());
    }

    #[test]
    fn a_clock_that_is_set_at_any_moment_changes_nothing_but_the_times(
        moves in moves(),
        set_before in 0_usize..80,
        minutes in prop_oneof![-90_i64..=-1, 1_i64..=90],
    ) {
        let (mut left_alone, mut set) = (Rehearsal::with_an_alert(), Rehearsal::with_an_alert());
        let by = SignedDuration::from_mins(minutes);
        let mut is_set = false;
        for (place, one) in moves.iter().enumerate() {
            if place == set_before {
                set.clock_is_set(by);
                is_set = true;
            }
            play(&mut left_alone, one);
            play(&mut set, one);
        }
        let by = if is_set { by } else { SignedDuration::ZERO };
        prop_assert_eq!(story(&left_alone, SignedDuration::ZERO), story(&set, by));
        prop_assert_eq!(&replayed(&set).unwrap(), set.incident());
    }
}

/// What happened and when, by a clock that was never set; without what other clocks said.
fn story(night: &Rehearsal, set: SignedDuration) -> Vec<(Timestamp, serde_json::Value)> {
    // Another incident may have opened since.
    let begins_before = night.events.iter().any(|event| matches!(event, Event::ClockSet { .. }));
    let mut by = if begins_before { SignedDuration::ZERO } else { set };
    let mut told = Vec::new();
    for (event, at) in night.events.iter().zip(&night.times) {
        if matches!(event, Event::ClockSet { .. }) {
            by = set;
            continue;
        }
        let mut event = serde_json::to_value(moved(event, -by).unwrap()).unwrap();
        event.as_object_mut().unwrap().remove("not_after");
        if let Some(sighting) = event.get_mut("sighting") {
            // A start that is in the future by our clock counts as seen now.
            sighting["starts_at"].take();
            sighting.as_object_mut().unwrap().remove("claimed_start");
        }
        told.push((*at - by, event));
    }
    told
}

#[test]
fn an_incident_whose_fix_runs_joins_no_other_and_a_plan_that_waits_is_dropped() {
    let mut other = Rehearsal::with_an_alert().incident().clone();
    other.id = crate::incident::IncidentId::new(2);
    let join = |night: &Rehearsal| {
        let command = crate::incident::Command {
            incident: night.incident().id,
            actor: night.actor("U0ONCALL"),
            key: "k".to_owned(),
            act: Act::SetTarget { target: target() },
        };
        crate::incident::join(night.incident(), &other, &command, night.now, &night.policy)
    };
    let mut night = Rehearsal::with_a_question(&["frontend-1"]);
    let joining = join(&night).unwrap();
    assert!(joining.joins.iter().any(|event| matches!(event, Event::FixEnded { end: FixEnd::Cancelled, .. })));
    night.says("U0SECURITY", Act::Approve { plan: None }).unwrap();
    let before =
        Outcome::Sampled { fix: FixNumber(1), round: Round::Before, samples: Vec::new(), unreadable: Vec::new() };
    night.outcome(&before);
    assert!(matches!(night.incident().fix.as_ref().unwrap().phase, FixPhase::Stepping { .. }));
    assert_eq!(join(&night), Err(Refusal::FixUnderWay(FixName::RestartPod)));
}
