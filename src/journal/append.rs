//! What one caller appends: all of it or nothing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{Connection, SqliteConnection};

use super::{
    AppendError,
    changes::{insert_effects, json, merge_slots, number_new, replace_in_slots, version, write_changes},
    queries,
    read::owes,
    rows, slots,
    switch::write_switch,
    to_micros,
};
use crate::incident::{
    Delivery, Event, EvidenceDigest, Fix, FixNumber, Incident, IncidentId, NewEffect, WriteSwitch, awaited_task,
};

/// What is large counts as a row for each page of SQLite.
pub(super) const ROW_BYTES: usize = 4096;

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
    pub at: Timestamp,
}

/// How a claimed effect ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finish {
    /// It was performed, or is no longer wanted.
    Done,
    /// It will not be tried again.
    Dead { error: String },
    /// It is tried again.
    Again {
        due: Timestamp,
        /// What went wrong.
        error: String,
        /// Whether the attempt counts: one that the other side put off with a time to come again does not.
        counts: bool,
        /// Whether the message itself was refused.
        refused: bool,
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
    /// Alertmanager's groups, and which of the changes each of them was seen in.
    pub groups: Vec<(String, usize)>,
    /// An incident that joined another one: that one is in its groups from now on.
    pub joined: Option<(IncidentId, IncidentId)>,
    /// A claimed effect, by its row and attempt, that ends with this.
    pub finish: Option<(i64, u32, Finish)>,
    /// A message that was posted or edited.
    pub delivery: Option<(IncidentId, Delivery)>,
    /// Evidence, stored before the event that names it.
    pub evidence: Option<(IncidentId, EvidenceDigest, Vec<u8>, Timestamp)>,
    /// The answer to a request.
    pub answer: Option<(String, StoredAnswer, Timestamp)>,
    /// A lock that a step takes: its name, the incident and the fix.
    pub lock: Option<(String, IncidentId, FixNumber)>,
    /// A lock that is given back by its holder: its name, the incident and the fix.
    pub unlock: Option<(String, IncidentId, FixNumber)>,
    /// Rows of late effects of which people are told by this.
    pub noticed: Vec<i64>,
    /// Cards that are drawn again although nothing has happened.
    pub redraws: Vec<(IncidentId, Vec<NewEffect>)>,
    /// What the channel is told once by this, by name: a conflict where it was told already.
    pub told: Vec<(String, Timestamp)>,
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
    /// About how many rows this writes.
    pub(super) fn rows(&self) -> usize {
        let of_one = |change: &Change| change.events.len().saturating_add(change.effects.len()).saturating_add(1);
        let evidence = self.evidence.as_ref().map_or(0, |(_, _, body, _)| body.len().div_ceil(ROW_BYTES));
        let drawn_again = self.redraws.iter().map(|(_, effects)| effects.len()).sum();
        let of_lists = [self.seen.len(), self.groups.len(), self.noticed.len(), drawn_again, evidence];
        self.changes.iter().map(of_one).chain(of_lists).fold(1, usize::saturating_add)
    }

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
        write_changes(db, &self.changes).await?;
        self.write_sightings(db).await?;
        if let Some((joins, other)) = self.joined {
            let groups = "INSERT OR IGNORE INTO groups SELECT group_key, ? FROM groups WHERE incident = ?";
            sqlx::query(groups)
                .bind(i64::from(other.number()))
                .bind(i64::from(joins.number()))
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
            // An incident that only waited for the lock frees nothing.
            sqlx::query("DELETE FROM locks WHERE name = ? AND incident = ? AND fix = ?")
                .bind(name)
                .bind(i64::from(incident.number()))
                .bind(i64::from(fix.0))
                .execute(&mut *db)
                .await?;
        }
        for (incident, effects) in &self.redraws {
            let id = i64::from(incident.number());
            replace_in_slots(db, id, effects).await?;
            let rows: Vec<_> = effects.iter().map(|effect| (id, effect)).collect();
            insert_effects(db, &rows).await?;
            merge_slots(db, id, effects).await?;
        }
        if let Some(switch) = &self.switch {
            write_switch(db, switch).await?;
        }
        for (what, at) in &self.told {
            sqlx::query("INSERT INTO told (what, at) VALUES (?, ?)")
                .bind(what)
                .bind(to_micros(*at))
                .execute(&mut *db)
                .await?;
        }
        if let Some((key, answer, at)) = &self.answer {
            write_answer(db, key, answer, *at).await?;
        }
        Ok(())
    }

    /// Once for each incident and group, however many of their alerts came: the row of an incident holds all of its state.
    async fn write_sightings(&self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let mut seen = BTreeMap::new();
        for (incident, at) in &self.seen {
            let newest = seen.entry(*incident).or_insert(*at);
            *newest = (*newest).max(*at);
        }
        for (incident, at) in seen {
            sqlx::query(queries::SEEN).bind(to_micros(at)).bind(i64::from(incident.number())).execute(&mut *db).await?;
        }
        let named = self.groups.iter().filter_map(|(group, place)| Some((group, self.changes.get(*place)?.after.id)));
        let groups: Vec<_> = named.collect::<BTreeSet<_>>().into_iter().collect();
        rows::insert(db, "INSERT OR IGNORE INTO groups (group_key, incident) ", &groups, |row, (group, incident)| {
            row.push_bind(group.as_str()).push_bind(i64::from(incident.number()));
        })
        .await
    }
}

