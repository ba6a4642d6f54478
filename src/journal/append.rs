//! What one caller appends: all of it or nothing.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{Connection, SqliteConnection};

use super::{AppendError, RECORD_VERSION, chain, slots, switch::write_switch, to_micros};
use crate::incident::{Delivery, Event, EvidenceDigest, Incident, IncidentId, Life, NewEffect, WriteSwitch};

/// Events of one incident, with what they made of it and what they ask for.
#[derive(Debug, Clone)]
pub struct Change {
    /// The version that was read; 0 for a new incident.
    pub read_version: u64,
    /// The state after the events. A new incident may be [`IncidentId::UNNUMBERED`]: it gets its number when it is written.
    pub after: Incident,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// What must be done.
    pub effects: Vec<NewEffect>,
    /// When.
    pub at: Timestamp,
}

/// How a claimed effect ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finish {
    /// It was performed, or is no longer wanted.
    Done,
    /// It will not be tried again.
    Dead {
        /// Why.
        error: String,
    },
    /// It is tried again.
    Again {
        /// When.
        due: Timestamp,
        /// What went wrong.
        error: String,
        /// Whether the attempt counts: one that the other side put off with a time to come again does not.
        counts: bool,
    },
}

/// The answer to a request, kept by the request's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredAnswer {
    /// It was done.
    Done(String),
    /// It was refused.
    Refused(String),
}

/// One transaction of one caller.
#[derive(Debug, Clone, Default)]
pub struct Append {
    /// Changes, one an incident.
    pub changes: Vec<Change>,
    /// Incidents whose alerts were repeated, and when.
    pub seen: Vec<(IncidentId, Timestamp)>,
    /// Alertmanager's group in which the changed incidents were seen.
    pub group: Option<String>,
    /// A claimed effect, by its row and attempt, that ends with this.
    pub finish: Option<(i64, u32, Finish)>,
    /// A message that was posted or edited.
    pub delivery: Option<(IncidentId, Delivery)>,
    /// Evidence, stored before the event that names it.
    pub evidence: Option<(IncidentId, EvidenceDigest, Vec<u8>, Timestamp)>,
    /// The answer to a request.
    pub answer: Option<(String, StoredAnswer, Timestamp)>,
    /// A lock that a step takes: its name, the incident and the fix.
    pub lock: Option<(String, IncidentId, u32)>,
    /// A lock that is given back by its holder: its name, the incident and the fix.
    pub unlock: Option<(String, IncidentId, u32)>,
    /// Rows of late effects of which people are told by this.
    pub noticed: Vec<i64>,
    /// Cards that are drawn again although nothing has happened.
    pub redraws: Vec<(IncidentId, Vec<NewEffect>)>,
    /// A move of the kill switch.
    pub switch: Option<WriteSwitch>,
}

impl From<sqlx::Error> for AppendError {
    fn from(error: sqlx::Error) -> Self {
        // A row that exists already: somebody else was first.
        let exists = error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation);
        if exists { Self::Conflict } else { Self::NotStored(error.to_string()) }
    }
}

impl Append {
    /// Writes all of it within a savepoint of its own; the names of the incidents that open by it.
    pub(super) async fn write(mut self, connection: &mut SqliteConnection) -> Result<Vec<IncidentId>, AppendError> {
        let mut savepoint = connection.begin().await?;
        let opened = number_new(&mut savepoint, &mut self.changes).await?;
        self.write_rows(&mut savepoint).await?;
        savepoint.commit().await?;
        Ok(opened)
    }

    async fn write_rows(&self, db: &mut SqliteConnection) -> Result<(), AppendError> {
        if let Some((incident, digest, body, at)) = &self.evidence {
            write_evidence(db, *incident, digest, body, *at).await?;
        }
        if let Some((name, incident, fix)) = &self.lock {
            take_lock(db, name, *incident, *fix).await?;
        }
        // Before the changes: the card that they ask for inherits it from the late one that it replaces.
        for row in &self.noticed {
            sqlx::query("UPDATE effects SET noticed = 1 WHERE id = ?").bind(row).execute(&mut *db).await?;
        }
        for change in &self.changes {
            write_change(db, change).await?;
            if let Some(group) = &self.group {
                write_group(db, group, change.after.id).await?;
            }
        }
        for (incident, at) in &self.seen {
            sqlx::query("UPDATE incidents SET last_seen = max(last_seen, ?) WHERE id = ?")
                .bind(to_micros(*at))
                .bind(i64::from(incident.0))
                .execute(&mut *db)
                .await?;
        }
        if let Some((row, attempt, finish)) = &self.finish {
            write_finish(db, *row, *attempt, finish).await?;
        }
        if let Some((incident, delivery)) = &self.delivery {
            write_delivery(db, *incident, delivery).await?;
        }
        if let Some((name, incident, fix)) = &self.unlock {
            // Whoever only waited for it frees nothing.
            sqlx::query("DELETE FROM locks WHERE name = ? AND incident = ? AND fix = ?")
                .bind(name)
                .bind(i64::from(incident.0))
                .bind(i64::from(*fix))
                .execute(&mut *db)
                .await?;
        }
        for (incident, effects) in &self.redraws {
            write_effects(db, i64::from(incident.0), effects).await?;
        }
        if let Some(switch) = &self.switch {
            write_switch(db, switch).await?;
        }
        if let Some((key, answer, at)) = &self.answer {
            write_answer(db, key, answer, *at).await?;
        }
        Ok(())
    }
}

