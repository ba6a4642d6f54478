//! SPIRE agents are restarted one node at a time in the whole mesh, whichever incident asks.

use std::sync::Mutex;

use super::*;
use crate::{
    incident::{CloseReason, Fix, FixEnd, FixNumber, FixPhase, IncidentStatus, Outcome, Run},
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
        not_taken: Vec::new(),
        unread: Vec::new(),
        waited: Vec::new(),
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
    (fix, NewEffect { key: format!("step:{number}"), slot: None, due: Timestamp::UNIX_EPOCH, work })
}

/// The mesh with an agent about to be restarted for each of two incidents.
struct TwoNodes {
    clock: Arc<VirtualClock>,
    cluster: Arc<Cluster>,
    journal: Journal,
    _folder: tempfile::TempDir,
}

impl TwoNodes {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("j.sqlite")).await.unwrap();
        let clock = Arc::new(VirtualClock::starting_at(Timestamp::UNIX_EPOCH));
        Self { clock, cluster: Arc::default(), journal, _folder: folder }
    }

    /// An incident whose approved fix is about to restart an agent, or as `stands` changes it.
    async fn opens(&self, number: u32, stands: impl FnOnce(&mut Incident)) {
        let (fix, step) = about_to_restart(number);
        let stands = |incident: &mut Incident| {
            incident.fix = Some(fix);
            stands(incident);
        };
        opens(&self.journal, number, Timestamp::UNIX_EPOCH, vec![step], stands).await;
    }

    async fn begins(&self) -> Engine {
        let builder = Engine::builder(self.journal.clone(), self.clock.clone(), "c", policy());
        let builder = [Room::Execute, Room::Cluster, CHAT]
            .into_iter()
            .fold(builder, |builder, room| builder.performer(room, self.cluster.clone()));
        let engine = builder.build().await.unwrap();
        engine.start();
        engine.settled().await.unwrap();
        engine
    }

    async fn passes(&self, engine: &Engine, times: &[i64]) {
        for seconds in times {
            self.clock.set(Timestamp::from_second(*seconds).unwrap());
            engine.settled().await.unwrap();
        }
    }

    fn restarted(&self) -> Vec<u32> {
        self.cluster.restarted.lock().unwrap().iter().map(|incident| incident.number()).collect()
    }

    fn new_agents_work(&self) {
        *self.cluster.works.lock().unwrap() = true;
    }
}

/// A cluster whose pods go away by other hands, too: an eviction answers as the real one does.
#[derive(Default)]
struct OneAgent {
    gone: Mutex<bool>,
    budget_spent: Mutex<bool>,
    works: Mutex<bool>,
    evicted: Mutex<Vec<IncidentId>>,
    attempts: Mutex<Vec<u32>>,
}

