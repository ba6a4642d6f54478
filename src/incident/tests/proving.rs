//! Whether a fix has worked: what the counters prove, and what may be asked for after it.

use super::fixing::{approved, replaced, sample, sampled};
use super::rehearsal::{MINUTE, Rehearsal, plan, pod, verdict};
use crate::{
    incident::{Act, FixEnd, Outcome, Refusal, Round, RunNumber},
    remediation::{Proof, StepNumber},
    triage::{FixName, Scenario},
};
use jiff::SignedDuration;

/// The end of a fix whose counters grew by these figures within the window.
pub(super) fn proved(answered: u64, failed: u64) -> (Rehearsal, Proof) {
    let mut night = approved(&["frontend-1"]);
    replaced(&mut night, StepNumber::FIRST, "frontend-9");
    let first = sample(&night, "frontend-9", 5, 0);
    sampled(&mut night, Round::Start, vec![first]);
    night.passes(2 * MINUTE);
    let last = sample(&night, "frontend-9", 5 + answered, failed);
    sampled(&mut night, Round::End, vec![last]);
    let proof = match &night.incident().past_fixes.last().unwrap().end {
        FixEnd::Verified { verification } => verification.proof,
        other => panic!("{other:?}"),
    };
    (night, proof)
}

#[test]
fn success_is_never_declared_without_data() {
    assert_eq!(proved(0, 0).1, Proof::Unproven);
    let mut night = approved(&["frontend-1"]);
    replaced(&mut night, StepNumber::FIRST, "frontend-9");
    sampled(&mut night, Round::Start, Vec::new());
    night.passes(2 * MINUTE);
    sampled(&mut night, Round::End, Vec::new());
    let end = &night.incident().past_fixes[0].end;
    assert!(matches!(end, FixEnd::Verified { verification } if verification.proof == Proof::Unproven));
}

#[test]
fn one_failure_within_the_window_is_no_success() {
    assert_eq!(proved(240, 1).1, Proof::NoEffect);
}

#[test]
fn after_two_runs_without_effect_only_people_go_on() {
    let mut night = Rehearsal::with_a_question(&["frontend-1"]);
    for round in 0..2 {
        if round > 0 {
            night.says("U0ONCALL", Act::ProposeFix { fix: FixName::RestartPod }).unwrap();
            let fix = night.incident().fix.as_ref().unwrap().number;
            let drawn = Box::new(plan(&["frontend-1"], night.now));
            night.outcome(&Outcome::PlanDrawn { fix, plan: drawn });
        }
        night.says("U0SECURITY", Act::Approve { plan: None }).unwrap();
        sampled(&mut night, Round::Before, Vec::new());
        replaced(&mut night, StepNumber::FIRST, "frontend-9");
        let first = sample(&night, "frontend-9", 0, 0);
        sampled(&mut night, Round::Start, vec![first]);
        night.now += 2 * MINUTE;
        let last = sample(&night, "frontend-9", 0, 50);
        sampled(&mut night, Round::End, vec![last]);
    }
    let third = night.says("U0ONCALL", Act::ProposeFix { fix: FixName::RestartPod });
    assert_eq!(third, Err(Refusal::TriedTwice(FixName::RestartPod)));
}

#[test]
fn an_unproven_fix_can_be_watched_again() {
    let (mut night, proof) = proved(0, 0);
    assert_eq!(proof, Proof::Unproven);
    night.says("U0ONCALL", Act::Verify).unwrap();
    let first = sample(&night, "frontend-9", 5, 0);
    sampled(&mut night, Round::Start, vec![first]);
    night.now += 2 * MINUTE;
    let last = sample(&night, "frontend-9", 50, 0);
    sampled(&mut night, Round::End, vec![last]);
    let end = &night.incident().past_fixes.last().unwrap().end;
    assert!(matches!(end, FixEnd::Verified { verification } if verification.proof == Proof::Worked));
}

