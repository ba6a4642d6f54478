//! Closing by a person, and what an incident that opens again forgets.

use super::rehearsal::{MINUTE, Rehearsal, person, verdict};
use crate::{
    incident::{
        Act, AlertStatus, CloseReason, ClosedBy, Event, FixNumber, IncidentStatus, Notice, Outcome, REASON_MOST,
        Refusal, RunNumber, Triage, Work, still_wanted,
    },
    triage::{FixName, Scenario},
};

fn resolve(reason: Option<&str>, anyway: bool) -> Act {
    Act::Resolve { reason: reason.map(str::to_owned), anyway }
}

fn closed_by(night: &Rehearsal) -> ClosedBy {
    match &night.incident().status {
        IncidentStatus::Closed { reason: CloseReason::Person(by), .. } => by.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn closing_while_the_alert_fires_is_asked_back_and_then_done_with_its_reason() {
    let mut night = Rehearsal::with_an_alert();
    insta::assert_snapshot!(night.says("U0ONCALL", resolve(None, false)).unwrap_err().to_string(), @"Its alert still fires. Closing it stops the calls, and only a new firing opens it again. If you mean that: `resolve INC-1 anyway REASON`");
    insta::assert_snapshot!(night.says("U0ONCALL", resolve(Some("lamp test"), false)).unwrap_err().to_string(), @"Its alert still fires. Closing it stops the calls, and only a new firing opens it again. If you mean that: `resolve INC-1 anyway lamp test`");
    assert!(night.incident().is_live());
    night.says("U0ONCALL", resolve(Some(" lamp test "), true)).unwrap();
    assert_eq!(closed_by(&night), ClosedBy { who: person("U0ONCALL"), why: Some("lamp test".to_owned()) });
    assert_eq!(night.incident().history.last().unwrap().text, "closed by U0ONCALL: lamp test");
}

#[test]
fn nothing_is_asked_back_when_nothing_fires() {
    let mut night = Rehearsal::with_an_alert();
    night.alert("frontend-1", AlertStatus::Resolved);
    night.says("U0ONCALL", resolve(None, false)).unwrap();
    assert_eq!(closed_by(&night).why, None);
}

#[test]
fn a_long_reason_is_kept_as_far_as_one_line_goes_with_a_mark_where_it_was_cut() {
    let mut night = Rehearsal::with_an_alert();
    night.says("U0ONCALL", resolve(Some(&"ä".repeat(REASON_MOST + 1)), true)).unwrap();
    let why = closed_by(&night).why.unwrap();
    assert_eq!(why.chars().count(), REASON_MOST);
    assert!(why.ends_with("ä…"));
}

/// Buttons of an older version carry no word of it, and its journal no reason.
#[test]
fn what_an_older_version_wrote_is_still_read() {
    let pressed: Act = serde_json::from_str(r#"{"act":"resolve"}"#).unwrap();
    assert_eq!(pressed, resolve(None, false));
    let stored = r#"{"person":{"platform":"slack","workspace":"T0","user":"U0ONCALL"}}"#;
    let reason: CloseReason = serde_json::from_str(stored).unwrap();
    assert_eq!(reason, CloseReason::Person(person("U0ONCALL").into()));
    assert_eq!(serde_json::to_string(&reason).unwrap(), stored);
}

fn reopened() -> Rehearsal {
    let mut night = Rehearsal::with_a_verdict();
    night.alert("frontend-1", AlertStatus::Resolved);
    night.passes(6 * MINUTE);
    night.alert("frontend-1", AlertStatus::Firing);
    assert!(night.events.contains(&Event::Reopened));
    night
}

#[test]
fn what_was_found_before_it_closed_is_no_finding_about_what_fires_now() {
    let mut night = reopened();
    assert_eq!(night.incident().verdict, None);
    assert_eq!(night.incident().earlier.unwrap().scenario, Scenario::ExpiredCertificate);
    assert!(matches!(night.incident().triage, Triage::Running { run: RunNumber(2), .. }));
    let restart = Act::ProposeFix { fix: FixName::RestartPod };
    assert_eq!(night.says("U0ONCALL", restart.clone()), Err(Refusal::TriageRunning));
    night.outcome(&Outcome::TriageFailed { run: RunNumber(2), reason: "the API server did not answer".to_owned() });
    assert!(matches!(night.says("U0ONCALL", restart), Err(Refusal::NoVerdict(_))), "nor is a fix drawn from it");
}

#[test]
fn a_post_of_the_old_verdict_that_was_not_sent_yet_is_not_sent_any_more() {
    let night = reopened();
    let to = night.policy.channels[0].clone();
    let post = |run| Work::Post { to: to.clone(), notice: Notice::Verdict { run } };
    assert!(!still_wanted(night.incident(), &post(RunNumber(1)), night.now));
    let mut again = reopened();
    let found = verdict(Scenario::Network, Vec::new(), again.now);
    again.outcome(&Outcome::TriageFinished { run: RunNumber(2), verdict: Box::new(found), evidence: None });
    assert!(still_wanted(again.incident(), &post(RunNumber(2)), again.now));
}

#[test]
fn a_fix_that_just_worked_is_not_asked_for_again_before_somebody_has_looked() {
    let mut night = Rehearsal::with_a_verdict();
    let worked =
        crate::remediation::Verification { proof: crate::remediation::Proof::Worked, reasons: Vec::new(), rate: None };
    night.says("U0ONCALL", Act::ProposeFix { fix: FixName::RestartPod }).unwrap();
    night.now += 5 * MINUTE;
    let end = crate::incident::FixEnd::Verified { verification: worked };
    crate::incident::apply(night.incident.as_mut().unwrap(), &Event::FixEnded { fix: FixNumber(1), end }, night.now);
    let told = night.says("U0ONCALL", Act::ProposeFix { fix: FixName::RestartPod }).unwrap_err().to_string();
    insta::assert_snapshot!(told, @"restart-pod worked at 2026-11-24T03:05:00Z, and nothing was diagnosed since: `triage INC-1` looks whether it is needed again");
    night.now += MINUTE;
    night.says("U0ONCALL", Act::Triage).unwrap();
    let found = verdict(Scenario::ExpiredCertificate, vec![FixName::RestartPod], night.now);
    night.outcome(&Outcome::TriageFinished { run: RunNumber(2), verdict: Box::new(found), evidence: None });
    night.says("U0ONCALL", Act::ProposeFix { fix: FixName::RestartPod }).unwrap();
}
