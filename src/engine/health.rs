//! The engine's watch over itself: an effect that is overdue is a metric, a log line and a readiness reason.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::{alarm::Alarm, clock_set, dispatch, overdue::OverdueWatch, shared::Shared};
use crate::journal::JournalError;

/// How often the engine looks at itself, in real time.
const LOOKS_EVERY: Duration = Duration::from_secs(10);
/// How often it looks again while the journal fails.
const LOOKS_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How long the journal may take to be read or to commit: a bot that answers later than this is of no use.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// A transaction that takes longer than this stands still. With [`LOOKS_EVERY`], a disk that hangs is known within 30 s.
const HANGS_AFTER: Duration = Duration::from_secs(10);
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
pub struct EngineHealth {
    /// How many effects are due, by room.
    pub due: BTreeMap<String, i64>,
    /// Since when the oldest effect that is more than 60 s overdue is wanted; failing attempts do not move it.
    pub overdue_since: Option<Timestamp>,
}

/// Looks, and answers whatever the disk does.
pub(super) async fn look(shared: &Shared) -> Result<EngineHealth, JournalError> {
    if let Some(taken) = shared.journal.writing_for().filter(|taken| *taken >= HANGS_AFTER) {
        return Err(JournalError::Hangs(taken));
    }
    let hangs = |_| JournalError::Hangs(ANSWERS_WITHIN);
    tokio::time::timeout(ANSWERS_WITHIN, read(shared)).await.map_err(hangs)?
}

async fn read(shared: &Shared) -> Result<EngineHealth, JournalError> {
    let now = shared.clock.now();
    if shared.journal.fails() {
        // A bot that is not ready gets no requests whose success could show that the journal works again.
        shared.journal.beat(now).await.map_err(|error| JournalError::NotWritten(error.to_string()))?;
    }
    let backlog = shared.journal.backlog(now).await?;
    let overdue_since = backlog.oldest_wanted.filter(|due| dispatch::is_overdue(*due, now));
    Ok(EngineHealth { due: backlog.due, overdue_since })
}

pub(super) async fn watch(shared: Arc<Shared>) {
    let mut late = OverdueWatch::default();
    let mut alarm = Alarm::after_start(&shared).await;
    let mut kept_at = None;
    loop {
        let looked_at = tokio::time::Instant::now();
        match commit_and_look(&shared).await {
            Ok(health) => {
                alarm.works(&shared).await;
                if let Some(since) = health.overdue_since {
                    let due = health.due;
                    tracing::error!(%since, ?due, "effects are overdue: somebody may not have been called");
                }
                match tokio::time::timeout(ANSWERS_WITHIN, late.tell(&shared)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::error!(%error, "it could not be stored that effects are overdue"),
                    Err(_) => tracing::error!("it could not be stored in time that effects are overdue"),
                }
                if kept_at.is_none_or(|at| shared.clock.steady().duration_since(at) > HOUSEKEEPING_EVERY) {
                    kept_at = Some(shared.clock.steady());
                    keep_house(&shared).await;
                }
            }
            Err(error) => {
                tracing::error!(%error, "the engine could not look at itself");
                alarm.failed(&shared, &error).await;
            }
        }
        wait(&shared, looked_at).await;
    }
}

/// Waits for the next look; not as long when the journal fails meanwhile.
async fn wait(shared: &Shared, looked_at: tokio::time::Instant) {
    while looked_at.elapsed() < if shared.journal.fails() { LOOKS_AGAIN_AFTER } else { LOOKS_EVERY } {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Commits something first: a disk that hangs is not seen by reading.
async fn commit_and_look(shared: &Shared) -> Result<EngineHealth, JournalError> {
    let hangs = shared.journal.writing_for().is_some_and(|taken| taken >= ANSWERS_WITHIN);
    if !hangs {
        let kept = tokio::time::timeout(ANSWERS_WITHIN, clock_set::keep_mark(shared)).await;
        if let Ok(Err(error)) = kept {
            return Err(error.of_the_journal());
        }
    }
    look(shared).await
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
    let forgotten = async {
        shared.journal.forget_answers(now - ANSWERS_KEPT).await?;
        shared.journal.forget_done(now).await?;
        shared.journal.forget_groups(now).await
    };
    if let Err(error) = forgotten.await {
        tracing::warn!(%error, "what is old could not be forgotten");
    }
    forget_evidence(shared, now).await;
}

/// Forgets raw evidence that is older than it is kept, batch by batch: other appends come in between.
pub(super) async fn forget_evidence(shared: &Shared, now: Timestamp) {
    let before = now.saturating_sub(shared.settings.evidence_kept).unwrap_or(Timestamp::MIN);
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
