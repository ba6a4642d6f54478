use jiff::{SignedDuration, Timestamp};

use crate::{
    mesh::{ControllerRef, Namespace, ObjectName, PodRef, PodUid, TargetRef},
    remediation::{
        Budget, GuardRefusal, Operation, Plan, PlanContent, PodEviction,
        restart_pod::{PodFacts, PodRefusal, RestartFacts, plan},
    },
    triage::{
        Check, CheckId, CheckResult, Confidence, Contraindicated, FixName, NotRestarted, On, RESTARTS_MOST, Scenario,
        Side, Subject, VERDICT_SCHEMA, Verdict,
    },
};

fn three_in_the_morning() -> Timestamp {
    "2026-11-24T03:00:00Z".parse().unwrap()
}

fn namespace(name: &str) -> Namespace {
    Namespace::parse(name).unwrap()
}

fn pod(name: &str) -> PodRef {
    PodRef { namespace: namespace("web"), name: ObjectName::parse(name).unwrap() }
}

fn verdict(pods: &[&str]) -> Verdict {
    Verdict {
        schema: VERDICT_SCHEMA.to_owned(),
        target: TargetRef::parse(namespace("web"), "svc/frontend").unwrap(),
        at: three_in_the_morning(),
        scenario: Scenario::ExpiredCertificate,
        confidence: Confidence::High,
        on: On {
            side: Side::Client,
            pods: pods.iter().map(|name| pod(name)).collect(),
            lives: Vec::new(),
            nodes: Vec::new(),
        },
        reasons: Vec::new(),
        ruled_out: Vec::new(),
        consequences: Vec::new(),
        checks: Vec::new(),
        not_checked: Vec::new(),
        fixes: vec![FixName::RestartPod],
        never: Vec::new(),
        call_at_once: None,
    }
}

fn facts(name: &str) -> PodFacts {
    PodFacts {
        pod: pod(name),
        uid: PodUid::parse(&format!("uid-{name}")).unwrap(),
        node: None,
        controller: ControllerRef::new("ReplicaSet", "frontend-7d9c"),
        workload: ControllerRef::new("Deployment", "frontend"),
        ready: true,
        created_at: three_in_the_morning() - SignedDuration::from_hours(2),
        budgets: vec![budget("frontend", 1)],
    }
}

fn budget(name: &str, allowed: i32) -> Budget {
    Budget { name: name.to_owned(), allowed }
}

fn drawn(verdict: &Verdict, pods: &[PodFacts]) -> Result<Plan, Vec<PodRefusal>> {
    let protected = [namespace("spire-system")];
    let now = three_in_the_morning() + SignedDuration::from_mins(3);
    let pods_before: Vec<PodUid> = pods.iter().map(|pod| pod.uid.clone()).collect();
    plan(&RestartFacts {
        target: &verdict.target,
        verdict,
        pods,
        pods_before: &pods_before,
        protected: &protected,
        now,
    })
}

/// What stands against the restart of one pod.
fn refused(pod: PodFacts) -> Vec<PodRefusal> {
    let mut verdict = verdict(&[]);
    verdict.on.pods.push(pod.pod.clone());
    drawn(&verdict, &[pod]).unwrap_err()
}

#[test]
fn only_the_pods_that_the_verdict_names_are_restarted_and_each_line_names_one() {
    let plan = drawn(&verdict(&["frontend-1"]), &[facts("frontend-1"), facts("frontend-2")]).unwrap();
    assert_eq!(
        plan.operations.iter().map(|operation| operation.ends().unwrap().1.as_str()).collect::<Vec<_>>(),
        ["uid-frontend-1"]
    );
    assert_eq!(plan.kubectl().count(), 1);
    assert_eq!(plan.ready, (2, 2));
    assert_eq!(plan.warnings, Vec::<String>::new());
    let Operation::EvictPod(planned) = &plan.operations[0] else { panic!("it ends no pod") };
    assert_eq!(
        (planned.controller.clone(), planned.workload.clone()),
        (ControllerRef::new("ReplicaSet", "frontend-7d9c"), ControllerRef::new("Deployment", "frontend"))
    );
}

