//! Working is acknowledging: a person who works on an incident that nobody has takes it.

use super::rehearsal::{MINUTE, Rehearsal, person, plan, target};
use crate::{
    escalation::{LevelNumber, Rung},
    incident::{Act, AlertStatus, Command, Event, FixNumber, HandOffTo, IncidentId, Outcome, Refusal, decide},
    people::{Actor, PersonId, Role},
    triage::FixName,
};

const L1: LevelNumber = LevelNumber(1);
const L2: LevelNumber = LevelNumber(2);

fn holder(night: &Rehearsal) -> Option<PersonId> {
    night.incident().ladder.holder().cloned()
}

fn restart() -> Act {
    Act::ProposeFix { fix: FixName::RestartPod }
}

fn note() -> Act {
    Act::Note { text: "looking at the agent".to_owned() }
}

/// Somebody who may approve fixes and may not command the bot.
fn says_as_approver_only(night: &mut Rehearsal, act: Act) -> Result<Vec<Event>, Refusal> {
    let actor = Actor { id: person("U0APPROVER"), also: [].into(), roles: [Role::Approver].into(), as_of: night.now };
    let command = Command { incident: IncidentId::new(1), actor, key: "a".to_owned(), act };
    let (events, _) = decide(night.incident(), &command, night.now, &night.policy)?;
    for event in &events {
        crate::incident::apply(night.incident.as_mut().unwrap(), event, night.now);
    }
    Ok(events)
}

/// From the long trial: an engineer of L1 asked for a fix and wrote a note; L1 was reminded and L2 called.
#[test]
fn whoever_asks_for_a_fix_has_it_and_l2_is_not_called_while_they_wait_for_an_approver() {
    let mut night = Rehearsal::with_a_verdict();
    night.policy.approval.expires_after = 40 * MINUTE;
    assert_eq!(night.takes_calls(), [L1]);
    let told = night.says("U0ONCALL", restart()).unwrap().text;
    insta::assert_snapshot!(told, @"The plan of restart-pod is being drawn; it will be shown in the thread for approval. You have it now. Nobody else is called; without a sign of work (a command, a fix, a note) by 2026-11-24T03:15:00Z, your level is called again.");
    night.outcome(&Outcome::PlanDrawn { fix: FixNumber(1), plan: Box::new(plan(&["frontend-1"], night.now)) });
    assert_eq!(holder(&night), Some(person("U0ONCALL")));
    assert!(night.events.iter().any(|event| matches!(event, Event::WindowMet { .. })));
    night.passes(39 * MINUTE);
    assert!(night.takes_calls().is_empty(), "the approver is waited for, and nobody is called because of it");
    assert!(!night.events.iter().any(|event| matches!(event, Event::Reminded { .. })), "nor reminded of idleness");
    night.passes(17 * MINUTE);
    assert_eq!(night.takes_calls(), [L1], "the question expired, and nothing was done since");
}

#[test]
fn a_note_and_a_triage_say_that_it_is_theirs_now() {
    let mut noted = Rehearsal::with_a_verdict();
    insta::assert_snapshot!(noted.says("U0ONCALL", note()).unwrap().text, @"Noted in INC-1. You have it now. Nobody else is called; without a sign of work (a command, a fix, a note) by 2026-11-24T03:15:00Z, your level is called again.");
    let mut again = Rehearsal::with_a_verdict();
    insta::assert_snapshot!(again.says("U0ONCALL", Act::Triage).unwrap().text, @"The diagnostics are running; the verdict comes to the thread. You have it now. Nobody else is called; without a sign of work (a command, a fix, a note) by 2026-11-24T03:15:00Z, your level is called again.");
}

