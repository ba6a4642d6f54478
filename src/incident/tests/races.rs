//! Everything that can meet in one instant, in every order, and random nights against the invariants.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::rehearsal::{MINUTE, Night, plan, pod, replacement, target, verdict};
use crate::incident::{
    Act, AlertStatus, Event, FixEnd, FixPhase, HandOffTo, Incident, Life, Outcome, Refusal, Round, Share, Timer, Work,
    apply, begin, leave_storm, may_take_all, moved, share,
};
use crate::triage::{FixName, Scenario};
use crate::{
    escalation::{LevelNumber, PagerName, Rung},
    incident::{FixNumber, RunNumber},
    remediation::StepNumber,
};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Meets {
    Acknowledge,
    Resolve,
    Approve,
    Expire,
}

const ALL: [Meets; 4] = [Meets::Acknowledge, Meets::Resolve, Meets::Approve, Meets::Expire];

fn happens(night: &mut Night, what: Meets) -> Result<(), Refusal> {
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

/// A plan waits for approval, and nobody has the incident: whoever asked has given it back to the first level.
fn unheld_with_a_question() -> Night {
    let mut night = Night::with_a_question(&["frontend-1"]);
    night.says("U0ONCALL", Act::HandOff { to: HandOffTo::Level(LevelNumber(1)) }).unwrap();
    night
}

/// The invariants of the end of every pair, whatever the order was.
fn check(night: &Night, first: Meets, second: Meets) {
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
    let mut night = Night::with_a_question(&["frontend-1"]);
    night.passes(9 * MINUTE);
    happens(&mut night, Meets::Approve).unwrap();
    night.passes(5 * MINUTE);
    assert!(matches!(night.incident().fix.as_ref().unwrap().phase, FixPhase::Approved { .. }));
}

#[derive(Debug, Clone)]
enum Move {
    Says(u8, u8),
    Alert(u8, bool),
    Passes(u16),
    Happens(u8),
    /// More incidents open than people can carry, or no longer.
    Storms(bool),
    /// The storm is over, so what fires stands on its own.
    LeavesTheStorm,
    TakesAll(u8),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        2 => (0_u8..4, 0_u8..13).prop_map(|(who, what)| Move::Says(who, what)),
        1 => (0_u8..2, any::<bool>()).prop_map(|(which, firing)| Move::Alert(which, firing)),
        1 => (0_u16..120).prop_map(Move::Passes),
        4 => (0_u8..18).prop_map(Move::Happens),
        1 => prop_oneof![
            any::<bool>().prop_map(Move::Storms),
            Just(Move::LeavesTheStorm),
            (0_u8..4).prop_map(Move::TakesAll),
        ],
    ];
    proptest::collection::vec(one, 1..80)
}

fn said(night: &Night, what: u8) -> Act {
    let plan = night.incident().fix.as_ref().and_then(crate::incident::Fix::plan_id);
    match what {
        0 => Act::Acknowledge,
        1 => Act::Resolve { reason: None, anyway: true },
        2 => Act::Approve { plan: None },
        3 => Act::Reject { plan: None },
        4 => Act::ProposeFix { fix: FixName::RestartPod },
        5 => Act::Withdraw,
        6 => Act::Escalate { from: None },
        7 => Act::Note { text: "x".to_owned() },
        8 => Act::Verify,
        9 => Act::HandOff { to: HandOffTo::Level(LevelNumber(3)) },
        10 => Act::HandOff { to: HandOffTo::Person(super::rehearsal::person("U0OTHER")) },
        11 => Act::SetTarget { target: super::rehearsal::target() },
        12 => Act::Approve { plan },
        _ => Act::Triage,
    }
}

