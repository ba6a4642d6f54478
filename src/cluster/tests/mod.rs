//! The adapter against the simulated API: a small one of hand-made objects, or the whole simulated world.

mod agent_restart;
mod agents;
mod ambient;
mod approving;
mod bounds;
mod bundles;
mod evicting;
mod finding;
mod forwarding;
mod gathering;
mod logging;
mod modes;
mod replacing;
mod sampling;
mod starting;
mod surveying;
mod transport;

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{ClusterClient, Limits, Settings, connect_to, exec::Tool, resolve};
use crate::{
    clock::{Clock, VirtualClock},
    incident::{Fix, FixNumber, FixPhase, Run},
    mesh::{ControllerRef, Namespace, ObjectName, PodRef, PodUid, TargetRef},
    people::{PersonId, Platform},
    remediation::{Operation, Plan, PlanContent, PodEviction},
    simulate::{
        CommandOutput, HttpAnswer, Kubelet, LogLine, Simulation, Unreachable,
        api::{Options, serve},
        store::{Kind, Store},
        world::Scenario,
    },
    triage::FixName,
};

fn three_in_the_morning() -> Timestamp {
    "2026-11-24T03:00:00Z".parse().unwrap()
}

fn web() -> Namespace {
    Namespace::parse("web").unwrap()
}

fn target(text: &str) -> TargetRef {
    TargetRef::parse(web(), text).unwrap()
}

fn pod_ref(name: &str) -> PodRef {
    PodRef { namespace: web(), name: ObjectName::parse(name).unwrap() }
}

