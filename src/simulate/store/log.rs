//! The log of changes, from which a watch is played back.

use std::{collections::VecDeque, sync::Arc};

use serde_json::Value;

use super::Kind;

/// How many changes are kept. A watcher that is further behind has to list again (410), as a real server does;
/// a busy hour of the simulated mesh makes a few hundred.
pub const CHANGES_KEPT: usize = 10_000;

/// What happened to an object.
#[derive(Debug, Clone)]
pub struct StoreChange {
    /// The version of the cluster that it made.
    pub revision: u64,
    /// The kind of the object.
    pub kind: Kind,
    /// The object before, unless it is new.
    pub before: Option<Arc<Value>>,
    /// The object after; for a removal its last state, with the revision of the removal.
    pub object: Arc<Value>,
    /// Whether it was removed.
    pub removed: bool,
}

/// The changes asked for are no longer kept: list again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too old resource version: {asked} ({oldest})")]
pub struct TooOld {
    /// The version that was asked for.
    pub asked: u64,
    /// The oldest from which a watch can be played back.
    pub oldest: u64,
}

/// The newest changes, oldest first.
#[derive(Debug, Default)]
pub(super) struct ChangeLog {
    changes: VecDeque<StoreChange>,
    /// The revision of the last change that was thrown away; 0 when none was.
    forgotten: u64,
}

impl ChangeLog {
    pub(super) fn push(&mut self, change: StoreChange) {
        if self.changes.len() >= CHANGES_KEPT
            && let Some(oldest) = self.changes.pop_front()
        {
            self.forgotten = oldest.revision;
        }
        self.changes.push_back(change);
    }

    /// The changes of `kind` after `revision`.
    pub(super) fn since(&self, kind: Kind, revision: u64) -> Result<Vec<StoreChange>, TooOld> {
        if revision < self.forgotten {
            return Err(TooOld { asked: revision, oldest: self.forgotten });
        }
        let first = self.changes.partition_point(|change| change.revision <= revision);
        Ok(self.changes.range(first..).filter(|change| change.kind == kind).cloned().collect())
    }
}