/// An outcome that could come now: of the step, the plan and the fix that are under way.
fn happened(night: &Night, what: u8) -> Outcome {
    let incident = night.incident();
    let fix = FixNumber(incident.next_fix().0 - 1);
    let plan_id = incident.fix.as_ref().and_then(crate::incident::Fix::plan_id);
    let step = match incident.fix.as_ref().map(|fix| &fix.phase) {
        Some(FixPhase::Stepping { step, .. } | FixPhase::Settling { step, .. }) => *step,
        _ => StepNumber::FIRST,
    };
    let (at, run) = (night.now, incident.last_run().unwrap_or(RunNumber(0)));
    let found = verdict(Scenario::ExpiredCertificate, vec![FixName::RestartPod], at);
    let sampled = |round| Outcome::Sampled { fix, round, samples: Vec::new(), unreadable: Vec::new() };
    let to = night.policy.channels[0].clone();
    let new = format!("frontend-{}", 7 + step.0);
    let uid = crate::mesh::PodUid::parse(&format!("uid-{new}")).unwrap();
    match (what, plan_id) {
        (0, _) => Outcome::TriageFinished { run, verdict: Box::new(found), evidence: None },
        (1, _) => Outcome::TriageFailed { run, reason: "x".to_owned() },
        (2, _) => Outcome::PlanDrawn { fix, plan: Box::new(plan(&["frontend-1", "frontend-2"], at)) },
        (3, _) => Outcome::PlanRefused { fix, reasons: vec!["x".to_owned()] },
        (4 | 17, Some(plan)) => Outcome::StepDone { plan, step },
        (5, Some(plan)) => Outcome::StepFailed { plan, step, reason: "x".to_owned() },
        (6, Some(plan)) => Outcome::PlanMoved { plan, step, what: "x".to_owned() },
        (7, Some(plan)) => Outcome::StepAwaited { plan, step, why: "x".to_owned() },
        (8 | 16, Some(plan)) => replacement(plan, step, (pod(&new), uid), at + 60 * MINUTE),
        (9, Some(plan)) => {
            let work = Box::new(Work::RunStep { fix, plan, step });
            Outcome::Died { work, reason: "x".to_owned(), untouched: step == StepNumber::FIRST }
        }
        (10, _) => Outcome::NobodyBehind { level: LevelNumber(1), why: "x".to_owned() },
        (11, _) => Outcome::Mentioned { level: LevelNumber(1), to, unexplained: None },
        (12, _) => Outcome::PagerCalled {
            level: LevelNumber(2),
            page: Some((PagerName("p".to_owned()), "k".to_owned())),
            lacks: crate::incident::Lacks::default(),
        },
        (13, _) => sampled(Round::Start),
        (14, _) => sampled(Round::End),
        (_, _) => sampled(Round::Before),
    }
}

fn play(night: &mut Night, one: &Move) {
    match one {
        Move::Says(who, what) => {
            let who = SPEAKERS[usize::from(*who)];
            let act = said(night, *what);
            let closed = !night.incident().is_live();
            let done = night.says(who, act);
            assert!(!closed || done.is_err(), "what is closed takes no command, an acknowledgement least of all");
        }
        Move::Alert(which, firing) => {
            let status = if *firing { AlertStatus::Firing } else { AlertStatus::Resolved };
            night.alert(["frontend-1", "frontend-2"][usize::from(*which)], status);
        }
        Move::Passes(minutes) => night.passes(i32::from(*minutes) * MINUTE),
        Move::Happens(what) => {
            let outcome = happened(night, *what);
            night.outcome(&outcome);
        }
        Move::Storms(storms) => night.storms = *storms,
        Move::LeavesTheStorm => {
            let incident = night.incident();
            if incident.life == Life::Open && incident.is_firing() {
                let events = leave_storm(incident, night.now);
                night.record(&events);
            }
        }
        Move::TakesAll(who) => {
            let actor = night.actor(SPEAKERS[usize::from(*who)]);
            if may_take_all(&actor, night.now).is_ok()
                && let Share::Taken(events) = share(night.incident(), &actor, night.now, &night.policy)
            {
                night.record(&events);
            }
        }
    }
}

