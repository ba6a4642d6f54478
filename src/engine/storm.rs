//! The storm brake: over so many openings a minute, one message and one page stand for all.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use super::{SubmitError, build::Shared, inbox::not_stored};
use crate::{
    incident::{Incident, IncidentId, Life, QuietOnes, Seen, Sighted, held_back, leave_storm, storm, storm_key},
    journal::{Append, AppendError, Change, StoredIncident},
};

/// The stretch over which openings are counted.
const MINUTE: SignedDuration = SignedDuration::from_mins(1);
/// How many opening times are kept: far above any sensible brake.
const KEPT_MOST: usize = 10_000;
/// How long openings are gathered before the storm's count is drawn again, in real time.
const GATHERED_FOR: std::time::Duration = std::time::Duration::from_secs(1);

/// How long no incident may have opened within it before a storm is over, so that those that still fire are called about
/// one by one.
const OVER_AFTER: SignedDuration = SignedDuration::from_mins(5);
/// How often it is looked whether a storm is over.
const LOOKED_EVERY: SignedDuration = SignedDuration::from_secs(30);
/// How many quiet incidents are read at once: far more than leave the storm within a minute.
const READ_MOST: u32 = 500;

/// Counts openings. A count that is lost with the process is read from the journal again at the start.
#[derive(Debug, Default)]
pub(super) struct Storm {
    openings: Mutex<VecDeque<Timestamp>>,
    raised: Notify,
}

/// The openings of one body: counted before they are stored, so that bodies that come at once cannot all be the last
/// before the brake; given back when they are not stored after all.
#[derive(Debug)]
pub(super) struct Openings<'a> {
    storm: &'a Storm,
    at: Timestamp,
    count: usize,
    quiet: usize,
}

impl Openings<'_> {
    /// Counts one more, and says whether it is one too many: it is then quiet.
    pub(super) fn add(&mut self, per_minute: u32) -> bool {
        let quiet = self.storm.count(self.at, per_minute);
        self.count = self.count.saturating_add(1);
        self.quiet = self.quiet.saturating_add(usize::from(quiet));
        quiet
    }

    /// They were stored. Whether any of them is quiet.
    pub(super) fn keep(mut self) -> bool {
        self.count = 0;
        self.quiet > 0
    }
}

impl Drop for Openings<'_> {
    fn drop(&mut self) {
        self.storm.give_back(self.at, self.count);
    }
}

impl Storm {
    pub(super) fn opened(&self, at: Timestamp) {
        self.lock().push_back(at);
    }

    pub(super) fn openings(&self, at: Timestamp) -> Openings<'_> {
        Openings { storm: self, at, count: 0, quiet: 0 }
    }

    /// The clock was set.
    pub(super) fn clock_set(&self, by: SignedDuration) {
        for opened in self.lock().iter_mut() {
            *opened = opened.saturating_add(by).unwrap_or(*opened);
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Timestamp>> {
        self.openings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one opening, and says whether there were as many already as people can be called about in a minute.
    fn count(&self, now: Timestamp, per_minute: u32) -> bool {
        let mut openings = self.lock();
        while openings.front().is_some_and(|first| now.duration_since(*first) > MINUTE) {
            openings.pop_front();
        }
        let rages = openings.len() >= usize::try_from(per_minute).unwrap_or(usize::MAX);
        if openings.len() >= KEPT_MOST {
            openings.pop_front();
        }
        openings.push_back(now);
        rages
    }

    fn give_back(&self, at: Timestamp, count: usize) {
        let mut openings = self.lock();
        for _ in 0..count {
            let Some(place) = openings.iter().rposition(|opened| *opened == at) else { return };
            openings.remove(place);
        }
    }

    /// Forgets what was counted, as after a quiet minute.
    #[cfg(test)]
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    pub(super) fn notify(&self) {
        self.raised.notify_one();
    }
}

/// Keeps the incident that stands for a storm in step with how many stand behind it.
pub(super) async fn watch(shared: Arc<Shared>) {
    loop {
        let goes_on = match step(&shared).await {
            Ok(goes_on) => goes_on,
            Err(error) => {
                tracing::error!(%error, "the incident that stands for a storm could not be stored");
                true
            }
        };
        let look_again = async {
            if goes_on {
                shared.clock.sleep_until(shared.clock.now() + LOOKED_EVERY).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = shared.storm.raised.notified() => tokio::time::sleep(GATHERED_FOR).await,
            () = look_again => {}
        }
    }
}

/// One look. Whether there is anything to look at again later.
async fn step(shared: &Shared) -> Result<bool, SubmitError> {
    let _still = shared.time.still().await;
    let now = shared.clock.now();
    let (_, count) = shared.journal.openings(now).await.map_err(not_stored)?;
    let key = storm_key(&shared.cluster);
    let stored = shared.journal.newest_of(&key).await.map_err(not_stored)?;
    let standing = stored.map(|stored| stored.incident);
    if count == 0 && !standing.as_ref().is_some_and(Incident::is_live) {
        return Ok(false);
    }
    let quiet = shared.journal.quiet(READ_MOST).await.map_err(not_stored)?;
    let newest = quiet.iter().map(|stored| begun(&stored.incident)).max();
    let policy = shared.policy();
    let context = Sighted { now, policy: &policy, fresh: IncidentId::UNNUMBERED, quiet: false, group: None };
    let held =
        held_back(quiet.iter().rev().map(|stored| &stored.incident).filter(|incident| incident.life == Life::Open));
    let quiet_ones = QuietOnes { count, newest };
    let change = match (storm(standing.as_ref(), &shared.cluster, quiet_ones, &held, &context), standing) {
        (Seen::Change(events), Some(incident)) => Some(shared.change(incident, events, now)),
        (Seen::Open(events), _) => shared.opening(events, now),
        _ => None,
    };
    if let Some(change) = change {
        store(shared, change).await?;
    }
    let over = newest.is_some_and(|newest| now.duration_since(newest) >= OVER_AFTER);
    if over {
        leave(shared, quiet, now, policy.storm_per_minute).await?;
    }
    Ok(true)
}

fn begun(incident: &Incident) -> Timestamp {
    incident.reopened_at.unwrap_or(incident.opened_at)
}

/// The storm is over: what still fires is called about on its own, the oldest first, and no faster than the brake lets
/// incidents open. Half of it is left to those that open now.
async fn leave(
    shared: &Shared,
    quiet: Vec<StoredIncident>,
    now: Timestamp,
    per_minute: u32,
) -> Result<(), SubmitError> {
    let pace = per_minute.div_ceil(2);
    for stored in quiet.into_iter().rev() {
        let incident = stored.incident;
        if incident.life != Life::Open || !incident.is_firing() {
            continue;
        }
        let mut opening = shared.storm.openings(now);
        if opening.add(pace) {
            return Ok(());
        }
        let events = leave_storm(&incident, now);
        if store(shared, shared.change(incident, events, now)).await? {
            opening.keep();
        }
    }
    Ok(())
}

/// Whether it was stored; when its incident has moved meanwhile, it is looked at again.
async fn store(shared: &Shared, change: Change) -> Result<bool, SubmitError> {
    let id = change.after.id;
    match shared.journal.append(Append { changes: vec![change], ..Append::default() }).await {
        Ok(opened) => {
            shared.announce(opened.iter().chain([&id]).filter(|id| **id != IncidentId::UNNUMBERED));
            Ok(true)
        }
        Err(AppendError::Conflict) => {
            shared.storm.notify();
            Ok(false)
        }
        Err(other) => Err(other.into()),
    }
}

#[cfg(test)]
mod tests;
