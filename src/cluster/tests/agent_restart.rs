//! A node's SPIRE agent is restarted in the simulated mesh: plan, write, and what its effect is.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{fix_of, target, three_in_the_morning};
use crate::{
    clock::{Clock, VirtualClock},
    cluster::{ClusterClient, Settings, connect_to, execute::Stepped, fix::Settled, gather},
    incident::{Fix, FixPhase},
    mesh::{PodRef, PodUid},
    remediation::{AgentRestart, Operation, Plan, PlanContent, StepNumber, StepResult},
    simulate::{Simulation, store::Kind, world::Scenario},
    triage::{FixName, Verdict, diagnose},
};

/// A night on which the agent of node-2 does not work.
struct Frozen {
    simulation: Simulation,
    reach: ClusterClient,
    clock: Arc<VirtualClock>,
    verdict: Verdict,
}

impl Frozen {
    async fn on(scenario: Scenario) -> Self {
        Self::with(scenario, Settings::default()).await
    }

    async fn with(scenario: Scenario, settings: Settings) -> Self {
        let clock = Arc::new(VirtualClock::starting_at(three_in_the_morning()));
        let simulation = Simulation::start(clock.clone(), scenario, "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let reach = connect_to(&simulation.url(), settings).unwrap();
        let evidence = gather(&reach, &target("svc/frontend"), clock.clone(), Arc::new(|_| {})).await.unwrap();
        Self { simulation, reach, clock, verdict: diagnose(&evidence) }
    }

    async fn drawn(&self) -> Result<Plan, Vec<String>> {
        let (target, now) = (target("svc/frontend"), self.clock.now());
        self.reach.draw(FixName::RestartSpireAgent, &target, &self.verdict, now).await.unwrap()
    }

    fn passes(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
        self.simulation.world.settle();
    }

    async fn settled(&self, fix: &Fix) -> Settled {
        let plan = fix.plan.as_ref().unwrap();
        self.reach.settled(fix, &target("svc/frontend"), &plan.operations[0], self.clock.now()).await.unwrap()
    }

    fn somebody_restarts_the_agent(&self, plan: &Plan) {
        let agent = &restart_of(plan).agent.pod;
        self.simulation.world.store().remove(Kind::Pod, Some("spire-system"), agent.name.as_str());
        self.passes(1);
    }

    /// The agent that is none of these.
    fn agent_beside(&self, before: &[PodUid]) -> (PodRef, PodUid) {
        let agents = self.simulation.world.store().list(Kind::Pod, Some("spire-system"));
        let is_agent = |pod: &Value| pod["metadata"]["name"].as_str().unwrap().starts_with("spire-agent-");
        let named = |pod: Value| {
            let text = |field: &str| pod["metadata"][field].as_str().unwrap().to_owned();
            let pod = PodRef { namespace: "spire-system".parse().unwrap(), name: text("name").parse().unwrap() };
            (pod, text("uid").parse::<PodUid>().unwrap())
        };
        agents.into_iter().filter(is_agent).map(named).find(|(_, uid)| !before.contains(uid)).unwrap()
    }

    fn awaiting(&self, plan: Plan) -> Fix {
        let restart = restart_of(&plan).clone();
        let phase = FixPhase::Settling {
            plan: plan.id(),
            by: Vec::new(),
            step: StepNumber(0),
            until: self.clock.now() + SignedDuration::from_mins(5),
        };
        let fix = fix_of(target("svc/frontend"), &restart.agent.pod, &restart.agent.uid);
        Fix { name: FixName::RestartSpireAgent, plan: Some(plan), phase, ..fix }
    }
}

/// Nothing of the pod can be asked any more: it has no sidecar, and no container that the simulated kubelet knows.
fn becomes_unreadable(night: &Frozen, pod: &PodRef) {
    let containers = json!([{"name": "other"}]);
    let change = |pod: &mut Value| pod["spec"]["containers"] = containers.clone();
    night.simulation.world.store().update(Kind::Pod, Some("web"), pod.name.as_str(), change);
}

fn restart_of(plan: &Plan) -> &AgentRestart {
    let Operation::RestartAgent(restart) = &plan.operations[0] else { panic!("{:?}", plan.operations) };
    restart
}

fn awaits(settled: Settled) -> String {
    match settled {
        Settled::Awaited(why) => why,
        Settled::Seen(result) => panic!("{result:?}"),
    }
}

/// Who holds a new SVID, who does not, and of whom it is not known.
fn settled_for(settled: Settled) -> (Vec<PodRef>, Vec<PodRef>, Vec<PodRef>) {
    match settled {
        Settled::Seen(StepResult::AgentRestarted { renewed, stale, unread, .. }) => (renewed, stale, unread),
        other => panic!("it is not settled: {other:?}"),
    }
}

#[tokio::test]
async fn the_agent_is_restarted_and_waited_for_until_it_works_and_those_who_waited_hold_new_svids() {
    let mut night = Frozen::on(Scenario::SpireAgent).await;
    // Two pods of the node show it.
    night.verdict.on.nodes = vec!["node-2".parse().unwrap(), "node-2".parse().unwrap()];
    let plan = night.drawn().await.unwrap();
    assert_eq!((plan.ready, plan.operations.len()), ((2, 3), 1));
    let restart = restart_of(&plan).clone();
    assert_eq!((restart.node.as_str(), restart.waiting.len()), ("node-2", 2));
    assert_eq!(night.reach.step(&plan.operations[0], 1).await.unwrap(), Stepped::Done);

    let fix = night.awaiting(plan);
    night.passes(1);
    assert!(awaits(night.settled(&fix).await).contains("is not Ready yet"));
    night.passes(5);
    let Settled::Seen(StepResult::AgentRestarted { node, old, renewed, stale, .. }) = night.settled(&fix).await else {
        panic!("it is not settled");
    };
    assert_eq!((node, old), (restart.node, restart.agent.pod));
    assert_eq!((renewed.len(), stale.len()), (2, 0));
}

/// The runbook's order: the agent first, then the pods that did not pick up what it hands out again.
#[tokio::test]
async fn who_keeps_the_old_svid_although_the_new_agent_works_is_named_after_a_while() {
    let night = Frozen::on(Scenario::ExpiredCertificateAgentFrozen).await;
    let plan = night.drawn().await.unwrap();
    assert_eq!(night.reach.step(&plan.operations[0], 1).await.unwrap(), Stepped::Done);
    let fix = night.awaiting(plan);
    night.passes(1);
    night.passes(9);
    assert!(awaits(night.settled(&fix).await).contains("the new agent works; "));
    night.passes(45);
    let (renewed, stale, unread) = settled_for(night.settled(&fix).await);
    assert_eq!((renewed.len(), stale.len(), unread.len()), (0, 2, 0));
}

/// A cold node pulls the image first: who waits gets as much time after that as elsewhere.
#[tokio::test]
async fn who_waits_for_an_agent_that_was_slow_to_become_ready_is_given_time_after_that() {
    let night = Frozen::on(Scenario::ExpiredCertificateAgentFrozen).await;
    let plan = night.drawn().await.unwrap();
    assert_eq!(night.reach.step(&plan.operations[0], 1).await.unwrap(), Stepped::Done);
    let before = plan.pods_before.clone();
    let fix = night.awaiting(plan);
    night.passes(1);
    let store = night.simulation.world.store();
    let (new, _) = night.agent_beside(&before);
    store.update(Kind::Pod, Some("spire-system"), new.name.as_str(), |pod| {
        pod["metadata"]["creationTimestamp"] = "2026-11-24T02:58:00Z".into();
    });
    night.passes(9);
    let waits = awaits(night.settled(&fix).await);
    assert!(waits.contains("the new agent works; "), "{waits}");
    night.passes(45);
    assert_eq!(settled_for(night.settled(&fix).await).1.len(), 2);
}

#[tokio::test]
async fn a_pod_whose_svid_cannot_be_read_is_no_ground_for_a_restart_and_the_plan_names_it() {
    let night = Frozen::on(Scenario::SpireAgent).await;
    let waiting = restart_of(&night.drawn().await.unwrap()).waiting.clone();
    becomes_unreadable(&night, &waiting[0].pod);
    let plan = night.drawn().await.unwrap();
    let left: Vec<&PodRef> = restart_of(&plan).waiting.iter().map(|waiting| &waiting.pod).collect();
    assert_eq!(left, [&waiting[1].pod]);
    insta::assert_snapshot!(plan.warnings.join("\n"), @r"
    until the new agent works, no workload of node-2 gets or renews an SVID; what holds a valid one goes on
    the SVID of web/frontend-0c3cb9719-gjgs8 could not be read (exec of cat in web/frontend-0c3cb9719-gjgs8 failed: Internal error occurred: error executing command in container: container other is not found): whether it waits too is not known, and it proves nothing of this fix
    ");

    becomes_unreadable(&night, &waiting[1].pod);
    insta::assert_snapshot!(night.drawn().await.unwrap_err().join("\n"), @"no pod of web svc/frontend is known to wait for its SPIRE agent, since the SVID of web/frontend-0c3cb9719-gjgs8, web/frontend-0c3cb9719-t75z8 could not be read (exec of cat in web/frontend-0c3cb9719-gjgs8 failed: Internal error occurred: error executing command in container: container other is not found): mend that first, or look by hand");
}

#[tokio::test]
async fn a_pod_whose_svid_cannot_be_read_after_the_restart_is_neither_renewed_nor_stale() {
    let night = Frozen::on(Scenario::SpireAgent).await;
    let plan = night.drawn().await.unwrap();
    assert_eq!(night.reach.step(&plan.operations[0], 1).await.unwrap(), Stepped::Done);
    let hidden = restart_of(&plan).waiting[0].pod.clone();
    becomes_unreadable(&night, &hidden);
    let fix = night.awaiting(plan);
    night.passes(1);
    night.passes(9);
    assert!(awaits(night.settled(&fix).await).contains("could not be read"));
    night.passes(45);
    let settled = night.settled(&fix).await;
    let Settled::Seen(result) = &settled else { panic!("{settled:?}") };
    assert!(result.in_short().ends_with("1 of 2 pods hold a new SVID, 1 could not be read"), "{}", result.in_short());
    let (renewed, stale, unread) = settled_for(settled);
    assert_eq!((renewed.len(), stale.len(), unread), (1, 0, vec![hidden]));
}

/// The agent before may have handed one out while the plan waited for approval.
#[tokio::test]
async fn an_svid_that_began_before_the_new_agent_is_not_of_it() {
    let night = Frozen::on(Scenario::SpireAgent).await;
    let plan = night.drawn().await.unwrap();
    night.somebody_restarts_the_agent(&plan);
    night.passes(10);
    let agent = night.agent_beside(&plan.pods_before);
    night.passes(60);
    let mut restart = restart_of(&plan).clone();
    (restart.agent.pod, restart.agent.uid) = agent;
    for waiting in &mut restart.waiting {
        waiting.not_after = None;
    }
    let plan = Plan::new(PlanContent { operations: vec![Operation::RestartAgent(restart)], ..(*plan).clone() });
    assert_eq!(night.reach.step(&plan.operations[0], 1).await.unwrap(), Stepped::Done);
    night.simulation.planted.log("spire-agent", "time=\"2026-11-24T03:01:20Z\" level=info msg=\"Creating X509-SVID\"");
    let fix = night.awaiting(plan);
    night.passes(10);
    night.passes(60);
    let (renewed, stale, _) = settled_for(night.settled(&fix).await);
    assert_eq!((renewed.len(), stale.len()), (0, 2));
}

/// The server died after the diagnosis: what the agent still serves from memory would be gone for its node.
#[tokio::test]
async fn the_agent_that_cannot_reach_the_server_by_now_is_left_running() {
    let night = Frozen::on(Scenario::SpireAgent).await;
    assert!(night.drawn().await.is_ok());
    let refused =
        "level=error msg=\"Synchronize failed\" error=\"dial tcp 10.96.3.7:8081: connect: connection refused\"";
    night.simulation.planted.log("spire-agent", &format!("{refused}\n{refused}"));
    let refused = night.drawn().await.unwrap_err().join("\n");
    let expected = "a restart of the agent of node-2 would repeat what is wrong: it cannot reach the SPIRE server, ";
    assert!(refused.starts_with(expected), "{refused}");
}

/// Its log says that the agent attested; whether it can again, somebody has to know.
#[tokio::test]
async fn an_agent_that_attests_once_is_left_to_people_and_they_may_say_that_it_attests_again() {
    let cannot = Settings { agents_attest_again: Some(false), ..Settings::default() };
    let night = Frozen::with(Scenario::SpireAgent, cannot).await;
    let refused = night.drawn().await.unwrap_err().join("\n");
    assert!(refused.contains("cannot attest its node again (the configuration says so)"), "{refused}");
}

/// As after a restart on another node that failed, while this plan waited for votes or for the lock.
#[tokio::test]
async fn while_the_agent_of_another_node_is_not_ready_none_is_restarted() {
    let night = Frozen::on(Scenario::SpireAgent).await;
    let plan = night.drawn().await.unwrap();
    let (other, _) = night.agent_beside(std::slice::from_ref(&restart_of(&plan).agent.uid));
    let is_ready = |status: &str| {
        let status = status.to_owned();
        night.simulation.world.store().update(Kind::Pod, Some("spire-system"), other.name.as_str(), |pod| {
            for condition in pod["status"]["conditions"].as_array_mut().unwrap() {
                if condition["type"] == "Ready" {
                    condition["status"] = status.clone().into();
                }
            }
        });
    };
    is_ready("False");
    let said = format!(
        "the SPIRE agent {other} is not Ready, so a restart could leave a second node without one: bring that agent back \
         first (`kubectl -n spire-system describe pod {}` says what it lacks)",
        other.name
    );
    assert_eq!(night.drawn().await.unwrap_err().join("\n"), said);
    for attempt in [1, 2] {
        let refused = night.reach.carry_out(&plan, &plan.operations[0], attempt).await.unwrap_err();
        assert!(refused.untouched, "it is tried again, and then ends as not done");
        assert_eq!(refused.error.to_string(), said);
    }
    is_ready("True");
    assert_eq!(night.reach.carry_out(&plan, &plan.operations[0], 3).await.unwrap(), Stepped::Done);
    // The answer was lost, and the new agent is not Ready yet: that it was done is found out all the same.
    night.passes(1);
    assert_eq!(night.reach.carry_out(&plan, &plan.operations[0], 4).await.unwrap(), Stepped::Done);
}

#[tokio::test]
async fn a_node_that_is_not_ready_or_gone_gets_no_new_agent() {
    let night = Frozen::on(Scenario::SpireAgent).await;
    let store = night.simulation.world.store();
    store.update(Kind::Node, None, "node-2", |node| node["status"]["conditions"][0]["status"] = "Unknown".into());
    insta::assert_snapshot!(night.drawn().await.unwrap_err().join("\n"), @"node node-2 is not Ready, so no new agent would start there: mend the node first");
    store.remove(Kind::Node, None, "node-2");
    insta::assert_snapshot!(night.drawn().await.unwrap_err().join("\n"), @"there is no node node-2 any more: run the triage again");
}

#[tokio::test]
async fn a_workload_that_got_its_svid_meanwhile_does_not_wait_any_more() {
    let night = Frozen::on(Scenario::SpireAgent).await;
    night.somebody_restarts_the_agent(&night.drawn().await.unwrap());
    night.passes(10);
    insta::assert_snapshot!(night.drawn().await.unwrap_err().join("\n"), @"no pod of web svc/frontend waits for its SPIRE agent any more: run the triage again");
}

#[tokio::test]
async fn an_agent_that_somebody_else_restarted_meanwhile_is_not_restarted_again() {
    let night = Frozen::on(Scenario::SpireAgent).await;
    let plan = night.drawn().await.unwrap();
    night.somebody_restarts_the_agent(&plan);
    let moved = night.reach.step(&plan.operations[0], 1).await.unwrap();
    assert!(matches!(&moved, Stepped::Moved(what) if what.contains("is gone, and not by the bot")), "{moved:?}");
}
