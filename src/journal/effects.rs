//! Effects as rows: when the next is due, what waits, and the end of those that are long over.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::SqliteConnection;
use tokio::sync::oneshot;

use super::{AppendError, Journal, JournalError, claims::ranks, from_micros, queries, to_micros, writer::Job};
use crate::incident::Room;

/// How many rows one transaction forgets: appends wait for it.
pub(super) const ROWS_AT_ONCE: usize = 500;

/// How long after an incident's last event what was done for it is kept, and which groups it was seen in. A night is looked at again within a quarter.
pub(super) const DONE_KEPT: jiff::SignedDuration = jiff::SignedDuration::from_hours(90 * 24);

/// What waits, by room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many effects are due, by room.
    pub due: BTreeMap<String, i64>,
    /// Since when the oldest of those that should have been done by now is wanted, whatever its attempts came to.
    pub oldest_wanted: Option<Timestamp>,
}

fn rows_at_once() -> i64 {
    i64::try_from(ROWS_AT_ONCE).unwrap_or(i64::MAX)
}

/// Forgets a batch of answers older than `before`; how many it was.
pub(super) async fn forget(db: &mut SqliteConnection, before: Timestamp) -> Result<u64, sqlx::Error> {
    let forgotten =
        sqlx::query(queries::OLD_ANSWERS).bind(to_micros(before)).bind(rows_at_once()).execute(&mut *db).await?;
    Ok(forgotten.rows_affected())
}

/// Forgets these effects.
pub(super) async fn forget_done(db: &mut SqliteConnection, rows: &[i64]) -> Result<u64, sqlx::Error> {
    let forgotten = sqlx::query("DELETE FROM effects WHERE id IN (SELECT value FROM json_each(?))")
        .bind(serde_json::json!(rows).to_string())
        .execute(db)
        .await?;
    Ok(forgotten.rows_affected())
}

impl Journal {
    /// Forgets answers to requests older than `before`, batch by batch: other appends come in between.
    pub async fn forget_answers(&self, before: Timestamp) -> Result<(), AppendError> {
        loop {
            let (reply, answer) = oneshot::channel();
            if self.ask(Job::Forget(before, reply), answer).await? == 0 {
                return Ok(());
            }
        }
    }

    /// Forgets what was done for incidents that closed long before `now`, batch by batch. Their events stay.
    pub async fn forget_done(&self, now: Timestamp) -> Result<(), AppendError> {
        let before = now.saturating_sub(DONE_KEPT).unwrap_or(Timestamp::MIN);
        loop {
            // They are looked for beside the writer, since there may be years of closed incidents to look at. What is
            // over stays over.
            let rows: Vec<i64> = sqlx::query_scalar(queries::DONE_LONG_AGO)
                .bind(to_micros(before))
                .bind(rows_at_once())
                .fetch_all(&self.readers)
                .await
                .map_err(|error| AppendError::NotStored(error.to_string()))?;
            if rows.is_empty() {
                return Ok(());
            }
            let (reply, answer) = oneshot::channel();
            self.ask(Job::ForgetDone(rows, reply), answer).await?;
        }
    }

    /// The earliest time at which an effect of any room is due that nothing holds up.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, JournalError> {
        let due: Option<i64> = sqlx::query_scalar(queries::FIRST_DUE).fetch_one(&self.readers).await?;
        Ok(due.map(from_micros))
    }

    /// The earliest time after `now` at which this room has something to do: an effect is due, or a claim runs out. One
    /// that ran out before belongs to what is being performed, whose end wakes the room.
    pub async fn next_due_of(&self, room: Room, now: Timestamp) -> Result<Option<Timestamp>, JournalError> {
        let due: Option<i64> = sqlx::query_scalar(queries::NEXT_DUE)
            .bind(room.name())
            .bind(to_micros(now))
            .bind(ranks())
            .fetch_one(&self.readers)
            .await?;
        Ok(due.map(from_micros))
    }

    /// How many effects are being performed, or due at `now` and held up by nothing.
    pub async fn unfinished(&self, now: Timestamp) -> Result<i64, JournalError> {
        Ok(sqlx::query_scalar(queries::UNFINISHED).bind(to_micros(now)).fetch_one(&self.readers).await?)
    }

    /// What is wanted at `now` and not done, by room: also what failed and is tried again later.
    pub async fn backlog(&self, now: Timestamp) -> Result<Backlog, JournalError> {
        let rows: Vec<(String, i64, i64)> =
            sqlx::query_as(queries::BACKLOG).bind(to_micros(now)).fetch_all(&self.readers).await?;
        let oldest_wanted = rows.iter().map(|(_, _, wanted)| *wanted).min().map(from_micros);
        Ok(Backlog { due: rows.into_iter().map(|(room, count, _)| (room, count)).collect(), oldest_wanted })
    }
}
