//! What opens within a storm is called about as one, until somebody takes it up or the storm is over.

use jiff::SignedDuration;

use super::rehearsal::{MINUTE, Rehearsal, pod, replacement, target, verdict};
use crate::{
    escalation::{Ladder, LevelNumber, PagerName, Rung},
    incident::{
        Act, AlertEffect, AlertSighting, AlertStatus, Command, Event, FixEnd, FixNumber, IncidentId, JUST_BEFORE,
        Lacks, NewEffect, Outcome, Refusal, Round, RunNumber, Share, Taken, Timer, Work, apply, join, join_storm,
        leave_storm, may_take_all, share, still_wanted,
    },
    remediation::StepNumber,
    triage::{CallAtOnce, Scenario, Verdict},
};

const L1: LevelNumber = LevelNumber(1);

fn in_a_storm() -> Rehearsal {
    let mut night = Rehearsal::quiet();
    night.storms = true;
    night.alert("frontend-1", AlertStatus::Firing);
    assert!(night.waiting.iter().all(|effect| matches!(effect.work, Work::Timer { .. })));
    night
}

fn shown(night: &Rehearsal) -> bool {
    night.waiting.iter().any(|effect| matches!(effect.work, Work::DrawCard { .. }))
}

#[test]
fn the_first_command_about_a_quiet_incident_gives_it_its_card_its_triage_and_its_ladder() {
    let mut night = in_a_storm();
    night.says("U0ONCALL", Act::Note { text: "this one is ours".to_owned() }).unwrap();
    assert!(shown(&night));
    assert!(night.waiting.iter().any(|effect| matches!(effect.work, Work::Triage { run: RunNumber(1) })));
    assert!(night.takes_calls().is_empty(), "the author of the note has it");
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
    closed.says("U0ONCALL", Act::Resolve { reason: None, anyway: true }).unwrap();
    assert!(closed.takes_calls().is_empty() && !closed.incident().is_live());
}

#[test]
fn what_still_fires_when_the_storm_is_over_is_called_about_on_its_own() {
    let night = in_a_storm();
    let events = leave_storm(night.incident(), night.now);
    assert!(events.contains(&Event::LeftStorm));
    assert!(events.iter().any(|event| matches!(event, Event::RungBegan { .. })));
    assert!(leave_storm(Rehearsal::with_an_alert().incident(), night.now).is_empty());
}

