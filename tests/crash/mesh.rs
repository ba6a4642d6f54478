//! The simulated mesh of a night: it outlives the bot, and remembers every pod that it ever had.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use mtls_medic::{
    clock::SystemClock,
    simulate::{Simulation, api::ApiFault, store::Kind, world::Scenario},
};
use serde_json::{Value, json};

use crate::serving::Outside;

/// How long an eviction may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Mesh {
    simulation: Simulation,
    /// Every life of a frontend pod that there ever was.
    ever_lived: Arc<Mutex<BTreeSet<String>>>,
    _folder: tempfile::TempDir,
}

impl Mesh {
    /// A mesh with an expired certificate, and the world around its bot.
    pub async fn and_outside() -> (Self, Outside) {
        Self::and_outside_with(json!({})).await
    }

    /// The same, with other keys in the bot's configuration.
    pub async fn and_outside_with(more: Value) -> (Self, Outside) {
        let listen = "127.0.0.1:0".parse().unwrap();
        let simulation = Simulation::start(Arc::new(SystemClock), Scenario::ExpiredCertificate, listen).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        simulation.write_kubeconfig(&kubeconfig).unwrap();
        let mesh = Self { simulation, ever_lived: Arc::default(), _folder: folder };
        mesh.watch_the_pods();
        (mesh, Outside::with(&kubeconfig, more).await)
    }

    /// From now on the API server answers no such request.
    pub fn stops_answering(&self, verb: &str, resource: &str) {
        self.simulation.options.inject(verb, resource, ApiFault::hang());
    }

    /// The lives of frontend's pods now.
    pub fn alive(&self) -> BTreeSet<String> {
        let pods = self.simulation.world.store().list(Kind::Pod, Some("web"));
        let stays = |pod: &&Value| is_frontend(pod) && pod["metadata"]["deletionTimestamp"].is_null();
        pods.iter().filter(stays).map(uid).collect()
    }

    pub fn ever_lived(&self) -> usize {
        self.ever_lived.lock().unwrap().len()
    }

    fn watch_the_pods(&self) {
        let (store, ever) = (self.simulation.world.store(), self.ever_lived.clone());
        let mut changes = store.changes();
        ever.lock().unwrap().extend(self.alive());
        tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                let pods = store.list(Kind::Pod, Some("web"));
                ever.lock().unwrap().extend(pods.iter().filter(|pod| is_frontend(pod)).map(uid));
            }
        });
    }

    /// Waits until one of these lives is over, or is ending.
    pub async fn evicted_one_of(&self, before: &BTreeSet<String>) {
        let mut changes = self.simulation.world.store().changes();
        let evicted = async {
            while before.is_subset(&self.alive()) {
                changes.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, evicted).await.expect("no pod was evicted");
    }

    pub async fn ends(self) {
        self.simulation.stop().await;
    }
}

fn is_frontend(pod: &Value) -> bool {
    pod["metadata"]["name"].as_str().is_some_and(|name| name.starts_with("frontend-"))
}

fn uid(pod: &Value) -> String {
    pod["metadata"]["uid"].as_str().unwrap().to_owned()
}