#[test]
fn a_frozen_agent_refuses_the_restart_in_the_verdicts_own_words() {
    let mut verdict = verdict(&["frontend-1"]);
    let reason = "the agent of node-2 is frozen: a new pod would get no SVID".to_owned();
    verdict.never.push(Contraindicated { fix: FixName::RestartPod, reason: reason.clone() });
    assert_eq!(drawn(&verdict, &[facts("frontend-1")]), Err(vec![GuardRefusal::SpokenAgainst(reason).into()]));
}

#[test]
fn a_verdict_that_does_not_name_the_restart_never_gets_one() {
    for scenario in Scenario::ALL {
        let mut verdict = verdict(&["frontend-1"]);
        (verdict.scenario, verdict.fixes) = (scenario, Vec::new());
        assert_eq!(drawn(&verdict, &[facts("frontend-1")]), Err(vec![GuardRefusal::DoesNotFit(scenario).into()]));
    }
}

#[test]
fn a_bare_pod_is_refused_because_it_would_never_come_back() {
    let bare = PodFacts { controller: None, workload: None, ..facts("frontend-1") };
    assert_eq!(refused(bare), [PodRefusal::NotRestarted { pod: pod("frontend-1"), why: NotRestarted::Bare }]);
}

#[test]
fn static_pods_and_jobs_are_refused_because_an_eviction_brings_no_fresh_pod() {
    for kind in ["Node", "Job"] {
        let owned = PodFacts { controller: ControllerRef::new(kind, "x"), ..facts("frontend-1") };
        let expected =
            |why: &NotRestarted| matches!(why, NotRestarted::NotReplaced { kind: found, .. } if found == kind);
        assert!(matches!(refused(owned).as_slice(), [PodRefusal::NotRestarted { why, .. }] if expected(why)));
    }
}

#[test]
fn an_unknown_controller_is_warned_of() {
    let owned = PodFacts { controller: ControllerRef::new("CloneSet", "frontend"), ..facts("frontend-1") };
    let plan = drawn(&verdict(&["frontend-1"]), &[owned, facts("frontend-2")]).unwrap();
    assert!(plan.warnings.iter().any(|warning| warning.contains("CloneSet/frontend")), "{:?}", plan.warnings);
}

#[test]
fn pods_of_the_platform_are_refused_wherever_the_platform_lives() {
    for name in ["kube-system", "kube-public", "istio-system", "spire-system"] {
        let mut of_platform = facts("frontend-1");
        of_platform.pod.namespace = namespace(name);
        let refusals = refused(of_platform.clone());
        let why = NotRestarted::Platform(namespace(name));
        assert_eq!(refusals, [PodRefusal::NotRestarted { pod: of_platform.pod, why }], "{name}");
    }
}

#[test]
fn a_spent_budget_refuses_a_ready_pod_and_warns_of_one_that_is_not() {
    let spent = PodFacts { budgets: vec![budget("frontend", 0)], ..facts("frontend-1") };
    let refusal: PodRefusal =
        GuardRefusal::BudgetSpent { pod: pod("frontend-1"), budget: "frontend".to_owned() }.into();
    assert_eq!(refused(spent.clone()), [refusal]);
    let broken = PodFacts { ready: false, ..spent };
    let plan = drawn(&verdict(&["frontend-1"]), &[broken, facts("frontend-2"), facts("frontend-3")]).unwrap();
    assert!(plan.warnings.iter().any(|warning| warning.contains("the API server decides")), "{:?}", plan.warnings);
}

#[test]
fn two_budgets_over_one_pod_are_refused_since_kubernetes_never_evicts_it() {
    let twice = PodFacts { budgets: vec![budget("one", 1), budget("two", 1)], ..facts("frontend-1") };
    assert_eq!(refused(twice), [GuardRefusal::SeveralBudgets { pod: pod("frontend-1"), count: 2 }.into()]);
}

