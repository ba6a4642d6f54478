//! What stands against a restart of a SPIRE agent, and what its plan says.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::{
    mesh::{ControllerRef, Namespace, ObjectName, PodRef, PodUid, TargetRef},
    remediation::{
        Budget, GuardRefusal, Operation, Plan, PodEviction, WaitingPod,
        one_agent_at_a_time::UnreadyAgent,
        restart_spire_agent::{AgentFacts, AgentRefusal, AgentRestartFacts, NodeFacts, NodeState, plan},
    },
    triage::{
        AGENTS_MOST, Attestation, Confidence, Contraindicated, FixName, On, Scenario, Side, VERDICT_SCHEMA, Verdict,
    },
};

fn three_in_the_morning() -> Timestamp {
    "2026-11-24T03:00:00Z".parse().unwrap()
}

fn pod(namespace: &str, name: &str) -> PodRef {
    PodRef { namespace: Namespace::parse(namespace).unwrap(), name: ObjectName::parse(name).unwrap() }
}

fn uid(name: &str) -> PodUid {
    PodUid::parse(&format!("uid-{name}")).unwrap()
}

fn target() -> TargetRef {
    TargetRef::parse(Namespace::parse("web").unwrap(), "svc/frontend").unwrap()
}

fn verdict() -> Verdict {
    Verdict {
        schema: VERDICT_SCHEMA.to_owned(),
        target: target(),
        at: three_in_the_morning(),
        scenario: Scenario::SpireAgent,
        confidence: Confidence::High,
        on: On { side: Side::Unknown, pods: vec![pod("web", "frontend-1")], lives: Vec::new(), nodes: Vec::new() },
        reasons: Vec::new(),
        ruled_out: Vec::new(),
        consequences: Vec::new(),
        checks: Vec::new(),
        not_checked: Vec::new(),
        fixes: vec![FixName::RestartSpireAgent],
        never: Vec::new(),
        call_at_once: None,
    }
}

fn node(name: &str) -> NodeFacts {
    NodeFacts {
        node: name.parse().unwrap(),
        state: NodeState::Ready,
        agent: Some(AgentFacts {
            pod: pod("spire-system", &format!("spire-agent-{name}")),
            uid: uid(name),
            controller: ControllerRef::new("DaemonSet", "spire-agent"),
            ready: false,
            budgets: Vec::new(),
            attestation: Attestation::Again("its pod carries a token for the SPIRE server".to_owned()),
            repeated: None,
        }),
        waiting: vec![WaitingPod {
            pod: pod("web", &format!("frontend-{name}")),
            uid: uid(&format!("frontend-{name}")),
            not_after: Some(three_in_the_morning()),
        }],
        unread: Vec::new(),
    }
}

fn drawn_for(verdict: &Verdict, nodes: &[NodeFacts]) -> Result<Plan, Vec<AgentRefusal>> {
    let target = target();
    let facts = AgentRestartFacts {
        target: &target,
        verdict,
        nodes,
        ready: (2, 3),
        unready: &[],
        agents_before: &[],
        now: three_in_the_morning(),
    };
    plan(&facts)
}

fn drawn(nodes: &[NodeFacts]) -> Result<Plan, Vec<AgentRefusal>> {
    drawn_for(&verdict(), nodes)
}

