//! What all parts of a running engine share. It knows none of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::SignedDuration;
use tokio::sync::broadcast;

use super::{
    counts::WindowCounts, crash::Crasher, perform::Perform, progress::RunningTriages, pulse::Pulse,
    storm_brake::StormBrake, time::Time, trouble::Trouble, turns::Turns, waiting_bodies::WaitingBodies,
};
use crate::{
    clock::Clock,
    incident::{IncidentId, Policy, Room},
    journal::{Claim, Journal},
};

/// How many changes a face that shows incidents live may be behind before it reads them all again.
const CHANGES_KEPT: usize = 1024;

/// What all parts of a running engine share.
pub(super) struct Shared {
    pub(super) journal: Journal,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: EngineSettings,
    pub(super) rules: RulesInForce,
    pub(super) time: Time,
    pub(super) turns: Turns,
    pub(super) incoming: Incoming,
    pub(super) dispatch: DispatchState,
    pub(super) listeners: Listeners,
    pub(super) crasher: Option<Crasher>,
}

/// What the engine was built with, for good.
pub(super) struct EngineSettings {
    /// The name of this cluster, for the incident of a storm.
    pub(super) cluster: String,
    pub(super) performers: BTreeMap<Room, Arc<dyn Perform>>,
    /// How long raw evidence is kept after its incident's last event.
    pub(super) evidence_kept: SignedDuration,
}

/// What comes in.
#[derive(Default)]
pub(super) struct Incoming {
    pub(super) brake: StormBrake,
    pub(super) bodies: WaitingBodies,
}

/// What goes out.
#[derive(Default)]
pub(super) struct DispatchState {
    /// What keeps rooms from claiming what is due.
    pub(super) claiming: Trouble,
    pub(super) triages: RunningTriages,
    pub(super) pulse: Pulse,
    /// What is being performed: row and attempt.
    held: Mutex<BTreeSet<(i64, u32)>>,
}

impl DispatchState {
    /// This is being performed from now on.
    pub(super) fn hold(&self, claim: &Claim) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).insert((claim.row, claim.attempt));
    }

    /// It has ended.
    pub(super) fn release(&self, claim: &Claim) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&(claim.row, claim.attempt));
    }

    /// The rows of what is being performed.
    pub(super) fn running(&self) -> Vec<i64> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(row, _)| *row).collect()
    }

    /// Lets go of all that is being performed: rows and attempts.
    pub(super) fn abandon(&self) -> Vec<(i64, u32)> {
        std::mem::take(&mut *self.held.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect()
    }
}

/// What others are told of what was stored.
pub(super) struct Listeners {
    pub(super) windows: WindowCounts,
    pub(super) changes: broadcast::Sender<IncidentId>,
}

impl Default for Listeners {
    fn default() -> Self {
        Self { windows: WindowCounts::default(), changes: broadcast::Sender::new(CHANGES_KEPT) }
    }
}

impl Listeners {
    /// Tells the faces that show incidents live which of them have changed.
    pub(super) fn announce<'a>(&self, ids: impl IntoIterator<Item = &'a IncidentId>) {
        for id in ids {
            // Nobody may be listening; the journal has it.
            drop(self.changes.send(*id));
        }
    }
}

/// The rules in force: those of the configuration, and the kill switch.
pub(super) struct RulesInForce {
    policy: Policy,
    /// Whether the kill switch of the journal lets fixes run.
    writes_on: AtomicBool,
}

impl RulesInForce {
    pub(super) fn new(policy: Policy, writes_on: bool) -> Self {
        Self { policy, writes_on: AtomicBool::new(writes_on) }
    }

    /// The rules in force.
    pub(super) fn policy(&self) -> Policy {
        let mut policy = self.policy.clone();
        policy.writes_enabled &= self.writes_on.load(Ordering::SeqCst);
        policy
    }

    /// Whether the configuration lets fixes run at all.
    pub(super) fn configured_writes(&self) -> bool {
        self.policy.writes_enabled
    }

    /// Puts the kill switch in force as it was stored.
    pub(super) fn put_switch(&self, on: bool) {
        self.writes_on.store(on, Ordering::SeqCst);
    }
}
