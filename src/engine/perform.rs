//! The seam between the engine and the adapters: what an adapter is handed, and what it answers.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::progress::Progress;
use crate::incident::{Delivery, Incident, MessageRef, Outcome, Work};

/// One effect to perform, with all that an adapter needs to know.
#[derive(Debug, Clone)]
pub struct Task {
    /// The effect's key, unique within the incident: what posts carry, so that they are found after a crash.
    pub key: String,
    /// What to do.
    pub work: Work,
    /// The incident as it stands now, read when the effect was claimed.
    pub incident: Arc<Incident>,
    /// Which attempt this is, from 1. Above 1 the attempt before may have acted without our knowing: look first.
    pub attempt: u32,
    /// Since when it is wanted: nothing was sent for it before.
    pub wanted: Timestamp,
    /// The incident's root message at this effect's destination, if it was posted; for the edit of a post, that post.
    pub root: Option<MessageRef>,
    /// Whether fixes may run now: the configuration's word and the kill switch's.
    pub writes_enabled: bool,
    /// How far the triage of this incident is: the cluster room writes it, and faces show it on the card.
    pub progress: Progress,
}

/// What an effect came to.
#[derive(Debug, Clone)]
pub struct Done {
    /// The fact, for the incident.
    pub outcome: Outcome,
    /// The message that was posted or edited: stored with the outcome, in one transaction.
    pub delivery: Option<Delivery>,
    /// Evidence to store by its SHA-256 before the event that names it.
    pub evidence: Option<Vec<u8>>,
}

impl From<Outcome> for Done {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, delivery: None, evidence: None }
    }
}

/// Why an effect was not performed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PerformError {
    /// It may go better later: the platform is busy or out of reach.
    #[error("{reason}")]
    Again {
        /// What went wrong.
        reason: String,
        /// How long the other side asked us to wait (`Retry-After`); else the engine's own backoff.
        after: Option<SignedDuration>,
    },
    /// The other side is well, and refuses this one message: it may take it once somebody has mended something.
    #[error("{reason}")]
    Refused {
        /// What was refused, and why.
        reason: String,
    },
    /// Something has to be waited for first, and it is known that nothing was done: a lock, a disruption budget.
    #[error("{reason}")]
    Waiting {
        /// What is waited for.
        reason: String,
        /// How long the other side asked us to wait.
        after: Option<SignedDuration>,
    },
    /// It can never be done as asked.
    #[error("{reason}")]
    Never {
        /// What was refused, and what to do about it.
        reason: String,
    },
}

/// An adapter: performs the effects of one [`Room`](crate::incident::Room).
#[async_trait]
pub trait Perform: Send + Sync + 'static {
    /// Performs one effect within the engine's hard limit (30 s). Must be repeatable: it may be called again after a crash.
    async fn perform(&self, task: Task) -> Result<Done, PerformError>;
}