/// A running, Ready pod of frontend's ReplicaSet.
fn pod(name: &str) -> Value {
    json!({
        "metadata": {
            "namespace": "web", "name": name, "labels": {"app": "frontend"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "frontend-7d9c", "uid": "u1",
                "controller": true}],
        },
        "spec": {"nodeName": "node-1", "containers": [{"name": "app"}, {"name": "istio-proxy"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    })
}

/// Hand-made objects behind the simulated API.
struct Mesh {
    store: Arc<Store>,
    options: Options,
    url: String,
    reach: ClusterClient,
    clock: Arc<VirtualClock>,
    _stop: DropGuard,
}

impl Mesh {
    /// frontend with two Ready pods, and a budget that lets one of them go.
    async fn start() -> Self {
        Self::with(Machines::default()).await
    }

    async fn with(machines: Machines) -> Self {
        let clock = Arc::new(VirtualClock::starting_at(three_in_the_morning()));
        let store = Store::new(clock.clone());
        store.apply(Kind::Namespace, json!({"metadata": {"name": "web"}}));
        let labels = json!({"matchLabels": {"app": "frontend"}});
        store.apply(
            Kind::Service,
            json!({"metadata": {"namespace": "web", "name": "frontend"}, "spec": {"selector": {"app": "frontend"}}}),
        );
        store.apply(
            Kind::Deployment,
            json!({"metadata": {"namespace": "web", "name": "frontend"}, "spec": {"selector": labels, "template": {}}}),
        );
        store.apply(
            Kind::ReplicaSet,
            json!({"metadata": {"namespace": "web", "name": "frontend-7d9c", "ownerReferences": [{"apiVersion":
                "apps/v1", "kind": "Deployment", "name": "frontend", "uid": "u0", "controller": true}]},
                "spec": {"replicas": 2, "selector": labels}}),
        );
        store.apply(
            Kind::PodDisruptionBudget,
            json!({"metadata": {"namespace": "web", "name": "frontend"},
                "spec": {"minAvailable": 1, "selector": labels}}),
        );
        store.apply(Kind::Pod, pod("frontend-a"));
        store.apply(Kind::Pod, pod("frontend-b"));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (options, stop) = (Options::default(), CancellationToken::new());
        tokio::spawn(serve(listener, store.clone(), Arc::new(machines), options.clone(), stop.clone()));
        let reach = connect_to(&url, Settings::default()).unwrap();
        Self { store, options, url, reach, clock, _stop: stop.drop_guard() }
    }

    fn uid(&self, name: &str) -> PodUid {
        let object = self.store.get(Kind::Pod, Some("web"), name).unwrap();
        object.pointer("/metadata/uid").and_then(Value::as_str).unwrap().parse().unwrap()
    }

    fn lives(&self, name: &str) -> bool {
        self.store.get(Kind::Pod, Some("web"), name).is_some()
    }

    /// Another life of a pod under the same name, as a StatefulSet brings it up.
    fn comes_back(&self, name: &str) {
        self.store.remove(Kind::Pod, Some("web"), name);
        self.store.apply(Kind::Pod, pod(name));
    }
}

/// Settings for a mesh in which something hangs: tests do not wait for a night's limits.
fn impatient(check: Duration, overall: Duration) -> Settings {
    Settings { limits: Limits { check, overall, ..Limits::default() }, ..Settings::default() }
}

/// What a container of a kind answers: by its name and the first word of the command, or by port and path.
type Answers<K> = std::collections::BTreeMap<K, (i32, &'static str)>;

/// Machines whose containers have logs, and answer what they are told to and nothing else.
#[derive(Default)]
struct Machines {
    log: Vec<&'static str>,
    log_before_the_restart: Vec<&'static str>,
    /// The container that runs now waits to be started, and has no log yet.
    waits_to_start: bool,
    /// By container and first word: exit code and standard output.
    commands: Answers<(&'static str, &'static str)>,
    /// By port and path: status and body.
    ports: Answers<(u16, &'static str)>,
}

impl Kubelet for Machines {
    fn exec(&self, _: &PodRef, container: &str, argv: &[String], _: &[u8]) -> Result<CommandOutput, Unreachable> {
        let command = argv.first().cloned().unwrap_or_default();
        let answer = self.commands.iter().find(|(key, _)| **key == (container, command.as_str()));
        let (_, (exit_code, out)) = answer.ok_or_else(|| Unreachable::NoExecutable(command.clone()))?;
        // cat writes each file that it is given.
        let times = if command == "cat" { argv.len().saturating_sub(1) } else { 1 };
        Ok(CommandOutput { stdout: out.repeat(times).into_bytes(), stderr: Vec::new(), exit_code: *exit_code })
    }

    fn logs(&self, _: &PodRef, _: &str, previous: bool) -> Result<Vec<LogLine>, Unreachable> {
        if self.waits_to_start && !previous {
            return Err(Unreachable::NotRunning("spire-agent".to_owned()));
        }
        let lines = if previous { &self.log_before_the_restart } else { &self.log };
        // A line that bears its time was written then.
        let ten_ago = three_in_the_morning() - SignedDuration::from_mins(10);
        let at = |text: &str| text.strip_prefix("time=\"")?.split('"').next()?.parse().ok();
        Ok(lines.iter().map(|text| LogLine { at: at(text).unwrap_or(ten_ago), text: (*text).to_owned() }).collect())
    }

    fn http(&self, _: &PodRef, port: u16, _: &str, path: &str) -> Result<HttpAnswer, Unreachable> {
        let answer = self.ports.iter().find(|(key, _)| **key == (port, path));
        let (_, (status, body)) = answer.ok_or(Unreachable::Refused(port))?;
        let status = u16::try_from(*status).unwrap();
        Ok(HttpAnswer { status, content_type: "text/plain", body: body.as_bytes().to_vec() })
    }
}

/// The certificate file of a pod of the simulated mesh in which all is well: a chain that lives an hour, from `clock`'s
/// now on.
async fn svid_of_a_healthy_pod(clock: Arc<dyn Clock>) -> &'static str {
    let listen = "127.0.0.1:0".parse().unwrap();
    let simulation = Simulation::start(clock, Scenario::Healthy, listen).await.unwrap();
    let reach = connect_to(&simulation.url(), Settings::default()).unwrap();
    let donor = resolve(&reach, &target("svc/frontend")).await.unwrap().pods[0].pod.clone();
    let file = Tool::Cat(Settings::default().svid_path);
    String::from_utf8(reach.exec(&donor, Some("app"), &file).await.unwrap().stdout.to_vec()).unwrap().leak()
}

/// A fix that restarts one life of a frontend pod.
fn fix_of(target: TargetRef, pod: &PodRef, uid: &PodUid) -> Fix {
    let planned = PodEviction {
        pod: pod.clone(),
        uid: uid.clone(),
        node: None,
        controller: ControllerRef::new("ReplicaSet", "frontend-7d9c"),
        workload: ControllerRef::new("Deployment", "frontend"),
        because: "its SVID ended".to_owned(),
    };
    let plan = Plan::new(PlanContent {
        fix: FixName::RestartPod,
        target,
        drawn_at: three_in_the_morning(),
        operations: vec![Operation::EvictPod(planned)],
        ready: (2, 2),
        budgets: Vec::new(),
        warnings: Vec::new(),
        pods_before: Vec::new(),
    });
    Fix {
        number: FixNumber(1),
        name: FixName::RestartPod,
        requester: PersonId { platform: Platform::Slack, workspace: "T0".to_owned(), user: "U0ONCALL".to_owned() },
        plan: Some(plan),
        plans_drawn: 0,
        verifies: None,
        phase: FixPhase::Drawing,
        run: Run::default(),
        results: Vec::new(),
        before: Vec::new(),
        start: Vec::new(),
    }
}
