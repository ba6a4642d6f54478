//! The time that decisions are taken by, and how often it was set. A clock that is set waits until nobody decides by it.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use jiff::SignedDuration;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// How often the clock was set, and by how much.
#[derive(Debug, Default)]
pub(super) struct Time {
    gate: RwLock<()>,
    set: Mutex<SignedDuration>,
    back: AtomicU64,
    forward: AtomicU64,
}

/// How often the wall clock was set since the start of the process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClockJumps {
    /// Set back.
    pub back: u64,
    /// Set forward.
    pub forward: u64,
}

impl Time {
    /// The clock is not set as long as this is held. Never taken twice in one task, and after the turns that the task takes:
    /// a move that waits for one of two would stop both.
    pub(super) async fn still(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read().await
    }

    /// Nobody decides by the time as long as this is held.
    pub(super) async fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write().await
    }

    /// By how much the clock was set in all.
    pub(super) fn set(&self) -> SignedDuration {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, by: SignedDuration) {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        *set = set.saturating_add(by);
    }

    /// What was measured when the clock had been set by `then` in all, by the time of now.
    pub(super) fn presently<T>(&self, measured: T, then: SignedDuration, by: impl Fn(&T, SignedDuration) -> T) -> T {
        let since = self.set().saturating_sub(then);
        if since.is_zero() { measured } else { by(&measured, since) }
    }

    pub(super) fn jumps(&self) -> ClockJumps {
        ClockJumps { back: self.back.load(Ordering::Relaxed), forward: self.forward.load(Ordering::Relaxed) }
    }

    pub(super) fn count(&self, by: SignedDuration) {
        let count = if by.is_negative() { &self.back } else { &self.forward };
        count.fetch_add(1, Ordering::Relaxed);
    }
}
