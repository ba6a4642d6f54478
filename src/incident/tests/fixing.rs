use jiff::SignedDuration;

use super::proving::proved;
use super::rehearsal::{MINUTE, Rehearsal, plan, pod, replacement, target, verdict};
use crate::{
    approval::VoteRefusal,
    incident::{
        Act, AlertStatus, Event, FixEnd, FixNumber, FixPhase, Incident, IncidentStatus, Notice, Outcome, Refusal,
        Round, RunNumber, Triage, Work, offer, on_start,
    },
    mesh::{PodUid, TargetRef},
    remediation::{Counters, PlanId, Proof, Sample, StepNumber, StepResult},
    triage::{Contraindicated, FixName, Scenario},
};

pub(super) fn sample(night: &Rehearsal, name: &str, answered: u64, failed: u64) -> Sample {
    Sample {
        pod: pod(name),
        uid: PodUid::parse(&format!("uid-{name}")).unwrap(),
        uptime_seconds: Some(10),
        at: night.now,
        counters: Counters {
            server_handshakes: Some(answered),
            server_failures: Some(failed),
            requests_answered: Some(answered),
            requests_failed: Some(failed),
            new_log_errors: Some(0),
            ..Counters::default()
        },
        svid_not_after: Some(night.now + 60 * MINUTE),
    }
}

pub(super) fn plan_id(night: &Rehearsal) -> PlanId {
    night.incident().fix.as_ref().unwrap().plan_id().unwrap()
}

pub(super) fn sampled(night: &mut Rehearsal, round: Round, samples: Vec<Sample>) {
    let fix = night.incident().fix.as_ref().unwrap().number;
    night.outcome(&Outcome::Sampled { fix, round, samples, unreadable: Vec::new() });
}

pub(super) fn approved(pods: &[&str]) -> Rehearsal {
    let mut night = Rehearsal::with_a_question(pods);
    night.says("U0SECURITY", Act::Approve { plan: None }).unwrap();
    sampled(&mut night, Round::Before, Vec::new());
    night
}

pub(super) fn replaced(night: &mut Rehearsal, step: StepNumber, new: &str) {
    let plan = plan_id(night);
    night.outcome(&Outcome::StepDone { plan: plan.clone(), step });
    let not_after = night.now + 60 * MINUTE;
    let uid = PodUid::parse(&format!("uid-{new}")).unwrap();
    night.outcome(&replacement(plan, step, (pod(new), uid), not_after));
}

#[test]
fn a_fix_goes_from_question_to_proof() {
    let (night, proof) = proved(240, 0);
    assert_eq!(proof, Proof::Worked);
    assert!(night.incident().fix.is_none());
    assert_eq!(
        night.incident().status,
        IncidentStatus::Open,
        "it closes when the alert has ended, not because we say so"
    );
}

#[test]
fn nobody_approves_their_own_request_by_any_role() {
    let mut night = Rehearsal::with_a_verdict();
    night.says("U0SECURITY", Act::ProposeFix { fix: FixName::RestartPod }).unwrap();
    let drawn = Box::new(plan(&["frontend-1"], night.now));
    night.outcome(&Outcome::PlanDrawn { fix: FixNumber(1), plan: drawn });
    let own = night.says("U0SECURITY", Act::Approve { plan: None });
    assert_eq!(own, Err(Refusal::Vote(VoteRefusal::OwnRequest)));
    assert_eq!(night.writes(), 0);
}

#[test]
fn the_requester_without_the_role_is_told_the_reason_that_matters() {
    let mut night = Rehearsal::with_a_question(&["frontend-1"]);
    let own = night.says("U0ONCALL", Act::Approve { plan: None });
    assert_eq!(own, Err(Refusal::Vote(VoteRefusal::OwnRequest)));
}

