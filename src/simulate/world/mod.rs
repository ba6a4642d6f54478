//! The world: SPIRE, agents, workloads, proxies and controllers on a world clock.
//!
//! Faults are injected into the world and never into answers: what a proxy counts and logs follows from whether the
//! handshakes of each moment would succeed. The world is settled up to the clock's time whenever somebody looks, so an
//! hour that passes in one jump leaves the same state as an hour that passes in seconds.

mod admin;
mod authority;
mod bundle;
mod controllers;
mod kubelet;
mod objects;
mod pod;
mod probes;
mod rotation;
mod scenario;
mod spire;
mod topology;
mod traffic;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

pub use authority::AuthorityError;
pub use scenario::{Fault, Scenario};
pub use topology::TRUST_DOMAIN;

use super::store::Store;
use crate::clock::Clock;
use authority::Authority;
use pod::{Pod, SimulatedAgent};

/// How often the world moves by itself, on its own clock.
const TICK: SignedDuration = SignedDuration::from_secs(1);

/// The world. Its objects are in the [`Store`]; what runs in its pods is here.
pub struct World {
    store: Arc<Store>,
    inner: Mutex<WorldState>,
}

/// Everything that moves.
pub(super) struct WorldState {
    spire: Authority,
    rotation: Option<bundle::Rotation>,
    istio: Authority,
    /// What is broken, and since when.
    faults: BTreeMap<Fault, Timestamp>,
    pods: BTreeMap<(String, String), Pod>,
    agents: BTreeMap<String, SimulatedAgent>,
    settled: Timestamp,
    /// The workloads whose clients send plain text where only mTLS is taken.
    called_in_vain: Vec<&'static topology::Workload>,
    /// Counts pods, for names and UIDs.
    born: u32,
}

impl World {
    /// A world whose history already lies behind it: the scenario says since when it has been running, and with which
    /// fault.
    pub fn start(clock: Arc<dyn Clock>, scenario: Scenario) -> Result<Arc<Self>, AuthorityError> {
        let now = clock.now();
        let began = now - scenario::HISTORY;
        let store = Store::new(clock);
        let mut inner = WorldState {
            spire: Authority::of_spire(began)?,
            rotation: None,
            istio: Authority::of_istio(began)?,
            faults: scenario.faults().into_iter().map(|fault| (fault, began)).collect(),
            pods: BTreeMap::new(),
            agents: BTreeMap::new(),
            settled: began,
            called_in_vain: Vec::new(),
            born: 0,
        };
        inner.plan_rotation(began)?;
        let world = Arc::new(Self { store, inner: Mutex::new(inner) });
        {
            let mut inner = world.lock();
            objects::lay_out(&world.store, &inner, began);
            controllers::populate(&mut inner, &world.store, began);
        }
        world.settle();
        Ok(world)
    }

    /// The objects of the cluster.
    pub fn store(&self) -> Arc<Store> {
        self.store.clone()
    }

    /// Breaks something from now on.
    pub fn inject(&self, fault: Fault) {
        self.settle();
        let now = self.store.now();
        let laid_out = fault.clone();
        {
            let mut inner = self.lock();
            inner.faults.insert(fault, now);
            if let Err(error) = inner.rotate_authority(now) {
                tracing::error!(%error, "the simulated authority could not rotate");
            }
        }
        self.follow(&laid_out);
        self.settle();
    }

    /// Mends it.
    pub fn heal(&self, fault: &Fault) {
        self.settle();
        self.lock().faults.remove(fault);
        self.follow(fault);
        self.settle();
    }

    /// Writes the objects that a fault is made of.
    fn follow(&self, fault: &Fault) {
        if let Fault::RuleSaysDisable { namespace, workload } = fault
            && let Some(workload) = topology::workload(namespace, workload)
        {
            objects::lay_out_rule(&self.store, &self.lock(), workload);
        }
    }

    /// What is broken now.
    pub fn faults(&self) -> Vec<Fault> {
        self.lock().faults.keys().cloned().collect()
    }

    /// Brings the world up to the clock's time.
    pub fn settle(&self) {
        let now = self.store.now();
        drop(self.settled_at(now));
    }

    /// Moves the world with its clock, and when somebody deletes a pod, until `shutdown`.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let mut changes = self.store.changes();
        loop {
            self.settle();
            changes.borrow_and_update();
            let clock = self.store.clock();
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = clock.sleep_until(self.store.now() + TICK) => {}
                _ = changes.changed() => {}
            }
        }
    }

    /// The share of a service's mTLS handshakes and calls that fail now, from 0 to 1: what the alert's expression would
    /// say, seen from the proxies of its pods as servers and as clients. `None` when there is no traffic.
    pub fn failure_rate(&self, namespace: &str, service: &str) -> Option<f64> {
        self.settle();
        traffic::failure_rate(&self.lock(), namespace, service)
    }

    fn settled_at(&self, now: Timestamp) -> MutexGuard<'_, WorldState> {
        let mut inner = self.lock();
        controllers::notice_deletions(&mut inner, &self.store, now);
        let in_vain = |workload: &&topology::Workload| objects::is_called_in_vain(&self.store, workload);
        inner.called_in_vain = topology::WORKLOADS.iter().filter(in_vain).collect();
        while let Some(next) = inner.next_change(now) {
            traffic::flow(&mut inner, next);
            inner.settled = next;
            rotation::rotate(&mut inner, next);
            controllers::control(&mut inner, &self.store, next);
        }
        traffic::flow(&mut inner, now);
        inner.settled = inner.settled.max(now);
        bundle::publish(&inner, &self.store);
        controllers::probe_spire(&mut inner, &self.store, now);
        inner
    }

    fn lock(&self) -> MutexGuard<'_, WorldState> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WorldState {
    /// The next moment, up to `now`, at which something changes by itself.
    fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let pods = self.pods.values().flat_map(|pod| pod.moments(self));
        let agents = self.agents.values().filter_map(|agent| agent.ready_at);
        pods.chain(agents).filter(|moment| *moment > self.settled && *moment <= now).min()
    }

    pub(super) fn has(&self, fault: &Fault) -> bool {
        self.faults.contains_key(fault)
    }
}
