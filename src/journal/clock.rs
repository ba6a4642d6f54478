//! What is stored when the clock is set: every moment that was measured by it moves, in one transaction.

use jiff::{SignedDuration, Timestamp};
use sqlx::SqliteConnection;
use tokio::sync::oneshot;

use super::{
    AppendError, Change, Journal, JournalError, changes::write_changes, from_micros, queries, to_micros, writer::Job,
};
use crate::incident::{Incident, IncidentId, Work, moved};

/// How far back closed incidents may still be asked about: an undo is, for a day, and an alert that fires again, for less.
const ASKED_ABOUT: SignedDuration = SignedDuration::from_hours(26);
/// How many incidents are read and written together: each state is up to half a megabyte.
const INCIDENTS_TOGETHER: usize = 50;
/// How many works are.
const WORKS_TOGETHER: i64 = 500;

/// About how many rows a move writes, for it to have a transaction of its own: every effect that waits, and an event for
/// every open incident.
pub(super) const ROWS_MOVED: usize = 10_000;

/// The clock was set.
pub struct ClockMove {
    /// By how much.
    pub by: SignedDuration,
    /// What it showed before.
    pub before: Timestamp,
    /// What it shows now, for the next process. It is kept in the same transaction: a move is never made twice.
    pub mark: String,
    /// What is made of an incident that may still be asked about.
    pub change: Box<dyn FnMut(Incident) -> Change + Send>,
}

/// Moves the rows; then the incidents, whose new effects are by the new time already. The names of the incidents.
pub(super) async fn move_all(db: &mut SqliteConnection, mut set: ClockMove) -> Result<Vec<IncidentId>, AppendError> {
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
    let asked_about = asked_about(db, set.before).await?;
    let mut names = Vec::with_capacity(asked_about.len());
    for some in asked_about.chunks(INCIDENTS_TOGETHER) {
        names.extend(move_incidents(db, some, &mut set).await?);
    }
    keep_mark(db, &set.mark).await?;
    Ok(names)
}

/// The rows of the incidents that may still be asked about, newest first: those that are open, and those that had an event
/// not long before `now`.
async fn asked_about(db: &mut SqliteConnection, now: Timestamp) -> Result<Vec<i64>, sqlx::Error> {
    let since = now.saturating_sub(ASKED_ABOUT).unwrap_or(Timestamp::MIN);
    let mut rows: Vec<i64> = sqlx::query_scalar(queries::ASKED_ABOUT).bind(to_micros(since)).fetch_all(db).await?;
    rows.sort_unstable_by(|one, other| other.cmp(one));
    Ok(rows)
}

async fn move_incidents(
    db: &mut SqliteConnection,
    rows: &[i64],
    set: &mut ClockMove,
) -> Result<Vec<IncidentId>, AppendError> {
    let stored: Vec<(i64, i64, String)> = sqlx::query_as(
        "SELECT id, last_event_at, state FROM incidents WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id DESC",
    )
    .bind(serde_json::json!(rows).to_string())
    .fetch_all(&mut *db)
    .await?;
    let mut changes = Vec::with_capacity(stored.len());
    for (id, _, state) in &stored {
        match serde_json::from_str::<Incident>(state) {
            Ok(incident) => changes.push((set.change)(incident)),
            // Its timers have moved with the others; nothing else can be made of it anyway.
            Err(error) => tracing::error!(incident = id, %error, "an incident cannot be read, and its times stay"),
        }
    }
    write_changes(db, &changes).await?;
    let by = i64::try_from(set.by.as_micros()).unwrap_or(0);
    for (id, last_event_at, _) in &stored {
        // That the clock was set is no sign of life: what is forgotten some time after the last event still is.
        let last_event_at = to_micros(from_micros(*last_event_at).saturating_add(set.by).unwrap_or(Timestamp::MIN));
        sqlx::query(queries::MOVE_INCIDENT).bind(by).bind(last_event_at).bind(id).execute(&mut *db).await?;
    }
    Ok(changes.into_iter().map(|change| change.after.id).collect())
}

/// A work names its window by the moment at which that ends.
async fn move_works(db: &mut SqliteConnection, by: SignedDuration) -> Result<(), AppendError> {
    let mut last = 0_i64;
    loop {
        let works: Vec<(i64, String)> = sqlx::query_as(
            "SELECT id, work FROM effects WHERE state IN ('due', 'claimed') AND id > ? ORDER BY id LIMIT ?",
        )
        .bind(last)
        .bind(WORKS_TOGETHER)
        .fetch_all(&mut *db)
        .await?;
        let Some((newest, _)) = works.last() else { return Ok(()) };
        last = *newest;
        for (row, stored) in works {
            // One that cannot be read is set aside, aloud, when it is claimed.
            let Ok(work) = serde_json::from_str::<Work>(&stored) else { continue };
            let text = moved(&work, by).and_then(|work| serde_json::to_string(&work));
            let text = text.map_err(|error| AppendError::NotStored(error.to_string()))?;
            if text != stored {
                sqlx::query("UPDATE effects SET work = ? WHERE id = ?").bind(text).bind(row).execute(&mut *db).await?;
            }
        }
    }
}

pub(super) async fn keep_mark(db: &mut SqliteConnection, mark: &str) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO clock (id, mark) VALUES (1, ?) ON CONFLICT DO UPDATE SET mark = excluded.mark")
        .bind(mark)
        .execute(db)
        .await?;
    Ok(())
}

impl Journal {
    /// Moves everything that is stored to the time of a clock that was set; all of it or nothing. The incidents that were
    /// moved.
    pub async fn move_clock(&self, set: ClockMove) -> Result<Vec<IncidentId>, AppendError> {
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
}
