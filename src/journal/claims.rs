//! Claims of due effects. The table *is* the queue; there is none in memory.

use jiff::Timestamp;
use sqlx::{Row, SqliteConnection};
use tokio::sync::oneshot;

use super::{
    AppendError, Change, Journal, RECORD_VERSION, changes::write_changes, from_micros, queries, slots, to_micros,
    writer::Job,
};
use crate::incident::{self, Incident, IncidentId, Priority, Room, SetAside, Work};

/// A claimed effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub row: i64,
    pub incident: IncidentId,
    /// Its key within the incident.
    pub key: String,
    /// When it was due.
    pub due: Timestamp,
    /// Since when it is wanted, whatever its attempts came to.
    pub wanted: Timestamp,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// How often the other side refused the message itself.
    pub refusals: u32,
    /// What to do.
    pub work: Work,
}

/// What is asked of the queue.
#[derive(Debug, Clone)]
pub(super) struct ClaimRequest {
    room: Room,
    now: Timestamp,
    until: Timestamp,
    wanted: RoomCapacity,
}

/// How many effects a room can take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomCapacity {
    /// At most so many.
    pub most: u32,
    /// So many of them are for effects of `kept_for` and what is more urgent only, so that nothing else ever holds one up.
    pub kept: u32,
    /// See `kept`.
    pub kept_for: Priority,
    /// The rows that this process is performing: their claims do not run out, however fast the clock is.
    pub running: Vec<i64>,
}

impl From<u32> for RoomCapacity {
    fn from(most: u32) -> Self {
        Self { most, kept: 0, kept_for: Priority::Page, running: Vec::new() }
    }
}

/// Claims; and whether others should look, since something became due or was set aside.
pub(super) async fn claim(
    db: &mut SqliteConnection,
    request: &ClaimRequest,
) -> Result<(Vec<Claim>, bool), AppendError> {
    // A claim that ran out and is not being performed belongs to an end that could not be stored: it is due again.
    let ran_out: Vec<i64> = sqlx::query_scalar(queries::RUN_OUT)
        .bind(request.room.name())
        .bind(to_micros(request.now))
        .bind(serde_json::json!(request.wanted.running).to_string())
        .fetch_all(&mut *db)
        .await?;
    let mut has_news = !ran_out.is_empty();
    slots::merge_each(db, ran_out).await?;
    let rows = claim_rows(db, request).await?;
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

/// The most urgent first; the last places are kept for what is urgent enough.
async fn claim_rows(
    db: &mut SqliteConnection,
    request: &ClaimRequest,
) -> Result<Vec<sqlx::sqlite::SqliteRow>, sqlx::Error> {
    let RoomCapacity { most, kept, kept_for, .. } = request.wanted;
    let mut ranks: Vec<i64> = sqlx::query_scalar(queries::DUE_RANKS)
        .bind(request.room.name())
        .bind(to_micros(request.now))
        .bind(ranks())
        .fetch_all(&mut *db)
        .await?;
    ranks.sort_unstable();
    let mut rows = Vec::new();
    for rank in ranks {
        let places = if rank <= kept_for.rank() { most } else { most.saturating_sub(kept) };
        let free = i64::from(places).saturating_sub(i64::try_from(rows.len()).unwrap_or(i64::MAX));
        if free <= 0 {
            break;
        }
        let claimed = sqlx::query(queries::CLAIM)
            .bind(to_micros(request.until))
            .bind(request.room.name())
            .bind(rank)
            .bind(to_micros(request.now))
            .bind(free)
            .fetch_all(&mut *db)
            .await?;
        rows.extend(claimed);
    }
    Ok(rows)
}

/// The ranks of all priorities, the most urgent first, as the statements take them.
pub(super) fn ranks() -> String {
    let mut ranks = Priority::ALL.map(Priority::rank);
    ranks.sort_unstable();
    serde_json::json!(ranks).to_string()
}

/// Sets an effect aside that cannot be read, says so on its incident, and ends what waited for it: nothing is lost silently.
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
    let Some(Ok(before)) = state.map(|state| serde_json::from_str::<Incident>(&state)) else { return Ok(()) };
    let read_version = before.version;
    let SetAside { after, events, effects } = incident::set_aside(before, &key, error, now);
    write_changes(db, &[Change { read_version, after, events, effects, at: now }]).await
}

fn read_claim(row: &sqlx::sqlite::SqliteRow, id: i64, work: Work) -> Result<Claim, sqlx::Error> {
    Ok(Claim {
        row: id,
        incident: IncidentId::new(u32::try_from(row.try_get::<i64, _>("incident")?).unwrap_or(0)),
        key: row.try_get("key")?,
        due: from_micros(row.try_get("due")?),
        wanted: from_micros(row.try_get("wanted_at")?),
        attempt: u32::try_from(row.try_get::<i64, _>("attempts")?).unwrap_or(u32::MAX),
        refusals: u32::try_from(row.try_get::<i64, _>("refusals")?).unwrap_or(u32::MAX),
        work,
    })
}

pub(super) async fn hand_back(db: &mut SqliteConnection, rows: &[(i64, u32)]) -> Result<(), sqlx::Error> {
    let mut incidents = Vec::new();
    for (row, attempt) in rows {
        // The attempt did not happen as far as anybody knows; it counts all the same, so that posts are looked for.
        let incident: Option<i64> = sqlx::query_scalar(
            "UPDATE effects SET state = 'due', claimed_until = NULL WHERE id = ? AND state = 'claimed' AND attempts = ? \
             RETURNING incident",
        )
        .bind(row)
        .bind(i64::from(*attempt))
        .fetch_optional(&mut *db)
        .await?;
        incidents.extend(incident);
    }
    slots::merge_each(db, incidents).await
}

impl Journal {
    /// Claims up to `most` due effects of a room, most urgent first. The claim lasts until `until`.
    pub async fn claim(
        &self,
        room: Room,
        now: Timestamp,
        until: Timestamp,
        wanted: impl Into<RoomCapacity>,
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
}