/// The one node with something changed, and what is said of it.
fn refused(change: impl Fn(&mut NodeFacts, &mut AgentFacts)) -> String {
    let mut facts = node("node-2");
    let mut agent = facts.agent.clone().unwrap();
    change(&mut facts, &mut agent);
    facts.agent = facts.agent.is_some().then_some(agent);
    let refusals = drawn(&[facts]).unwrap_err();
    refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_plan_names_the_agent_by_uid_its_node_and_who_waits_for_it() {
    let plan = drawn(&[node("node-2")]).unwrap();
    let step = &plan.operations[0];
    insta::assert_snapshot!(
        format!("{} {}{}\n{}\n{}", step.verb(), step.target(), step.details(), plan.in_short(), plan.warnings.join("\n")), @r"
    restart the SPIRE agent spire-system/spire-agent-node-2 on node-2, brought back by DaemonSet/spire-agent; waiting for it: web/frontend-node-2: SPIRE agent issue
    the SPIRE agents of 1 node(s) are restarted for web svc/frontend, one after the other
    until the new agent works, no workload of node-2 gets or renews an SVID; what holds a valid one goes on
    ");
    insta::assert_snapshot!(step.kubectl(), @r#"echo '{"apiVersion":"policy/v1","deleteOptions":{"preconditions":{"uid":"uid-node-2"}},"kind":"Eviction","metadata":{"name":"spire-agent-node-2","namespace":"spire-system"}}' | kubectl create --raw /api/v1/namespaces/spire-system/pods/spire-agent-node-2/eviction -f -"#);
    assert_eq!(step.proved_by(), [(&pod("web", "frontend-node-2"), &uid("frontend-node-2"))]);
}

/// What the lock does is shown in `engine/tests/one_node.rs`.
#[test]
fn all_restarts_of_agents_share_one_lock_until_the_new_agent_was_seen() {
    let here = drawn(&[node("node-2"), node("node-3")]).unwrap();
    let (cart, now) = (TargetRef::parse("shop".parse().unwrap(), "deploy/cart").unwrap(), three_in_the_morning());
    let (nodes, verdict) = ([node("node-7")], Verdict { target: cart.clone(), ..verdict() });
    let there = plan(&AgentRestartFacts {
        target: &cart,
        verdict: &verdict,
        nodes: &nodes,
        ready: (2, 3),
        unready: &[],
        agents_before: &[],
        now,
    });
    let restarts: Vec<Operation> = here.operations.iter().chain(&there.unwrap().operations).cloned().collect();
    assert_eq!(restarts.len(), 3);
    assert!(restarts.iter().all(|restart| restart.lock() == restarts[0].lock() && restart.is_locked_until_settled()));
    let evicts = |uid: &PodUid| {
        let Operation::RestartAgent(restart) = &restarts[0] else { panic!("{restarts:?}") };
        Operation::EvictPod(PodEviction {
            pod: restart.agent.pod.clone(),
            uid: uid.clone(),
            node: None,
            controller: None,
            workload: None,
            because: String::new(),
        })
    };
    let (one, other) = (evicts(&uid("one")), evicts(&uid("other")));
    assert_eq!(BTreeSet::from([restarts[0].lock(), one.lock(), other.lock()]).len(), 3, "pods have a lock each");
    assert!(!one.is_locked_until_settled());
}

/// The lock ends with a restart, also with one that failed.
#[test]
fn while_an_agent_of_another_node_is_not_ready_none_is_restarted() {
    let unready =
        |name: &str| UnreadyAgent { pod: pod("spire-system", &format!("spire-agent-{name}")), uid: uid(name) };
    let drawn_beside = |nodes: &[NodeFacts], unready: &[UnreadyAgent]| {
        let (target, verdict) = (target(), verdict());
        let facts = AgentRestartFacts {
            target: &target,
            verdict: &verdict,
            nodes,
            ready: (1, 3),
            unready,
            agents_before: &[],
            now: three_in_the_morning(),
        };
        plan(&facts).map_err(|refusals| refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    };
    let two = [node("node-2"), node("node-3")];
    let planned = [unready("node-2"), unready("node-3")];
    assert_eq!(drawn_beside(&two, &planned).unwrap().operations.len(), 2, "those that wait for it are what it mends");
    insta::assert_snapshot!(drawn_beside(&two[..1], &planned).unwrap_err(), @"the SPIRE agent spire-system/spire-agent-node-3 is not Ready, so a restart could leave a second node without one: bring that agent back first (`kubectl -n spire-system describe pod spire-agent-node-3` says what it lacks)");
    let many = ["node-4", "node-2", "node-5", "node-6"].map(unready);
    insta::assert_snapshot!(drawn_beside(&two, &many).unwrap_err(), @"the SPIRE agent spire-system/spire-agent-node-4 is not Ready, nor are 2 more, so a restart could leave a second node without one: bring that agent back first (`kubectl -n spire-system describe pod spire-agent-node-4` says what it lacks)");
}

#[test]
fn what_stands_against_it_is_said_with_what_to_do_instead() {
    let once = || Attestation::Once("its log says: «reattestable=false»".to_owned());
    let all = [
        refused(|facts, _| facts.state = NodeState::Gone),
        refused(|facts, _| facts.state = NodeState::NotReady),
        refused(|facts, _| facts.agent = None),
        refused(|_, agent| agent.controller = None),
        refused(|_, agent| agent.controller = ControllerRef::new("ReplicaSet", "spire-agent")),
        refused(|_, agent| agent.attestation = once()),
        refused(|_, agent| agent.attestation = Attestation::Unknown),
        refused(|_, agent| {
            agent.repeated = Some("the SPIRE server has banned it: lift the ban there first".to_owned());
        }),
        refused(|facts, _| facts.waiting.clear()),
        drawn(&[]).unwrap_err()[0].to_string(),
    ];
    insta::assert_snapshot!(all.join("\n"), @r"
    there is no node node-2 any more: run the triage again
    node node-2 is not Ready, so no new agent would start there: mend the node first
    no SPIRE agent runs on node-2: see why its DaemonSet starts none there
    spire-system/spire-agent-node-2 belongs to no DaemonSet, so nothing brings it back on its node: restart it by hand
    spire-system/spire-agent-node-2 belongs to no DaemonSet, so nothing brings it back on its node: restart it by hand
    the agent of node-2 cannot attest its node again (its log says: «reattestable=false»): a new one would get no SVID until its entry is removed on the SPIRE server; do both by hand
    whether the agent of node-2 can attest its node again after a restart is not known: say it in the configuration (mesh.agents_attest_again)
    a restart of the agent of node-2 would repeat what is wrong: the SPIRE server has banned it: lift the ban there first
    no pod of web svc/frontend waits for its SPIRE agent any more: run the triage again
    the verdict names no node: run the triage again, or restart the agent by hand
    ");
}

#[test]
fn what_the_verdict_or_a_budget_says_against_it_counts() {
    let mut against = verdict();
    let reason = "istiod issued this certificate".to_owned();
    against.never.push(Contraindicated { fix: FixName::RestartSpireAgent, reason: reason.clone() });
    assert_eq!(drawn_for(&against, &[node("node-2")]), Err(vec![GuardRefusal::SpokenAgainst(reason).into()]));
    let mut other = verdict();
    other.fixes = vec![FixName::RestartPod];
    assert_eq!(drawn_for(&other, &[node("node-2")]), Err(vec![GuardRefusal::DoesNotFit(Scenario::SpireAgent).into()]));
    let spent = refused(|_, agent| {
        agent.ready = true;
        agent.budgets = vec![Budget { name: "agents".to_owned(), allowed: 0 }];
    });
    assert!(spent.contains("the disruption budget agents does not let"), "{spent}");
}

#[test]
fn a_node_whose_pods_do_not_wait_is_left_alone_and_too_many_nodes_are_the_fault_of_something_else() {
    let mut idle = node("node-3");
    idle.waiting.clear();
    assert_eq!(drawn(&[node("node-2"), idle]).unwrap().operations.len(), 1);
    let many: Vec<NodeFacts> = (0..=AGENTS_MOST).map(|number| node(&format!("node-{number}"))).collect();
    assert_eq!(drawn(&many), Err(vec![AgentRefusal::TooManyNodes { count: AGENTS_MOST + 1 }]));
}