#[test]
fn two_approvals_mean_two_people() {
    let mut night = Rehearsal::with_a_verdict();
    night.policy.approval.needed = 2;
    night.says("U0ONCALL", Act::ProposeFix { fix: FixName::RestartPod }).unwrap();
    let drawn = Box::new(plan(&["frontend-1"], night.now));
    night.outcome(&Outcome::PlanDrawn { fix: FixNumber(1), plan: drawn });
    night.says("U0SECURITY", Act::Approve { plan: None }).unwrap();
    let again = night.says("U0SECURITY", Act::Approve { plan: None });
    assert_eq!(again, Err(Refusal::Vote(VoteRefusal::Again { missing: 1 })));
    night.says("U0OTHER", Act::Approve { plan: None }).unwrap();
    assert!(matches!(night.incident().fix.as_ref().unwrap().phase, FixPhase::Approved { .. }));
}

#[test]
fn the_question_expires_and_a_late_approval_does_nothing() {
    let mut night = Rehearsal::with_a_question(&["frontend-1"]);
    night.passes(10 * MINUTE);
    assert_eq!(night.incident().past_fixes[0].end, FixEnd::Expired);
    assert!(matches!(night.says("U0SECURITY", Act::Approve { plan: None }), Err(Refusal::NotWaiting(_))));
}

#[test]
fn an_approval_of_another_plan_than_the_one_that_waits_is_refused() {
    let mut night = Rehearsal::with_a_question(&["frontend-1"]);
    let old = Some(PlanId("0123456789".to_owned()));
    assert_eq!(night.says("U0SECURITY", Act::Approve { plan: old }), Err(Refusal::OtherPlan));
}

#[test]
fn when_the_cluster_has_moved_the_plan_is_drawn_again_and_asks_again() {
    let mut night = approved(&["frontend-1"]);
    let plan_before = plan_id(&night);
    let moved =
        Outcome::PlanMoved { plan: plan_before.clone(), step: StepNumber(0), what: "the pod was replaced".to_owned() };
    night.outcome(&moved);
    assert_eq!(night.incident().fix.as_ref().unwrap().phase, FixPhase::Drawing);
    let drawn = Box::new(plan(&["frontend-2"], night.now));
    night.outcome(&Outcome::PlanDrawn { fix: FixNumber(1), plan: drawn });
    assert_ne!(plan_id(&night), plan_before);
    assert!(matches!(night.incident().fix.as_ref().unwrap().phase, FixPhase::Asking { .. }));
    assert!(night.outcome(&moved).is_empty(), "the old notice, doubled");
}

#[test]
fn the_next_pod_is_evicted_only_after_the_one_before_was_replaced() {
    let mut night = approved(&["frontend-1", "frontend-2"]);
    assert_eq!(night.writes(), 1);
    let plan = plan_id(&night);
    night.outcome(&Outcome::StepDone { plan, step: StepNumber(0) });
    assert_eq!(night.writes(), 1);
    let not_after = night.now + 60 * MINUTE;
    let uid = PodUid::parse("uid-8").unwrap();
    let plan = plan_id(&night);
    night.outcome(&replacement(plan, StepNumber::FIRST, (pod("frontend-8"), uid), not_after));
    assert_eq!(night.writes(), 2);
}

#[test]
fn when_the_alerts_resolve_meanwhile_the_started_step_finishes_and_the_rest_is_not_done() {
    let mut night = approved(&["frontend-1", "frontend-2"]);
    night.alert("frontend-1", AlertStatus::Resolved);
    replaced(&mut night, StepNumber::FIRST, "frontend-8");
    assert_eq!(night.writes(), 1);
    assert!(matches!(night.incident().fix.as_ref().unwrap().phase, FixPhase::Verifying { .. }));
}

#[test]
fn nothing_new_is_asked_for_or_approved_once_the_alerts_are_resolved() {
    let mut night = Rehearsal::with_a_question(&["frontend-1"]);
    night.alert("frontend-1", AlertStatus::Resolved);
    assert!(matches!(night.says("U0SECURITY", Act::Approve { plan: None }), Err(Refusal::Clearing(..))));
    night.passes(5 * MINUTE);
    assert_eq!(night.incident().past_fixes[0].end, FixEnd::Cancelled);
    assert_eq!(night.writes(), 0);
}

fn cart() -> TargetRef {
    TargetRef::parse("shop".parse().unwrap(), "deploy/cart").unwrap()
}

