use jiff::SignedDuration;

use super::rehearsal::{MINUTE, Rehearsal, three_in_the_morning};
use crate::{
    escalation::{LevelNumber, Rung},
    incident::{Act, AlertStatus, CallReason, Event, HandOffTo, Outcome, Refusal, RunNumber, Timer},
    people::{Mention, Platform},
    triage::{CallAtOnce, Scenario},
};

const L1: LevelNumber = LevelNumber(1);
const L2: LevelNumber = LevelNumber(2);
const L3: LevelNumber = LevelNumber(3);

#[test]
fn unanswered_the_ladder_climbs_at_15_45_and_105_minutes_and_then_every_hour() {
    let mut night = Rehearsal::with_an_alert();
    assert_eq!(night.takes_calls(), [L1]);
    night.passes(15 * MINUTE);
    assert_eq!(night.takes_calls(), [L2]);
    night.passes(30 * MINUTE);
    assert_eq!(night.takes_calls(), [L3]);
    night.passes(60 * MINUTE);
    assert_eq!(night.takes_calls(), [L1, L2, L3]);
    for _ in 0..3 {
        night.passes(60 * MINUTE);
        assert_eq!(night.takes_calls(), [L1, L2, L3]);
    }
    let breached = night.events.iter().filter(|event| matches!(event, Event::WindowBreached { .. })).count();
    assert_eq!(breached, 6);
}

#[test]
fn a_reminder_comes_when_a_third_of_the_window_is_left() {
    let mut night = Rehearsal::with_an_alert();
    night.passes(10 * MINUTE);
    assert!(!night.events.iter().any(|event| matches!(event, Event::Reminded { .. })));
    night.passes(MINUTE);
    assert!(night.events.iter().any(|event| matches!(event, Event::Reminded { .. })));
}

#[test]
fn acknowledging_stops_the_calls_and_keeps_the_window_as_met() {
    let mut night = Rehearsal::with_an_alert();
    night.takes_calls();
    night.passes(14 * MINUTE);
    night.says("U0ONCALL", Act::Acknowledge).unwrap();
    night.passes(10 * MINUTE);
    assert!(night.takes_calls().is_empty());
    assert!(night.events.iter().any(|event| matches!(event, Event::WindowMet { .. })));
}

#[test]
fn acknowledged_and_forgotten_calls_the_level_again() {
    let mut night = Rehearsal::with_an_alert();
    night.takes_calls();
    night.says("U0ONCALL", Act::Acknowledge).unwrap();
    night.passes(14 * MINUTE);
    night.says("U0ONCALL", Act::Note { text: "looking at the agent".to_owned() }).unwrap();
    night.passes(14 * MINUTE);
    assert!(night.takes_calls().is_empty(), "the note was a sign of work");
    night.passes(2 * MINUTE);
    assert_eq!(night.takes_calls(), [L1]);
    assert!(night.events.iter().any(|event| matches!(event, Event::RungBegan { reason: CallReason::Idle, .. })));
}

#[test]
fn after_an_outage_the_levels_are_not_called_in_one_second() {
    let mut night = Rehearsal::with_an_alert();
    night.takes_calls();
    // The bot was down for three hours: its timer is handled now.
    let ended = night.rung();
    night.now = three_in_the_morning() + 180 * MINUTE;
    night.outcome(&Outcome::Elapsed { timer: Timer::RungEnds { rung: ended }, last_seen: night.now });
    assert_eq!(night.rung(), Rung::Waiting { level: L2, until: night.now + 30 * MINUTE });
    assert!(night.events.iter().any(|event| matches!(event, Event::NoticedLate { seconds } if *seconds == 165 * 60)));
}

#[test]
fn a_window_that_is_noticed_a_little_late_causes_no_drift() {
    let mut night = Rehearsal::with_an_alert();
    let ended = night.rung();
    night.now = ended.until() + SignedDuration::from_secs(59);
    night.outcome(&Outcome::Elapsed { timer: Timer::RungEnds { rung: ended }, last_seen: night.now });
    assert_eq!(night.rung().until(), ended.until() + 30 * MINUTE);
}

#[test]
fn a_doubled_or_old_notice_of_a_window_changes_nothing() {
    let mut night = Rehearsal::with_an_alert();
    let ended = night.rung();
    night.passes(15 * MINUTE);
    let again = Outcome::Elapsed { timer: Timer::RungEnds { rung: ended }, last_seen: night.now };
    assert!(night.outcome(&again).is_empty());
}

#[test]
fn a_level_that_nobody_can_be_reached_at_is_said_aloud_and_the_next_is_called_at_once() {
    let mut night = Rehearsal::quiet();
    night.policy.escalation.levels[0].mentions.clear();
    night.alert("frontend-1", AlertStatus::Firing);
    assert_eq!(night.takes_calls(), [L2]);
    assert!(night.events.iter().any(|event| matches!(event, Event::LevelUnreachable { level, .. } if *level == L1)));
}

#[test]
fn an_empty_user_group_is_passed_over_unless_its_level_has_a_pager() {
    let mut night = Rehearsal::with_an_alert();
    night.takes_calls();
    let empty = Outcome::NobodyBehind { level: L1, why: "the user group is empty".to_owned() };
    night.outcome(&empty);
    assert_eq!(night.takes_calls(), [L2]);

    let mut paged = Rehearsal::quiet();
    paged.policy.escalation.levels[0].pager = Some(crate::escalation::PagerName("primary".to_owned()));
    paged.alert("frontend-1", AlertStatus::Firing);
    paged.takes_calls();
    paged.outcome(&empty);
    assert!(paged.takes_calls().is_empty());
}

