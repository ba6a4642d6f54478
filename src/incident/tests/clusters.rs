//! Alerts of other clusters: people are called about them as about any other, and nothing is looked at or changed.

use super::rehearsal::{MINUTE, Rehearsal, target};
use crate::{
    escalation::LevelNumber,
    incident::{
        Act, AlertSighting, AlertStatus, Event, HandOffTo, OwnCluster, Refusal, RunNumber, Triage, Work, still_wanted,
    },
    remediation::PlanId,
    triage::FixName,
};

const L1: LevelNumber = LevelNumber(1);

fn of_blue(also: &[&str]) -> Rehearsal {
    let mut night = Rehearsal::quiet();
    night.policy.cluster = OwnCluster::new("blue", also.iter().map(|name| (*name).to_owned()));
    night
}

fn alert_of(cluster: &str) -> AlertSighting {
    AlertSighting { cluster: cluster.to_owned(), ..Rehearsal::sighting("frontend-1", AlertStatus::Firing) }
}

fn asks_for(night: &Rehearsal, wanted: impl Fn(&Work) -> bool) -> bool {
    night.waiting.iter().any(|effect| wanted(&effect.work))
}

#[test]
fn an_alert_of_another_cluster_calls_people_as_usual_and_is_not_diagnosed() {
    let mut night = of_blue(&[]);
    night.sees(&alert_of("red"));
    assert_eq!(night.incident().foreign_to.as_deref(), Some("blue"));
    assert!(!asks_for(&night, |work| matches!(work, Work::Triage { .. })));
    assert_eq!(night.incident().triage, Triage::NotRun);
    assert_eq!(night.takes_calls(), [L1]);
    night.passes(15 * MINUTE);
    assert_eq!(night.takes_calls(), [LevelNumber(2)]);
    night.says("U0ONCALL", Act::Acknowledge).unwrap();
    night.alert("frontend-1", AlertStatus::Resolved);
    night.passes(6 * MINUTE);
    assert!(!night.incident().is_live(), "and it closes by itself");
    // Firing again soon, it opens again, and is still another's.
    night.sees(&alert_of("red"));
    assert!(night.incident().is_live() && !asks_for(&night, |work| matches!(work, Work::Triage { .. })));
}

#[test]
fn every_name_of_our_cluster_is_ours_and_an_alert_without_the_label_too() {
    for ours in ["blue", "blue.example.org"] {
        let mut night = of_blue(&["blue.example.org"]);
        night.sees(&alert_of(ours));
        assert_eq!(night.incident().foreign_to, None, "{ours}");
        assert!(asks_for(&night, |work| matches!(work, Work::Triage { run: RunNumber(1) })), "{ours}");
    }
}

#[test]
fn what_would_look_into_another_cluster_or_change_it_is_refused_with_the_next_step_and_the_rest_is_not() {
    let mut night = of_blue(&[]);
    night.sees(&alert_of("red"));
    let plan = Some(PlanId("0123abcd".to_owned()));
    let refused = [
        Act::Triage,
        Act::SetTarget { target: target() },
        Act::ProposeFix { fix: FixName::RestartPod },
        Act::Approve { plan },
        Act::Verify,
    ];
    for act in refused {
        let refusal = night.says("U0SEC", act.clone()).unwrap_err();
        assert!(matches!(refusal, Refusal::OtherCluster { .. }), "{act:?}: {refusal}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(refusal, @"INC-1 is of cluster red, and this bot looks after blue: it can neither look there nor change anything. Ask the bot of red, or follow the runbook there by hand. If red is another name of blue, put it into the configuration (cluster_also)");
        }
    }
    night.says("U0ONCALL", Act::Note { text: "red's people know".to_owned() }).unwrap();
    night.says("U0ONCALL", Act::HandOff { to: HandOffTo::Level(LevelNumber(2)) }).unwrap();
    night.says("U0ONCALL", Act::Resolve { reason: None, anyway: true }).unwrap();
}

#[test]
fn nobody_is_asked_which_service_an_alert_of_another_cluster_is_about() {
    let mut night = of_blue(&[]);
    night.sees(&AlertSighting { target: None, ..alert_of("red") });
    let wanted = |work: &Work| {
        matches!(work, Work::Post { notice: crate::incident::Notice::TargetWanted, .. })
            && still_wanted(night.incident(), work, night.now)
    };
    assert!(!asks_for(&night, wanted));
}

#[test]
fn once_the_configuration_knows_the_name_what_waited_is_diagnosed() {
    let mut night = of_blue(&[]);
    night.sees(&alert_of("blue.example.org"));
    let knows = OwnCluster::new("blue", ["blue.example.org".to_owned()]);
    let events = knows.put_right(night.incident());
    assert_eq!(events, [Event::OfOurCluster, Event::TriageStarted { run: RunNumber(1), by: None }]);
    night.policy.cluster = knows;
    night.record(&events);
    assert!(asks_for(&night, |work| matches!(work, Work::Triage { run: RunNumber(1) })));
    assert!(night.policy.cluster.put_right(night.incident()).is_empty());
    night.says("U0ONCALL", Act::Note { text: "better".to_owned() }).unwrap();
}
