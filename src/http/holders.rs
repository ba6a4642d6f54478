//! Those who hold some of what is scarce, and can be told to make way for others.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

/// All who hold some of it.
#[derive(Debug)]
pub(super) struct Holders<T>(Mutex<Table<T>>);

/// What each of them holds, in the order in which they came.
#[derive(Debug)]
pub(super) struct Table<T> {
    next: u64,
    held: BTreeMap<u64, (T, CancellationToken)>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Holder<T> {
    all: Arc<Holders<T>>,
    number: u64,
    /// Cancelled when it must make way.
    pub(super) leave: CancellationToken,
}

impl<T> Default for Holders<T> {
    fn default() -> Self {
        Self(Mutex::new(Table { next: 0, held: BTreeMap::new() }))
    }
}

impl<T> Holders<T> {
    pub(super) fn lock(&self) -> MutexGuard<'_, Table<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more, that holds this; `table` is ours, and locked.
    pub(super) fn enter(self: &Arc<Self>, table: &mut Table<T>, holds: T) -> Holder<T> {
        let (number, leave) = (table.next, CancellationToken::new());
        table.next = number.wrapping_add(1);
        table.held.insert(number, (holds, leave.clone()));
        Holder { all: Arc::clone(self), number, leave }
    }
}

impl<T> Table<T> {
    /// Those who were not told to make way, each with its number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.held.iter().map(|(number, (holds, _))| (*number, holds))
    }

    /// Tells one to make way; what it held.
    pub(super) fn make_way(&mut self, number: u64) -> Option<T> {
        let (held, leave) = self.held.remove(&number)?;
        leave.cancel();
        Some(held)
    }
}

impl<T> Holder<T> {
    /// Changes what it holds; whether it was not told to make way meanwhile.
    pub(super) fn change(&self, change: impl FnOnce(&mut T)) -> bool {
        self.all.lock().held.get_mut(&self.number).map(|(held, _)| change(held)).is_some()
    }
}

impl<T> Drop for Holder<T> {
    fn drop(&mut self) {
        self.all.lock().held.remove(&self.number);
    }
}