#[test]
fn an_incident_that_opens_again_respects_the_brake() {
    let mut night = Rehearsal::with_an_alert();
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

#[test]
fn one_that_was_taken_up_while_it_cleared_within_the_storm_calls_and_is_diagnosed_when_it_fires_again() {
    let mut night = in_a_storm();
    night.alert("frontend-1", AlertStatus::Resolved);
    night.says("U0ONCALL", Act::Note { text: "is this ours?".to_owned() }).unwrap();
    assert!(night.takes_calls().is_empty(), "nobody is called while it clears");
    night.passes(MINUTE);
    night.alert("frontend-1", AlertStatus::Firing);
    assert_eq!(night.takes_calls(), [L1]);
    assert!(night.waiting.iter().any(|effect| matches!(effect.work, Work::Triage { run: RunNumber(1) })));
    night.passes(15 * MINUTE);
    assert_eq!(night.takes_calls(), [LevelNumber(2)], "and its windows run");
}

/// As a journal of the version before has it, which gave no ladder to what left a storm while it cleared.
#[test]
fn one_that_an_older_version_left_open_without_a_ladder_calls_when_its_alert_is_repeated() {
    let mut night = Rehearsal::with_an_alert();
    night.takes_calls();
    night.incident.as_mut().unwrap().ladder = Ladder::Still;
    night.alert("frontend-1", AlertStatus::Firing);
    assert_eq!(night.takes_calls(), [L1]);
    assert_eq!(night.alert("frontend-1", AlertStatus::Firing), AlertEffect::Nothing, "once");
}

#[test]
fn what_was_found_while_it_cleared_calls_beside_the_ladder_that_begins_when_it_fires_again() {
    let mut night = in_a_storm();
    night.alert("frontend-1", AlertStatus::Resolved);
    night.says("U0ONCALL", Act::Triage).unwrap();
    let found = Verdict { call_at_once: Some(CallAtOnce::L3), ..verdict(Scenario::Network, Vec::new(), night.now) };
    night.outcome(&Outcome::TriageFinished { run: RunNumber(1), verdict: Box::new(found), evidence: None });
    night.passes(MINUTE);
    night.alert("frontend-1", AlertStatus::Firing);
    assert_eq!(night.takes_calls(), [L1, LevelNumber(3)]);
    assert!(
        !night.waiting.iter().any(|effect| matches!(effect.work, Work::Triage { run: RunNumber(2) })),
        "it was looked at"
    );
}

#[test]
fn an_incident_that_fires_and_joins_one_that_cleared_within_the_storm_calls_there() {
    let mut clears = in_a_storm();
    clears.alert("frontend-1", AlertStatus::Resolved);
    let mut joins = Rehearsal::quiet();
    joins.sees(&AlertSighting { target: None, ..Rehearsal::sighting("group-1", AlertStatus::Firing) });
    joins.incident.as_mut().unwrap().id = IncidentId::new(2);
    let actor = joins.actor("U0ONCALL");
    let act = Act::SetTarget { target: target() };
    let command = Command { incident: IncidentId::new(2), actor, key: "k".to_owned(), act };
    let joining = join(joins.incident(), clears.incident(), &command, clears.now, &clears.policy).unwrap();
    clears.record(&joining.taken_in);
    assert!(shown(&clears));
    assert!(clears.waiting.iter().any(|effect| matches!(effect.work, Work::Triage { run: RunNumber(1) })));
    clears.passes(15 * MINUTE);
    assert_eq!(clears.takes_calls(), [L1], "the person who said so has it, and then did nothing");
}

#[test]
fn a_page_that_was_taken_late_rings_for_nobody_any_more_once_somebody_has_all_of_the_storm() {
    let mut night = in_a_storm();
    let page = Some((PagerName("duty".to_owned()), "page-1".to_owned()));
    night.outcome(&Outcome::PagerCalled { level: L1, page, lacks: Lacks::default() });
    let Share::Taken(events) = share(night.incident(), &night.actor("U0ONCALL"), night.now, &night.policy) else {
        panic!("it is free")
    };
    night.record(&events);
    let ended = night.takes_pager_work();
    assert!(matches!(ended.as_slice(), [Work::EndPage { key, .. }] if key == "page-1"), "{ended:?}");
}

#[test]
fn one_that_had_been_diagnosed_before_is_diagnosed_afresh_when_it_leaves_the_storm() {
    let mut night = Rehearsal::with_a_verdict();
    night.alert("frontend-1", AlertStatus::Resolved);
    night.passes(6 * MINUTE);
    night.storms = true;
    night.alert("frontend-1", AlertStatus::Firing);
    assert!(night.incident().quiet);
    let events = leave_storm(night.incident(), night.now);
    assert!(events.contains(&Event::TriageStarted { run: RunNumber(2), by: None }), "{events:?}");
}

#[test]
fn whoever_takes_all_has_what_is_held_back_as_well_without_a_card_for_each() {
    let mut night = in_a_storm();
    let actor = night.actor("U0ONCALL");
    let Share::Taken(events) = share(night.incident(), &actor, night.now, &night.policy) else { panic!("it is free") };
    night.record(&events);
    assert!(night.incident().quiet && !shown(&night), "no card is drawn");
    assert_eq!(share(night.incident(), &actor, night.now, &night.policy), Share::Theirs);
    let other = night.actor("U0SEC");
    assert_eq!(share(night.incident(), &other, night.now, &night.policy), Share::Somebodys);
    // It leaves the storm: it is shown and diagnosed, and nobody is called, since somebody has it.
    let events = leave_storm(night.incident(), night.now);
    night.record(&events);
    assert!(shown(&night));
    assert!(night.waiting.iter().any(|effect| matches!(effect.work, Work::Triage { .. })));
    assert!(night.takes_calls().is_empty());
}

#[test]
fn one_that_was_taken_within_the_storm_and_then_left_alone_calls_when_the_storm_is_over() {
    let mut night = in_a_storm();
    let actor = night.actor("U0ONCALL");
    let Share::Taken(events) = share(night.incident(), &actor, night.now, &night.policy) else { panic!("it is free") };
    night.record(&events);
    night.passes(16 * MINUTE);
    assert!(night.takes_calls().is_empty(), "within the storm nobody is called about it");
    let breached = night.events.iter().filter(|event| matches!(event, Event::WindowBreached { .. }));
    assert_eq!(breached.count(), 0, "and no window of it runs that anybody could miss");
    let events = leave_storm(night.incident(), night.now);
    night.record(&events);
    assert_eq!(night.takes_calls(), [L1]);
}

#[test]
fn one_that_was_taken_within_the_storm_keeps_what_is_left_of_its_window_after_it() {
    let mut night = in_a_storm();
    let actor = night.actor("U0ONCALL");
    let Share::Taken(events) = share(night.incident(), &actor, night.now, &night.policy) else { panic!("it is free") };
    night.record(&events);
    night.passes(6 * MINUTE);
    let events = leave_storm(night.incident(), night.now);
    night.record(&events);
    night.passes(8 * MINUTE);
    assert!(night.takes_calls().is_empty());
    night.passes(MINUTE);
    assert_eq!(night.takes_calls(), [L1], "15 min after it was taken");
}

/// As a journal of the version before has it, in which that window ran unheard.
#[test]
fn a_window_that_an_older_version_began_within_the_storm_calls_nobody_there() {
    let mut night = in_a_storm();
    let by = super::rehearsal::person("U0ONCALL");
    let rung = Rung::Acknowledged { level: L1, until: night.now + 15 * MINUTE };
    apply(night.incident.as_mut().unwrap(), &Event::Acknowledged { by, rung }, night.now);
    night.now += 15 * MINUTE;
    let elapsed = Outcome::Elapsed { timer: Timer::RungEnds { rung }, last_seen: night.now };
    assert!(night.outcome(&elapsed).is_empty());
}

#[test]
fn only_who_may_acknowledge_one_may_take_all_and_the_answer_counts() {
    let night = in_a_storm();
    let refused = may_take_all(&night.actor("U0NOBODY"), night.now).unwrap_err();
    assert_eq!(refused, Refusal::NotAllowed(crate::people::Role::Commander));
    may_take_all(&night.actor("U0ONCALL"), night.now).unwrap();
    let mut taken = Taken::default();
    assert_eq!(taken.answer().text, "There was nothing to take.");
    let loud = Rehearsal::with_an_alert();
    for _ in 0..10 {
        taken.count(loud.incident(), &Share::Taken(Vec::new()));
    }
    for _ in 0..54 {
        taken.count(night.incident(), &Share::Taken(Vec::new()));
    }
    for share in [Share::Theirs, Share::Somebodys, Share::Somebodys, Share::Ending, Share::OnlyTells] {
        taken.count(loud.incident(), &share);
    }
    insta::assert_snapshot!(taken.answer().text, @"You have 64 incidents more, 54 of them held back in a storm. Nobody else is called about those that are shown; without a sign of work on one (a command, a fix, a note) for a whole window, its level is called again. One that is held back is shown when it still fires after the storm; it is yours then, and its level is called if it was left alone for a whole window. 1 yours already. 2 somebody else's, who keeps it. 1 resolved, and closing by itself. 1 about a rule that sees nothing, for which nobody is called.");
}

/// What a started fix waits for next, taken off the list: a look at its step, or a sample.
fn takes_work_of_the_fix(night: &mut Rehearsal) -> Work {
    let of_a_fix = |effect: &NewEffect| matches!(effect.work, Work::AwaitStep { .. } | Work::Sample { .. });
    let place = night.waiting.iter().position(of_a_fix).expect("the fix waits for something");
    let work = night.waiting.remove(place).work;
    assert!(still_wanted(night.incident(), &work, night.now), "{work:?}");
    work
}

#[test]
fn a_fix_that_wrote_goes_on_to_its_proof_although_its_alert_fires_anew_within_a_storm() {
    let mut night = Rehearsal::with_a_question(&["frontend-1"]);
    let plan = night.incident().fix.as_ref().unwrap().plan_id().unwrap();
    night.says("U0SECURITY", Act::Approve { plan: None }).unwrap();
    let sampled = |round| Outcome::Sampled { fix: FixNumber(1), round, samples: Vec::new(), unreadable: Vec::new() };
    night.outcome(&sampled(Round::Before));
    night.outcome(&Outcome::StepDone { plan: plan.clone(), step: StepNumber::FIRST });
    night.waiting.retain(|effect| !matches!(effect.work, Work::Sample { .. }));
    night.says("U0ONCALL", Act::Resolve { reason: None, anyway: true }).unwrap();
    night.passes(MINUTE);
    night.waiting.retain(|effect| !matches!(effect.work, Work::DrawCard { .. }));
    night.storms = true;
    let anew = AlertSighting { starts_at: night.now, ..Rehearsal::sighting("frontend-1", AlertStatus::Firing) };
    night.sees(&anew);
    assert!(night.incident().quiet && night.incident().is_live());

    assert!(matches!(takes_work_of_the_fix(&mut night), Work::AwaitStep { .. }));
    let why = "frontend-9 is not Ready yet".to_owned();
    night.outcome(&Outcome::StepAwaited { plan: plan.clone(), step: StepNumber::FIRST, why });
    assert!(matches!(takes_work_of_the_fix(&mut night), Work::AwaitStep { .. }));
    let new = (pod("frontend-9"), "uid-9".parse().unwrap());
    night.outcome(&replacement(plan, StepNumber::FIRST, new, night.now + 60 * MINUTE));
    assert_eq!(takes_work_of_the_fix(&mut night), Work::Sample { fix: FixNumber(1), round: Round::Start });
    night.outcome(&sampled(Round::Start));
    assert_eq!(takes_work_of_the_fix(&mut night), Work::Sample { fix: FixNumber(1), round: Round::End });
    night.outcome(&sampled(Round::End));
    assert!(matches!(night.incident().past_fixes[0].end, FixEnd::Verified { .. }));
    assert!(!shown(&night), "the storm still speaks for it");
}

/// One that is shown, whose first call waits for the diagnosis.
fn just_opened() -> Rehearsal {
    Rehearsal::with_an_alert()
}

const STORM: IncidentId = IncidentId::new(7);

#[test]
fn what_opened_just_before_a_storm_joins_it_its_card_points_there_and_nobody_is_called_twice() {
    let mut night = just_opened();
    night.passes(SignedDuration::from_secs(5));
    let events = join_storm(night.incident(), STORM, night.now);
    assert_eq!(events, [Event::JoinedStorm { storm: Some(STORM) }]);
    night.waiting.retain(|effect| !matches!(effect.work, Work::DrawCard { .. }));
    night.record(&events);
    assert!(shown(&night), "its card is drawn once more, as a pointer");
    night.passes(10 * MINUTE);
    assert!(night.takes_calls().is_empty(), "people are called for the storm");
    night.record(&leave_storm(night.incident(), night.now));
    assert_eq!((night.takes_calls(), night.incident().joined), (vec![L1], None), "and when that is over, for this one");
}

#[test]
fn an_incident_that_somebody_heard_of_or_works_on_does_not_join_a_storm() {
    let mut called = just_opened();
    called.passes(MINUTE / 2);
    assert_eq!(called.takes_calls(), [L1]);
    let to = called.incident().channels[0].clone();
    called.outcome(&Outcome::Mentioned { level: L1, to, unexplained: None });
    assert!(join_storm(called.incident(), STORM, called.now).is_empty());

    let mut taken = just_opened();
    taken.says("U0ONCALL", Act::Acknowledge).unwrap();
    assert!(join_storm(taken.incident(), STORM, taken.now).is_empty());

    let older = just_opened();
    assert!(join_storm(older.incident(), STORM, older.now + JUST_BEFORE + SignedDuration::from_secs(1)).is_empty());
    assert!(join_storm(in_a_storm().incident(), STORM, older.now).is_empty(), "it is in one");
}
