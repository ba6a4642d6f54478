//! A storm: over so many openings a minute, one message and one page stand for all.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{join_storm, shared::Shared, submit_error::SubmitError};
use crate::{
    incident::{
        AlertEffect, Incident, IncidentId, IncidentStatus, QuietOnes, SightingContext, held_back, leave_storm, storm,
        storm_key,
    },
    journal::{Append, Change, StoredIncident},
};

/// How long the storm rests between two drawings of its count, in real time. The first is drawn at once, so that what opened just
/// before joins it before people are called.
const GATHERED_FOR: std::time::Duration = std::time::Duration::from_secs(1);

/// How long no incident may have opened within it before a storm is over, so that those that still fire are called about
/// one by one.
const OVER_AFTER: SignedDuration = SignedDuration::from_mins(5);
/// How often it is looked whether a storm is over.
const LOOKED_EVERY: SignedDuration = SignedDuration::from_secs(30);
/// How many quiet incidents are read at once: far more than leave the storm within a minute.
const READ_MOST: u32 = 500;

/// Keeps the incident that stands for a storm in step with how many stand behind it.
pub(super) async fn watch(shared: Arc<Shared>) {
    loop {
        let began = Instant::now();
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
            () = shared.incoming.brake.notified() => tokio::time::sleep_until(began + GATHERED_FOR).await,
            () = look_again => {}
        }
    }
}

/// One look. Whether there is anything to look at again later.
async fn step(shared: &Shared) -> Result<bool, SubmitError> {
    let rages = stand_for_it(shared).await?;
    if rages && join_storm::what_opened_just_before(shared).await? {
        // The storm has grown by them.
        shared.incoming.brake.notify();
    }
    Ok(rages)
}

/// Keeps its incident as the storm is. Whether there is one.
async fn stand_for_it(shared: &Shared) -> Result<bool, SubmitError> {
    let _still = shared.time.still().await;
    let now = shared.clock.now();
    let (_, count) = shared.journal.openings(now).await?;
    let key = storm_key(&shared.settings.cluster);
    let stored = shared.journal.newest_of(&key).await?;
    let standing = stored.map(|stored| stored.incident);
    if count == 0 && !standing.as_ref().is_some_and(Incident::is_live) {
        return Ok(false);
    }
    let quiet = shared.journal.quiet(READ_MOST).await?;
    let newest = quiet.iter().map(|stored| begun(&stored.incident)).max();
    let policy = shared.rules.policy();
    let context = SightingContext { now, policy: &policy, fresh: IncidentId::UNNUMBERED, quiet: false, group: None };
    let held = held_back(
        quiet.iter().rev().map(|stored| &stored.incident).filter(|incident| incident.status == IncidentStatus::Open),
    );
    let quiet_ones = QuietOnes { count, newest };
    let change = match (storm(standing.as_ref(), &shared.settings.cluster, quiet_ones, &held, &context), standing) {
        (AlertEffect::Change(events), Some(incident)) => Some(shared.change(incident, events, now)),
        (AlertEffect::Open(events), _) => shared.opening(events, now),
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
        if incident.status != IncidentStatus::Open || !incident.is_firing() {
            continue;
        }
        let mut opening = shared.incoming.brake.openings(now);
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
    let stored = shared.commit(Append { changes: vec![change], ..Append::default() }).await?.is_some();
    if !stored {
        shared.incoming.brake.notify();
    }
    Ok(stored)
}

#[cfg(test)]
mod tests;