async fn write_finish(db: &mut SqliteConnection, row: i64, attempt: u32, finish: &Finish) -> Result<(), AppendError> {
    let (state, due, error, counts, refused) = match finish {
        Finish::Done => ("done", None, None, true, false),
        Finish::Dead { error } => ("dead", None, Some(error), true, false),
        Finish::Again { due, error, counts, refused } => ("due", Some(to_micros(*due)), Some(error), *counts, *refused),
    };
    let incident: Option<i64> = sqlx::query_scalar(
        "UPDATE effects SET state = ?, due = coalesce(?, due), last_error = ?, claimed_until = NULL, \
             attempts = attempts - ?, refusals = refusals + ? WHERE id = ? AND state = 'claimed' AND attempts = ? RETURNING incident",
    )
    .bind(state)
    .bind(due)
    .bind(error)
    .bind(i64::from(!counts))
    .bind(i64::from(refused))
    .bind(row)
    .bind(i64::from(attempt))
    .fetch_optional(&mut *db)
    .await?;
    // The claim ran out and somebody else has it, or has finished it: what we found out is theirs to find.
    let Some(incident) = incident else { return Err(AppendError::Locked("the effect".to_owned())) };
    if state == "due" {
        slots::merge(db, incident).await?;
    }
    Ok(())
}

async fn write_delivery(db: &mut SqliteConnection, id: IncidentId, delivery: &Delivery) -> Result<(), AppendError> {
    sqlx::query(
        "INSERT INTO deliveries (incident, face, channel, slot, message, version) VALUES (?, ?, ?, ?, ?, ?) \
         ON CONFLICT DO UPDATE SET message = excluded.message, version = excluded.version",
    )
    .bind(i64::from(id.number()))
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
    .bind(i64::from(id.number()))
    .bind(to_micros(at))
    .bind(body)
    .execute(db)
    .await?;
    Ok(())
}

async fn take_lock(db: &mut SqliteConnection, name: &str, id: IncidentId, fix: FixNumber) -> Result<(), AppendError> {
    if let Some((holder, its_fix)) = held_for_nothing(db, name).await? {
        tracing::warn!(name, holder, fix = its_fix, "a lock is taken from a fix that is at no step any more");
        sqlx::query("DELETE FROM locks WHERE name = ?").bind(name).execute(&mut *db).await?;
    }
    sqlx::query("INSERT OR IGNORE INTO locks (name, incident, fix) VALUES (?, ?, ?)")
        .bind(name)
        .bind(i64::from(id.number()))
        .bind(i64::from(fix.0))
        .execute(&mut *db)
        .await?;
    let (holder, its_fix): (i64, i64) =
        sqlx::query_as("SELECT incident, fix FROM locks WHERE name = ?").bind(name).fetch_one(db).await?;
    let ours = holder == i64::from(id.number()) && its_fix == i64::from(fix.0);
    if ours { Ok(()) } else { Err(AppendError::Locked(name.to_owned())) }
}

/// The incident and fix that a lock stands for although that fix is at no step, or its step has no task any more: nobody
/// would ever give it back.
async fn held_for_nothing(db: &mut SqliteConnection, name: &str) -> Result<Option<(i64, i64)>, AppendError> {
    let held: Option<(i64, i64, Option<String>)> = sqlx::query_as(
        "SELECT locks.incident, locks.fix, incidents.state FROM locks \
         LEFT JOIN incidents ON incidents.id = locks.incident WHERE locks.name = ?",
    )
    .bind(name)
    .fetch_optional(&mut *db)
    .await?;
    let Some((incident, fix, state)) = held else { return Ok(None) };
    let holder = match state.map(|state| serde_json::from_str::<Incident>(&state)) {
        // It may be at its step: in doubt nothing is written.
        Some(Err(_)) => return Ok(None),
        Some(Ok(holder)) => Some(holder),
        None => None,
    };
    let at_a_step = |its: &Fix| i64::from(its.number.0) == fix && its.is_at_a_step();
    let holder = holder.filter(|holder| holder.fix.as_ref().is_some_and(at_a_step));
    let Some(task) = holder.as_ref().and_then(awaited_task) else { return Ok(Some((incident, fix))) };
    let is_used = owes(&mut *db, incident, task).await?;
    Ok((!is_used).then_some((incident, fix)))
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
