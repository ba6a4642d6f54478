//! Effects as rows: claimed, handed back, counted. The table *is* the queue; there is none in memory.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::{Row, SqliteConnection};
use tokio::sync::oneshot;

use super::{
    AppendError, Change, Journal, JournalError, RECORD_VERSION, append::write_change, from_micros, slots, to_micros,
    writer::Job,
};
use crate::incident::{Event, Incident, IncidentId, Priority, Room, Work, apply, redraw};

/// How long after an incident's last event what was done for it is kept. A night is looked at again within a quarter.
const DONE_KEPT: jiff::SignedDuration = jiff::SignedDuration::from_hours(90 * 24);

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
    /// Since when it is wanted, whatever its attempts came to.
    pub wanted: Timestamp,
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
    wanted: Wanted,
}

/// How many effects a room can take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// At most so many.
    pub most: u32,
    /// So many of them are for effects of `kept_for` and what is more urgent only, so that nothing else ever holds one up.
    pub kept: u32,
    /// See `kept`.
    pub kept_for: Priority,
    /// The rows that this process is performing: their claims do not run out, however fast the clock is.
    pub running: Vec<i64>,
}

impl From<u32> for Wanted {
    fn from(most: u32) -> Self {
        Self { most, kept: 0, kept_for: Priority::Page, running: Vec::new() }
    }
}

/// What waits, by room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many effects are due, by room.
    pub due: BTreeMap<String, i64>,
    /// Since when the oldest of those that should have been done by now is wanted, whatever its attempts came to.
    pub oldest_wanted: Option<Timestamp>,
}

/// Claims; and whether others should look, since something became due or was set aside.
pub(super) async fn claim(
    db: &mut SqliteConnection,
    request: &ClaimRequest,
) -> Result<(Vec<Claim>, bool), AppendError> {
    // A claim that ran out and is not being performed belongs to an end that could not be stored: it is due again.
    let expired = sqlx::query(
        "UPDATE effects SET state = 'due', claimed_until = NULL \
         WHERE state = 'claimed' AND room = ? AND claimed_until <= ? \
             AND id NOT IN (SELECT value FROM json_each(?))",
    )
    .bind(request.room.name())
    .bind(to_micros(request.now))
    .bind(serde_json::json!(request.wanted.running).to_string())
    .execute(&mut *db)
    .await?;
    let mut has_news = expired.rows_affected() > 0;
    if has_news {
        slots::merge(db, None).await?;
    }
    let Wanted { most, kept, kept_for, .. } = request.wanted;
    let urgent = kept_for.rank();
    let mut rows = claim_rows(db, request, i64::from(most), (0, urgent)).await?;
    let rest = i64::from(most.saturating_sub(kept)) - i64::try_from(rows.len()).unwrap_or(i64::MAX);
    if rest > 0 {
        rows.extend(claim_rows(db, request, rest, (urgent.saturating_add(1), i64::MAX)).await?);
    }
    let mut claims = Vec::with_capacity(rows.len());
    for row in rows {
        let id: i64 = row.try_get("id")?;
        let version: i64 = row.try_get("version")?;
        let work: String = row.try_get("work")?;
        match serde_json::from_str(&work) {
            Ok(work) if version <= RECORD_VERSION => claims.push(read_claim(&row, id, work)?),
            other => {
                let error = other.err().map_or_else(|| format!("effect version {version}"), |error| error.to_string());
                set_aside(db, &row, &error, request.now).await?;
                has_news = true;
            }
        }
    }
    Ok((claims, has_news))
}

async fn claim_rows(
    db: &mut SqliteConnection,
    request: &ClaimRequest,
    most: i64,
    ranks: (i64, i64),
) -> Result<Vec<sqlx::sqlite::SqliteRow>, sqlx::Error> {
    sqlx::query(
        "UPDATE effects SET state = 'claimed', claimed_until = ?, attempts = attempts + 1 \
         WHERE id IN (SELECT id FROM effects AS e WHERE state = 'due' AND room = ? AND due <= ? \
             AND priority BETWEEN ? AND ? AND (slot IS NULL OR NOT EXISTS (SELECT 1 FROM effects AS other WHERE other.incident = e.incident \
                  AND other.slot = e.slot AND (other.state = 'claimed' OR (other.state = 'due' AND other.id > e.id)))) \
             ORDER BY priority, due, id LIMIT ?) \
         RETURNING id, incident, key, due, wanted_at, attempts, version, work",
    )
    .bind(to_micros(request.until))
    .bind(request.room.name())
    .bind(to_micros(request.now))
    .bind(ranks.0)
    .bind(ranks.1)
    .bind(most)
    .fetch_all(&mut *db)
    .await
}

/// Sets an effect aside that cannot be read, and says so on its incident: nothing is lost silently.
async fn set_aside(
    db: &mut SqliteConnection,
    row: &sqlx::sqlite::SqliteRow,
    error: &str,
    now: Timestamp,
) -> Result<(), AppendError> {
    let (id, incident, key): (i64, i64, String) = (row.try_get("id")?, row.try_get("incident")?, row.try_get("key")?);
    tracing::error!(effect = id, key, %error, "an effect in the journal cannot be read and is set aside");
    sqlx::query("UPDATE effects SET state = 'dead', last_error = ?, claimed_until = NULL WHERE id = ?")
        .bind(error)
        .bind(id)
        .execute(&mut *db)
        .await?;
    let state: Option<String> =
        sqlx::query_scalar("SELECT state FROM incidents WHERE id = ?").bind(incident).fetch_optional(&mut *db).await?;
    let Some(Ok(mut after)) = state.map(|state| serde_json::from_str::<Incident>(&state)) else { return Ok(()) };
    let read_version = after.version;
    let event = Event::CouldNot {
        what: format!("a stored task ({key}) could not be read: do it by hand"),
        reason: error.to_owned(),
    };
    apply(&mut after, &event, now);
    let effects = redraw(&after, now, &format!("set-aside-{id}"));
    write_change(db, &Change { read_version, after, events: vec![event], effects, at: now }).await
}