#[test]
fn while_a_fix_writes_or_is_proved_the_incident_is_not_made_about_another_service() {
    let mut night = approved(&["frontend-1"]);
    let about_cart = || Act::SetTarget { target: cart() };
    let under_way = Err(Refusal::FixUnderWay(FixName::RestartPod));
    assert_eq!(night.says("U0OTHER", about_cart()), under_way, "its write is about to be done");
    replaced(&mut night, StepNumber::FIRST, "frontend-8");
    assert!(matches!(night.incident().fix.as_ref().unwrap().phase, FixPhase::Verifying { .. }));
    assert_eq!(night.says("U0OTHER", about_cart()), under_way, "its effect is watched");
    assert_eq!(night.incident().target, Some(target()));
    night.says("U0OTHER", Act::SetTarget { target: target() }).unwrap();
    assert!(night.incident().fix.is_some(), "the same service said again changes nothing about it");
}

#[test]
fn a_plan_that_waits_is_dropped_when_the_incident_turns_out_to_be_about_another_service() {
    let mut night = Rehearsal::with_a_question(&["frontend-1"]);
    let answer = night.says("U0OTHER", Act::SetTarget { target: cart() }).unwrap();
    insta::assert_snapshot!(answer.text, @"INC-1 is about shop deploy/cart now. The diagnostics are running. restart-pod does not run.");
    let incident = night.incident();
    assert_eq!((incident.fix.is_none(), &incident.past_fixes[0].end), (true, &FixEnd::TargetChanged));
    let late = night.says("U0SECURITY", Act::Approve { plan: None }).unwrap_err();
    insta::assert_snapshot!(late, @"restart-pod was dropped at 2026-11-24T03:00:00Z, because somebody said that the incident is about another service");
    assert_eq!(night.writes(), 0);
}

/// The diagnostics of the new service come to nothing: what was found at the old one offers nothing there.
#[test]
fn a_verdict_about_the_service_of_before_offers_no_fix() {
    let mut night = Rehearsal::with_a_verdict();
    assert_eq!(offer(night.incident(), FixName::RestartPod), Ok(()));
    let before = night.incident().clone();
    night.says("U0ONCALL", Act::SetTarget { target: cart() }).unwrap();
    let Triage::Running { run, .. } = night.incident().triage else { panic!("{:?}", night.incident().triage) };
    night.outcome(&Outcome::TriageFailed { run, reason: "deploy/cart is not there".to_owned() });
    let no_verdict = Err(Refusal::NoVerdict(night.incident().id));
    assert_eq!(offer(night.incident(), FixName::RestartPod), no_verdict);
    assert_eq!(night.incident().verdict, None, "nor is it shown as what was found");
    // As an older version stored it.
    let stored = Incident { target: Some(cart()), triage: night.incident().triage.clone(), ..before };
    assert_eq!(offer(&stored, FixName::RestartPod), no_verdict);
}

#[test]
fn after_a_plan_that_moved_only_what_was_done_is_told_and_the_new_plan_is_not_taken_for_done() {
    let mut night = approved(&["frontend-1", "frontend-2"]);
    let plan_of_both = plan_id(&night);
    night.outcome(&Outcome::StepDone { plan: plan_of_both.clone(), step: StepNumber(0) });
    let result = StepResult::Replaced {
        old: Some(pod("frontend-1")),
        pod: pod("frontend-8"),
        uid: PodUid::parse("uid-8").unwrap(),
        not_after: None,
    };
    let settled = Outcome::StepSettled { plan: plan_of_both.clone(), step: StepNumber(0), result: result.clone() };
    night.outcome(&settled);
    let told = |night: &Rehearsal| {
        let posts = night.waiting.iter().filter_map(|effect| match &effect.work {
            Work::Post { notice: notice @ Notice::StepSettled { .. }, .. } => Some(notice.clone()),
            _ => None,
        });
        posts.collect::<Vec<_>>()
    };
    let first = Notice::StepSettled { target: "web/frontend-1".to_owned(), result };
    assert_eq!(told(&night), [first]);
    night.outcome(&Outcome::PlanMoved {
        plan: plan_of_both,
        step: StepNumber(1),
        what: "it belongs to another".to_owned(),
    });
    let drawn_again = Box::new(plan(&["frontend-3"], night.now));
    night.outcome(&Outcome::PlanDrawn { fix: FixNumber(1), plan: drawn_again });
    let (old, new) = (pod("frontend-1"), pod("frontend-8"));
    assert_eq!(night.incident().gone_pods(), [(&old, Some(&new))], "frontend-3 still runs, and nobody has approved");
    let answer = night.says("U0ONCALL", Act::Withdraw).unwrap();
    assert!(answer.text.contains("What was done before stays done"), "{answer:?}");
}