/// Where a random night stands, and who may speak in it.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) incident: Incident,
    pub(crate) now: Timestamp,
    pub(crate) policy: crate::incident::Policy,
    pub(crate) people: Vec<crate::people::Actor>,
}

pub(crate) fn random_nights() -> impl Strategy<Value = Standing> {
    // Most of what can be offered lies behind a diagnosis, a question, or a fix that was watched to its end.
    (0..3, moves()).prop_map(|(begins, moves)| {
        let mut night = match begins {
            0 => Night::with_a_verdict(),
            1 => Night::with_a_question(&["frontend-1"]),
            _ => verified(),
        };
        for one in &moves {
            play(&mut night, one);
        }
        let people = SPEAKERS.map(|user| night.actor(user)).into();
        Standing { incident: night.incident().clone(), now: night.now, policy: night.policy.clone(), people }
    })
}

const SPEAKERS: [&str; 4] = ["U0ONCALL", "U0SECURITY", "U0OTHER", "U0NOBODY"];

/// What must hold after every move.
fn holds(night: &Night) {
    let incident = night.incident();
    if !incident.is_live() {
        assert!(incident.ladder.rung().is_none());
    }
    if incident.life == Life::Open {
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
fn every_call_is_due_or_superseded(night: &Night, place: usize, rung: &Rung, call: &[LevelNumber]) {
    for level in call {
        let planned = night
            .waiting
            .iter()
            .any(|effect| matches!(&effect.work, Work::Mention { level: l, rung: r, .. } if l == level && r == rung));
        assert!(planned, "event {place}: {level} was to be called in {rung:?} and nobody does");
    }
}

fn replayed(night: &Night) -> Option<Incident> {
    let mut incident: Option<Incident> = None;
    for (event, at) in night.events.iter().zip(&night.times) {
        match (incident.as_mut(), event) {
            (_, Event::Opened { .. }) | (None, _) => incident = begin(event, *at),
            (Some(incident), _) => apply(incident, event, *at),
        }
    }
    incident
}

/// A night whose fix was watched to its end, by moves of the random nights.
fn verified() -> Night {
    let mut night = Night::with_an_alert();
    let moves = [(0, 0, true), (0, 4, false), (0, 2, true), (1, 2, false), (0, 15, true), (0, 4, true), (0, 8, true)];
    for (who, what, happens) in moves {
        play(&mut night, &if happens { Move::Happens(what) } else { Move::Says(who, what) });
    }
    for what in [4, 8, 13, 14] {
        play(&mut night, &Move::Happens(what));
    }
    night
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
        let mut night = Night::with_an_alert();
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
        let (mut left_alone, mut set) = (Night::with_an_alert(), Night::with_an_alert());
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
fn story(night: &Night, set: SignedDuration) -> Vec<(Timestamp, serde_json::Value)> {
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
    let mut other = Night::with_an_alert().incident().clone();
    other.id = crate::incident::IncidentId::new(2);
    let join = |night: &Night| {
        let command = crate::incident::Command {
            incident: night.incident().id,
            actor: night.actor("U0ONCALL"),
            key: "k".to_owned(),
            act: Act::SetTarget { target: target() },
        };
        crate::incident::join(night.incident(), &other, &command, night.now, &night.policy)
    };
    let mut night = Night::with_a_question(&["frontend-1"]);
    let joining = join(&night).unwrap();
    assert!(joining.joins.iter().any(|event| matches!(event, Event::FixEnded { end: FixEnd::Cancelled, .. })));
    night.says("U0SECURITY", Act::Approve { plan: None }).unwrap();
    let before =
        Outcome::Sampled { fix: FixNumber(1), round: Round::Before, samples: Vec::new(), unreadable: Vec::new() };
    night.outcome(&before);
    assert!(matches!(night.incident().fix.as_ref().unwrap().phase, FixPhase::Stepping { .. }));
    assert_eq!(join(&night), Err(Refusal::FixUnderWay(FixName::RestartPod)));
}
