//! An alert that says that a rule sees nothing: it is told once, to the channel, and nobody is woken for it.

use super::rehearsal::{MINUTE, Night};
use crate::{
    escalation::Ladder,
    incident::{Act, AlertSighting, AlertStatus, IncidentKey, Life, Notice, Refusal, Seen, Triage, Unseeing, Work},
};

fn no_data(status: AlertStatus) -> AlertSighting {
    AlertSighting {
        key: IncidentKey::of_rule("prod", "MTLSHandshakeFailureRateHigh"),
        target: None,
        unseeing: Some(Unseeing::NoData),
        ..Night::sighting("no-data", status)
    }
}

fn notices(night: &Night) -> Vec<&Notice> {
    let posts = night.waiting.iter().filter_map(|effect| match &effect.work {
        Work::Post { notice, .. } => Some(notice),
        _ => None,
    });
    posts.collect()
}

#[test]
fn that_a_rule_has_no_data_is_told_once_an_episode_and_calls_nobody() {
    let mut night = Night::quiet();
    assert!(matches!(night.sees(&no_data(AlertStatus::Firing)), Seen::Open(_)));
    for _ in 0..10 {
        assert_eq!(night.sees(&no_data(AlertStatus::Firing)), Seen::Nothing);
    }
    assert_eq!(notices(&night), [&Notice::RuleUnseeing]);
    let incident = night.incident().clone();
    assert_eq!((&incident.ladder, &incident.triage), (&Ladder::Still, &Triage::NotRun));
    night.passes(120 * MINUTE);
    assert!(night.takes_calls().is_empty() && night.takes_pager_work().is_empty());

    night.sees(&no_data(AlertStatus::Resolved));
    night.passes(5 * MINUTE);
    assert!(matches!(night.incident().life, Life::Closed { .. }), "it ends when the rule sees again");
    night.passes(MINUTE);
    night.sees(&no_data(AlertStatus::Firing));
    assert!(night.incident().is_live());
    assert!(night.takes_calls().is_empty(), "also when it opens again");
}

#[test]
fn only_notes_and_an_end_are_taken_for_an_incident_that_only_tells() {
    let mut night = Night::quiet();
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