#[test]
fn a_question_of_an_older_bot_that_lived_through_a_clearing_is_asked_again_by_its_approval() {
    let mut night = Rehearsal::with_a_question(&["frontend-1"]);
    let fix = night.incident.as_mut().unwrap().fix.as_mut().unwrap();
    let mut stored = serde_json::to_value(fix.plan.as_ref().unwrap()).unwrap();
    stored["hashed"] = 1.into();
    fix.plan = Some(serde_json::from_value(stored).unwrap());
    let policy = night.policy.clone();
    let outdated = [Event::QuestionOutdated { fix: FixNumber(1) }];
    assert_eq!(on_start(night.incident(), &policy), outdated);
    night.alert("frontend-1", AlertStatus::Resolved);
    assert_eq!(on_start(night.incident(), &policy), [], "nothing is drawn while the alerts are resolved");
    night.alert("frontend-1", AlertStatus::Firing);
    night.says("U0SECURITY", Act::Approve { plan: None }).unwrap();
    assert_eq!(night.incident().fix.as_ref().unwrap().phase, FixPhase::Drawing);
    assert_eq!(night.writes(), 0);
}

#[test]
fn a_replacement_that_never_comes_ends_the_fix_as_failed() {
    let mut night = approved(&["frontend-1"]);
    let plan = plan_id(&night);
    night.outcome(&Outcome::StepDone { plan: plan.clone(), step: StepNumber(0) });
    let waiting = Outcome::StepAwaited { plan, step: StepNumber(0), why: "the new pod is Pending".to_owned() };
    assert!(matches!(night.outcome(&waiting).as_slice(), [Event::StepAwaited { .. }]));
    night.now += SignedDuration::from_mins(5);
    night.outcome(&waiting);
    assert!(matches!(&night.incident().past_fixes[0].end, FixEnd::Failed { reason, .. } if reason.contains("Pending")));
}

#[test]
fn a_step_whose_outcome_is_not_known_asks_a_person_and_is_not_repeated() {
    let mut night = approved(&["frontend-1"]);
    let plan = plan_id(&night);
    let work = Box::new(Work::RunStep { fix: FixNumber(1), plan, step: StepNumber(0) });
    night.outcome(&Outcome::Died { work, reason: "the API server did not answer".to_owned(), untouched: false });
    assert_eq!(night.incident().past_fixes[0].end, FixEnd::Unknown { step: StepNumber(0) });
    assert!(!night.incident().troubles.is_empty());
}

#[test]
fn a_fix_that_the_verdict_speaks_against_is_refused_with_its_reason() {
    let mut night = Rehearsal::with_an_alert();
    let mut found = verdict(Scenario::SpireAgent, vec![FixName::SyncTrustBundle], night.now);
    let reason = "the agent of node-1 is frozen: a new pod would get no SVID".to_owned();
    found.never.push(Contraindicated { fix: FixName::RestartPod, reason: reason.clone() });
    night.outcome(&Outcome::TriageFinished { run: RunNumber(1), verdict: Box::new(found), evidence: None });
    let refused = night.says("U0ONCALL", Act::ProposeFix { fix: FixName::RestartPod });
    assert_eq!(refused, Err(Refusal::FixDoesNotFit { fix: FixName::RestartPod, reason }));
    let refused = night.says("U0ONCALL", Act::ProposeFix { fix: FixName::SyncTrustBundle });
    assert_eq!(refused, Err(Refusal::FixNotCarriedOut(FixName::SyncTrustBundle)));
}

