//! An alert that says that a rule sees nothing: it is told once, to the channel, and nobody is woken for it.

use super::rehearsal::{MINUTE, Rehearsal, person, target};
use crate::{
    escalation::{Ladder, LevelNumber, Rung},
    incident::{
        Act, AlertEffect, AlertSighting, AlertStatus, Command, Event, IncidentId, IncidentKey, IncidentStatus, Notice,
        Refusal, Share, Taken, Triage, Unseeing, Work, can_take_in, join, share,
    },
};

fn no_data(status: AlertStatus) -> AlertSighting {
    AlertSighting {
        key: IncidentKey::of_rule("prod", "MTLSHandshakeFailureRateHigh"),
        target: None,
        unseeing: Some(Unseeing::NoData),
        ..Rehearsal::sighting("no-data", status)
    }
}

fn notices(night: &Rehearsal) -> Vec<&Notice> {
    let posts = night.waiting.iter().filter_map(|effect| match &effect.work {
        Work::Post { notice, .. } => Some(notice),
        _ => None,
    });
    posts.collect()
}

#[test]
fn that_a_rule_has_no_data_is_told_once_an_episode_and_calls_nobody() {
    let mut night = Rehearsal::quiet();
    assert!(matches!(night.sees(&no_data(AlertStatus::Firing)), AlertEffect::Open(_)));
    for _ in 0..10 {
        assert_eq!(night.sees(&no_data(AlertStatus::Firing)), AlertEffect::Nothing);
    }
    assert_eq!(notices(&night), [&Notice::RuleUnseeing]);
    let incident = night.incident().clone();
    assert_eq!((&incident.ladder, &incident.triage), (&Ladder::Still, &Triage::NotRun));
    night.passes(120 * MINUTE);
    assert!(night.takes_calls().is_empty() && night.takes_pager_work().is_empty());

    night.sees(&no_data(AlertStatus::Resolved));
    night.passes(5 * MINUTE);
    assert!(matches!(night.incident().status, IncidentStatus::Closed { .. }), "it ends when the rule sees again");
    night.passes(MINUTE);
    night.sees(&no_data(AlertStatus::Firing));
    assert!(night.incident().is_live());
    assert!(night.takes_calls().is_empty(), "also when it opens again");
}

#[test]
fn only_notes_and_an_end_are_taken_for_an_incident_that_only_tells() {
    let mut night = Rehearsal::quiet();
    night.sees(&no_data(AlertStatus::Firing));
    let id = night.incident().id;
    for act in [Act::Acknowledge, Act::Escalate { from: None }, Act::Triage] {
        assert_eq!(night.says("U0ONCALL", act), Err(Refusal::OnlyTold(id)));
    }
    night.says("U0ONCALL", Act::Note { text: "the data source moved".to_owned() }).unwrap();
    assert_eq!(night.incident().ladder, Ladder::Still);
    night.passes(240 * MINUTE);
    assert!(night.takes_calls().is_empty());
    night.says("U0ONCALL", Act::Resolve { reason: None, anyway: true }).unwrap();
    assert!(!night.incident().is_live());
}

#[test]
fn whoever_takes_all_takes_nothing_that_only_tells_so_nobody_is_called_for_it_later() {
    let mut night = Rehearsal::quiet();
    night.sees(&no_data(AlertStatus::Firing));
    let taken = share(night.incident(), &night.actor("U0ONCALL"), night.now, &night.policy);
    assert_eq!(taken, Share::OnlyTells);
    let mut all = Taken::default();
    all.count(night.incident(), &taken);
    insta::assert_snapshot!(all.answer().text, @"There was nothing to take. 1 about a rule that sees nothing, for which nobody is called.");
}

/// As a journal of the version before has it, in which `ack all` took it.
#[test]
fn one_that_an_older_version_let_somebody_take_calls_nobody() {
    let mut night = Rehearsal::quiet();
    night.sees(&no_data(AlertStatus::Firing));
    let rung = Rung::Acknowledged { level: LevelNumber(1), until: night.now + 15 * MINUTE };
    night.record(&[Event::Acknowledged { by: person("U0ONCALL"), rung }]);
    night.passes(240 * MINUTE);
    assert!(night.takes_calls().is_empty());
}

#[test]
fn one_that_only_tells_joins_no_other_incident_and_takes_none_in() {
    let mut night = Rehearsal::quiet();
    night.sees(&no_data(AlertStatus::Firing));
    let mut other = Rehearsal::with_an_alert().incident().clone();
    other.id = IncidentId::new(2);
    let (actor, act) = (night.actor("U0ONCALL"), Act::SetTarget { target: target() });
    let command = Command { incident: night.incident().id, actor, key: "k".to_owned(), act };
    let refused = join(night.incident(), &other, &command, night.now, &night.policy);
    assert_eq!(refused, Err(Refusal::OnlyTold(night.incident().id)));
    let mut tells = night.incident().clone();
    tells.target = Some(target());
    assert!(can_take_in(&other, &tells, &target()) && !can_take_in(&tells, &other, &target()));
}

/// As a journal of an early version may have it.
#[test]
fn one_that_only_tells_and_was_held_back_in_a_storm_calls_nobody_when_it_leaves_it() {
    let mut night = Rehearsal::quiet();
    night.storms = true;
    night.sees(&no_data(AlertStatus::Firing));
    night.says("U0ONCALL", Act::Note { text: "the data source moved".to_owned() }).unwrap();
    assert_eq!((night.incident().quiet, &night.incident().ladder), (false, &Ladder::Still));
    night.sees(&no_data(AlertStatus::Resolved));
    night.passes(MINUTE);
    night.sees(&no_data(AlertStatus::Firing));
    assert!(night.incident().is_live() && night.takes_calls().is_empty());
    assert_eq!(night.incident().ladder, Ladder::Still);
}