#[test]
fn looking_again_at_a_fix_without_effect_is_no_second_run_of_it() {
    let (mut night, proof) = proved(240, 9);
    assert_eq!(proof, Proof::NoEffect);
    night.says("U0ONCALL", Act::Verify).unwrap();
    let first = sample(&night, "frontend-9", 5, 0);
    sampled(&mut night, Round::Start, vec![first]);
    night.now += 2 * MINUTE;
    let last = sample(&night, "frontend-9", 50, 7);
    sampled(&mut night, Round::End, vec![last]);
    night.says("U0ONCALL", Act::ProposeFix { fix: FixName::RestartPod }).unwrap();
}

/// The person who let the fix run keeps the incident: the bot calls the next level to help.
#[test]
fn a_fix_that_made_it_worse_calls_l2_at_once_beside_whoever_has_it() {
    let mut night = Rehearsal::with_a_question(&["frontend-1"]);
    night.takes_calls();
    night.says("U0SECURITY", Act::Approve { plan: None }).unwrap();
    let calm = sample(&night, "frontend-2", 100, 0);
    sampled(&mut night, Round::Before, vec![calm]);
    replaced(&mut night, StepNumber::FIRST, "frontend-9");
    night.now += MINUTE;
    let first = vec![sample(&night, "frontend-9", 5, 0), sample(&night, "frontend-2", 100, 0)];
    sampled(&mut night, Round::Start, first);
    let ladder = night.incident().ladder.clone();
    night.now += 2 * MINUTE;
    let last = vec![sample(&night, "frontend-9", 5, 0), sample(&night, "frontend-2", 100, 90)];
    sampled(&mut night, Round::End, last);
    let end = &night.incident().past_fixes[0].end;
    let FixEnd::Verified { verification } = end else { panic!("{end:?}") };
    assert_eq!(verification.proof, Proof::Worse);
    assert_eq!(night.takes_calls(), [crate::escalation::LevelNumber(2)]);
    assert_eq!(night.incident().ladder, ladder);
}

#[test]
fn a_fix_that_just_worked_is_not_offered_again_because_the_clock_was_set() {
    for hours in [-1, 1] {
        let (mut night, proof) = proved(240, 0);
        assert_eq!(proof, Proof::Worked);
        night.clock_is_set(SignedDuration::from_hours(hours));
        let again = night.says("U0ONCALL", Act::ProposeFix { fix: FixName::RestartPod });
        assert!(matches!(again, Err(Refusal::JustWorked { .. })), "{hours} h: {again:?}");
        let gone = night.incident().gone_pods();
        assert_eq!(gone, [(&pod("frontend-1"), Some(&pod("frontend-9")))], "{hours} h: it is affected no more");
    }
}

#[test]
fn a_fix_that_a_newer_verdict_asks_for_is_not_refused_because_the_clock_was_set() {
    for hours in [-1, 1] {
        let (mut night, proof) = proved(240, 0);
        assert_eq!(proof, Proof::Worked);
        night.now += MINUTE;
        night.says("U0ONCALL", Act::Triage).unwrap();
        let run = night.incident().last_run().unwrap();
        let found = verdict(Scenario::ExpiredCertificate, vec![FixName::RestartPod], night.now);
        night.outcome(&Outcome::TriageFinished { run, verdict: Box::new(found), evidence: None });
        night.clock_is_set(SignedDuration::from_hours(hours));
        night.says("U0ONCALL", Act::ProposeFix { fix: FixName::RestartPod }).unwrap();
        assert_eq!(night.incident().gone_pods(), [], "{hours} h: the verdict speaks of what is there now");
    }
}

#[test]
fn a_verdict_that_is_on_its_way_when_the_clock_is_set_is_as_old_as_it_was() {
    let (at, by) = (Rehearsal::quiet().now, -60 * MINUTE);
    let found = Box::new(verdict(Scenario::ExpiredCertificate, Vec::new(), at));
    let outcome = Outcome::TriageFinished { run: RunNumber(1), verdict: found.clone(), evidence: None };
    let there = Box::new(crate::triage::Verdict { at: at + by, ..*found });
    let arrived = Outcome::TriageFinished { run: RunNumber(1), verdict: there, evidence: None };
    assert_eq!(crate::incident::moved(&outcome, by).unwrap(), arrived);
}
