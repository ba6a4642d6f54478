use std::sync::Arc;

use jiff::SignedDuration;

use super::{fix_of, pod_ref, target, three_in_the_morning};
use crate::{
    clock::SystemClock,
    cluster::{
        ClusterAdapter, Settings, connect_to,
        resolve::{FoundPod, resolve},
        sample::{began_after, without_figures},
    },
    engine::{Perform, Progress, Task},
    escalation::EscalationPolicy,
    incident::{Event, Fix, IncidentId, IncidentKey, Outcome, Round, Work, begin},
    mesh::{PodRef, PodUid},
    remediation::{
        AgentRestart, Counters, Operation, Plan, PlanContent, PodInstance, Proof, Sample, StepResult, WaitingPod,
        verify,
    },
    simulate::{Simulation, world::Scenario},
};

#[test]
fn a_proxy_that_is_up_for_less_than_the_window_restarted_within_it() {
    let uid = PodUid::parse("uid-1").unwrap();
    let taken = |second: i64, uptime: Option<u64>| Sample {
        uptime_seconds: uptime,
        ..without_figures(&pod_ref("a"), &uid, three_in_the_morning() + SignedDuration::from_secs(second))
    };
    let first = taken(0, Some(5));
    assert!(!began_after(&first, &taken(120, Some(125))));
    assert!(!began_after(&first, &taken(120, Some(119))), "uptimes are whole seconds");
    assert!(began_after(&first, &taken(120, Some(110))), "it rose, and yet it is another life");
    assert!(!began_after(&first, &taken(120, None)), "not known is judged elsewhere");
}

/// A fix of frontend that replaces its first pod, in the simulated mesh.
struct Watched {
    simulation: Simulation,
    adapter: ClusterAdapter,
    fix: Fix,
    pods: Vec<FoundPod>,
}

async fn watched() -> Watched {
    let clock = Arc::new(SystemClock);
    let address = "127.0.0.1:0".parse().unwrap();
    let simulation = Simulation::start(clock.clone(), Scenario::Healthy, address).await.unwrap();
    let reach = connect_to(&simulation.url(), Settings::default()).unwrap();
    let pods = resolve(&reach, &target("svc/frontend")).await.unwrap().pods;
    let fix = fix_of(target("svc/frontend"), &pods[0].pod, &pods[0].uid);
    Watched { simulation, adapter: ClusterAdapter::new(reach, clock), fix, pods }
}

impl Watched {
    async fn sampled(&self, round: Round) -> (Vec<Sample>, Vec<String>) {
        match self.adapter.sample(&self.fix, &target("svc/frontend"), round).await {
            Outcome::Sampled { samples, unreadable, .. } => (samples, unreadable),
            other => panic!("{other:?}"),
        }
    }
}

/// As a version has left it that let an incident be made about another service while its fix ran.
#[tokio::test]
async fn a_fix_is_proved_at_the_service_that_it_was_approved_for_whatever_its_incident_is_about_by_now() {
    let watched = watched().await;
    let opened = Event::Opened {
        id: IncidentId::new(1),
        key: IncidentKey("k".to_owned()),
        alert: "MTLSHandshakeFailureRateHigh".to_owned(),
        cluster: "c".to_owned(),
        target: Some(target("deploy/somewhere-else")),
        policy: Box::new(EscalationPolicy::of(Vec::new())),
        channels: Vec::new(),
        quiet: false,
    };
    let mut incident = begin(&opened, three_in_the_morning()).unwrap();
    incident.fix = Some(watched.fix.clone());
    let task = Task {
        key: "sample".to_owned(),
        work: Work::Sample { fix: watched.fix.number, round: Round::Before },
        incident: incident.into(),
        attempt: 1,
        wanted: jiff::Timestamp::UNIX_EPOCH,
        root: None,
        writes_enabled: true,
        progress: Progress::default(),
    };
    let Outcome::Sampled { samples, .. } = watched.adapter.perform(task).await.unwrap().outcome else {
        panic!("nothing was sampled");
    };
    let uids: Vec<&PodUid> = samples.iter().map(|sample| &sample.uid).collect();
    assert_eq!(uids, [&watched.pods[0].uid, &watched.pods[1].uid], "the planned pod, and a witness beside it");
}

