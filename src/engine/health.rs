//! The engine's watch over itself: an effect that is overdue is a metric, a log line and a readiness reason.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::{build::Shared, dispatch};
use crate::journal::JournalError;

/// How often the engine looks at itself, in real time.
const LOOKS_EVERY: Duration = Duration::from_secs(15);
/// Answers to requests are kept this long, so that a repeat gets the first answer again.
const ANSWERS_KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What waits, and for how long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// How many effects are due, by room.
    pub due: BTreeMap<String, i64>,
    /// The earliest due time among those that are more than 60 s overdue.
    pub overdue_since: Option<Timestamp>,
}

pub(super) async fn look(shared: &Shared) -> Result<Health, JournalError> {
    let now = shared.clock.now();
    let backlog = shared.journal.backlog(now).await?;
    let overdue_since = backlog.oldest_due.filter(|due| dispatch::is_overdue(*due, now));
    Ok(Health { due: backlog.due, overdue_since })
}

pub(super) async fn watch(shared: Arc<Shared>) {
    loop {
        match look(&shared).await {
            Ok(Health { overdue_since: Some(since), due }) => {
                tracing::error!(%since, ?due, "effects are overdue: somebody may not have been called");
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "the engine could not look at itself"),
        }
        let before = shared.clock.now() - ANSWERS_KEPT;
        if let Err(error) = shared.journal.forget_answers(before).await {
            tracing::warn!(%error, "old answers could not be forgotten");
        }
        tokio::time::sleep(LOOKS_EVERY).await;
    }
}