/// Each act, and who has an incident after it that nobody had.
#[test]
fn what_counts_as_working_is_decided_for_every_act() {
    let unheld = || {
        let mut night = Rehearsal::with_a_question(&["frontend-1"]);
        night.says("U0ONCALL", Act::HandOff { to: HandOffTo::Level(L1) }).unwrap();
        night
    };
    let after = |mut night: Rehearsal, who: &str, act: Act| {
        night.says(who, act).unwrap();
        holder(&night).map(|holder| holder.user)
    };
    let takes = |who: &str| Some(who.to_owned());
    assert_eq!(after(Rehearsal::with_a_verdict(), "U0ONCALL", restart()), takes("U0ONCALL"));
    assert_eq!(after(unheld(), "U0SECURITY", Act::Approve { plan: None }), takes("U0SECURITY"));
    assert_eq!(after(unheld(), "U0ONCALL", note()), takes("U0ONCALL"));
    assert_eq!(after(unheld(), "U0ONCALL", Act::Triage), takes("U0ONCALL"));
    assert_eq!(after(unheld(), "U0ONCALL", Act::SetTarget { target: target() }), takes("U0ONCALL"));
    assert_eq!(after(unheld(), "U0ONCALL", Act::Acknowledge), takes("U0ONCALL"));
    let to = HandOffTo::Person(person("U0OTHER"));
    assert_eq!(after(unheld(), "U0ONCALL", Act::HandOff { to }), takes("U0OTHER"));
    assert_eq!(after(unheld(), "U0SECURITY", Act::Reject { plan: None }), None, "the fault is left to nobody");
    assert_eq!(after(unheld(), "U0ONCALL", Act::Withdraw), None);
    assert_eq!(after(unheld(), "U0ONCALL", Act::Escalate { from: None }), None, "somebody else is asked for");
    assert_eq!(after(unheld(), "U0ONCALL", Act::HandOff { to: HandOffTo::Level(L2) }), None);
}

#[test]
fn on_an_incident_that_somebody_has_work_of_others_starts_the_idle_clock_and_takes_nothing() {
    let mut night = Rehearsal::with_a_question(&["frontend-1"]);
    night.passes(5 * MINUTE);
    let told = night.says("U0SECURITY", Act::Approve { plan: None }).unwrap().text;
    assert!(!told.contains("You have it"), "{told}");
    assert_eq!(holder(&night), Some(person("U0ONCALL")));
    assert_eq!(night.rung(), Rung::Acknowledged { level: L1, until: night.now + 15 * MINUTE });
}

#[test]
fn somebody_who_may_not_acknowledge_changes_nothing_about_who_has_it() {
    let mut night = Rehearsal::with_a_question(&["frontend-1"]);
    night.says("U0ONCALL", Act::HandOff { to: HandOffTo::Level(L1) }).unwrap();
    let before = night.incident().ladder.clone();
    let events = says_as_approver_only(&mut night, Act::Approve { plan: None }).unwrap();
    assert!(matches!(events.as_slice(), [Event::FixApproved { .. }]), "{events:?}");
    assert_eq!(night.incident().ladder, before);

    let mut held = Rehearsal::with_a_question(&["frontend-1"]);
    says_as_approver_only(&mut held, Act::Approve { plan: None }).unwrap();
    assert_eq!(holder(&held), Some(person("U0ONCALL")));
    assert!(matches!(held.says("U0NOBODY", note()), Err(Refusal::NotAllowed(_))));
}

#[test]
fn what_is_refused_takes_nothing() {
    let mut night = Rehearsal::with_an_alert();
    assert!(matches!(night.says("U0ONCALL", restart()), Err(Refusal::TriageRunning)));
    assert_eq!(holder(&night), None);
    night.passes(15 * MINUTE);
    assert_eq!(night.takes_calls(), [L1, L2]);
}

#[test]
fn a_note_while_it_clears_is_a_note() {
    let mut night = Rehearsal::with_a_verdict();
    night.alert("frontend-1", AlertStatus::Resolved);
    let told = night.says("U0ONCALL", note()).unwrap().text;
    assert_eq!(told, "Noted in INC-1.");
    assert_eq!(holder(&night), None, "nobody is called, so there is nothing to take");
}
