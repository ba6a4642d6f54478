//! SPIRE agents are restarted one node at a time in the whole mesh, whichever incident asks.

use std::sync::Mutex;

use super::*;
use crate::{
    incident::{Fix, FixNumber, FixPhase, Outcome, Run},
    mesh::{ControllerRef, PodRef, PodUid, TargetRef},
    people::{PersonId, Platform},
    remediation::{AgentRestart, Operation, Plan, PlanContent, PodInstance, StepNumber, StepResult},
    triage::FixName,
};

/// A cluster that restarts agents, and in which a new one works once it is told to.
#[derive(Default)]
struct Cluster {
    restarted: Mutex<Vec<IncidentId>>,
    works: Mutex<bool>,
}

#[async_trait]
impl Perform for Cluster {
    async fn perform(&self, task: Task) -> Result<Done, PerformError> {
        let outcome = match task.work {
            Work::RunStep { plan, step, .. } => {
                self.restarted.lock().unwrap().push(task.incident.id);
                Outcome::StepDone { plan, step }
            }
            Work::AwaitStep { plan, step, .. } if *self.works.lock().unwrap() => {
                Outcome::StepSettled { plan, step, result: settled() }
            }
            Work::AwaitStep { plan, step, .. } => Outcome::StepAwaited { plan, step, why: "not Ready".to_owned() },
            _ => Outcome::NoLongerWanted,
        };
        Ok(outcome.into())
    }
}

fn pod(name: &str) -> PodRef {
    PodRef { namespace: "spire-system".parse().unwrap(), name: name.parse().unwrap() }
}

fn settled() -> StepResult {
    StepResult::AgentRestarted {
        node: "node-2".parse().unwrap(),
        old: pod("agent-a"),
        pod: pod("agent-b"),
        uid: PodUid::parse("uid-b").unwrap(),
        renewed: Vec::new(),
        stale: Vec::new(),
        unread: Vec::new(),
    }
}

/// An approved fix whose first step is about to restart the agent of a node of its own.
fn about_to_restart(number: u32) -> (Fix, NewEffect) {
    let person = |user: &str| PersonId { platform: Platform::Slack, workspace: "T0".to_owned(), user: user.to_owned() };
    let agent = PodInstance {
        pod: pod(&format!("agent-{number}")),
        uid: PodUid::parse(&format!("uid-{number}")).unwrap(),
        controller: ControllerRef::new("DaemonSet", "spire-agent"),
    };
    let restart = AgentRestart {
        node: format!("node-{number}").parse().unwrap(),
        agent,
        waiting: Vec::new(),
        because: String::new(),
    };
    let plan = Plan::new(PlanContent {
        fix: FixName::RestartSpireAgent,
        target: TargetRef::parse("web".parse().unwrap(), "svc/frontend").unwrap(),
        drawn_at: Timestamp::UNIX_EPOCH,
        operations: vec![Operation::RestartAgent(restart)],
        ready: (1, 2),
        budgets: Vec::new(),
        warnings: Vec::new(),
        pods_before: Vec::new(),
    });
    let id = plan.id();
    let by = vec![person("U0SEC")];
    let phase = FixPhase::Stepping { plan: id.clone(), by, step: StepNumber(0), since: Timestamp::UNIX_EPOCH };
    let fix = Fix {
        number: FixNumber(1),
        name: FixName::RestartSpireAgent,
        requester: person("U0ONCALL"),
        plan: Some(plan),
        plans_drawn: 1,
        verifies: None,
        phase,
        run: Run::default(),
        results: Vec::new(),
        before: Vec::new(),
        start: Vec::new(),
    };
    let work = Work::RunStep { fix: FixNumber(1), plan: id, step: StepNumber(0) };
    (fix, NewEffect { key: format!("step-{number}"), slot: None, due: Timestamp::UNIX_EPOCH, work })
}

#[tokio::test]
async fn the_agent_of_another_node_waits_until_the_new_one_of_this_node_works() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("j.sqlite")).await.unwrap();
    let clock = Arc::new(VirtualClock::starting_at(Timestamp::UNIX_EPOCH));
    let cluster = Arc::new(Cluster::default());
    for number in [1, 2] {
        let (fix, step) = about_to_restart(number);
        opens(&journal, number, Timestamp::UNIX_EPOCH, vec![step], |incident| incident.fix = Some(fix)).await;
    }
    let builder = Engine::builder(journal, clock.clone(), "c", policy());
    let builder = [Room::Execute, Room::Cluster, CHAT]
        .into_iter()
        .fold(builder, |builder, room| builder.performer(room, cluster.clone()));
    let engine = builder.build().await.unwrap();
    engine.start();
    engine.settled().await.unwrap();
    for seconds in [4, 8, 20, 40, 80] {
        clock.set(Timestamp::from_second(seconds).unwrap());
        engine.settled().await.unwrap();
    }
    assert_eq!(cluster.restarted.lock().unwrap().len(), 1, "the first new agent does not work yet");

    *cluster.works.lock().unwrap() = true;
    for seconds in [84, 90, 160, 300] {
        clock.set(Timestamp::from_second(seconds).unwrap());
        engine.settled().await.unwrap();
    }
    let restarted = cluster.restarted.lock().unwrap().clone();
    assert_eq!(restarted.len(), 2);
    assert_ne!(restarted[0], restarted[1]);
    engine.stop(Duration::from_secs(5)).await;
}