#[test]
fn nobody_reachable_anywhere_is_said_and_tried_again_every_hour() {
    let mut night = Rehearsal::quiet();
    for level in &mut night.policy.escalation.levels {
        level.mentions.clear();
    }
    night.alert("frontend-1", AlertStatus::Firing);
    assert!(night.takes_calls().is_empty());
    assert!(matches!(night.rung(), Rung::AllPaged { .. }));
    let said = night.events.iter().filter(|event| matches!(event, Event::LevelUnreachable { .. })).count();
    assert!(said >= 3);
}

#[test]
fn an_edited_policy_never_changes_a_night_that_is_under_way() {
    let mut night = Rehearsal::with_an_alert();
    night.policy.escalation.levels[1].window = SignedDuration::from_hours(9);
    night.policy.escalation.levels[1].mentions = vec![Mention::group(Platform::Slack, "S9")];
    night.passes(15 * MINUTE);
    assert_eq!(night.rung().until(), night.now + 30 * MINUTE);
}

#[test]
fn a_manual_escalation_calls_the_next_level_now_and_an_old_press_is_recognised() {
    let mut night = Rehearsal::with_an_alert();
    night.takes_calls();
    night.says("U0ONCALL", Act::Escalate { from: Some(L1) }).unwrap();
    assert_eq!(night.takes_calls(), [L2]);
    assert_eq!(night.says("U0ONCALL", Act::Escalate { from: Some(L1) }), Err(Refusal::AlreadyEscalated));
    night.says("U0ONCALL", Act::Escalate { from: None }).unwrap();
    assert_eq!(
        night.says("U0ONCALL", Act::Escalate { from: None }),
        Err(Refusal::NoHigherLevel { incident: night.incident().id, level: L3 })
    );
}

#[test]
fn who_asks_for_a_level_above_the_last_is_told_what_is_true_then() {
    let mut night = Rehearsal::with_an_alert();
    night.says("U0ONCALL", Act::HandOff { to: HandOffTo::Level(L3) }).unwrap();
    let refused = |night: &mut Rehearsal| night.says("U0ONCALL", Act::Escalate { from: None }).unwrap_err().to_string();
    insta::assert_snapshot!(refused(&mut night), @"there is no level above L3: `handoff INC-1 L3` calls that one once more");
    night.passes(61 * MINUTE);
    insta::assert_snapshot!(refused(&mut night), @"every level of INC-1 was called, and all are called again at 2026-11-24T05:00:00Z unless somebody acknowledges");
}

#[test]
fn a_hand_off_to_a_level_calls_it_and_to_a_person_gives_them_the_idle_clock() {
    let mut night = Rehearsal::with_an_alert();
    night.takes_calls();
    night.says("U0ONCALL", Act::HandOff { to: HandOffTo::Level(L3) }).unwrap();
    assert_eq!(night.takes_calls(), [L3]);
    let missing = night.says("U0ONCALL", Act::HandOff { to: HandOffTo::Level(LevelNumber(7)) });
    let told = missing.unwrap_err().to_string();
    assert!(told.contains("no level L7") && told.contains("it has L1, L2, L3"), "{told}");
    let to = super::rehearsal::person("U0SECURITY");
    night.says("U0ONCALL", Act::HandOff { to: HandOffTo::Person(to) }).unwrap();
    assert!(matches!(night.rung(), Rung::Acknowledged { level: L3, .. }));
    night.passes(61 * MINUTE);
    assert_eq!(night.takes_calls(), [L3], "no sign of work for the level's window");
}

#[test]
fn evidence_calls_the_level_that_can_help_without_waiting_and_only_once() {
    let mut night = Rehearsal::with_an_alert();
    night.takes_calls();
    let mut found = super::rehearsal::verdict(Scenario::Network, Vec::new(), night.now);
    found.call_at_once = Some(CallAtOnce::L3);
    let outcome = Outcome::TriageFinished { run: RunNumber(1), verdict: Box::new(found.clone()), evidence: None };
    night.outcome(&outcome);
    assert_eq!(night.takes_calls(), [L3]);
    let to = night.policy.channels[0].clone();
    night.outcome(&Outcome::Mentioned { level: L3, to, unexplained: None });
    night.says("U0ONCALL", Act::Acknowledge).unwrap();
    night.says("U0ONCALL", Act::Triage).unwrap();
    night.outcome(&Outcome::TriageFinished { run: RunNumber(2), verdict: Box::new(found), evidence: None });
    assert!(night.takes_calls().is_empty());
}

#[test]
fn people_without_the_role_or_with_stale_rights_command_nothing() {
    let mut night = Rehearsal::with_an_alert();
    assert!(matches!(night.says("U0NOBODY", Act::Acknowledge), Err(Refusal::NotAllowed(_))));
    let mut actor = crate::people::Actor {
        id: super::rehearsal::person("U0ONCALL"),
        also: [].into(),
        roles: [crate::people::Role::Commander].into(),
        as_of: night.now - 6 * MINUTE,
    };
    let mut command = crate::incident::Command {
        incident: crate::incident::IncidentId::new(1),
        actor: actor.clone(),
        key: "k".to_owned(),
        act: Act::Acknowledge,
    };
    let refused = crate::incident::decide(night.incident(), &command, night.now, &night.policy);
    assert_eq!(refused.unwrap_err(), Refusal::RightsUnknown);
    actor.as_of = night.now;
    command.actor = actor;
    assert!(crate::incident::decide(night.incident(), &command, night.now, &night.policy).is_ok());
}
