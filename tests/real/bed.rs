//! What tests see of the test bed: its cluster, and a shop of their own in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use futures::{AsyncBufReadExt, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, Config,
    api::{ListParams, LogParams},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};

/// How long a change of the cluster may take that is waited for; SVIDs of a minute have to end within it.
const PATIENCE: Duration = Duration::from_secs(300);

/// A namespace with three services that call each other, made by `tests/real/shop`; gone when it is dropped.
pub struct Shop {
    pub namespace: String,
    kubeconfig: PathBuf,
    client: Client,
}

/// So many failed calls are no accident.
const FAILED_IN_A_ROW: usize = 5;

/// Users are machine-wide, as the SPIRE agent sees them, so no two shops may have the same.
static NEXT: AtomicU32 = AtomicU32::new(0);

fn kubeconfig() -> PathBuf {
    let folder = std::env::var("REAL_BED").expect("REAL_BED names the folder of a test bed: use tests/real/run");
    Path::new(&folder).join("kubeconfig")
}

fn script(name: &str) -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real").join(name))
}

async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

impl Shop {
    /// A shop whose services answer each other, with SVIDs that live so long.
    pub async fn opens(svid_seconds: u32) -> Self {
        let place = NEXT.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("shop-{}-{place}", std::process::id());
        let user = 10_000 + (std::process::id() % 5_000) * 10 + place * 3;
        let kubeconfig = kubeconfig();
        let mut shop = script("shop");
        shop.arg(&namespace).arg(user.to_string()).arg(svid_seconds.to_string()).env("KUBECONFIG", &kubeconfig);
        let made = run(shop).await;
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let config = Kubeconfig::read_from(&kubeconfig).unwrap();
        let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
        Self { namespace, kubeconfig, client: Client::try_from(config).unwrap() }
    }

    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// What the bot's configuration says of this mesh.
    pub fn mesh() -> Value {
        json!({ "trust_domain": "bed.test", "spire_namespace": "spire", "agent_log_since": "10m" })
    }

    /// The labels that the alert of a service has.
    pub fn labels(&self, service: &str) -> BTreeMap<&'static str, String> {
        [
            ("alertname", "MTLSHandshakeFailureRateHigh".to_owned()),
            ("namespace", self.namespace.clone()),
            ("service", service.to_owned()),
        ]
        .into()
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The lives of a service's pods now.
    pub async fn lives(&self, service: &str) -> BTreeSet<String> {
        let of = ListParams::default().labels(&format!("app={service}"));
        let pods = self.pods().list(&of).await.unwrap().items.into_iter();
        pods.filter(|pod| pod.metadata.deletion_timestamp.is_none()).filter_map(|pod| pod.metadata.uid).collect()
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

    /// Waits until calls of a service fail, one after the other.
    pub async fn fails(&self, service: &str) {
        let of = ListParams::default().labels(&format!("app={service}"));
        let pod = self.pods().list(&of).await.unwrap().items.remove(0).metadata.name.unwrap();
        let follow = LogParams {
            container: Some("istio-proxy".to_owned()),
            follow: true,
            tail_lines: Some(1),
            ..LogParams::default()
        };
        let mut calls = self.pods().log_stream(&pod, &follow).await.unwrap().lines();
        let failing = async {
            let mut in_a_row = 0;
            while in_a_row < FAILED_IN_A_ROW {
                let call = calls.next().await.expect("the log went on").unwrap();
                in_a_row = if call.contains("\" 200 ") { 0 } else { in_a_row + 1 };
            }
        };
        tokio::time::timeout(PATIENCE, failing).await.expect("its calls never failed");
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let kubectl = |arguments: &[&str]| {
            drop(Command::new("kubectl").args(arguments).env("KUBECONFIG", &self.kubeconfig).output());
        };
        kubectl(&["delete", "namespace", &self.namespace, "--wait=false"]);
    }
}
