//! Long answers: every call may hold a little, and a few at once may hold much more. The others wait for their turn.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::bounds::{CLUSTER_ANSWER, CLUSTER_LONG_ANSWERS_AT_ONCE};

/// The places for long answers of one cluster. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct LongAnswers(Arc<Semaphore>);

impl Default for LongAnswers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(CLUSTER_LONG_ANSWERS_AT_ONCE)))
    }
}

impl LongAnswers {
    /// The semaphore itself, for what is polled.
    pub(super) fn places(&self) -> Arc<Semaphore> {
        Arc::clone(&self.0)
    }

    /// Nothing yet, of `most` bytes at most.
    pub(super) fn collect(&self, most: usize) -> Held {
        Held { bytes: Vec::new(), most, places: self.places(), place: None }
    }
}

/// An answer that takes up one of the places, where it is long, until it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    bytes: Vec<u8>,
    most: usize,
    places: Arc<Semaphore>,
    place: Option<OwnedSemaphorePermit>,
}

/// More than is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is over {0} bytes (length limit)")]
pub(super) struct TooLong(usize);

impl Held {
    /// Adds a piece, once there is a place for so much.
    pub(super) async fn push(&mut self, piece: &[u8]) -> Result<(), TooLong> {
        let length = self.bytes.len().saturating_add(piece.len());
        if length > self.most {
            return Err(TooLong(self.most));
        }
        if length > CLUSTER_ANSWER && self.place.is_none() {
            // Never closed, so that it is an error of ours where it fails.
            self.place = self.places.clone().acquire_owned().await.ok();
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// Leaves only so much from the beginning.
    pub(super) fn truncate(&mut self, length: usize) {
        self.bytes.truncate(length);
    }
}

impl std::ops::Deref for Held {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}
