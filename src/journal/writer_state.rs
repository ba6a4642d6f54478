//! What others see of the writer, and what wakes them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{Append, AppendError};
use crate::incident::Room;

/// What others see of the writer.
#[derive(Clone)]
pub(super) struct WriterState {
    /// Moves after every transaction that brought something.
    pub(super) changed: watch::Sender<u64>,
    /// For each room, moves after every transaction that brought something for it.
    rooms: Arc<Mutex<BTreeMap<Room, watch::Sender<u64>>>>,
    /// How many transactions were written.
    pub(super) transactions: Arc<AtomicU64>,
    /// Whether the last one could not be.
    pub(super) fails: Arc<AtomicBool>,
    /// Since when one is being written.
    writing_since: Arc<Mutex<Option<Instant>>>,
}

impl WriterState {
    pub(super) fn new() -> Self {
        Self {
            changed: watch::Sender::new(0),
            rooms: Arc::default(),
            transactions: Arc::default(),
            fails: Arc::default(),
            writing_since: Arc::default(),
        }
    }

    pub(super) fn begins(&self) {
        *self.writing_since.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// For how long the transaction that is being written has been so.
    pub(super) fn writing_for(&self) -> Option<Duration> {
        let since = *self.writing_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.map(|since| since.elapsed())
    }

    /// The changes that one room has something to do by.
    pub(super) fn changes_for(&self, room: Room) -> watch::Receiver<u64> {
        self.rooms().entry(room).or_insert_with(|| watch::Sender::new(0)).subscribe()
    }

    fn rooms(&self) -> MutexGuard<'_, BTreeMap<Room, watch::Sender<u64>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tell(&self, written: &Result<News, AppendError>) {
        *self.writing_since.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let Ok(news) = written else { return };
        self.transactions.fetch_add(1, Ordering::Relaxed);
        // A claim that found nothing is no news: else the rooms would wake each other for ever.
        if news.any {
            self.changed.send_modify(|count| *count = count.wrapping_add(1));
        }
        for (room, changed) in &*self.rooms() {
            if news.of_every_room || news.rooms.contains(room) {
                changed.send_modify(|count| *count = count.wrapping_add(1));
            }
        }
    }
}

/// What a transaction brought that others wait for.
#[derive(Debug, Default)]
pub(super) struct News {
    any: bool,
    /// The rooms that have something to do by it.
    rooms: BTreeSet<Room>,
    of_every_room: bool,
}

impl News {
    pub(super) fn of(append: &Append) -> Self {
        let changed = append.changes.iter().flat_map(|change| &change.effects);
        let effects = changed.chain(append.redraws.iter().flat_map(|(_, effects)| effects));
        Self { any: true, rooms: effects.map(|effect| effect.work.room()).collect(), of_every_room: false }
    }

    /// What nobody waits for.
    pub(super) fn none() -> Self {
        Self::default()
    }

    pub(super) fn of_every_room(any: bool) -> Self {
        Self { any, rooms: BTreeSet::new(), of_every_room: any }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.any |= other.any;
        self.of_every_room |= other.of_every_room;
        self.rooms.extend(other.rooms);
    }
}
