//! Who approved is counted again where the write happens, as if the vote had gone wrong.

use std::collections::BTreeSet;

use super::{fix_of, pod_ref, target, three_in_the_morning};
use crate::{
    approval::{ApprovalRule, Question},
    cluster::execute::approved,
    escalation::EscalationPolicy,
    incident::{Event, Fix, FixPhase, Incident, IncidentId, IncidentKey, begin},
    mesh::PodUid,
    people::{Actor, PersonId, Platform},
    remediation::StepNumber,
};

fn slack(user: &str) -> PersonId {
    PersonId { platform: Platform::Slack, workspace: "T0".to_owned(), user: user.to_owned() }
}

fn discord(user: &str) -> PersonId {
    PersonId { platform: Platform::Discord, workspace: "G0".to_owned(), user: user.to_owned() }
}

fn voter(id: PersonId, also: Option<PersonId>) -> Actor {
    Actor { id, also: also.into_iter().collect(), roles: BTreeSet::new(), as_of: three_in_the_morning() }
}

/// A question of U0ONCALL, on Slack.
fn question(needed: u8) -> Question {
    let rule = ApprovalRule { needed, expires_after: jiff::SignedDuration::from_mins(15) };
    Question::ask(&rule, slack("U0ONCALL"), three_in_the_morning())
}

/// An incident whose fix is about to write, after this vote as the last one.
fn about_to_write(question: &Question, last: &Actor) -> Incident {
    let opened = Event::Opened {
        id: IncidentId::new(1),
        key: IncidentKey("k".to_owned()),
        alert: "a".to_owned(),
        cluster: "c".to_owned(),
        target: None,
        policy: Box::new(EscalationPolicy::of(Vec::new())),
        channels: Vec::new(),
        quiet: false,
    };
    let mut incident = begin(&opened, three_in_the_morning()).unwrap();
    let mut fix = fix_of(target("svc/frontend"), &pod_ref("frontend-a"), &PodUid::parse("uid-a").unwrap());
    let by = question.approved_by.iter().cloned().chain([last.id.clone()]).collect();
    let plan = fix.plan_id().unwrap();
    fix.run.quorum = Some(question.quorum_with(last));
    fix.phase = FixPhase::Stepping { plan, by, step: StepNumber(0), since: three_in_the_morning() };
    incident.fix = Some(fix);
    incident
}

fn refused(incident: &Incident) -> Option<String> {
    let plan = incident.fix.as_ref().and_then(Fix::plan_id).unwrap();
    approved(incident, &plan, StepNumber(0), true).err()
}

const TOO_FEW: &str = "fewer people other than the requester have approved than the question needed";

#[test]
fn nothing_is_written_that_the_requester_approved_by_the_id_of_another_platform() {
    let asked = question(1);
    let requester = voter(discord("D0ONCALL"), Some(slack("U0ONCALL")));
    assert_eq!(refused(&about_to_write(&asked, &requester)).as_deref(), Some(TOO_FEW));
    let stranger = voter(discord("D0SEC"), None);
    assert_eq!(refused(&about_to_write(&asked, &stranger)).as_deref(), Some(TOO_FEW), "nobody knows who that is");
    let other = voter(discord("D0SEC"), Some(slack("U0SEC")));
    assert_eq!(refused(&about_to_write(&asked, &other)), None);
}

#[test]
fn nothing_is_written_that_one_person_approved_twice_where_two_are_needed() {
    let mut asked = question(2);
    assert_eq!(refused(&about_to_write(&asked, &voter(slack("U0SEC"), None))).as_deref(), Some(TOO_FEW));
    asked.approved_by.insert(slack("U0SEC"));
    let again = voter(discord("D0SEC"), Some(slack("U0SEC")));
    assert_eq!(refused(&about_to_write(&asked, &again)).as_deref(), Some(TOO_FEW));
    assert_eq!(refused(&about_to_write(&asked, &voter(slack("U0OTHER"), None))), None);
    // The same from the other platform first.
    let mut asked = question(2);
    asked.approved_by.insert(discord("D0SEC"));
    asked.known_beside_requester.insert(slack("U0SEC"));
    assert_eq!(refused(&about_to_write(&asked, &voter(slack("U0SEC"), None))).as_deref(), Some(TOO_FEW));
    assert_eq!(refused(&about_to_write(&asked, &voter(slack("U0OTHER"), None))), None);
}

/// A fix that an older bot let run goes on.
#[test]
fn what_was_approved_before_people_were_counted_at_the_write_still_runs() {
    let mut incident = about_to_write(&question(1), &voter(slack("U0SEC"), None));
    let fix = incident.fix.as_mut().unwrap();
    let mut old = serde_json::to_value(&fix.run).unwrap();
    old.as_object_mut().unwrap().remove("quorum");
    fix.run = serde_json::from_value(old).unwrap();
    assert_eq!(fix.run.quorum, None);
    assert_eq!(refused(&incident), None);
}
