//! Puts open incidents right at the start: configuration and bot may be newer than what they were told.

use std::sync::Arc;

use super::{
    commit::{Decision, until_stored},
    shared::Shared,
    submit_error::SubmitError,
};
use crate::{
    incident::{IncidentId, on_start},
    journal::Append,
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
        for stored in stored.iter().filter(|stored| !on_start(&stored.incident, &policy).is_empty()) {
            until_stored(PutRight { shared, id: stored.incident.id }).await?;
        }
    }
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
        let events = on_start(&stored.incident, &shared.rules.policy());
        if events.is_empty() {
            return Ok(Some(()));
        }
        let change = shared.change(stored.incident, events, shared.clock.now());
        Ok(shared.commit(Append { changes: vec![change], ..Append::default() }).await?.map(drop))
    }
}
