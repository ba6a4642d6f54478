//! A fix after which some pods need another one.

use super::rehearsal::{Rehearsal, pod, target, verdict};
use crate::{
    incident::{Act, Event, FixEnd, FixNumber, FixPhase, Outcome, Round, RunNumber, Triage, offer},
    mesh::{ControllerRef, PodUid},
    remediation::{
        AgentRestart, Operation, Plan, PlanContent, PlanId, PodInstance, Proof, StepNumber, StepResult, WaitingPod,
    },
    triage::{FixName, Scenario},
};

fn restart(node: &str, waiting: &[&str]) -> Operation {
    let uid = |name: &str| PodUid::parse(&format!("uid-{name}")).unwrap();
    let agent = PodInstance {
        pod: pod(&format!("spire-agent-{node}")),
        uid: uid(node),
        controller: ControllerRef::new("DaemonSet", "spire-agent"),
    };
    let waits = |name: &&str| WaitingPod { pod: pod(name), uid: uid(name), not_after: None };
    Operation::RestartAgent(AgentRestart {
        node: node.parse().unwrap(),
        agent,
        waiting: waiting.iter().map(waits).collect(),
        because: "its agent is frozen".to_owned(),
    })
}

fn settled(plan: &PlanId, step: u32, renewed: &[&str], stale: &[&str]) -> Outcome {
    let pods = |names: &[&str]| names.iter().map(|name| pod(name)).collect();
    Outcome::StepSettled {
        plan: plan.clone(),
        step: StepNumber(step),
        result: StepResult::AgentRestarted {
            node: "node-2".parse().unwrap(),
            old: pod("spire-agent-node-2"),
            pod: pod("spire-agent-new"),
            uid: PodUid::parse("uid-new").unwrap(),
            renewed: pods(renewed),
            stale: pods(stale),
            not_taken: Vec::new(),
            unread: Vec::new(),
            waited: Vec::new(),
        },
    }
}

/// A night on which the first agent of an approved plan was restarted.
fn restarted(operations: Vec<Operation>) -> (Rehearsal, PlanId) {
    let mut night = Rehearsal::with_an_alert();
    let found = verdict(Scenario::SpireAgent, vec![FixName::RestartSpireAgent], night.now);
    night.outcome(&Outcome::TriageFinished { run: RunNumber(1), verdict: Box::new(found), evidence: None });
    night.says("U0ONCALL", Act::ProposeFix { fix: FixName::RestartSpireAgent }).unwrap();
    let plan = Plan::new(PlanContent {
        fix: FixName::RestartSpireAgent,
        target: target(),
        drawn_at: night.now,
        operations,
        ready: (2, 3),
        budgets: Vec::new(),
        warnings: Vec::new(),
        pods_before: Vec::new(),
    });
    let id = plan.id();
    night.outcome(&Outcome::PlanDrawn { fix: FixNumber(1), plan: Box::new(plan) });
    night.says("U0SECURITY", Act::Approve { plan: Some(id.clone()) }).unwrap();
    night.outcome(&Outcome::Sampled {
        fix: FixNumber(1),
        round: Round::Before,
        samples: Vec::new(),
        unreadable: Vec::new(),
    });
    night.outcome(&Outcome::StepDone { plan: id.clone(), step: StepNumber(0) });
    (night, id)
}

#[test]
fn where_all_who_waited_hold_a_new_svid_their_counters_are_watched() {
    let (mut night, plan) = restarted(vec![restart("node-2", &["frontend-1"])]);
    night.outcome(&settled(&plan, 0, &["frontend-1"], &[]));
    assert!(matches!(night.incident().fix.as_ref().unwrap().phase, FixPhase::Verifying { .. }));
}

#[test]
fn where_somebody_kept_the_old_svid_the_fix_proves_nothing_and_the_diagnostics_say_what_fits_them() {
    let (mut night, plan) = restarted(vec![restart("node-2", &["frontend-1", "frontend-2"])]);
    night.outcome(&settled(&plan, 0, &["frontend-1"], &["frontend-2"]));
    let incident = night.incident();
    let FixEnd::Verified { verification } = &incident.past_fixes[0].end else { panic!("{:?}", incident.past_fixes) };
    assert_eq!(verification.proof, Proof::Unproven);
    insta::assert_snapshot!(verification.reasons.join("\n"), @"a new SVID can be had on node-2 now, and web/frontend-2 did not pick it up");
    assert!(matches!(incident.triage, Triage::Running { run: RunNumber(2), .. }));

    let now_fits = verdict(Scenario::ExpiredCertificate, vec![FixName::RestartPod], night.now);
    night.outcome(&Outcome::TriageFinished { run: RunNumber(2), verdict: Box::new(now_fits), evidence: None });
    assert_eq!(offer(night.incident(), FixName::RestartPod), Ok(()));
}

