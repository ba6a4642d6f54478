//! The objects of the simulated cluster, with resource versions and a log of changes to watch.
//!
//! One lock holds it all, so that a decision over several objects (an eviction and its budgets) is taken at one moment:
//! see [`Store::transaction`].

mod kind;
mod log;
mod meta;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;

use crate::clock::Clock;

pub use kind::{Kind, KindDescription, api_version};
pub use log::{CHANGES_KEPT, StoreChange, TooOld};
pub use meta::{field, rfc3339};

use log::ChangeLog;

/// Kind, namespace (empty for kinds without one) and name.
type Key = (Kind, String, String);

/// Everything that exists in the simulated cluster. The world writes into it, the API serves it.
pub struct Store {
    clock: Arc<dyn Clock>,
    inner: Mutex<StoreState>,
    newest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct StoreState {
    revision: u64,
    objects: BTreeMap<Key, Arc<Value>>,
    log: ChangeLog,
}

impl Store {
    /// An empty store; creation times are those of `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { clock, inner: Mutex::default(), newest: watch::Sender::new(0) })
    }

    /// The time on the world's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The clock of the world.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// Creates or replaces an object without asking what was there: for the world's own writes. Sets what is missing
    /// (`apiVersion`, `kind`, `uid`, `creationTimestamp`) and the version; answers the object as stored. Writing what is
    /// already there changes nothing and makes no event.
    pub fn apply(&self, kind: Kind, object: Value) -> Value {
        self.transaction(|objects| objects.put(kind, object).as_ref().clone())
    }

    /// One object.
    pub fn get(&self, kind: Kind, namespace: Option<&str>, name: &str) -> Option<Value> {
        self.lock().get(kind, namespace, name).map(|object| object.as_ref().clone())
    }

    /// All objects of a kind, in one namespace or in all, by namespace and name.
    pub fn list(&self, kind: Kind, namespace: Option<&str>) -> Vec<Value> {
        self.lock().list(kind, namespace).map(|object| object.as_ref().clone()).collect()
    }

    /// Changes one object; `None` when it does not exist. `change` runs under the store's lock: it must not call the
    /// store.
    pub fn update(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) -> Option<Value> {
        self.transaction(|objects| {
            let mut object = objects.get(kind, namespace, name)?.as_ref().clone();
            change(&mut object);
            Some(objects.put(kind, object).as_ref().clone())
        })
    }

    /// Removes an object and answers its last state.
    pub fn remove(&self, kind: Kind, namespace: Option<&str>, name: &str) -> Option<Value> {
        self.transaction(|objects| objects.remove(kind, namespace, name).map(|object| object.as_ref().clone()))
    }

    /// The newest version of the cluster, and word of every newer one.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// The changes of one kind after `revision`, oldest first.
    pub fn changes_since(&self, kind: Kind, revision: u64) -> Result<Vec<StoreChange>, TooOld> {
        self.lock().log.since(kind, revision)
    }

    /// As [`Store::changes_since`], and moves `after` to the newest version, whatever kind it belongs to: so a watcher of a
    /// quiet kind does not fall behind the log.
    pub fn catch_up(&self, kind: Kind, after: &mut u64) -> Result<Vec<StoreChange>, TooOld> {
        let inner = self.lock();
        let changes = inner.log.since(kind, *after)?;
        *after = inner.revision.max(*after);
        Ok(changes)
    }

    /// Several reads and writes at one moment. `work` runs under the store's lock: it must not call the store itself.
    pub fn transaction<R>(&self, work: impl FnOnce(&mut Transaction<'_>) -> R) -> R {
        let now = self.clock.now();
        let mut inner = self.lock();
        let before = inner.revision;
        let result = work(&mut Transaction { inner: &mut inner, now });
        if inner.revision != before {
            // Under the lock, so that a receiver never sees the numbers go back.
            self.newest.send_replace(inner.revision);
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, StoreState> {
        // Every write is one insertion, so the maps are whole even when a holder panicked.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StoreState {
    fn get(&self, kind: Kind, namespace: Option<&str>, name: &str) -> Option<&Arc<Value>> {
        self.objects.get(&key(kind, namespace, name))
    }

    fn list(&self, kind: Kind, namespace: Option<&str>) -> impl Iterator<Item = &Arc<Value>> {
        let first: Key = (kind, namespace.unwrap_or_default().to_owned(), String::new());
        let wanted = namespace.map(str::to_owned);
        self.objects
            .range(first..)
            .take_while(move |((of, within, _), _)| {
                *of == kind && wanted.as_ref().is_none_or(|wanted| wanted == within)
            })
            .map(|(_, object)| object)
    }
}

/// The store while its lock is held.
pub struct Transaction<'a> {
    inner: &'a mut StoreState,
    now: Timestamp,
}

impl Transaction<'_> {
    /// The newest version of the cluster.
    pub fn revision(&self) -> u64 {
        self.inner.revision
    }

    /// The time on the world's clock.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// One object.
    pub fn get(&self, kind: Kind, namespace: Option<&str>, name: &str) -> Option<Arc<Value>> {
        self.inner.get(kind, namespace, name).cloned()
    }

    /// All objects of a kind, in one namespace or in all.
    pub fn list(&self, kind: Kind, namespace: Option<&str>) -> Vec<Arc<Value>> {
        self.inner.list(kind, namespace).cloned().collect()
    }

    /// Creates or replaces an object: see [`Store::apply`].
    pub fn put(&mut self, kind: Kind, mut object: Value) -> Arc<Value> {
        let key = key(kind, Some(field(&object, "namespace")), field(&object, "name"));
        let before = self.inner.objects.get(&key).cloned();
        let revision = self.inner.revision + 1;
        meta::complete(kind, &mut object, before.as_deref(), self.now, revision);
        if let Some(before) = before.as_ref().filter(|before| meta::same_content(before, &object)) {
            return Arc::clone(before);
        }
        meta::set_revision(&mut object, revision);
        let object = Arc::new(object);
        self.inner.objects.insert(key, Arc::clone(&object));
        self.inner.revision = revision;
        self.inner.log.push(StoreChange { revision, kind, before, object: Arc::clone(&object), removed: false });
        object
    }

    /// Removes an object and answers its last state.
    pub fn remove(&mut self, kind: Kind, namespace: Option<&str>, name: &str) -> Option<Arc<Value>> {
        let before = self.inner.objects.remove(&key(kind, namespace, name))?;
        self.inner.revision += 1;
        let revision = self.inner.revision;
        let mut last = before.as_ref().clone();
        meta::set_revision(&mut last, revision);
        let object = Arc::new(last);
        let change = StoreChange { revision, kind, before: Some(before), object: Arc::clone(&object), removed: true };
        self.inner.log.push(change);
        Some(object)
    }
}

fn key(kind: Kind, namespace: Option<&str>, name: &str) -> Key {
    let namespace = if kind.facts().namespaced { namespace.unwrap_or_default() } else { "" };
    (kind, namespace.to_owned(), name.to_owned())
}

#[cfg(test)]
mod tests;
