use std::{sync::Arc, time::Duration};

use serde_json::json;

use super::{Machines, Mesh, impatient, pod_ref, target};
use crate::{
    clock::{SystemClock, VirtualClock},
    cluster::{
        ClusterClient, Settings, collect::mounted_at, connect_to, gather, gather_about, resolve, resolve::PODS_MOST,
    },
    mesh::{Namespace, PodRef, TargetRef},
    simulate::{Simulation, api::ApiFault, store::Kind, world},
    triage::{AgentEvidence, Evidence, FixName, Gathered, Missing, Redacted, Scenario, diagnose},
};

const SHORT: Duration = Duration::from_millis(400);
const LONG: Duration = Duration::from_secs(20);

async fn night(scenario: world::Scenario, settings: Settings) -> (Simulation, ClusterClient) {
    let clock = Arc::new(SystemClock);
    let simulation = Simulation::start(clock, scenario, "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let reach = connect_to(&simulation.url(), settings).unwrap();
    (simulation, reach)
}

async fn look(reach: &ClusterClient, alerted: &[PodRef]) -> Evidence {
    let quiet = Arc::new(|_: &str| {});
    gather_about(reach, &target("svc/frontend"), alerted, Arc::new(SystemClock), quiet).await.unwrap()
}

fn missing<T>(gathered: &Gathered<T>) -> Option<&Missing> {
    match gathered {
        Gathered::Missing { reason, .. } => Some(reason),
        Gathered::Seen { .. } => None,
    }
}

#[tokio::test]
async fn what_hangs_is_missing_and_everything_else_is_kept() {
    let (simulation, reach) = night(world::Scenario::ExpiredCertificate, impatient(SHORT, LONG)).await;
    simulation.options.inject("*", "pods/exec", ApiFault::hang());
    let evidence = look(&reach, &[]).await;
    for pod in &evidence.pods {
        assert!(matches!(missing(&pod.svid_file), Some(Missing::TimedOut { .. })), "{:?}", pod.svid_file);
        assert!(pod.served.value().is_some() && pod.stats.value().is_some() && pod.proxy_log.value().is_some());
    }
    assert!(evidence.agents.iter().all(|agent| agent.log.value().is_some()));
    // Envoy's copy carries the verdict on.
    assert_eq!(diagnose(&evidence).scenario, Scenario::ExpiredCertificate);
    let spire: Vec<Namespace> = vec![reach.settings.spire_namespace.parse().unwrap()];
    assert_eq!(evidence.expectations.protected, spire, "what the guards of a fix refuse is known to the verdict");
}

#[tokio::test]
async fn one_limit_holds_over_all_of_it() {
    let (simulation, reach) = night(world::Scenario::ExpiredCertificate, impatient(LONG, SHORT)).await;
    for resource in ["pods/exec", "pods/log", "pods/portforward", "configmaps"] {
        simulation.options.inject("*", resource, ApiFault::hang());
    }
    let evidence = tokio::time::timeout(LONG / 2, look(&reach, &[])).await.expect("it ended by its own limit");
    assert!(evidence.pods.iter().all(|pod| missing(&pod.served).is_some()));
    assert_eq!(diagnose(&evidence).scenario, Scenario::Inconclusive);
}

#[tokio::test]
async fn spires_pods_that_cannot_be_listed_in_time_do_not_hold_up_the_rest() {
    let (simulation, reach) = night(world::Scenario::ExpiredCertificate, impatient(LONG, Duration::from_secs(2))).await;
    let target = one_pod(&reach).await;
    simulation.options.inject("list", "pods", ApiFault::hang());
    let look = gather(&reach, &target, Arc::new(SystemClock), Arc::new(|_| ()));
    let evidence = tokio::time::timeout(LONG / 2, look).await.expect("it ended by its own limit").unwrap();
    assert!(evidence.pods.iter().all(|pod| pod.svid_file.value().is_some()));
    assert!(evidence.servers_missing.is_some(), "not seen is not the same as none");
}

/// A mesh of many nodes: the list of all agents is cut, or too long to be read.
#[tokio::test]
async fn an_agent_that_the_list_of_all_does_not_show_is_asked_for_by_its_node() {
    let (simulation, reach) = night(world::Scenario::Healthy, Settings::default()).await;
    let target = one_pod(&reach).await;
    // The lists of all agents and of the servers; the one of the node comes after them.
    simulation.options.inject("list", "pods", ApiFault::status(500, "too long").times(2));
    let evidence = gather(&reach, &target, Arc::new(SystemClock), Arc::new(|_| ())).await.unwrap();
    assert_eq!((evidence.agents.len(), evidence.agent_pods), (1, None));
    let agent = &evidence.agents[0];
    assert!(agent.pod.may_run() && agent.healthcheck.value().is_some(), "{agent:?}");
}

#[tokio::test]
async fn a_list_that_may_have_been_cut_is_no_proof_that_a_node_has_no_agent() {
    let mesh = Mesh::start().await;
    let elsewhere = |number: u32| {
        json!({
            "metadata": {"namespace": "spire-system", "name": format!("agent-{number}"), "labels": {"app": "spire-agent"}},
            "spec": {"nodeName": "node-2", "containers": [{"name": "spire-agent"}]},
            "status": {"phase": "Running"},
        })
    };
    let agent_of_node_1 = async || {
        // The lists of all agents and of the servers are answered; one of node-1 alone is not.
        mesh.options.inject("list", "pods", ApiFault::delay(Duration::ZERO).times(2));
        mesh.options.inject("list", "pods", ApiFault::status(500, "no"));
        let seen = gather(&mesh.reach, &target("pod/frontend-a"), Arc::new(SystemClock), Arc::new(|_| ())).await;
        mesh.options.heal();
        seen.unwrap().agents.remove(0)
    };
    for number in 1..PODS_MOST {
        mesh.store.apply(Kind::Pod, elsewhere(number));
    }
    assert!(!agent_of_node_1().await.pod.may_run(), "the list is whole, and node-1 has none");
    mesh.store.apply(Kind::Pod, elsewhere(PODS_MOST));
    let agent = agent_of_node_1().await;
    assert!(agent.pod.may_run() && missing(&agent.healthcheck).is_some(), "{agent:?}");
}

/// One pod of the frontend, which is found without a list.
async fn one_pod(reach: &ClusterClient) -> TargetRef {
    let pod = resolve(reach, &target("svc/frontend")).await.unwrap().pods.remove(0).pod;
    target(&format!("pod/{}", pod.name))
}

#[tokio::test]
async fn a_missing_right_is_named_and_envoys_copy_is_used_instead() {
    let (simulation, reach) = night(world::Scenario::ExpiredCertificate, Settings::default()).await;
    simulation.options.deny("*", "pods/exec");
    let evidence = look(&reach, &[]).await;
    let pod = &evidence.pods[0];
    assert_eq!(
        missing(&pod.svid_file),
        Some(&Missing::Forbidden { grant: "get and create pods/exec in web".to_owned() })
    );
    assert!(pod.served.value().is_some());
    assert_eq!(diagnose(&evidence).scenario, Scenario::ExpiredCertificate);
}

#[tokio::test]
async fn without_the_right_to_forward_ports_the_sidecar_is_asked_by_exec() {
    let (simulation, reach) = night(world::Scenario::ExpiredCertificate, Settings::default()).await;
    simulation.options.deny("*", "pods/portforward");
    let evidence = look(&reach, &[]).await;
    assert!(evidence.pods.iter().all(|pod| pod.served.value().is_some() && pod.stats.value().is_some()));
    simulation.options.deny("*", "pods/exec");
    let blind = look(&reach, &[]).await;
    let grant = "get and create pods/portforward in web".to_owned();
    assert_eq!(missing(&blind.pods[0].served), Some(&Missing::Forbidden { grant }), "the better right is named");
}

#[tokio::test]
async fn an_exec_that_ends_without_a_status_is_inconclusive() {
    let (simulation, reach) = night(world::Scenario::Healthy, Settings::default()).await;
    simulation.options.inject("*", "pods/exec", ApiFault::cut());
    let evidence = look(&reach, &[]).await;
    assert!(evidence.pods.iter().all(|pod| missing(&pod.svid_file).is_some() && missing(&pod.bundle_file).is_some()));
    assert!(evidence.agents.iter().all(|agent| missing(&agent.healthcheck).is_some()));
}

#[tokio::test]
async fn an_image_without_cat_is_told_from_a_missing_file() {
    let (simulation, reach) = night(world::Scenario::Healthy, Settings::default()).await;
    simulation.world.inject(world::Fault::NoCat);
    let evidence = look(&reach, &[]).await;
    assert_eq!(missing(&evidence.pods[0].svid_file), Some(&Missing::ToolMissing { tool: "cat".to_owned() }));
    let elsewhere = Settings { svid_path: "/elsewhere/svid.pem".to_owned(), ..Settings::default() };
    simulation.world.heal(&world::Fault::NoCat);
    let reach = connect_to(&simulation.url(), elsewhere).unwrap();
    let gone = look(&reach, &[]).await;
    assert!(matches!(missing(&gone.pods[0].svid_file), Some(Missing::Gone { what }) if what == "/elsewhere/svid.pem"));
}

#[tokio::test]
async fn the_pod_of_the_alert_is_looked_at_and_an_exporters_is_not_believed() {
    let limits = crate::cluster::Limits { sample: 1, ..crate::cluster::Limits::default() };
    let (_simulation, reach) = night(world::Scenario::Healthy, Settings { limits, ..Settings::default() }).await;
    let first = look(&reach, &[]).await;
    let other = first.not_sampled[0].clone();
    let asked = look(&reach, std::slice::from_ref(&other)).await;
    assert_eq!(asked.pods[0].pod, other);
    assert_eq!(look(&reach, &[pod_ref("kube-state-metrics-0")]).await.pods[0].pod, first.pods[0].pod);
}

/// The agent of node-1 with a restart behind it, and what its log shows of the life before.
async fn agent_lines(log: Vec<&'static str>, before: Vec<&'static str>) -> Vec<String> {
    let agent = agent_on(Machines { log, log_before_the_restart: before, ..Machines::default() }).await;
    agent
        .log
        .value()
        .expect("its log is read though the pod has two containers")
        .lines
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// The agent of node-1, with a restart behind it.
async fn agent_on(machines: Machines) -> AgentEvidence {
    let mesh = Mesh::with(machines).await;
    apply_agent(&mesh);
    let quiet = Arc::new(|_: &str| {});
    let evidence = gather(&mesh.reach, &target("svc/frontend"), mesh.clock.clone(), quiet).await.unwrap();
    let agent = evidence.agents.into_iter().find(|agent| agent.pod.may_run()).expect("the agent is found");
    assert_eq!(agent.restarts, 1);
    agent
}

fn apply_agent(mesh: &Mesh) {
    mesh.store.apply(
        Kind::Pod,
        json!({
            "metadata": {"namespace": "spire-system", "name": "agent-1", "labels": {"app": "spire-agent"}},
            "spec": {"nodeName": "node-1", "containers": [{"name": "spire-agent"}, {"name": "exporter"}]},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [{"name": "spire-agent", "ready": true, "restartCount": 1, "image": "", "imageID": ""}]},
        }),
    );
}

#[tokio::test]
async fn why_an_agent_crashes_again_and_again_is_read_though_its_next_life_has_no_log_yet() {
    let died = "level=error msg=\"Agent crashed\" error=\"current SVID has already expired\"";
    let machines = Machines { log_before_the_restart: vec![died], waits_to_start: true, ..Machines::default() };
    assert_eq!(agent_on(machines).await.log.value().unwrap().lines, [Redacted::from(died)]);
    let silent = Machines { waits_to_start: true, ..Machines::default() };
    assert!(missing(&agent_on(silent).await.log).is_some(), "nothing was seen of either life");
}

#[tokio::test]
async fn an_agent_whose_command_cannot_run_is_asked_over_http() {
    let answers = |ready| Machines {
        ports: [((9982, "/live"), (200, "")), ((9982, "/ready"), (ready, ""))].into(),
        ..Machines::default()
    };
    let check = agent_on(answers(200)).await.healthcheck;
    assert!(check.value().unwrap().healthy && check.value().unwrap().output.contains("/ready answers 200"));
    assert!(!agent_on(answers(500)).await.healthcheck.value().unwrap().healthy);
    let nowhere = agent_on(Machines::default()).await.healthcheck;
    assert!(matches!(missing(&nowhere), Some(Missing::ToolMissing { .. })), "the first reason is kept: {nowhere:?}");
}

/// It is three: the pods hold SVIDs of an hour that were issued at 02:20, so that their renewal was due at 02:50.
#[tokio::test]
async fn a_log_without_a_renewal_since_one_was_due_is_read_back_past_the_issue() {
    let issued = VirtualClock::starting_at("2026-11-24T02:20:00Z".parse().unwrap());
    let svid = super::svid_of_a_healthy_pod(Arc::new(issued)).await;
    let log = async |log: &[&'static str], commands| {
        let mesh = Mesh::with(Machines { log: log.to_vec(), commands, ..Machines::default() }).await;
        let settings = Settings { agent_log_since: Duration::from_mins(5), ..Settings::default() };
        apply_agent(&mesh);
        let reach = connect_to(&mesh.url, settings).unwrap();
        let agents = gather(&reach, &target("svc/frontend"), mesh.clock.clone(), Arc::new(|_: &str| {})).await.unwrap();
        agents.agents[0].log.value().unwrap().clone()
    };
    let began = "time=\"2026-11-24T02:16:00Z\" level=info msg=\"Starting agent\"";
    let long_ago = "time=\"2026-11-24T01:00:00Z\" level=info msg=\"Renewing X509-SVID\"";
    let created = "time=\"2026-11-24T02:20:01Z\" level=info msg=\"Creating X509-SVID\"";
    let cut_off = "time=\"2026-11-24T02:58:00Z\" level=error msg=\"Synchronize failed\"";
    let renewed = "time=\"2026-11-24T02:57:00Z\" level=info msg=\"Renewing X509-SVID\"";
    let at = |text: &str| Some(text.parse::<jiff::Timestamp>().unwrap());
    for (lines, seen, reaches, why) in [
        (vec![long_ago, began, created], vec![created], at("2026-11-24T02:16:00Z"), "it was empty, and now it is not"),
        (
            vec![began, created, cut_off],
            vec![created, cut_off],
            at("2026-11-24T02:16:00Z"),
            "not empty, and no renewal",
        ),
        (vec![began, created, renewed], vec![renewed], at("2026-11-24T02:57:00Z"), "five minutes show it"),
    ] {
        let log = log(&lines, [(("app", "cat"), (0, svid))].into()).await;
        assert_eq!(
            (log.lines, log.reaches),
            (seen.iter().map(|line| Redacted::from(&**line)).collect(), reaches),
            "{why}"
        );
    }
    assert!(log(&[created], [].into()).await.lines.is_empty(), "what the pods hold was not seen");
}

/// A workload that mounts its bundle from a ConfigMap, in an image without `cat`.
fn mounts_its_bundle(mount: &serde_json::Value, volume: &serde_json::Value) -> serde_json::Value {
    let mut object = super::pod("frontend-a");
    object["spec"]["containers"][0]["volumeMounts"] = json!([mount]);
    object["spec"]["volumes"] = json!([volume]);
    object
}

#[tokio::test]
async fn without_cat_the_bundle_is_read_from_the_configmap_that_is_mounted_there() {
    let (simulation, _) = night(world::Scenario::Healthy, Settings::default()).await;
    let spires = simulation.world.store().get(Kind::ConfigMap, Some("spire-system"), "spire-bundle").unwrap();
    let mesh = Mesh::start().await;
    let data = json!({"roots.pem": spires["data"]["bundle.crt"]});
    mesh.store.apply(Kind::ConfigMap, json!({"metadata": {"namespace": "web", "name": "trust"}, "data": data}));
    let mount = json!({"name": "bundle", "mountPath": "/run/spire/bundle"});
    let items = json!([{"key": "roots.pem", "path": "bundle.crt"}]);
    mesh.store.apply(
        Kind::Pod,
        mounts_its_bundle(&mount, &json!({"name": "bundle", "configMap": {"name": "trust", "items": items}})),
    );
    let evidence = look(&mesh.reach, &[pod_ref("frontend-a")]).await;
    let found = evidence.pods.iter().find(|pod| pod.pod == pod_ref("frontend-a")).unwrap();
    assert_eq!(found.bundle_file.value().map(|file| file.certificates.len()), Some(1), "{:?}", found.bundle_file);
    assert_eq!(found.bundle_file.source(), "ConfigMap web/trust (mounted as /run/spire/bundle/bundle.crt)");
    let other = evidence.pods.iter().find(|pod| pod.pod == pod_ref("frontend-b")).unwrap();
    assert!(matches!(missing(&other.bundle_file), Some(Missing::ToolMissing { .. })), "it mounts none");
}

#[test]
fn the_mounted_configmap_is_found_as_the_kubelet_lays_it_out() {
    let at = |mount: serde_json::Value, volume: serde_json::Value| {
        let pod = serde_json::from_value(mounts_its_bundle(&mount, &volume)).unwrap();
        mounted_at(&pod, "app", "/run/spire/bundle/bundle.crt")
    };
    let mount = json!({"name": "bundle", "mountPath": "/run/spire/bundle/"});
    let found = |key: &str| Some(("trust".to_owned(), key.to_owned()));
    assert_eq!(at(mount.clone(), json!({"name": "bundle", "configMap": {"name": "trust"}})), found("bundle.crt"));
    let projected = json!({"sources": [{"serviceAccountToken": {"path": "token"}}, {"configMap": {"name": "trust",
        "items": [{"key": "ca", "path": "bundle.crt"}]}}]});
    assert_eq!(at(mount.clone(), json!({"name": "bundle", "projected": projected})), found("ca"));
    assert_eq!(at(mount.clone(), json!({"name": "other", "configMap": {"name": "trust"}})), None);
    assert_eq!(at(mount.clone(), json!({"name": "bundle", "emptyDir": {}})), None, "spiffe-helper writes there");
    let elsewhere = json!({"name": "bundle", "mountPath": "/run/spire/bun"});
    assert_eq!(at(elsewhere, json!({"name": "bundle", "configMap": {"name": "trust"}})), None);
    let frozen = json!({"name": "bundle", "mountPath": "/run/spire/bundle/bundle.crt", "subPath": "bundle.crt"});
    assert_eq!(at(frozen, json!({"name": "bundle", "configMap": {"name": "trust"}})), None, "it never changes");
}

#[tokio::test]
async fn why_an_agent_died_stands_in_the_log_of_its_life_before() {
    let died = "level=error msg=\"Agent crashed\" error=\"current SVID has already expired\"";
    assert_eq!(agent_lines(vec!["level=info msg=starting"], vec![died]).await, [died]);
    let mended = "level=info msg=\"Node attestation was successful\"";
    assert_eq!(agent_lines(vec![mended], vec![died]).await, [died, mended], "what came later counts more");
}

#[tokio::test]
async fn what_an_agent_did_well_before_its_restart_does_not_vouch_for_it_now() {
    let good = "level=info msg=\"Renewing X509-SVID\"";
    assert_eq!(agent_lines(vec!["level=info msg=starting"], vec![good]).await, Vec::<String>::new());
}

/// Gathered and judged as a person would, without knowing what is broken.
#[tokio::test]
async fn each_night_of_the_simulated_mesh_is_told_from_the_others() {
    use world::Scenario as World;
    for (broken, scenario, fixes) in [
        (World::Healthy, Scenario::NoFaultFound, vec![]),
        (World::ExpiredCertificate, Scenario::ExpiredCertificate, vec![FixName::RestartPod]),
        (World::ProxyKeepsOldSvid, Scenario::ExpiredCertificate, vec![FixName::RestartPod]),
        (World::SpireAgent, Scenario::SpireAgent, vec![FixName::RestartSpireAgent]),
        (World::AgentStuckButGreen, Scenario::SpireAgent, vec![FixName::RestartSpireAgent]),
        (World::SpireServer, Scenario::SpireServer, vec![]),
        (World::ServerPortBlocked, Scenario::Network, vec![]),
        // These proxies said why hours ago, once; what is read of their logs now is silent. Their agent says it on and on.
        (World::NoRegistrationEntry, Scenario::Registration, vec![]),
        (World::WrongIdentity, Scenario::IdentityMismatch, vec![]),
        (World::ClockSkew, Scenario::ClockSkew, vec![]),
    ] {
        let (_simulation, reach) = night(broken, Settings::default()).await;
        let verdict = diagnose(&look(&reach, &[]).await);
        let seen = (verdict.scenario, verdict.fixes.clone());
        assert_eq!(seen, (scenario, fixes), "{}: {:#?}", broken.name(), verdict.reasons);
    }
}
