use super::rehearsal::Rehearsal;
use crate::{
    incident::{Event, Refusal, SwitchRequest, decide_switch, switched},
    people::Role,
};

fn asked(night: &Rehearsal, user: &str, on: bool) -> SwitchRequest {
    SwitchRequest { actor: night.actor(user), key: "env-1".to_owned(), on, reason: " it looks wrong ".to_owned() }
}

#[test]
fn anybody_on_duty_can_stop_fixes_and_only_approvers_let_them_run_again() {
    let night = Rehearsal::with_an_alert();
    let said = |user, on| decide_switch(&asked(&night, user, on), true, night.now);
    assert!(!said("U0ONCALL", false).unwrap().on);
    assert_eq!(said("U0ONCALL", true), Err(Refusal::NotAllowed(Role::Approver)));
    assert!(said("U0SECURITY", true).unwrap().on);
    assert_eq!(said("U0NOBODY", false), Err(Refusal::NotAllowed(Role::Commander)));
}

#[test]
fn the_chat_cannot_switch_on_what_the_configuration_keeps_off() {
    let night = Rehearsal::with_an_alert();
    assert_eq!(decide_switch(&asked(&night, "U0SECURITY", true), false, night.now), Err(Refusal::WritesOff));
    assert!(decide_switch(&asked(&night, "U0SECURITY", false), false, night.now).is_ok());
}

#[test]
fn whoever_works_on_an_open_incident_is_told_who_stopped_the_fixes_and_why() {
    let night = Rehearsal::with_an_alert();
    let switch = decide_switch(&asked(&night, "U0ONCALL", false), true, night.now).unwrap();
    let told = switched(night.incident(), &switch);
    let [Event::WritesSwitched { on: false, by, reason }] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((by.user.as_str(), reason.as_str()), ("U0ONCALL", "it looks wrong"));
}
