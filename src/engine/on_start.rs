//! Puts open incidents right at the start: configuration and bot may be newer than what they were told.

use std::sync::Arc;

use super::{SubmitError, build::Shared, inbox::not_stored};
use crate::{
    incident::on_start,
    journal::{Append, AppendError},
};

/// How many incidents are read at once.
const READ_AT_ONCE: u32 = 100;
/// How often one that moves meanwhile is looked at again.
const TRIES_MOST: usize = 20;

pub(super) async fn look_through(shared: Arc<Shared>) {
    if let Err(error) = all(&shared).await {
        tracing::error!(%error, "not every open incident could be put right for this version and configuration");
    }
}

async fn all(shared: &Shared) -> Result<(), SubmitError> {
    let mut after = 0;
    loop {
        let stored = shared.journal.live_after(after, READ_AT_ONCE).await.map_err(not_stored)?;
        let Some(last) = stored.last() else { return Ok(()) };
        after = last.incident.id.number();
        let policy = shared.policy();
        for stored in stored.iter().filter(|stored| !on_start(&stored.incident, &policy).is_empty()) {
            one(shared, stored.incident.id).await?;
        }
    }
}

async fn one(shared: &Shared, id: crate::incident::IncidentId) -> Result<(), SubmitError> {
    for _ in 0..TRIES_MOST {
        let _still = shared.time.still().await;
        let Some(stored) = shared.journal.incident(id).await.map_err(not_stored)? else { return Ok(()) };
        let events = on_start(&stored.incident, &shared.policy());
        if events.is_empty() {
            return Ok(());
        }
        let change = shared.change(stored.incident, events, shared.clock.now());
        match shared.journal.append(Append { changes: vec![change], ..Append::default() }).await {
            Ok(_) => {
                shared.announce([&id]);
                return Ok(());
            }
            Err(AppendError::Conflict) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Ok(())
}
