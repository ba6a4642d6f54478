//! What is gathered of SPIRE's agents beyond healthcheck and log.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Machines, Mesh, pod, target};
use crate::{
    cluster::gather,
    simulate::store::Kind,
    triage::{AgentFleet, Evidence, RecentChange},
};

const INFO: &str =
    "{\"svid_chain\":[{\"expires_at\":\"1795489200\"}],\"uptime\":42,\"last_sync_success\":\"1795485600\"}";

fn agent(node: &str, ready: bool, status: &Value) -> Value {
    let truth = if ready { "True" } else { "False" };
    json!({
        "metadata": {"namespace": "spire-system", "name": format!("agent-of-{node}"), "labels": {"app": "spire-agent"}},
        "spec": {"nodeName": node, "containers": [{"name": "spire-agent"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": truth}], "containerStatuses": [status]},
    })
}

async fn look(mesh: &Mesh) -> Evidence {
    gather(&mesh.reach, &target("pod/frontend-a"), mesh.clock.clone(), Arc::new(|_| ())).await.unwrap()
}

#[tokio::test]
async fn the_last_words_of_an_agent_that_crashes_and_its_exit_are_gathered_and_all_agents_are_counted() {
    let machines = Machines {
        log_before_the_restart: vec!["level=info msg=\"Starting agent\"", "could not parse trust_domain", ""],
        waits_to_start: true,
        ..Machines::default()
    };
    let mesh = Mesh::with(machines).await;
    let waits = json!({"name": "spire-agent", "restartCount": 7,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
        "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": "2026-11-24T02:58:00Z"}}});
    mesh.store.apply(Kind::Pod, agent("node-1", false, &waits));
    let runs = json!({"name": "spire-agent", "restartCount": 0, "state": {"running": {}}});
    mesh.store.apply(Kind::Pod, agent("node-2", true, &runs));
    let evidence = look(&mesh).await;
    let crash = evidence.agents[0].crash.clone().unwrap();
    assert_eq!((crash.end.exit_code, crash.end.reason.as_str()), (1, "Error"));
    assert_eq!(crash.last_words.unwrap().as_str(), "could not parse trust_domain");
    let not_ready = vec!["node-1".parse().unwrap()];
    assert_eq!(evidence.agent_fleet, Some(AgentFleet { agents: 2, ready: 1, not_ready, cut: false }));
}

#[tokio::test]
async fn an_agent_that_knows_the_command_says_its_last_sync_and_an_older_one_lacks_nothing() {
    let answers = |text| Machines {
        commands: [(("spire-agent", "/opt/spire/bin/spire-agent"), (0, text))].into(),
        ..Machines::default()
    };
    for (answer, known) in [(INFO, true), ("Agent is healthy.\n", false)] {
        let mesh = Mesh::with(answers(answer)).await;
        let runs = json!({"name": "spire-agent", "restartCount": 0, "state": {"running": {}}});
        mesh.store.apply(Kind::Pod, agent("node-1", true, &runs));
        let evidence = look(&mesh).await;
        assert_eq!(evidence.agents[0].info.is_some(), known, "{answer}");
        assert!(evidence.agents[0].healthcheck.value().is_some());
    }
}

#[tokio::test]
async fn why_a_proxy_crashes_is_read_in_the_log_of_its_last_life() {
    let died = "2026-11-24T02:58:00.000000Z\terror\tsds\tfailed to warm certificate: root cert is invalid";
    let mesh =
        Mesh::with(Machines { log_before_the_restart: vec![died], waits_to_start: true, ..Machines::default() }).await;
    let mut crashes = pod("frontend-a");
    crashes["status"]["containerStatuses"] = json!([{"name": "istio-proxy", "restartCount": 3,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 255}}}]);
    mesh.store.apply(Kind::Pod, crashes);
    let evidence = look(&mesh).await;
    let log = evidence.pods[0].proxy_log.value().unwrap();
    assert!(log.lines[0].contains("root cert is invalid"), "{log:?}");
}

#[tokio::test]
async fn pods_of_the_target_and_of_spire_that_are_new_or_ended_of_late_are_told_as_changes() {
    let mesh = Mesh::start().await;
    let created = |mut pod: Value, at: &str| {
        pod["metadata"]["creationTimestamp"] = json!(at);
        pod
    };
    mesh.store.apply(Kind::Pod, created(pod("frontend-a"), "2026-11-24T02:45:00Z"));
    let ended = json!({"name": "spire-agent", "restartCount": 1, "state": {"running": {}},
        "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-11-24T02:50:00Z"}}});
    mesh.store.apply(Kind::Pod, created(agent("node-1", true, &ended), "2026-11-20T00:00:00Z"));
    let changes = look(&mesh).await.changes.unwrap();
    let seen: Vec<&str> = changes
        .iter()
        .map(|change| match change {
            RecentChange::TargetPodsCreated { count: 1, of: 1, .. } => "target",
            RecentChange::SpireContainerEnded { end, .. } if end.exit_code == 1 => "agent ended",
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(seen, ["target", "agent ended"]);
}
