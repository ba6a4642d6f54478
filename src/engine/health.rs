//! The engine's watch over itself: an effect that is overdue is a metric, a log line and a readiness reason.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::{build::Shared, dispatch, late::Late};
use crate::journal::JournalError;

/// How often the engine looks at itself, in real time.
const LOOKS_EVERY: Duration = Duration::from_secs(15);
/// Answers to requests are kept this long, so that a repeat gets the first answer again.
const ANSWERS_KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How often chains are anchored and old things forgotten, by the clock.
const HOUSEKEEPING_EVERY: SignedDuration = SignedDuration::from_hours(1);
/// How many open incidents' chains are anchored at once: more are open only in a storm.
const ANCHORED_MOST: u32 = 1000;

/// How many batches of old evidence one look forgets: the rest waits for the next, so that nothing else waits long.
const FORGETTING_MOST: usize = 50;

/// What waits, and for how long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// How many effects are due, by room.
    pub due: BTreeMap<String, i64>,
    /// Since when the oldest effect that is more than 60 s overdue is wanted; failing attempts do not move it.
    pub overdue_since: Option<Timestamp>,
}

pub(super) async fn look(shared: &Shared) -> Result<Health, JournalError> {
    let now = shared.clock.now();
    if shared.journal.fails() {
        // Whoever is not ready is sent nothing that could show that it works again.
        shared.journal.beat(now).await.map_err(|error| JournalError::NotWritten(error.to_string()))?;
    }
    let backlog = shared.journal.backlog(now).await?;
    let overdue_since = backlog.oldest_wanted.filter(|due| dispatch::is_overdue(*due, now));
    Ok(Health { due: backlog.due, overdue_since })
}

pub(super) async fn watch(shared: Arc<Shared>) {
    let mut late = Late::default();
    let mut kept_at = None;
    loop {
        match look(&shared).await {
            Ok(Health { overdue_since: Some(since), due }) => {
                tracing::error!(%since, ?due, "effects are overdue: somebody may not have been called");
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "the engine could not look at itself"),
        }
        if let Err(error) = late.tell(&shared).await {
            tracing::error!(%error, "it could not be stored that effects are overdue");
        }
        if kept_at.is_none_or(|at| shared.clock.now().duration_since(at) > HOUSEKEEPING_EVERY) {
            kept_at = Some(shared.clock.now());
            keep_house(&shared).await;
        }
        tokio::time::sleep(LOOKS_EVERY).await;
    }
}

/// Anchors the chains of what is open, and forgets what is old.
async fn keep_house(shared: &Shared) {
    match shared.journal.live(ANCHORED_MOST).await {
        Ok(live) => {
            let ids: Vec<_> = live.iter().map(|stored| stored.incident.id).collect();
            shared.journal.anchor(&ids).await;
        }
        Err(error) => tracing::warn!(%error, "the heads of the chains could not be read"),
    }
    let now = shared.clock.now();
    let forgotten = match shared.journal.forget_answers(now - ANSWERS_KEPT).await {
        Ok(()) => shared.journal.forget_done(now).await,
        failed => failed,
    };
    if let Err(error) = forgotten {
        tracing::warn!(%error, "what is old could not be forgotten");
    }
    forget_evidence(shared, now).await;
}

/// Forgets raw evidence that is older than it is kept, batch by batch: other appends come in between.
pub(super) async fn forget_evidence(shared: &Shared, now: Timestamp) {
    let before = now.saturating_sub(shared.keep).unwrap_or(Timestamp::MIN);
    let mut forgotten: u64 = 0;
    for _ in 0..FORGETTING_MOST {
        match shared.journal.forget_evidence(before).await {
            Ok(0) => break,
            Ok(count) => forgotten = forgotten.saturating_add(count),
            Err(error) => {
                tracing::warn!(%error, "old evidence could not be forgotten");
                break;
            }
        }
    }
    if forgotten > 0 {
        tracing::info!(forgotten, "raw evidence of long closed incidents is forgotten; their events stay");
    }
}
