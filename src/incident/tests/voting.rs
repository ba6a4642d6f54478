//! The second press of Approve, and its siblings: a person who votes on a plan that does not wait hears what
//! became of it.

use super::rehearsal::{MINUTE, Rehearsal, plan, replacement};
use crate::{
    incident::{Act, FixNumber, FixPhase, Outcome, Refusal, Round},
    remediation::{PlanId, StepNumber},
    triage::FixName,
};

fn plan_id(night: &Rehearsal) -> PlanId {
    night.incident().fix.as_ref().unwrap().plan_id().unwrap()
}

/// What U0OTHER, who may approve, hears.
fn hears(night: &mut Rehearsal, act: Act) -> String {
    night.says("U0OTHER", act).unwrap_err().to_string()
}

fn approve() -> Act {
    Act::Approve { plan: None }
}

fn reject() -> Act {
    Act::Reject { plan: None }
}

fn approved() -> Rehearsal {
    let mut night = Rehearsal::with_a_question(&["frontend-1"]);
    night.says("U0SECURITY", approve()).unwrap();
    night
}

#[test]
fn the_second_press_of_approve_hears_who_approved_it_and_that_it_is_running() {
    let mut night = approved();
    let running = "restart-pod was approved by U0SECURITY and is running: its result comes to the thread";
    assert_eq!(hears(&mut night, approve()), running);
    assert_eq!(hears(&mut night, reject()), running);
    let plan = Some(plan_id(&night));
    assert_eq!(hears(&mut night, Act::Approve { plan }), running, "the button carries its plan");
    night.outcome(&Outcome::Sampled {
        fix: FixNumber(1),
        round: Round::Before,
        samples: Vec::new(),
        unreadable: Vec::new(),
    });
    assert!(matches!(night.incident().fix.as_ref().unwrap().phase, FixPhase::Stepping { .. }));
    assert_eq!(hears(&mut night, approve()), running);
    let plan = plan_id(&night);
    night.outcome(&Outcome::StepDone { plan: plan.clone(), step: StepNumber(0) });
    assert_eq!(hears(&mut night, approve()), running);
    let uid = crate::mesh::PodUid::parse("uid-9").unwrap();
    let (pod, not_after) = (super::rehearsal::pod("frontend-9"), night.now + 60 * MINUTE);
    night.outcome(&replacement(plan, StepNumber::FIRST, (pod, uid), not_after));
    assert!(matches!(night.incident().fix.as_ref().unwrap().phase, FixPhase::Verifying { .. }));
    assert_eq!(hears(&mut night, approve()), running, "while its effect is watched it is still known who approved it");
    for round in [Round::Start, Round::End] {
        night.outcome(&Outcome::Sampled { fix: FixNumber(1), round, samples: Vec::new(), unreadable: Vec::new() });
    }
    insta::assert_snapshot!(hears(&mut night, approve()), @"restart-pod was approved by U0SECURITY and has ended at 2026-11-24T03:00:00Z: its effect is unproven");
}

#[test]
fn whoever_votes_when_it_is_over_hears_how_it_ended() {
    let mut rejected = Rehearsal::with_a_question(&["frontend-1"]);
    rejected.says("U0SECURITY", reject()).unwrap();
    insta::assert_snapshot!(hears(&mut rejected, reject()), @"restart-pod was rejected by U0SECURITY at 2026-11-24T03:00:00Z: it does not run");
    insta::assert_snapshot!(hears(&mut rejected, approve()), @"restart-pod was rejected by U0SECURITY at 2026-11-24T03:00:00Z: it does not run");

    let mut expired = Rehearsal::with_a_question(&["frontend-1"]);
    expired.passes(10 * MINUTE);
    insta::assert_snapshot!(hears(&mut expired, approve()), @"nobody approved restart-pod in time, and the question ended at 2026-11-24T03:10:00Z: ask for it again");

    let mut withdrawn = Rehearsal::with_a_question(&["frontend-1"]);
    withdrawn.says("U0ONCALL", Act::Withdraw).unwrap();
    insta::assert_snapshot!(hears(&mut withdrawn, approve()), @"restart-pod was withdrawn by its requester at 2026-11-24T03:00:00Z: it does not run");
    insta::assert_snapshot!(hears(&mut withdrawn, Act::Withdraw), @"restart-pod was withdrawn by its requester at 2026-11-24T03:00:00Z: it does not run");

    let mut failed = approved();
    failed.outcome(&Outcome::Sampled {
        fix: FixNumber(1),
        round: Round::Before,
        samples: Vec::new(),
        unreadable: Vec::new(),
    });
    let plan = plan_id(&failed);
    failed.outcome(&Outcome::StepFailed { plan, step: StepNumber(0), reason: "the API server refused it".to_owned() });
    insta::assert_snapshot!(hears(&mut failed, approve()), @"restart-pod was approved by U0SECURITY and failed at step 1 at 2026-11-24T03:00:00Z");

    let mut refused = Rehearsal::with_a_verdict();
    refused.says("U0ONCALL", Act::ProposeFix { fix: FixName::RestartPod }).unwrap();
    insta::assert_snapshot!(hears(&mut refused, approve()), @"the plan of restart-pod is still being drawn: it comes to the thread and can be decided on then");
    refused.outcome(&Outcome::PlanRefused { fix: FixNumber(1), reasons: vec!["the pod is bare".to_owned()] });
    insta::assert_snapshot!(hears(&mut refused, approve()), @"restart-pod was refused when its plan was drawn: the thread says why");

    assert!(matches!(Rehearsal::with_a_verdict().says("U0OTHER", approve()), Err(Refusal::NothingToApprove(_))));
}

/// On every face: whatever the way in, the plan that was typed arrives here.
#[test]
fn the_first_eight_characters_of_a_plan_name_it_and_fewer_do_not() {
    let mut night = Rehearsal::with_a_question(&["frontend-1"]);
    let whole = plan_id(&night);
    let first = |characters: usize| Some(PlanId(whole.0[..characters].to_owned()));
    assert_eq!(night.says("U0SECURITY", Act::Approve { plan: first(7) }), Err(Refusal::OtherPlan));
    assert_eq!(night.says("U0SECURITY", Act::Reject { plan: first(0) }), Err(Refusal::OtherPlan));
    night.says("U0SECURITY", Act::Approve { plan: first(8) }).unwrap();
    assert!(matches!(night.incident().fix.as_ref().unwrap().phase, FixPhase::Approved { .. }));

    let mut longer = Rehearsal::with_a_question(&["frontend-1"]);
    longer.says("U0SECURITY", Act::Reject { plan: first(20) }).unwrap();
}

#[test]
fn an_old_plan_of_a_fix_that_was_drawn_again_is_not_the_one_that_waits() {
    let mut night = approved();
    let old = plan_id(&night);
    night.outcome(&Outcome::Sampled {
        fix: FixNumber(1),
        round: Round::Before,
        samples: Vec::new(),
        unreadable: Vec::new(),
    });
    night.outcome(&Outcome::PlanMoved {
        plan: old.clone(),
        step: StepNumber(0),
        what: "the pod was replaced".to_owned(),
    });
    night.outcome(&Outcome::PlanDrawn { fix: FixNumber(1), plan: Box::new(plan(&["frontend-2"], night.now)) });
    assert_eq!(night.says("U0OTHER", Act::Approve { plan: Some(old) }), Err(Refusal::OtherPlan));
}