fn json<T: Serialize>(value: &T) -> Result<String, AppendError> {
    serde_json::to_string(value).map_err(|error| AppendError::NotStored(error.to_string()))
}

fn version(version: u64) -> i64 {
    // Versions count events of one incident; one that exceeded 63 bits would have filled every disk first.
    i64::try_from(version).unwrap_or(i64::MAX)
}

/// Gives each new incident that has no number yet the next one. There is one writer, so the highest number stays that until
/// this transaction ends, and one that is rolled back has used none.
async fn number_new(db: &mut SqliteConnection, changes: &mut [Change]) -> Result<Vec<IncidentId>, AppendError> {
    let mut new: Vec<&mut Change> = changes.iter_mut().filter(|change| change.read_version == 0).collect();
    if new.iter().any(|change| change.after.id == IncidentId::UNNUMBERED) {
        let highest: i64 = sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM incidents").fetch_one(db).await?;
        let mut number = u32::try_from(highest).unwrap_or(u32::MAX);
        for change in new.iter_mut().filter(|change| change.after.id == IncidentId::UNNUMBERED) {
            number = number.saturating_add(1);
            give_number(change, IncidentId(number));
        }
    }
    Ok(new.into_iter().map(|change| change.after.id).collect())
}

fn give_number(change: &mut Change, number: IncidentId) {
    change.after.id = number;
    for event in &mut change.events {
        if let Event::Opened { id, .. } = event {
            *id = number;
        }
    }
}

async fn write_group(db: &mut SqliteConnection, group: &str, incident: IncidentId) -> Result<(), AppendError> {
    sqlx::query("INSERT OR IGNORE INTO groups (group_key, incident) VALUES (?, ?)")
        .bind(group)
        .bind(i64::from(incident.0))
        .execute(db)
        .await?;
    Ok(())
}

