//! Tasks that a bot finds in its journal and cannot read.

use super::{
    fixing::sampled,
    rehearsal::{Rehearsal, plan, pod, replacement},
};
use crate::{
    incident::{
        Act, FixEnd, FixNumber, Outcome, Room, Round, SetAside, Triage, Work, awaited_task, set_aside, without_its_task,
    },
    remediation::StepNumber,
    triage::FixName,
};

/// What ends where the task that the incident waits for now cannot be read. Each task has one thing that waits for it.
fn lost(night: &Rehearsal) -> String {
    let of_the_cluster = |work: &Work| matches!(work.room(), Room::Cluster | Room::Execute);
    let task = night.waiting.iter().rev().find(|effect| of_the_cluster(&effect.work)).unwrap();
    let aside = set_aside(night.incident().clone(), &task.key, "effect version 9", night.now);
    let SetAside { after, events, effects } = aside;
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(after.fix, None);
    if let Some(kind) = awaited_task(night.incident()) {
        assert!(task.key.starts_with(&format!("{kind}:")), "{}", task.key);
        assert_eq!(without_its_task(night.incident()).as_ref(), events.last());
    }
    assert!(!matches!(after.triage, Triage::Running { .. }));
    assert!(effects.iter().any(|effect| matches!(effect.work, Work::Post { .. })), "the thread hears of it");
    assert_eq!(effects.iter().filter(|effect| matches!(effect.work, Work::DrawCard { .. })).count(), 1);
    match (&after.triage, after.past_fixes.last().map(|past| past.end.clone())) {
        (Triage::Failed { reason, .. }, None) => format!("triage: {reason}"),
        (_, Some(FixEnd::Refused { reasons })) => format!("refused: {}", reasons.join(", ")),
        (_, Some(FixEnd::Failed { reason, .. })) => format!("failed: {reason}"),
        (_, Some(FixEnd::Verified { verification })) => {
            format!("{:?}: {}", verification.proof, verification.reasons.join(", "))
        }
        (_, other) => format!("{other:?}"),
    }
}

#[test]
fn whatever_task_cannot_be_read_what_waited_for_it_ends_and_says_so() {
    let mut told = vec![lost(&Rehearsal::with_an_alert())];
    let mut night = Rehearsal::with_a_verdict();
    night.says("U0ONCALL", Act::ProposeFix { fix: FixName::RestartPod }).unwrap();
    told.push(lost(&night));
    let drawn = plan(&["frontend-1"], night.now);
    let id = drawn.id();
    night.outcome(&Outcome::PlanDrawn { fix: FixNumber(1), plan: Box::new(drawn) });
    night.says("U0SECURITY", Act::Approve { plan: None }).unwrap();
    told.push(lost(&night));
    sampled(&mut night, Round::Before, Vec::new());
    told.push(lost(&night));
    night.outcome(&Outcome::StepDone { plan: id.clone(), step: StepNumber::FIRST });
    told.push(lost(&night));
    let new = (pod("frontend-9"), "uid-9".parse().unwrap());
    night.outcome(&replacement(id, StepNumber::FIRST, new, night.now));
    told.push(lost(&night));
    sampled(&mut night, Round::Start, Vec::new());
    told.push(lost(&night));
    insta::assert_snapshot!(told.join("\n"), @r"
    triage: its stored task could not be read: run the triage again
    refused: the stored task that draws its plan is lost: ask for the fix again
    failed: it was not begun, because the stored task before it is lost; the fix can be asked for again
    Some(Unknown { step: StepNumber(0) })
    failed: the step was done, and what came of it is not known, because the stored task that looks for it is lost: look at its target before anything else
    Unproven: the counters were not watched, because a stored task is lost
    Unproven: the counters were not watched, because a stored task is lost
    ");
}

/// An old row of something that is over.
#[test]
fn a_task_that_nothing_waits_for_any_more_is_only_told_of() {
    let night = Rehearsal::with_a_question(&["frontend-1"]);
    for key in ["step:9:0", "poll:9:0", "plan:2:0", "triage:2:0", "sample:4:1", "card:slack:C0:1", "odd"] {
        let SetAside { after, events, .. } = set_aside(night.incident().clone(), key, "it is broken", night.now);
        assert_eq!((after.fix.as_ref(), events.len()), (night.incident().fix.as_ref(), 1), "{key}");
    }
}
