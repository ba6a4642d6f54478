//! The storm brake: over so many openings a minute, one message and one page stand for all.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use super::{build::Shared, inbox::not_stored};
use crate::{
    incident::{IncidentKey, Seen, Sighted, storm},
    journal::{Append, AppendError},
};

/// The stretch over which openings are counted.
const MINUTE: SignedDuration = SignedDuration::from_mins(1);
/// How many opening times are kept: far above any sensible brake.
const KEPT_MOST: usize = 10_000;
/// How long openings are gathered before the storm's count is drawn again, in real time.
const GATHERED_FOR: std::time::Duration = std::time::Duration::from_secs(1);

/// Counts openings. A count that is lost with the process is read from the journal again at the start.
#[derive(Debug, Default)]
pub(super) struct Storm {
    openings: Mutex<VecDeque<Timestamp>>,
    raised: Notify,
}

impl Storm {
    pub(super) fn opened(&self, at: Timestamp, count: usize) {
        let mut openings = self.openings.lock().unwrap_or_else(PoisonError::into_inner);
        openings.extend(std::iter::repeat_n(at, count));
        let surplus = openings.len().saturating_sub(KEPT_MOST);
        openings.drain(..surplus);
    }

    /// Whether one more opening now, after `pending` in the same body, is one too many.
    pub(super) fn rages(&self, now: Timestamp, per_minute: u32, pending: usize) -> bool {
        let mut openings = self.openings.lock().unwrap_or_else(PoisonError::into_inner);
        while openings.front().is_some_and(|first| now.duration_since(*first) > MINUTE) {
            openings.pop_front();
        }
        let most = usize::try_from(per_minute).unwrap_or(usize::MAX);
        openings.len().saturating_add(pending) >= most
    }

    pub(super) fn notify(&self) {
        self.raised.notify_one();
    }
}

/// Keeps the incident that stands for a storm in step with how many stand behind it.
pub(super) async fn watch(shared: Arc<Shared>) {
    loop {
        match step(&shared).await {
            Ok(()) => {}
            Err(error) => tracing::error!(%error, "the incident that stands for a storm could not be stored"),
        }
        shared.storm.raised.notified().await;
        tokio::time::sleep(GATHERED_FOR).await;
    }
}

async fn step(shared: &Shared) -> Result<(), super::SubmitError> {
    let now = shared.clock.now();
    let (_, quiet) = shared.journal.openings(now).await.map_err(not_stored)?;
    if quiet == 0 {
        return Ok(());
    }
    let policy = shared.policy();
    let key = IncidentKey(format!("storm/{}", shared.cluster));
    let stored = shared.journal.newest_of(&key).await.map_err(not_stored)?;
    let standing = stored.map(|stored| stored.incident);
    if standing.as_ref().is_some_and(|incident| incident.is_live() && incident.storm == Some(quiet)) {
        return Ok(());
    }
    let context = Sighted { now, policy: &policy, fresh: shared.journal.fresh_id(), quiet: false };
    let change = match (storm(standing.as_ref(), &shared.cluster, quiet, &context), standing) {
        (Seen::Change(events), Some(incident)) => Some(shared.change(incident, events, now)),
        (Seen::Open(events), _) => shared.opening(events, now),
        _ => None,
    };
    let Some(change) = change else { return Ok(()) };
    let id = change.after.id;
    match shared.journal.append(Append { changes: vec![change], ..Append::default() }).await {
        Ok(()) => {
            shared.announce([&id]);
            Ok(())
        }
        Err(AppendError::Conflict) => {
            shared.storm.notify();
            Ok(())
        }
        Err(other) => Err(other.into()),
    }
}