#[async_trait]
impl Perform for OneAgent {
    async fn perform(&self, task: Task) -> Result<Done, PerformError> {
        let outcome = match task.work {
            Work::RunStep { plan, step, .. } => {
                self.attempts.lock().unwrap().push(task.attempt);
                let (gone, budget_spent) = (*self.gone.lock().unwrap(), *self.budget_spent.lock().unwrap());
                match (gone, budget_spent) {
                    (true, _) if task.attempt > 1 => Outcome::StepDone { plan, step },
                    (true, _) => Outcome::PlanMoved { plan, step, what: "it is gone, and not by the bot".to_owned() },
                    (false, true) => {
                        return Err(PerformError::Waiting {
                            reason: "the budget lets no pod go".to_owned(),
                            after: None,
                        });
                    }
                    (false, false) => {
                        *self.gone.lock().unwrap() = true;
                        self.evicted.lock().unwrap().push(task.incident.id);
                        Outcome::StepDone { plan, step }
                    }
                }
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

/// Nights in which incidents want the same agent restarted, or each its own.
struct Waits {
    journal: Journal,
    clock: Arc<VirtualClock>,
    cluster: Arc<OneAgent>,
    engine: Engine,
    _bot: TestBot,
}

impl Waits {
    /// Each incident restarts the agent of the node of its number.
    async fn of(agents: &[u32]) -> Self {
        let cluster = Arc::new(OneAgent::default());
        let bot = TestBot::new().with([Room::Execute, Room::Cluster, CHAT], &cluster);
        let journal = bot.journal().await;
        for (number, agent) in (1..).zip(agents) {
            let (fix, step) = about_to_restart(*agent);
            opens(&journal, number, Timestamp::UNIX_EPOCH, vec![step], |incident| incident.fix = Some(fix)).await;
        }
        let engine = bot.built_on(journal.clone()).await;
        Self { journal, clock: bot.clock.clone(), cluster, engine, _bot: bot }
    }

    async fn until(&self, seconds: i64) {
        self.clock.set(Timestamp::from_second(seconds).unwrap());
        self.engine.settled().await.unwrap();
    }

    async fn goes_on(&self, seconds: impl IntoIterator<Item = i64>) {
        for at in seconds {
            self.until(at).await;
        }
    }

    /// What became of its step.
    async fn told(&self, number: u32) -> Vec<&'static str> {
        let events = self.journal.events(IncidentId::new(number)).await.unwrap();
        let told = events.iter().filter_map(|stored| match &stored.event {
            Event::StepDone { .. } => Some("done"),
            Event::PlanMoved { .. } => Some("moved"),
            Event::FixEnded { end: FixEnd::Failed { .. }, .. } => Some("failed"),
            Event::FixEnded { end: FixEnd::Unknown { .. }, .. } => Some("unknown"),
            _ => None,
        });
        told.collect()
    }
}

/// Two services of one node: both incidents have an approved plan for the same agent.
#[tokio::test]
async fn the_agent_that_another_incident_restarted_while_this_one_waited_for_the_lock_is_not_recorded_as_its_own_doing()
{
    let night = Waits::of(&[1, 1]).await;
    night.engine.start();
    night.goes_on([0, 10, 30, 60]).await;
    *night.cluster.works.lock().unwrap() = true;
    night.goes_on([90, 120, 150]).await;
    let evicted = night.cluster.evicted.lock().unwrap().clone();
    let [first] = evicted.as_slice() else { panic!("{evicted:?}") };
    assert_eq!(night.told(first.number()).await, ["done"]);
    assert_eq!(night.told(3 - first.number()).await, ["moved"]);
    night.engine.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_pod_that_somebody_deletes_while_its_budget_is_waited_for_is_not_recorded_as_evicted_by_the_bot() {
    let night = Waits::of(&[1]).await;
    *night.cluster.budget_spent.lock().unwrap() = true;
    night.engine.start();
    night.goes_on([0, 10, 30, 60]).await;
    *night.cluster.gone.lock().unwrap() = true;
    night.goes_on([90]).await;
    assert_eq!(night.told(1).await, ["moved"]);
    night.engine.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_step_waits_for_the_lock_longer_than_a_new_agent_is_waited_for_and_not_for_ever() {
    let night = Waits::of(&[1]).await;
    *night.cluster.budget_spent.lock().unwrap() = true;
    night.engine.start();
    night.goes_on((0..590).step_by(10)).await;
    assert_eq!(night.told(1).await, [""; 0]);
    assert!(night.cluster.attempts.lock().unwrap().len() > 20, "it is looked at all the time");
    night.goes_on((590..660).step_by(10)).await;
    assert_eq!(night.told(1).await, ["failed"], "that nothing was written is known");
    night.engine.stop(Duration::from_secs(5)).await;
}

/// The process was killed in the middle of the write: what it did is found done, whatever is waited for since.
#[tokio::test]
async fn an_attempt_that_was_killed_counts_also_where_the_step_waits_afterwards() {
    let night = Waits::of(&[1]).await;
    let killed = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1);
    night.journal.claim(Room::Execute, Timestamp::UNIX_EPOCH, killed, 1).await.unwrap();
    *night.cluster.budget_spent.lock().unwrap() = true;
    night.engine.start();
    night.goes_on([2, 10, 30, 60]).await;
    *night.cluster.gone.lock().unwrap() = true;
    night.goes_on([90]).await;
    assert_eq!(night.told(1).await, ["done"]);
    assert!(night.cluster.attempts.lock().unwrap().iter().all(|attempt| *attempt == 2));
    night.engine.stop(Duration::from_secs(5)).await;
}

/// Its lock is another's by now, so that no attempt can look at the pod.
#[tokio::test]
async fn a_step_of_which_one_attempt_was_killed_and_all_others_waited_for_the_lock_does_not_say_that_nothing_was_written()
 {
    let night = Waits::of(&[1, 2]).await;
    let killed = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1);
    let claims = night.journal.claim(Room::Execute, Timestamp::UNIX_EPOCH, killed, 1).await.unwrap();
    let waits = claims[0].incident;
    let holder = IncidentId::new(3 - waits.number());
    let lock = Some(("spire-agents".to_owned(), holder, FixNumber(1)));
    night.journal.append(Append { lock, ..Append::default() }).await.unwrap();
    night.engine.start();
    night.goes_on((2..280).step_by(4)).await;
    assert_eq!(night.told(waits.number()).await, ["unknown"]);
    night.engine.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn the_agent_of_another_node_waits_until_the_new_one_of_this_node_works() {
    let mesh = TwoNodes::new().await;
    for number in [1, 2] {
        mesh.opens(number, |_| {}).await;
    }
    let engine = mesh.begins().await;
    mesh.passes(&engine, &[4, 8, 20, 40, 80]).await;
    assert_eq!(mesh.restarted().len(), 1, "the first new agent does not work yet");

    mesh.new_agents_work();
    mesh.passes(&engine, &[84, 90, 160, 300]).await;
    let restarted = mesh.restarted();
    assert_eq!(restarted.len(), 2);
    assert_ne!(restarted[0], restarted[1]);
    engine.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_restart_whose_incident_a_storm_holds_back_is_seen_to_its_end_and_the_next_node_has_its_turn() {
    let mesh = TwoNodes::new().await;
    mesh.opens(1, |incident| incident.quiet = true).await;
    let engine = mesh.begins().await;
    assert_eq!(mesh.restarted(), [1]);
    // INC-2 stands for the storm.
    mesh.opens(3, |_| {}).await;
    mesh.passes(&engine, &[4, 8]).await;
    assert_eq!(mesh.restarted(), [1], "the new agent does not work yet");
    mesh.new_agents_work();
    mesh.passes(&engine, &[20, 40, 80, 160]).await;
    assert_eq!(mesh.restarted(), [1, 3]);
    engine.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn after_a_restart_that_failed_the_lock_is_free_again() {
    let mesh = TwoNodes::new().await;
    mesh.opens(1, |_| {}).await;
    let engine = mesh.begins().await;
    // Longer than a step may take to be seen.
    mesh.passes(&engine, &[4, 60, 180, 400]).await;
    let first = mesh.journal.incident(IncidentId::new(1)).await.unwrap().unwrap().incident;
    assert!(matches!(first.past_fixes[0].end, FixEnd::Failed { .. }), "{:?}", first.fix);
    mesh.opens(2, |_| {}).await;
    mesh.passes(&engine, &[410]).await;
    assert_eq!(mesh.restarted(), [1, 2]);
    engine.stop(Duration::from_secs(5)).await;
}

/// A version up to 2026-11 forgot it when its incident opened again within a storm.
#[tokio::test]
async fn a_restart_that_an_older_version_lost_sight_of_ends_when_the_bot_starts_and_says_so() {
    let mesh = TwoNodes::new().await;
    let (mut fix, _) = about_to_restart(1);
    let (plan, step) = (fix.plan_id().unwrap(), StepNumber(0));
    fix.phase = FixPhase::Settling { plan, by: Vec::new(), step, until: Timestamp::UNIX_EPOCH };
    let poll = |fix: &Fix| NewEffect {
        key: "poll:1:0".to_owned(),
        slot: None,
        due: Timestamp::from_second(60).unwrap(),
        work: Work::AwaitStep { fix: fix.number, plan: fix.plan_id().unwrap(), step },
    };
    let seen = vec![poll(&fix)];
    opens(&mesh.journal, 1, Timestamp::UNIX_EPOCH, Vec::new(), |incident| incident.fix = Some(fix.clone())).await;
    opens(&mesh.journal, 2, Timestamp::UNIX_EPOCH, seen, |incident| incident.fix = Some(fix)).await;
    let engine = mesh.begins().await;
    super::super::on_start::look_through(engine.inbox().0.clone()).await;
    let lost = mesh.journal.incident(IncidentId::new(1)).await.unwrap().unwrap().incident;
    assert!(matches!(&lost.past_fixes[0].end, FixEnd::Failed { reason, .. } if reason.contains("is lost")), "{lost:?}");
    let other = mesh.journal.incident(IncidentId::new(2)).await.unwrap().unwrap().incident;
    assert!(other.fix.is_some_and(|fix| fix.is_at_a_step()), "this one is looked at in a minute");
    engine.stop(Duration::from_secs(5)).await;
}

/// As an older version left it, or a task that could not be read.
#[tokio::test]
async fn a_lock_whose_fix_is_at_no_step_any_more_holds_up_nobody() {
    let mesh = TwoNodes::new().await;
    opens(&mesh.journal, 1, Timestamp::UNIX_EPOCH, Vec::new(), |_| {}).await;
    let forgotten = about_to_restart(3).0;
    opens(&mesh.journal, 3, Timestamp::UNIX_EPOCH, Vec::new(), |incident| {
        incident.fix = Some(forgotten);
        let reason = CloseReason::AlertsResolved;
        incident.status = IncidentStatus::Closed { at: Timestamp::UNIX_EPOCH, reason };
    })
    .await;
    mesh.opens(2, |_| {}).await;
    let name = about_to_restart(2).0.plan.unwrap().operations[0].lock();
    for holder in [1, 77, 3] {
        let lock = Some((name.clone(), IncidentId::new(holder), FixNumber(1)));
        mesh.journal.append(Append { lock, ..Append::default() }).await.unwrap();
    }
    let engine = mesh.begins().await;
    assert_eq!(mesh.restarted(), [2]);
    engine.stop(Duration::from_secs(5)).await;
}
