//! Follows an incident to the one that it joined.

use super::shared::Shared;
use crate::journal::{JournalError, StoredIncident};

/// How many times an incident that was joined may have joined another one itself.
const JOINED_MOST: usize = 10;

impl Shared {
    /// An incident, or the one that it joined, as long as that is the newest of its own key.
    pub(super) async fn followed(&self, newest: StoredIncident) -> Result<StoredIncident, JournalError> {
        let mut newest = newest;
        for _ in 0..JOINED_MOST {
            let Some(into) = newest.incident.joined() else { break };
            let Some(next) = self.journal.incident(into).await? else { break };
            if next.incident.joined().is_none() && !next.incident.is_live() {
                let newer = self.journal.newest_of(&next.incident.key).await?;
                if newer.is_none_or(|newer| newer.incident.id != into) {
                    break;
                }
            }
            newest = next;
        }
        Ok(newest)
    }
}
