//! A shop of a test's own in a test bed: services that call each other over mTLS.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use futures::{AsyncBufReadExt, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{ListParams, LogParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};

use crate::bed::Bed;

/// How long a change of the cluster may take that is waited for; SVIDs of a minute have to end within it.
pub const PATIENCE: Duration = Duration::from_mins(5);

/// A namespace with three services that call each other, made by `tests/real/shop`; gone when it is dropped.
pub struct Shop {
    pub namespace: String,
    pub bed: Bed,
    client: Client,
}

/// The users of a shop, one a service. The SPIRE agent knows a workload by its user, so no two shops may have the same: ten
/// shops of one run fit between those of the next process.
const USERS: u32 = 3;

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Shop {
    /// A shop whose services answer each other, with SVIDs that live so long.
    pub async fn opens(bed: &Bed, svid_seconds: u32) -> Self {
        let place = NEXT.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("shop-{}-{place}", std::process::id());
        let user = 10_000 + (std::process::id() % 1_500) * 30 + place * USERS;
        // Before it is made: one that does not open is removed as well.
        let shop = Self { namespace, bed: bed.clone(), client: bed.client().await };
        bed.script("shop", &[&shop.namespace, &user.to_string(), &svid_seconds.to_string()]).await;
        shop
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

    /// Takes a service out of it.
    pub async fn without(&self, service: &str) {
        let (lives, deployment) = (self.lives(service).await, format!("deployment/{service}"));
        self.bed.administrator("kubectl", &["scale", "-n", &self.namespace, &deployment, "--replicas", "0"]).await;
        self.replaced(service, &lives).await;
    }

    /// Breaks its proxies (`tests/real/break`).
    pub async fn broken(&self, fault: &str) {
        self.bed.script("break", &[fault, &self.namespace]).await;
    }

    /// Makes them whole again.
    pub async fn restored(&self, fault: &str) {
        self.bed.script("restore", &[fault, &self.namespace]).await;
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

    /// Waits until none of these lives is left.
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
        self.bed.clean_up("kubectl", &["delete", "namespace", &self.namespace, "--wait=false"]);
    }
}
