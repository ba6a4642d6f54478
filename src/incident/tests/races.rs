//! Everything that can meet in one instant, in every order, and random nights against the invariants.

use proptest::prelude::*;

use super::rehearsal::{MINUTE, Night, plan, verdict};
use crate::incident::{
    Act, AlertStatus, Event, FixEnd, FixPhase, Incident, Life, Outcome, Refusal, Round, Timer, apply, begin,
};
use crate::triage::{FixName, Scenario};

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
        Meets::Resolve => night.says("U0OTHER", Act::Resolve).map(drop),
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
            let mut night = Night::with_a_question(&["frontend-1"]);
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
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        (0_u8..3, 0_u8..10).prop_map(|(who, what)| Move::Says(who, what)),
        (0_u8..2, any::<bool>()).prop_map(|(which, firing)| Move::Alert(which, firing)),
        (0_u16..120).prop_map(Move::Passes),
        (0_u8..10).prop_map(Move::Happens),
    ];
    proptest::collection::vec(one, 1..60)
}

fn play(night: &mut Night, one: &Move) {
    match one {
        Move::Says(who, what) => {
            let who = ["U0ONCALL", "U0SECURITY", "U0NOBODY"][usize::from(*who)];
            let act = match what {
                0 => Act::Acknowledge,
                1 => Act::Resolve,
                2 => Act::Approve { plan: None },
                3 => Act::Reject { plan: None },
                4 => Act::ProposeFix { fix: FixName::RestartPod },
                5 => Act::Withdraw,
                6 => Act::Escalate { from: None },
                7 => Act::Note { text: "x".to_owned() },
                8 => Act::Verify,
                _ => Act::Triage,
            };
            drop(night.says(who, act));
        }
        Move::Alert(which, firing) => {
            let status = if *firing { AlertStatus::Firing } else { AlertStatus::Resolved };
            night.alert(["frontend-1", "frontend-2"][usize::from(*which)], status);
        }
        Move::Passes(minutes) => night.passes(i32::from(*minutes) * MINUTE),
        Move::Happens(what) => {
            let fix = night.incident().next_fix() - 1;
            let plan_id = night.incident().fix.as_ref().and_then(crate::incident::Fix::plan_id);
            let at = night.now;
            let run = night.incident().last_run();
            let found = verdict(Scenario::ExpiredCertificate, vec![FixName::RestartPod], at);
            let outcome = match (what, plan_id) {
                (0, _) => Outcome::TriageFinished { run, verdict: Box::new(found), evidence: None },
                (1, _) => Outcome::TriageFailed { run, reason: "x".to_owned() },
                (2, _) => Outcome::PlanDrawn { fix, plan: Box::new(plan(&["frontend-1", "frontend-2"], at)) },
                (3, _) => Outcome::PlanRefused { fix, reasons: vec!["x".to_owned()] },
                (4, Some(plan)) => Outcome::StepDone { plan, step: 0 },
                (5, Some(plan)) => Outcome::StepFailed { plan, step: 0, reason: "x".to_owned() },
                (6, Some(plan)) => Outcome::PlanMoved { plan, step: 0, what: "x".to_owned() },
                (7, Some(plan)) => Outcome::ReplacementAwaited { plan, step: 0, why: "x".to_owned() },
                (8, _) => Outcome::Sampled { fix, round: Round::Before, samples: Vec::new(), unreadable: Vec::new() },
                (_, _) => Outcome::Sampled { fix, round: Round::End, samples: Vec::new(), unreadable: Vec::new() },
            };
            night.outcome(&outcome);
        }
    }
}

/// What must hold after every move.
fn holds(night: &Night) {
    let incident = night.incident();
    if !incident.is_live() {
        assert!(incident.ladder.rung().is_none());
    }
    if incident.life == Life::Open {
        assert!(incident.ladder.rung().is_some(), "an open incident always has a window running");
        assert!(incident.is_firing() || night.events.contains(&Event::Reopened) || !incident.alerts.is_empty());
    }
    for (place, event) in night.events.iter().enumerate() {
        if let Event::StepStarted { fix, plan, .. } = event {
            let approved = night.events[..place]
                .iter()
                .any(|before| matches!(before, Event::FixApproved { fix: f, plan: p, .. } if f == fix && p == plan));
            assert!(approved, "a step started without the approval of its plan");
        }
        if let Event::FixEnded { end: FixEnd::Verified { verification }, .. } = event {
            assert_ne!(verification.proof, crate::remediation::Proof::Worked, "no sample was ever given");
        }
    }
}

fn replayed(events: &[Event], at: jiff::Timestamp) -> Option<Incident> {
    let mut incident: Option<Incident> = None;
    for event in events {
        match (incident.as_mut(), event) {
            (_, Event::Opened { .. }) | (None, _) => incident = begin(event, at),
            (Some(incident), _) => apply(incident, event, at),
        }
    }
    incident
}

proptest! {
    #[test]
    fn whatever_the_order_of_requests_and_outcomes_the_invariants_hold(moves in moves()) {
        let mut night = Night::with_an_alert();
        for one in &moves {
            play(&mut night, one);
            holds(&night);
        }
        let again = replayed(&night.events, night.now).unwrap();
        prop_assert_eq!(again.version, night.incident().version);
        prop_assert_eq!(&again.alerts, &night.incident().alerts);
        prop_assert_eq!(again.past_fixes.len(), night.incident().past_fixes.len());
    }
}