#[test]
fn a_fix_that_the_bot_has_no_rights_for_is_refused_before_a_plan_is_drawn() {
    let mut night = Rehearsal::with_an_alert();
    night.policy.left_out = vec![FixName::RestartSpireAgent];
    let found = verdict(Scenario::SpireAgent, FixName::CARRIED_OUT.to_vec(), night.now);
    night.outcome(&Outcome::TriageFinished { run: RunNumber(1), verdict: Box::new(found), evidence: None });
    let ask = |fix| Act::ProposeFix { fix };
    let refused = night.says("U0ONCALL", ask(FixName::RestartSpireAgent)).unwrap_err();
    insta::assert_snapshot!(refused, @"restart-spire-agent is left out of this bot's rights (kubernetes.without): follow the runbook by hand; once it is granted, run the triage again");
    // The rights are taken while an older verdict stands.
    night.policy.left_out.push(FixName::RestartPod);
    assert_eq!(night.says("U0ONCALL", ask(FixName::RestartPod)), Err(Refusal::FixLeftOut(FixName::RestartPod)));
    night.policy.left_out.clear();
    night.says("U0ONCALL", ask(FixName::RestartPod)).unwrap();
}

#[test]
fn with_writes_switched_off_nothing_is_asked_for_or_approved() {
    let mut night = Rehearsal::with_a_question(&["frontend-1"]);
    night.policy.writes_enabled = false;
    assert_eq!(night.says("U0SECURITY", Act::Approve { plan: None }), Err(Refusal::WritesOff));
}

#[test]
fn only_the_requester_withdraws_and_only_before_it_runs() {
    let mut night = Rehearsal::with_a_question(&["frontend-1"]);
    assert_eq!(night.says("U0SECURITY", Act::Withdraw), Err(Refusal::NotYours));
    night.says("U0ONCALL", Act::Withdraw).unwrap();
    assert_eq!(night.incident().past_fixes[0].end, FixEnd::Withdrawn);
    let mut running = approved(&["frontend-1"]);
    assert_eq!(running.says("U0ONCALL", Act::Withdraw), Err(Refusal::AlreadyRunning));
}

#[test]
fn after_a_redraw_the_approval_has_to_name_the_plan_that_was_read() {
    let mut night = approved(&["frontend-1"]);
    let moved =
        Outcome::PlanMoved { plan: plan_id(&night), step: StepNumber(0), what: "the pod was replaced".to_owned() };
    night.outcome(&moved);
    night.outcome(&Outcome::PlanDrawn { fix: FixNumber(1), plan: Box::new(plan(&["frontend-2"], night.now)) });
    let newest = plan_id(&night);
    let refused = night.says("U0SECURITY", Act::Approve { plan: None }).unwrap_err();
    assert!(refused.to_string().contains(&format!("approve INC-1 {newest}")), "{refused}");
    night.says("U0SECURITY", Act::Approve { plan: Some(newest) }).unwrap();
}

#[test]
fn a_step_that_only_waited_ends_as_not_done() {
    let mut night = approved(&["frontend-1"]);
    let work = Box::new(Work::RunStep { fix: FixNumber(1), plan: plan_id(&night), step: StepNumber(0) });
    let reason = "the disruption budget of frontend allows none now".to_owned();
    night.outcome(&Outcome::Died { work, reason, untouched: true });
    let FixEnd::Failed { reason, .. } = &night.incident().past_fixes[0].end else { panic!("it is known") };
    assert!(reason.contains("not done, because the disruption budget"), "{reason}");
}

#[test]
fn a_diagnosis_of_more_than_half_an_hour_ago_is_taken_again_before_a_fix() {
    let mut night = Rehearsal::with_a_verdict();
    let ask = Act::ProposeFix { fix: FixName::RestartPod };
    night.passes(31 * MINUTE);
    let refused = night.says("U0ONCALL", ask.clone()).unwrap_err();
    insta::assert_snapshot!(refused, @"the diagnosis is of 2026-11-24T03:00:00Z, too long ago to change anything by it: run `triage INC-1` first");
    night.says("U0ONCALL", Act::Triage).unwrap();
    let found = verdict(Scenario::ExpiredCertificate, vec![FixName::RestartPod], night.now);
    let run = night.incident().last_run().unwrap();
    night.outcome(&Outcome::TriageFinished { run, verdict: Box::new(found), evidence: None });
    assert!(night.says("U0ONCALL", ask).is_ok());
}