/// That the new agent asks for SVIDs does not prove that it gets any.
#[test]
fn where_nobody_got_a_new_svid_it_is_not_said_that_one_can_be_had() {
    let (mut night, plan) = restarted(vec![restart("node-2", &["frontend-1"])]);
    night.outcome(&settled(&plan, 0, &[], &["frontend-1"]));
    let FixEnd::Verified { verification } = &night.incident().past_fixes[0].end else { panic!() };
    assert_eq!(verification.proof, Proof::Unproven);
    insta::assert_snapshot!(verification.reasons.join("\n"), @"the new agent of node-2 asked for SVIDs, and none was seen to arrive at web/frontend-1");
}

#[test]
fn the_agent_of_the_next_node_is_restarted_only_once_the_one_before_works() {
    let waiting = ["frontend-1", "frontend-2"];
    let (mut night, plan) = restarted(vec![restart("node-2", &waiting), restart("node-3", &["frontend-3"])]);
    assert!(matches!(night.incident().fix.as_ref().unwrap().phase, FixPhase::Settling { step: StepNumber(0), .. }));
    night.outcome(&settled(&plan, 0, &["frontend-1"], &["frontend-2"]));
    assert!(matches!(night.incident().fix.as_ref().unwrap().phase, FixPhase::Stepping { step: StepNumber(1), .. }));
    night.outcome(&Outcome::StepDone { plan: plan.clone(), step: StepNumber(1) });
    night.outcome(&settled(&plan, 1, &["frontend-3"], &[]));
    assert!(
        night.events.iter().any(|event| matches!(event, Event::TriageStarted { run: RunNumber(2), by: None })),
        "frontend-2 kept it"
    );
}

/// A proxy that reads files does not see that the new agent overwrote them: the restart helped all the same.
#[test]
fn where_the_new_svid_lies_in_the_file_and_the_proxy_did_not_take_it_the_next_node_has_its_turn() {
    let (mut night, plan) = restarted(vec![restart("node-2", &["frontend-1"]), restart("node-3", &["frontend-3"])]);
    let mut outcome = settled(&plan, 0, &[], &["frontend-1"]);
    if let Outcome::StepSettled { result: StepResult::AgentRestarted { not_taken, .. }, .. } = &mut outcome {
        not_taken.push(pod("frontend-1"));
    }
    night.outcome(&outcome);
    assert!(matches!(night.incident().fix.as_ref().unwrap().phase, FixPhase::Stepping { step: StepNumber(1), .. }));
}

/// Each restart takes from a node what its agent still hands out: a cure that was seen to do nothing is not repeated.
#[test]
fn where_the_first_restart_helped_nobody_the_agents_of_the_next_nodes_are_left_alone() {
    let nodes = ["node-2", "node-3", "node-4"].map(|node| restart(node, &[&*format!("frontend-of-{node}")]));
    let (mut night, plan) = restarted(nodes.to_vec());
    night.outcome(&settled(&plan, 0, &[], &["frontend-of-node-2"]));
    let incident = night.incident();
    assert!(incident.fix.is_none(), "{:?}", incident.fix);
    assert_eq!(night.writes(), 1, "the first one");
    let FixEnd::Verified { verification } = &incident.past_fixes[0].end else { panic!("{:?}", incident.past_fixes) };
    assert_eq!((verification.proof, incident.past_fixes[0].run.steps_done), (Proof::Unproven, 1));
    insta::assert_snapshot!(verification.reasons.join("\n"), @r"
    the new agent of node-2 asked for SVIDs, and none was seen to arrive at web/frontend-of-node-2
    as nobody was seen to get a new SVID by it, the other 2 restart(s) of the plan were not begun
    ");
    assert!(matches!(incident.triage, Triage::Running { run: RunNumber(2), .. }), "what fits instead is looked for");

    let (mut night, plan) = restarted(nodes.to_vec());
    let mut unread = settled(&plan, 0, &[], &["frontend-of-node-2"]);
    if let Outcome::StepSettled { result: StepResult::AgentRestarted { stale, unread, .. }, .. } = &mut unread {
        std::mem::swap(stale, unread);
    }
    night.outcome(&unread);
    assert!(night.incident().fix.is_none() && night.writes() == 1, "what could not be read was not seen to work");
}

/// Those who waited are gone by now: nobody is left who could show that it does nothing.
#[test]
fn where_nobody_waits_any_more_on_the_first_node_the_next_one_has_its_turn() {
    let (mut night, plan) = restarted(vec![restart("node-2", &["frontend-1"]), restart("node-3", &["frontend-2"])]);
    night.outcome(&settled(&plan, 0, &[], &[]));
    assert!(matches!(night.incident().fix.as_ref().unwrap().phase, FixPhase::Stepping { step: StepNumber(1), .. }));
}