#[tokio::test]
async fn pods_that_live_through_a_fix_are_sampled_before_and_after_it() {
    let mut watched = watched().await;
    let (before, unreadable) = watched.sampled(Round::Before).await;
    let uids: Vec<&PodUid> = before.iter().map(|sample| &sample.uid).collect();
    assert_eq!(uids, [&watched.pods[0].uid, &watched.pods[1].uid], "the planned pod, and a witness");
    assert!(unreadable.is_empty() && before.iter().all(|sample| sample.counters.server_handshakes.is_some()));
    watched.fix.before = before;
    let (start, _) = watched.sampled(Round::Start).await;
    let uids: Vec<&PodUid> = start.iter().map(|sample| &sample.uid).collect();
    assert_eq!(uids, [&watched.pods[1].uid], "the planned pod is gone by then");
}

/// The plan was drawn again after its first node, and names the second one only.
#[tokio::test]
async fn who_waited_for_the_agent_of_a_node_before_goes_on_to_prove_the_fix() {
    let mut watched = watched().await;
    let waits = |pod: &FoundPod| WaitingPod { pod: pod.pod.clone(), uid: pod.uid.clone(), not_after: None };
    let agent = |name: &str| PodInstance {
        pod: pod_ref(name),
        uid: PodUid::parse(&format!("uid-{name}")).unwrap(),
        controller: None,
    };
    let done = StepResult::AgentRestarted {
        node: "node-1".parse().unwrap(),
        old: agent("a").pod,
        pod: agent("b").pod,
        uid: agent("b").uid,
        renewed: vec![watched.pods[0].pod.clone()],
        stale: Vec::new(),
        not_taken: Vec::new(),
        unread: Vec::new(),
        waited: vec![waits(&watched.pods[0])],
    };
    let left = Operation::RestartAgent(AgentRestart {
        node: "node-2".parse().unwrap(),
        agent: agent("c"),
        waiting: vec![waits(&watched.pods[1])],
        because: String::new(),
    });
    let plan = watched.fix.plan.take().unwrap();
    watched.fix.plan = Some(Plan::new(PlanContent { operations: vec![left], ..(*plan).clone() }));
    watched.fix.results = vec![done];
    for round in [Round::Before, Round::Start] {
        let (samples, _) = watched.sampled(round).await;
        let mut pods: Vec<&PodRef> = samples.iter().map(|sample| &sample.pod).collect();
        pods.sort();
        let mut both = [&watched.pods[0].pod, &watched.pods[1].pod];
        both.sort();
        assert_eq!(pods, both, "{round:?}");
    }
}

/// It would count as one that lived through the fix, and prove nothing.
#[tokio::test]
async fn what_a_step_before_brought_up_is_no_witness_of_the_plan_that_was_drawn_again() {
    let mut watched = watched().await;
    let (pod, uid) = (watched.pods[1].pod.clone(), watched.pods[1].uid.clone());
    watched.fix.results = vec![StepResult::Replaced { old: None, pod, uid, not_after: None }];
    let (before, _) = watched.sampled(Round::Before).await;
    let uids: Vec<&PodUid> = before.iter().map(|sample| &sample.uid).collect();
    assert_eq!(uids, [&watched.pods[0].uid]);
}

#[tokio::test]
async fn a_replacement_that_cannot_be_read_makes_the_fix_unproven_whatever_the_others_show() {
    let mut watched = watched().await;
    let gone = (pod_ref("frontend-gone"), PodUid::parse("uid-gone").unwrap());
    let there = (watched.pods[1].pod.clone(), watched.pods[1].uid.clone());
    let replaced = |(pod, uid)| StepResult::Replaced { old: None, pod, uid, not_after: None };
    watched.fix.results = [there, gone.clone()].map(replaced).into();
    let (start, unreadable) = watched.sampled(Round::Start).await;
    assert_eq!((start.len(), unreadable.len()), (2, 1), "{unreadable:?}");
    assert_eq!(start[1].counters, Counters::default());
    let mut end = start.clone();
    end[0].counters.new_log_errors = Some(0);
    end[0].counters.server_handshakes = start[0].counters.server_handshakes.map(|figure| figure + 9);
    assert_eq!(verify(&[], &start[..1], &end[..1]).proof, Proof::Worked, "alone it would have");
    assert_eq!(verify(&[], &start, &end).proof, Proof::Unproven);
    watched.simulation.stop().await;
}
