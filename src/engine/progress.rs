//! How far a triage that runs now has come. Kept in memory and shown on the card only: nothing decides by it, and after
//! a crash the triage begins again anyway.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Notify;

use crate::incident::IncidentId;

/// The longest name of a check that is shown, in characters.
const CHECK_MOST: usize = 80;

/// What a running triage has looked at so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChecksSoFar {
    /// How many checks have ended.
    pub checks: u32,
    /// The newest of them.
    pub newest: String,
}

/// The way by which a triage tells how far it is. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<ProgressState>);

#[derive(Debug, Default)]
struct ProgressState {
    looked: Mutex<ChecksSoFar>,
    more: Notify,
}

impl Progress {
    /// One more check has ended.
    pub fn report(&self, check: &str) {
        {
            let mut looked = self.0.looked.lock().unwrap_or_else(PoisonError::into_inner);
            looked.checks = looked.checks.saturating_add(1);
            looked.newest = check.chars().take(CHECK_MOST).collect();
        }
        self.0.more.notify_one();
    }

    /// Waits until one more check has ended.
    pub(super) async fn more(&self) {
        self.0.more.notified().await;
    }

    /// What was looked at; `None` before the first check has ended.
    pub fn looked(&self) -> Option<ChecksSoFar> {
        let looked = self.0.looked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (looked.checks > 0).then_some(looked)
    }
}

/// The triages that run now, at most one an incident.
#[derive(Debug, Default)]
pub(super) struct RunningTriages(Mutex<BTreeMap<IncidentId, Progress>>);

impl RunningTriages {
    /// A triage of this incident begins.
    pub(super) fn begin(&self, id: IncidentId) -> Progress {
        let progress = Progress::default();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, progress.clone());
        progress
    }

    /// It has ended.
    pub(super) fn end(&self, id: IncidentId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// How far the triage of an incident is.
    pub(super) fn of(&self, id: IncidentId) -> Progress {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned().unwrap_or_default()
    }
}
