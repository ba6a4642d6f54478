//! What the binary computes from files alone: `diagnose` of a service with 1,000 pods, and `pair --all` over a large mesh.

#![allow(clippy::indexing_slicing, reason = "a document of the repository is altered")]

use std::{
    fmt::Write as _,
    fs::{File, read_to_string},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::line;

const PROGRAM: &str = env!("CARGO_BIN_EXE_mtls-medic");
const PODS_JUDGED: usize = 1_000;
const NODES: usize = 100;
const SERVICES: usize = 500;
const PODS_A_SERVICE: usize = 4;
/// How often the memory of a running program is looked at: a peak lasts until the program ends.
const LOOKS_EVERY: Duration = Duration::from_millis(2);

/// Measures both.
pub(crate) fn run() {
    let folder = tempfile::tempdir().unwrap();
    let evidence = folder.path().join("evidence.json");
    std::fs::write(&evidence, many_pods()).unwrap();
    let judged = Ran::with(&["diagnose", evidence.to_str().unwrap()], folder.path());
    line("diagnose_of_1000_pods", judged.seconds, "s", "<=1");

    let objects = folder.path().join("objects.yaml");
    std::fs::write(&objects, large_mesh()).unwrap();
    let paired = Ran::with(&["pair", "--all", "-o", "json", "--objects", objects.to_str().unwrap()], folder.path());
    line("pair_all_of_500_services_and_2000_pods", paired.seconds, "s", "<=2");
    line("pair_all_peak_memory", paired.mebibytes, "MiB", "<=200");
}

/// How long a command ran, and the most memory that it held.
struct Ran {
    seconds: f64,
    mebibytes: f64,
}

impl Ran {
    fn with(arguments: &[&str], folder: &Path) -> Self {
        let answer = File::create(folder.join("answer")).unwrap();
        let began = Instant::now();
        let mut child = Command::new(PROGRAM).args(arguments).stdout(answer).stderr(Stdio::null()).spawn().unwrap();
        let mut peak = 0.0_f64;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            peak = peak.max(peak_of(child.id()).unwrap_or_default());
            std::thread::sleep(LOOKS_EVERY);
        };
        assert!(status.code().is_some_and(|code| code != 3), "{arguments:?} ended with {status}");
        Self { seconds: began.elapsed().as_secs_f64(), mebibytes: peak }
    }
}

fn peak_of(process: u32) -> Option<f64> {
    let status = read_to_string(format!("/proc/{process}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: f64 = peak.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kibibytes / 1024.0)
}

/// The night of an expired certificate, with its pods again and again under other names on other nodes.
fn many_pods() -> String {
    let mut evidence: Value = serde_json::from_str(include_str!("../data/evidence/expired-certificate.json")).unwrap();
    let pods = evidence["pods"].as_array().unwrap().clone();
    let agents = evidence["agents"].as_array().unwrap().clone();
    let copies = pods.iter().cycle().take(PODS_JUDGED).enumerate().map(|(place, pod)| {
        let mut pod = pod.clone();
        pod["pod"]["name"] = format!("pod-{place}").into();
        pod["uid"] = format!("uid-{place}").into();
        pod["node"] = format!("node-{}", place % NODES).into();
        pod
    });
    evidence["pods"] = copies.collect();
    let of_nodes = agents.iter().cycle().take(NODES).enumerate().map(|(place, agent)| {
        let mut agent = agent.clone();
        agent["node"] = format!("node-{place}").into();
        agent
    });
    evidence["agents"] = of_nodes.collect();
    serde_json::to_string(&evidence).unwrap()
}

/// A namespace for ten services each, a rule for every second service, a policy for every third namespace.
fn large_mesh() -> String {
    let mut text = String::new();
    for service in 0..SERVICES {
        let namespace = format!("team-{}", service / 10);
        write!(
            text,
            "---\napiVersion: v1\nkind: Service\nmetadata: {{namespace: {namespace}, name: s{service}}}\n\
             spec: {{clusterIP: 10.96.0.1, ports: [{{name: http, port: 80}}]}}\n\
             ---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{namespace: {namespace}, name: s{service}-a, \
             labels: {{kubernetes.io/service-name: s{service}}}}}\naddressType: IPv4\nports: [{{name: http, port: 8080}}]\nendpoints:\n"
        )
        .unwrap();
        for pod in 0..PODS_A_SERVICE {
            writeln!(
                text,
                "- {{addresses: [10.1.{}.{}], targetRef: {{kind: Pod, namespace: {namespace}, name: s{service}-{pod}}}}}",
                service / 60,
                service % 60 * PODS_A_SERVICE + pod
            )
            .unwrap();
        }
        for pod in 0..PODS_A_SERVICE {
            write!(
                text,
                "---\napiVersion: v1\nkind: Pod\nmetadata: {{namespace: {namespace}, name: s{service}-{pod}, labels: {{app: s{service}, \
                 security.istio.io/tlsMode: istio}}}}\nspec: {{serviceAccountName: s{service}, containers: [{{name: app, ports: \
                 [{{containerPort: 8080}}]}}, {{name: istio-proxy}}]}}\n"
            )
            .unwrap();
        }
        if service % 2 == 0 {
            write!(
                text,
                "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{namespace: {namespace}, name: \
                 s{service}}}\nspec: {{host: s{service}, trafficPolicy: {{tls: {{mode: ISTIO_MUTUAL}}}}}}\n"
            )
            .unwrap();
        }
        if service % 30 == 0 {
            write!(
                text,
                "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{namespace: {namespace}, name: \
                 default}}\nspec: {{mtls: {{mode: STRICT}}}}\n"
            )
            .unwrap();
        }
    }
    text
}
