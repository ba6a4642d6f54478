//! What is late, by the time at which it was first wanted.

use jiff::Timestamp;

use super::{Journal, JournalError, from_micros, queries, to_micros};
use crate::incident::{IncidentId, Work};

/// The most late effects that are read at once; the rest is read at the next look.
const READ_MOST: i64 = 500;

/// A late effect of an incident whose people were not told yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overdue {
    pub row: i64,
    pub incident: IncidentId,
    /// Since when it is wanted.
    pub since: Timestamp,
    /// What should have been done.
    pub work: Work,
    /// What went wrong last.
    pub last_error: Option<String>,
}

impl Journal {
    /// The effects that were wanted before `before` and are not done, of incidents whose people were not told of any
    /// that still is late; by incident, most urgent first.
    pub async fn overdue(&self, before: Timestamp) -> Result<Vec<Overdue>, JournalError> {
        let rows: Vec<(i64, i64, i64, String, Option<String>)> =
            sqlx::query_as(queries::OVERDUE).bind(to_micros(before)).bind(READ_MOST).fetch_all(&self.readers).await?;
        let read = |(row, incident, since, work, last_error): (i64, i64, i64, String, Option<String>)| {
            // What cannot be read is set aside, aloud, when it is claimed.
            let work = serde_json::from_str(&work).ok()?;
            let incident = IncidentId::new(u32::try_from(incident).ok()?);
            Some(Overdue { row, incident, since: from_micros(since), work, last_error })
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }
}
