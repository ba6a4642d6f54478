//! Effects as rows: claimed, handed back, counted. The table *is* the queue; there is none in memory.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::{Row, SqliteConnection};
use tokio::sync::oneshot;

use super::{AppendError, Journal, JournalError, RECORD_VERSION, from_micros, to_micros, writer::Job};
use crate::incident::{IncidentId, Room, Work};

/// A claimed effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Its row.
    pub row: i64,
    /// Whose.
    pub incident: IncidentId,
    /// Its key within the incident.
    pub key: String,
    /// When it was due.
    pub due: Timestamp,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// What to do.
    pub work: Work,
}

/// What is asked of the queue.
#[derive(Debug, Clone)]
pub(super) struct ClaimRequest {
    room: Room,
    now: Timestamp,
    until: Timestamp,
    most: u32,
}

/// What waits, by room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many effects are due, by room.
    pub due: BTreeMap<String, i64>,
    /// The earliest due time among those that are overdue at the moment that was asked about.
    pub oldest_due: Option<Timestamp>,
}

pub(super) async fn claim(db: &mut SqliteConnection, request: &ClaimRequest) -> Result<Vec<Claim>, sqlx::Error> {
    // A claim that ran out belongs to a performer that hangs or is gone: it is due again.
    sqlx::query(
        "UPDATE effects SET state = 'due', claimed_until = NULL \
         WHERE state = 'claimed' AND room = ? AND claimed_until < ?",
    )
    .bind(request.room.name())
    .bind(to_micros(request.now))
    .execute(&mut *db)
    .await?;
    let rows = sqlx::query(
        "UPDATE effects SET state = 'claimed', claimed_until = ?, attempts = attempts + 1 \
         WHERE id IN (SELECT id FROM effects AS e WHERE state = 'due' AND room = ? AND due <= ? \
             AND (slot IS NULL OR NOT EXISTS (SELECT 1 FROM effects AS other WHERE other.incident = e.incident \
                  AND other.slot = e.slot AND other.state = 'claimed')) \
             ORDER BY priority, due, id LIMIT ?) \
         RETURNING id, incident, key, due, attempts, version, work",
    )
    .bind(to_micros(request.until))
    .bind(request.room.name())
    .bind(to_micros(request.now))
    .bind(i64::from(request.most))
    .fetch_all(&mut *db)
    .await?;
    let mut claims = Vec::with_capacity(rows.len());
    for row in rows {
        let id: i64 = row.try_get("id")?;
        let version: i64 = row.try_get("version")?;
        let work: String = row.try_get("work")?;
        match serde_json::from_str(&work) {
            Ok(work) if version <= RECORD_VERSION => claims.push(read_claim(&row, id, work)?),
            other => {
                let error = other.err().map_or_else(|| format!("effect version {version}"), |error| error.to_string());
                tracing::error!(effect = id, %error, "an effect in the journal cannot be read and is set aside");
                sqlx::query("UPDATE effects SET state = 'dead', last_error = ? WHERE id = ?")
                    .bind(error)
                    .bind(id)
                    .execute(&mut *db)
                    .await?;
            }
        }
    }
    Ok(claims)
}

fn read_claim(row: &sqlx::sqlite::SqliteRow, id: i64, work: Work) -> Result<Claim, sqlx::Error> {
    Ok(Claim {
        row: id,
        incident: IncidentId(u32::try_from(row.try_get::<i64, _>("incident")?).unwrap_or(0)),
        key: row.try_get("key")?,
        due: from_micros(row.try_get("due")?),
        attempt: u32::try_from(row.try_get::<i64, _>("attempts")?).unwrap_or(u32::MAX),
        work,
    })
}

pub(super) async fn hand_back(db: &mut SqliteConnection, rows: &[i64]) -> Result<(), sqlx::Error> {
    for row in rows {
        // The attempt did not happen as far as anybody knows; it counts all the same, so that posts are looked for.
        sqlx::query("UPDATE effects SET state = 'due', claimed_until = NULL WHERE id = ? AND state = 'claimed'")
            .bind(row)
            .execute(&mut *db)
            .await?;
    }
    Ok(())
}

pub(super) async fn forget(db: &mut SqliteConnection, before: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM requests WHERE at < ?").bind(to_micros(before)).execute(db).await?;
    Ok(())
}

impl Journal {
    /// Claims up to `most` due effects of a room, most urgent first. The claim lasts until `until`.
    pub async fn claim(
        &self,
        room: Room,
        now: Timestamp,
        until: Timestamp,
        most: u32,
    ) -> Result<Vec<Claim>, AppendError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Job::Claim(ClaimRequest { room, now, until, most }, reply), answer).await
    }

    /// Gives claimed effects back, to be claimed again.
    pub async fn hand_back(&self, rows: Vec<i64>) -> Result<(), AppendError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Job::HandBack(rows, reply), answer).await
    }

    /// Forgets the answers to requests older than `before`.
    pub async fn forget_answers(&self, before: Timestamp) -> Result<(), AppendError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Job::Forget(before, reply), answer).await
    }

    /// The earliest time at which an effect of any room is due.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, JournalError> {
        let due: Option<i64> =
            sqlx::query_scalar("SELECT min(due) FROM effects WHERE state = 'due'").fetch_one(&self.readers).await?;
        Ok(due.map(from_micros))
    }

    /// The earliest time at which an effect of this room is due.
    pub async fn next_due_of(&self, room: Room) -> Result<Option<Timestamp>, JournalError> {
        let due: Option<i64> = sqlx::query_scalar("SELECT min(due) FROM effects WHERE state = 'due' AND room = ?")
            .bind(room.name())
            .fetch_one(&self.readers)
            .await?;
        Ok(due.map(from_micros))
    }

    /// How many effects are due at `now` or being performed.
    pub async fn unfinished(&self, now: Timestamp) -> Result<i64, JournalError> {
        let count =
            sqlx::query_scalar("SELECT count(*) FROM effects WHERE state = 'claimed' OR (state = 'due' AND due <= ?)")
                .bind(to_micros(now))
                .fetch_one(&self.readers)
                .await?;
        Ok(count)
    }

    /// What is due at `now`, by room.
    pub async fn backlog(&self, now: Timestamp) -> Result<Backlog, JournalError> {
        let rows: Vec<(String, i64, i64)> = sqlx::query_as(
            "SELECT room, count(*), min(due) FROM effects WHERE state IN ('due', 'claimed') AND due <= ? GROUP BY room",
        )
        .bind(to_micros(now))
        .fetch_all(&self.readers)
        .await?;
        let oldest_due = rows.iter().map(|(_, _, due)| *due).min().map(from_micros);
        Ok(Backlog { due: rows.into_iter().map(|(room, count, _)| (room, count)).collect(), oldest_due })
    }
}