/// robusta 345: self-heal killed the new pod.
#[test]
fn a_stateful_pod_that_was_replaced_since_the_diagnosis_is_not_killed_again() {
    let fresh = PodFacts { created_at: three_in_the_morning() + SignedDuration::from_secs(1), ..facts("frontend-1") };
    assert_eq!(refused(fresh.clone()), [PodRefusal::AlreadyReplaced { pod: pod("frontend-1") }]);
    let both = drawn(&verdict(&["frontend-1", "frontend-2"]), &[fresh, facts("frontend-2")]).unwrap();
    assert_eq!(both.operations.iter().map(Operation::target).collect::<Vec<_>>(), ["web/frontend-2"]);
    assert!(both.warnings.iter().any(|warning| warning.contains("left alone")), "{:?}", both.warnings);
}

/// The bot's clock may be minutes ahead of the API server's: a pod that came up after the diagnosis looks older than it.
#[test]
fn the_next_life_of_a_name_is_known_by_its_uid_whatever_the_clocks_say() {
    let mut of_old = verdict(&["frontend-1"]);
    of_old.on.lives = vec![PodUid::parse("uid-before").unwrap()];
    assert_eq!(
        drawn(&of_old, &[facts("frontend-1")]),
        Err(vec![PodRefusal::AlreadyReplaced { pod: pod("frontend-1") }])
    );
    let mut of_this = verdict(&["frontend-1"]);
    of_this.on.lives = vec![facts("frontend-1").uid];
    let late = PodFacts { created_at: three_in_the_morning() + SignedDuration::from_mins(4), ..facts("frontend-1") };
    assert!(drawn(&of_this, &[late]).is_ok(), "the bot's clock is behind, and it is the same life");
}

fn looked_at(name: &str) -> Check {
    Check {
        id: CheckId::SvidDates,
        subject: Subject::Pod(pod(name)),
        result: CheckResult::Fail,
        summary: String::new(),
        source: String::new(),
        observed_at: three_in_the_morning(),
        remedy: None,
    }
}

#[test]
fn a_sample_that_is_stale_throughout_warns_of_the_pods_that_nobody_looked_at() {
    let names: Vec<String> = (0..10).map(|number| format!("frontend-{number}")).collect();
    let pods: Vec<PodFacts> = names.iter().map(|name| facts(name)).collect();
    let mut stale = verdict(&["frontend-0", "frontend-1", "frontend-2"]);
    stale.checks = ["frontend-0", "frontend-1", "frontend-2"].map(looked_at).into();
    let warned = drawn(&stale, &pods).unwrap().warnings.clone();
    assert!(warned.iter().any(|warning| warning.contains("7 more") && warning.contains("triage again")), "{warned:?}");
    stale.checks.push(looked_at("frontend-3"));
    assert_eq!(drawn(&stale, &pods).unwrap().warnings, Vec::<String>::new(), "one of the sample was healthy");
}