fn read_claim(row: &sqlx::sqlite::SqliteRow, id: i64, work: Work) -> Result<Claim, sqlx::Error> {
    Ok(Claim {
        row: id,
        incident: IncidentId(u32::try_from(row.try_get::<i64, _>("incident")?).unwrap_or(0)),
        key: row.try_get("key")?,
        due: from_micros(row.try_get("due")?),
        wanted: from_micros(row.try_get("wanted_at")?),
        attempt: u32::try_from(row.try_get::<i64, _>("attempts")?).unwrap_or(u32::MAX),
        work,
    })
}

pub(super) async fn hand_back(db: &mut SqliteConnection, rows: &[(i64, u32)]) -> Result<(), sqlx::Error> {
    for (row, attempt) in rows {
        // The attempt did not happen as far as anybody knows; it counts all the same, so that posts are looked for.
        sqlx::query("UPDATE effects SET state = 'due', claimed_until = NULL WHERE id = ? AND state = 'claimed' AND attempts = ?")
            .bind(row)
            .bind(i64::from(*attempt))
            .execute(&mut *db)
            .await?;
    }
    slots::merge(db, None).await
}

pub(super) async fn forget(db: &mut SqliteConnection, before: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM requests WHERE at < ?").bind(to_micros(before)).execute(&mut *db).await?;
    Ok(())
}

/// Forgets what was done for incidents that closed long ago. Their events stay.
pub(super) async fn forget_done(db: &mut SqliteConnection, now: Timestamp) -> Result<(), sqlx::Error> {
    let before = now.saturating_sub(DONE_KEPT).unwrap_or(Timestamp::MIN);
    sqlx::query(
        "DELETE FROM effects WHERE state IN ('done', 'dead') AND incident IN (SELECT id FROM incidents \
             WHERE life = 'closed' AND (SELECT max(at) FROM events WHERE events.incident = incidents.id) < ?)",
    )
    .bind(to_micros(before))
    .execute(db)
    .await?;
    Ok(())
}

impl Journal {
    /// Claims up to `most` due effects of a room, most urgent first. The claim lasts until `until`.
    pub async fn claim(
        &self,
        room: Room,
        now: Timestamp,
        until: Timestamp,
        wanted: impl Into<Wanted>,
    ) -> Result<Vec<Claim>, AppendError> {
        let (reply, answer) = oneshot::channel();
        let wanted = wanted.into();
        self.ask(Job::Claim(ClaimRequest { room, now, until, wanted }, reply), answer).await
    }

    /// Gives claimed effects (row and attempt) back, to be claimed again.
    pub async fn hand_back(&self, rows: Vec<(i64, u32)>) -> Result<(), AppendError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Job::HandBack(rows, reply), answer).await
    }

    /// Forgets the answers to requests older than `before`.
    pub async fn forget_answers(&self, before: Timestamp) -> Result<(), AppendError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Job::Forget(before, reply), answer).await
    }

    /// Forgets what was done for incidents that closed long before `now`.
    pub async fn forget_done(&self, now: Timestamp) -> Result<(), AppendError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Job::ForgetDone(now, reply), answer).await
    }

    /// The earliest time at which an effect of any room is due.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, JournalError> {
        let due: Option<i64> =
            sqlx::query_scalar("SELECT min(due) FROM effects WHERE state = 'due'").fetch_one(&self.readers).await?;
        Ok(due.map(from_micros))
    }

    /// The earliest time after `now` at which this room has something to do: an effect is due, or a claim runs out. One
    /// that ran out before belongs to what is being performed, whose end wakes the room.
    pub async fn next_due_of(&self, room: Room, now: Timestamp) -> Result<Option<Timestamp>, JournalError> {
        let due: Option<i64> = sqlx::query_scalar(
            "SELECT min(at) FROM (SELECT min(due) AS at FROM effects WHERE state = 'due' AND room = ?1 AND due > ?2 \
             UNION ALL SELECT min(claimed_until) FROM effects WHERE state = 'claimed' AND room = ?1 \
                 AND claimed_until > ?2)",
        )
        .bind(room.name())
        .bind(to_micros(now))
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

    /// What is wanted at `now` and not done, by room: also what failed and is tried again later.
    pub async fn backlog(&self, now: Timestamp) -> Result<Backlog, JournalError> {
        let rows: Vec<(String, i64, i64)> = sqlx::query_as(
            "SELECT room, count(*), min(wanted_at) FROM effects WHERE state IN ('due', 'claimed') AND wanted_at <= ? \
             GROUP BY room",
        )
        .bind(to_micros(now))
        .fetch_all(&self.readers)
        .await?;
        let oldest_wanted = rows.iter().map(|(_, _, wanted)| *wanted).min().map(from_micros);
        Ok(Backlog { due: rows.into_iter().map(|(room, count, _)| (room, count)).collect(), oldest_wanted })
    }
}
