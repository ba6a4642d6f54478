//! Puts open incidents right at the start: configuration and bot may be newer than what they were told.

use std::sync::Arc;

use super::{
    commit::{Decision, until_stored},
    shared::Shared,
    submit_error::SubmitError,
};
use crate::{
    incident::{Event, Incident, IncidentId, Policy, awaited_task, on_start, without_its_task},
    journal::{Append, JournalError},
};

/// How many incidents are read at once.
const READ_AT_ONCE: u32 = 100;
pub(super) async fn look_through(shared: Arc<Shared>) {
    if let Err(error) = all(&shared).await {
        tracing::error!(%error, "not every open incident could be put right for this version and configuration");
    }
}

async fn all(shared: &Shared) -> Result<(), SubmitError> {
    let mut after = 0;
    loop {
        let stored = shared.journal.live_after(after, READ_AT_ONCE).await?;
        let Some(last) = stored.last() else { return Ok(()) };
        after = last.incident.id.number();
        let policy = shared.rules.policy();
        for stored in &stored {
            if !owed(shared, &stored.incident, &policy).await?.is_empty() {
                until_stored(PutRight { shared, id: stored.incident.id }).await?;
            }
        }
    }
}

/// What has to happen to an incident now that a bot starts. Its tasks are read after it: where one has ended meanwhile, the
/// incident has moved on, and is decided on again.
async fn owed(shared: &Shared, incident: &Incident, policy: &Policy) -> Result<Vec<Event>, JournalError> {
    let events = on_start(incident, policy);
    let Some(task) = awaited_task(incident).filter(|_| events.is_empty()) else { return Ok(events) };
    let is_there = shared.journal.owes(incident.id, task).await?;
    Ok(if is_there { events } else { without_its_task(incident).into_iter().collect() })
}

/// Puts one right, if it still has to be.
struct PutRight<'a> {
    shared: &'a Shared,
    id: IncidentId,
}

impl Decision for PutRight<'_> {
    type Stored = ();
    type Error = SubmitError;

    async fn attempt(&mut self) -> Result<Option<()>, SubmitError> {
        let (shared, id) = (self.shared, self.id);
        let _still = shared.time.still().await;
        let Some(stored) = shared.journal.incident(id).await? else { return Ok(Some(())) };
        let events = owed(shared, &stored.incident, &shared.rules.policy()).await?;
        if events.is_empty() {
            return Ok(Some(()));
        }
        let change = shared.change(stored.incident, events, shared.clock.now());
        Ok(shared.commit(Append { changes: vec![change], ..Append::default() }).await?.map(drop))
    }
}
