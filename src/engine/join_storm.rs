//! What opened just before a storm, and nobody has heard of yet, joins it: one cause calls people once.

use super::{
    commit::{Decision, until_stored},
    shared::Shared,
    submit_error::SubmitError,
};
use crate::{
    incident::{IncidentStatus, JUST_BEFORE, join_storm, storm_key},
    journal::Append,
};

/// How many are read at once: far more than the brake lets through in its minute.
const READ_MOST: u32 = 100;

/// Lets them join. Whether there were any.
pub(super) async fn what_opened_just_before(shared: &Shared) -> Result<bool, SubmitError> {
    Ok(until_stored(Join(shared)).await?.unwrap_or(false))
}

struct Join<'a>(&'a Shared);

impl Decision for Join<'_> {
    type Stored = bool;
    type Error = SubmitError;

    async fn attempt(&mut self) -> Result<Option<bool>, SubmitError> {
        let shared = self.0;
        let Some(storm) = shared.journal.newest_of(&storm_key(&shared.settings.cluster)).await? else {
            return Ok(Some(false));
        };
        if storm.incident.status != IncidentStatus::Open {
            return Ok(Some(false));
        }
        let since = shared.clock.now() - JUST_BEFORE;
        let names = shared.journal.opened_aloud(since, READ_MOST).await?.into_iter().map(|stored| stored.incident.id);
        let names: Vec<_> = names.collect();
        // What an effect comes to is stored after this or before it, and not in between: people are called within seconds.
        let _turn = shared.turns.of(names.iter().copied()).await;
        let _still = shared.time.still().await;
        let now = shared.clock.now();
        let live = shared.journal.live_of(&names).await?.into_iter();
        let joining = live.filter_map(|stored| {
            let events = join_storm(&stored.incident, storm.incident.id, now);
            (!events.is_empty()).then(|| shared.change(stored.incident, events, now))
        });
        let changes: Vec<_> = joining.collect();
        if changes.is_empty() {
            return Ok(Some(false));
        }
        let stored = shared.commit(Append { changes, ..Append::default() }).await?;
        Ok(stored.map(|_| true))
    }
}
