//! What is stored when the clock is set: every moment that was measured by it moves, in one transaction.

use jiff::{SignedDuration, Timestamp};
use sqlx::SqliteConnection;
use tokio::sync::oneshot;

use super::{AppendError, Change, Journal, JournalError, changes::write_changes, writer::Job};
use crate::incident::{Work, moved};

/// How far back closed incidents may still be asked about: an undo is, for a day, and an alert that fires again, for less.
const ASKED_ABOUT: SignedDuration = SignedDuration::from_hours(26);

/// The clock was set.
#[derive(Debug, Clone)]
pub struct ClockMove {
    /// By how much.
    pub by: SignedDuration,
    /// What it makes of the incidents that are asked about.
    pub changes: Vec<Change>,
}

/// Moves the rows; then the incidents, whose new effects are by the new time already.
pub(super) async fn move_all(db: &mut SqliteConnection, set: &ClockMove) -> Result<(), AppendError> {
    let by = i64::try_from(set.by.as_micros()).unwrap_or(0);
    sqlx::query(
        "UPDATE effects SET due = due + ?1, wanted_at = wanted_at + ?1, claimed_until = claimed_until + ?1 \
         WHERE state IN ('due', 'claimed')",
    )
    .bind(by)
    .execute(&mut *db)
    .await?;
    move_works(db, set.by).await?;
    sqlx::query("UPDATE requests SET at = at + ?").bind(by).execute(&mut *db).await?;
    for change in &set.changes {
        sqlx::query("UPDATE incidents SET last_seen = last_seen + ?1, opened_at = opened_at + ?1 WHERE id = ?2")
            .bind(by)
            .bind(i64::from(change.after.id.number()))
            .execute(&mut *db)
            .await?;
    }
    write_changes(db, &set.changes).await
}

/// A work names its window by the moment at which that ends.
async fn move_works(db: &mut SqliteConnection, by: SignedDuration) -> Result<(), AppendError> {
    let works: Vec<(i64, String)> =
        sqlx::query_as("SELECT id, work FROM effects WHERE state IN ('due', 'claimed')").fetch_all(&mut *db).await?;
    for (row, stored) in works {
        // One that cannot be read is set aside, aloud, when it is claimed.
        let Ok(work) = serde_json::from_str::<Work>(&stored) else { continue };
        let text = moved(&work, by).and_then(|work| serde_json::to_string(&work));
        let text = text.map_err(|error| AppendError::NotStored(error.to_string()))?;
        if text != stored {
            sqlx::query("UPDATE effects SET work = ? WHERE id = ?").bind(text).bind(row).execute(&mut *db).await?;
        }
    }
    Ok(())
}

pub(super) async fn keep_mark(db: &mut SqliteConnection, mark: &str) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO clock (id, mark) VALUES (1, ?) ON CONFLICT DO UPDATE SET mark = excluded.mark")
        .bind(mark)
        .execute(db)
        .await?;
    Ok(())
}

impl Journal {
    /// Moves everything that is stored to the time of a clock that was set; all of it or nothing.
    pub async fn move_clock(&self, set: ClockMove) -> Result<(), AppendError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Job::MoveClock(Box::new(set), reply), answer).await
    }

    /// Keeps what the clock shows, as a proof that something can be committed too.
    pub async fn keep_mark(&self, mark: String) -> Result<(), AppendError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Job::KeepMark(mark, reply), answer).await
    }

    /// What the clock showed last, if it was ever kept.
    pub async fn mark(&self) -> Result<Option<String>, JournalError> {
        Ok(sqlx::query_scalar("SELECT mark FROM clock").fetch_optional(&self.readers).await?)
    }

    /// The incidents that may still be asked about: those that are open, and those that had an event not long before `now`.
    pub async fn asked_about(&self, now: Timestamp) -> Result<Vec<super::StoredIncident>, JournalError> {
        let since = now.saturating_sub(ASKED_ABOUT).unwrap_or(Timestamp::MIN);
        self.not_ended_before(since).await
    }
}