pub(super) async fn write_change(db: &mut SqliteConnection, change: &Change) -> Result<(), AppendError> {
    let incident = &change.after;
    let id = i64::from(incident.id.0);
    let life = match incident.life {
        Life::Open => "open",
        Life::Clearing { .. } => "clearing",
        Life::Closed { .. } => "closed",
    };
    let state = json(incident)?;
    if change.read_version == 0 {
        sqlx::query(
            "INSERT INTO incidents (id, key, version, life, quiet, opened_at, last_seen, state) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(id)
        .bind(&incident.key.0)
        .bind(version(incident.version))
        .bind(life)
        .bind(incident.quiet)
        .bind(to_micros(change.at))
        .bind(to_micros(change.at))
        .bind(state)
        .execute(&mut *db)
        .await?;
    } else {
        let update = "UPDATE incidents SET version = ?, life = ?, quiet = ?, state = ? WHERE id = ? AND version = ?";
        let updated = sqlx::query(update)
            .bind(version(incident.version))
            .bind(life)
            .bind(incident.quiet)
            .bind(state)
            .bind(id)
            .bind(version(change.read_version))
            .execute(&mut *db)
            .await?;
        if updated.rows_affected() != 1 {
            return Err(AppendError::Conflict);
        }
    }
    write_events(db, change, id).await?;
    write_effects(db, id, &change.effects).await
}

async fn write_events(db: &mut SqliteConnection, change: &Change, id: i64) -> Result<(), AppendError> {
    let mut previous = chain::head(db, id, change.read_version).await?;
    let mut seq = version(change.read_version);
    for event in &change.events {
        seq = seq.saturating_add(1);
        let body = json(event)?;
        let at = to_micros(change.at);
        let hash = chain::link(&previous, id, seq, at, body.as_bytes());
        sqlx::query(
            "INSERT INTO events (incident, seq, at, type, version, body, previous, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(id)
        .bind(seq)
        .bind(at)
        .bind(event.name())
        .bind(RECORD_VERSION)
        .bind(body.into_bytes())
        .bind(previous)
        .bind(hash.clone())
        .execute(&mut *db)
        .await?;
        previous = hash;
    }
    Ok(())
}

async fn write_effects(db: &mut SqliteConnection, id: i64, effects: &[NewEffect]) -> Result<(), AppendError> {
    for effect in effects {
        if let Some(slot) = &effect.slot {
            // The newest state wins: an older edit that has not begun is merged into this one, and gives way also where
            // it has the same key.
            sqlx::query(
                "UPDATE effects SET key = key || '/before-' || id WHERE incident = ? AND slot = ? AND state = 'due'",
            )
            .bind(id)
            .bind(slot)
            .execute(&mut *db)
            .await?;
        }
        sqlx::query(
            "INSERT INTO effects (incident, key, slot, room, priority, due, wanted_at, state, version, work) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, 'due', ?7, ?8)",
        )
        .bind(id)
        .bind(&effect.key)
        .bind(&effect.slot)
        .bind(effect.work.room().name())
        .bind(effect.work.priority().rank())
        .bind(to_micros(effect.due))
        .bind(RECORD_VERSION)
        .bind(json(&effect.work)?)
        .execute(&mut *db)
        .await?;
    }
    if effects.iter().any(|effect| effect.slot.is_some()) {
        slots::merge(db, Some(id)).await?;
    }
    Ok(())
}

async fn write_finish(db: &mut SqliteConnection, row: i64, attempt: u32, finish: &Finish) -> Result<(), AppendError> {
    let (state, due, error, counts) = match finish {
        Finish::Done => ("done", None, None, true),
        Finish::Dead { error } => ("dead", None, Some(error), true),
        Finish::Again { due, error, counts } => ("due", Some(to_micros(*due)), Some(error), *counts),
    };
    let incident: Option<i64> = sqlx::query_scalar(
        "UPDATE effects SET state = ?, due = coalesce(?, due), last_error = ?, claimed_until = NULL, \
             attempts = attempts - ? WHERE id = ? AND state = 'claimed' AND attempts = ? RETURNING incident",
    )
    .bind(state)
    .bind(due)
    .bind(error)
    .bind(i64::from(!counts))
    .bind(row)
    .bind(i64::from(attempt))
    .fetch_optional(&mut *db)
    .await?;
    // The claim ran out and somebody else has it, or has finished it: what we found out is theirs to find.
    let Some(incident) = incident else { return Err(AppendError::Locked("the effect".to_owned())) };
    if state == "due" {
        slots::merge(db, Some(incident)).await?;
    }
    Ok(())
}

async fn write_delivery(db: &mut SqliteConnection, id: IncidentId, delivery: &Delivery) -> Result<(), AppendError> {
    sqlx::query(
        "INSERT INTO deliveries (incident, face, channel, slot, message, version) VALUES (?, ?, ?, ?, ?, ?) \
         ON CONFLICT DO UPDATE SET message = excluded.message, version = excluded.version",
    )
    .bind(i64::from(id.0))
    .bind(delivery.to.face.name())
    .bind(&delivery.to.channel)
    .bind(&delivery.slot)
    .bind(&delivery.message.id)
    .bind(version(delivery.message.version))
    .execute(db)
    .await?;
    Ok(())
}

async fn write_evidence(
    db: &mut SqliteConnection,
    id: IncidentId,
    digest: &EvidenceDigest,
    body: &[u8],
    at: Timestamp,
) -> Result<(), AppendError> {
    if body.len() > super::EVIDENCE_MOST {
        return Err(AppendError::NotStored(format!("evidence of {} bytes is larger than is kept", body.len())));
    }
    // What two incidents name belongs to the newest, so that it lives as long as either.
    sqlx::query(
        "INSERT INTO evidence (digest, incident, at, body) VALUES (?, ?, ?, ?) \
         ON CONFLICT (digest) DO UPDATE SET incident = excluded.incident, at = excluded.at",
    )
    .bind(&digest.0)
    .bind(i64::from(id.0))
    .bind(to_micros(at))
    .bind(body)
    .execute(db)
    .await?;
    Ok(())
}

async fn take_lock(db: &mut SqliteConnection, name: &str, id: IncidentId, fix: u32) -> Result<(), AppendError> {
    sqlx::query("INSERT OR IGNORE INTO locks (name, incident, fix) VALUES (?, ?, ?)")
        .bind(name)
        .bind(i64::from(id.0))
        .bind(i64::from(fix))
        .execute(&mut *db)
        .await?;
    let (holder, its_fix): (i64, i64) =
        sqlx::query_as("SELECT incident, fix FROM locks WHERE name = ?").bind(name).fetch_one(db).await?;
    let ours = holder == i64::from(id.0) && its_fix == i64::from(fix);
    if ours { Ok(()) } else { Err(AppendError::Locked(name.to_owned())) }
}

async fn write_answer(
    db: &mut SqliteConnection,
    key: &str,
    answer: &StoredAnswer,
    at: Timestamp,
) -> Result<(), AppendError> {
    sqlx::query("INSERT INTO requests (key, at, answer) VALUES (?, ?, ?)")
        .bind(key)
        .bind(to_micros(at))
        .bind(json(answer)?)
        .execute(db)
        .await?;
    Ok(())
}