#[test]
fn the_line_for_a_terminal_evicts_one_life_as_the_bot_does() {
    let plan = drawn(&verdict(&["frontend-1"]), &[facts("frontend-1"), facts("frontend-2")]).unwrap();
    insta::assert_snapshot!(plan.kubectl().collect::<Vec<_>>().join("\n"), @r#"echo '{"apiVersion":"policy/v1","deleteOptions":{"preconditions":{"uid":"uid-frontend-1"}},"kind":"Eviction","metadata":{"name":"frontend-1","namespace":"web"}}' | kubectl create --raw /api/v1/namespaces/web/pods/frontend-1/eviction -f -"#);
    assert_eq!(plan.pods_before.len(), 2, "what comes up later is told by what was there");
    let other = Plan::new(PlanContent { pods_before: Vec::new(), ..(*plan).clone() });
    assert_eq!(other.id(), plan.id(), "a pod that comes or goes asks nobody again");
}

#[test]
fn pods_that_are_gone_ask_for_another_triage() {
    assert_eq!(drawn(&verdict(&["frontend-1"]), &[facts("frontend-2")]), Err(vec![PodRefusal::Gone]));
}

#[test]
fn more_pods_than_one_plan_restarts_are_somebodys_to_look_at() {
    let names: Vec<String> = (0..=RESTARTS_MOST).map(|number| format!("frontend-{number}")).collect();
    let pods: Vec<PodFacts> = names.iter().map(|name| facts(name)).collect();
    let of_verdict: Vec<&str> = names.iter().map(String::as_str).collect();
    let refusal = PodRefusal::TooMany { count: RESTARTS_MOST + 1 };
    assert_eq!(drawn(&verdict(&of_verdict), &pods), Err(vec![refusal]));
    assert!(drawn(&verdict(&of_verdict[..RESTARTS_MOST]), &pods).is_ok());
}

#[test]
fn everything_that_stands_against_it_is_said_at_once() {
    let mut hopeless = PodFacts { controller: None, budgets: vec![budget("frontend", 0)], ..facts("frontend-1") };
    hopeless.pod.namespace = namespace("kube-system");
    assert_eq!(refused(hopeless).len(), 3);
}

#[test]
fn the_last_ready_pod_is_warned_of() {
    let down = PodFacts { ready: false, ..facts("frontend-2") };
    let plan = drawn(&verdict(&["frontend-1"]), &[facts("frontend-1"), down]).unwrap();
    assert!(plan.warnings.iter().any(|warning| warning.contains("nobody answers")), "{:?}", plan.warnings);
}

#[test]
fn a_budgets_figure_moves_without_asking_for_another_approval() {
    let lower = PodFacts { budgets: vec![budget("frontend", 2)], ..facts("frontend-1") };
    let verdict = verdict(&["frontend-1"]);
    let (one, two) = (drawn(&verdict, &[facts("frontend-1")]).unwrap(), drawn(&verdict, &[lower]).unwrap());
    assert_eq!(one.id(), two.id());
    let other = PodFacts { uid: PodUid::parse("uid-other").unwrap(), ..facts("frontend-1") };
    assert_ne!(one.id(), drawn(&verdict, &[other]).unwrap().id(), "another life is another plan");
}

#[test]
fn other_words_do_not_change_what_was_approved_and_another_pod_controller_or_budget_does() {
    let with_budget = PodFacts { budgets: vec![budget("frontend", 1)], ..facts("frontend-1") };
    let drawn = drawn(&verdict(&["frontend-1"]), &[with_budget, facts("frontend-2")]).unwrap();
    let hash_of = |change: &dyn Fn(&mut PlanContent)| {
        let mut content = (*drawn).clone();
        change(&mut content);
        Plan::new(content).id()
    };
    let eviction = |change: &dyn Fn(&mut PodEviction)| {
        hash_of(&|content| {
            let Operation::EvictPod(eviction) = &mut content.operations[0] else { panic!("it ends no pod") };
            change(eviction);
        })
    };
    let same = [
        hash_of(&|plan| plan.warnings = vec!["told in other words".to_owned()]),
        hash_of(&|plan| plan.drawn_at = Timestamp::UNIX_EPOCH),
        hash_of(&|plan| plan.ready = (1, 9)),
        hash_of(&|plan| plan.budgets[0].allowed = 7),
        hash_of(&|plan| plan.pods_before = vec![PodUid::parse("another").unwrap()]),
        eviction(&|pod| pod.because = "told in other words".to_owned()),
    ];
    let other = [
        hash_of(&|plan| plan.budgets.clear()),
        hash_of(&|plan| plan.operations.clear()),
        eviction(&|pod| pod.uid = PodUid::parse("another").unwrap()),
        eviction(&|pod| pod.controller = ControllerRef::new("ReplicaSet", "another")),
        eviction(&|pod| pod.workload = ControllerRef::new("deploy", "another")),
    ];
    assert!(same.iter().all(|id| *id == drawn.id()), "{same:?}");
    assert!(other.iter().all(|id| *id != drawn.id()), "{other:?}");
}
