//! What tests see of the test bed: its cluster, and a shop of their own in it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use futures::{AsyncBufReadExt, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, Config,
    api::{ListParams, LogParams},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};
use tokio::sync::RwLock;

/// How long a change of the cluster may take that is waited for; SVIDs of a minute have to end within it.
pub const PATIENCE: Duration = Duration::from_mins(5);

/// Who breaks what all shops share has the bed to itself.
pub static BED: RwLock<()> = RwLock::const_new(());

/// A namespace with three services that call each other, made by `tests/real/shop`; gone when it is dropped.
pub struct Shop {
    pub namespace: String,
    kubeconfig: PathBuf,
    client: Client,
}

/// Users are machine-wide, as the SPIRE agent sees them, so no two shops may have the same.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A file of the bed's folder.
pub fn file(name: &str) -> PathBuf {
    let folder = std::env::var("REAL_BED").expect("REAL_BED names the folder of a test bed: use tests/real/run");
    Path::new(&folder).join(name)
}

/// The first two numbers of the addresses that pods listen at.
pub fn network() -> String {
    std::fs::read_to_string(file("network")).unwrap().trim().to_owned()
}

/// A program that `tests/real/install` keeps.
pub fn part(name: &str) -> PathBuf {
    let kept = std::env::var("REAL_PARTS").map_or_else(|_| PathBuf::from("target/real"), PathBuf::from);
    Path::new(env!("CARGO_MANIFEST_DIR")).join(kept).join("bin").join(name)
}

/// Breaks a part of the bed that all its shops use (`tests/real/break`); whole again when it is dropped.
pub struct Broken(&'static str);

impl Broken {
    pub async fn now(fault: &'static str) -> Self {
        succeeds("break", &[fault]).await;
        Self(fault)
    }
}

impl Drop for Broken {
    fn drop(&mut self) {
        let done = script("restore").arg(self.0).env("KUBECONFIG", file("kubeconfig")).output();
        assert!(done.is_ok_and(|done| done.status.success()) || std::thread::panicking(), "{} stays broken", self.0);
    }
}

fn script(name: &str) -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real").join(name))
}

/// A client with the rights of a kubeconfig.
pub async fn client(kubeconfig: &Path) -> Client {
    let config = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// What a command of a cluster administrator says, which has to end well: of kubectl, or helm.
pub async fn administrator(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(part(program));
    command.args(arguments).env("KUBECONFIG", file("kubeconfig"));
    let done = run(command).await;
    let [said, complained] = [&done.stdout, &done.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(done.status.success(), "{program} {arguments:?}: {said}{complained}");
    said
}

/// kubectl as a cluster administrator.
pub async fn kubectl(arguments: &[&str]) -> Output {
    let mut command = Command::new(part("kubectl"));
    command.args(arguments).env("KUBECONFIG", file("kubeconfig"));
    run(command).await
}

/// Cuts every stream of every node, in the middle of whatever it carries.
pub async fn cut_streams() {
    for node in ["node-a", "node-b"] {
        let pid = std::fs::read_to_string(file("pid").join(node)).unwrap();
        let mut kill = Command::new("kill");
        kill.args(["-USR1", pid.trim()]);
        assert!(run(kill).await.status.success());
    }
}

async fn succeeds(name: &str, arguments: &[&str]) {
    let mut command = script(name);
    command.args(arguments).env("KUBECONFIG", file("kubeconfig"));
    let done = run(command).await;
    assert!(done.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Runs a program to its end.
pub async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

impl Shop {
    /// A shop whose services answer each other, with SVIDs that live so long.
    pub async fn opens(svid_seconds: u32) -> Self {
        let place = NEXT.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("shop-{}-{place}", std::process::id());
        let user = 10_000 + (std::process::id() % 5_000) * 10 + place * 3;
        let kubeconfig = file("kubeconfig");
        succeeds("shop", &[&namespace, &user.to_string(), &svid_seconds.to_string()]).await;
        let client = client(&kubeconfig).await;
        Self { namespace, kubeconfig, client }
    }

    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// What the bot's configuration says of this mesh.
    pub fn mesh() -> Value {
        json!({ "trust_domain": "bed.test", "spire_namespace": "spire", "agent_log_since": "10m" })
    }

    /// All pods of the shop.
    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The pods of a service that are to stay.
    pub async fn pods_of(&self, service: &str) -> Vec<Pod> {
        let of = ListParams::default().labels(&format!("app={service}"));
        let pods = self.pods().list(&of).await.unwrap().items.into_iter();
        pods.filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect()
    }

    /// The lives of a service's pods now.
    pub async fn lives(&self, service: &str) -> BTreeSet<String> {
        self.pods_of(service).await.into_iter().filter_map(|pod| pod.metadata.uid).collect()
    }

    /// How often containers of a service were started again.
    pub async fn restarts(&self, service: &str) -> i32 {
        let pods = self.pods_of(service).await.into_iter().filter_map(|pod| pod.status?.container_statuses);
        pods.flatten().map(|container| container.restart_count).sum()
    }

    /// Breaks its proxies (`tests/real/break`).
    pub async fn broken(&self, fault: &str) {
        succeeds("break", &[fault, &self.namespace]).await;
    }

    /// Makes them whole again.
    pub async fn restored(&self, fault: &str) {
        succeeds("restore", &[fault, &self.namespace]).await;
    }

    /// Waits until each proxy of a service has logged so many lines with these words.
    pub async fn logs(&self, service: &str, words: &str, times: usize) {
        self.logs_of("istio-proxy", service, words, times).await;
    }

    /// The same of another container.
    pub async fn logs_of(&self, container: &str, service: &str, words: &str, times: usize) {
        let follow = LogParams { container: Some(container.to_owned()), follow: true, ..LogParams::default() };
        for pod in self.pods_of(service).await {
            let name = pod.metadata.name.unwrap();
            let logged = async {
                let mut lines = self.pods().log_stream(&name, &follow).await.unwrap().lines();
                let mut seen = 0;
                while seen < times {
                    let line = lines.try_next().await.unwrap().expect("the container ended");
                    seen += usize::from(line.contains(words));
                }
            };
            let shown = tokio::time::timeout(PATIENCE, logged).await;
            assert!(shown.is_ok(), "{name} did not log {words:?} {times} times");
        }
    }

    /// Waits until none of these lives is left, and as many others are ready.
    pub async fn replaced(&self, service: &str, before: &BTreeSet<String>) {
        let of = watcher::Config::default().labels(&format!("app={service}"));
        let mut changes = Box::pin(watcher(self.pods(), of).default_backoff());
        let replaced = async {
            while self.lives(service).await.intersection(before).next().is_some() {
                changes.next().await;
            }
        };
        tokio::time::timeout(PATIENCE, replaced).await.expect("the pods were not replaced");
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let kubectl = |arguments: &[&str]| {
            drop(Command::new(part("kubectl")).args(arguments).env("KUBECONFIG", &self.kubeconfig).output());
        };
        kubectl(&["delete", "namespace", &self.namespace, "--wait=false"]);
    }
}
