//! What one caller appends: all of it or nothing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{Connection, SqliteConnection};

use super::{AppendError, RECORD_VERSION, chain, queries, rows, slots, switch::write_switch, to_micros};
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
    pub lock: Option<(String, IncidentId, u32)>,
    /// A lock that is given back by its holder: its name, the incident and the fix.
    pub unlock: Option<(String, IncidentId, u32)>,
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
        self.changes.iter().map(of_one).sum::<usize>().saturating_add(self.seen.len()).saturating_add(1)
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
            // Whoever only waited for it frees nothing.
            sqlx::query("DELETE FROM locks WHERE name = ? AND incident = ? AND fix = ?")
                .bind(name)
                .bind(i64::from(incident.number()))
                .bind(i64::from(*fix))
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
            give_number(change, IncidentId::new(number));
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

/// A row of `incidents`.
struct IncidentRow {
    id: i64,
    key: String,
    version: i64,
    life: &'static str,
    quiet: bool,
    target: Option<String>,
    at: i64,
    state: String,
}

impl IncidentRow {
    fn of(change: &Change) -> Result<Self, AppendError> {
        let incident = &change.after;
        let life = match incident.life {
            Life::Open => "open",
            Life::Clearing { .. } => "clearing",
            Life::Closed { .. } => "closed",
        };
        Ok(Self {
            id: i64::from(incident.id.number()),
            key: incident.key.0.clone(),
            version: version(incident.version),
            life,
            quiet: incident.quiet,
            target: incident.target.as_ref().map(json).transpose()?,
            at: to_micros(change.at),
            state: json(incident)?,
        })
    }
}

/// Writes changes, one an incident: those of new incidents together, and the events and effects of all together.
pub(super) async fn write_changes(db: &mut SqliteConnection, changes: &[Change]) -> Result<(), AppendError> {
    let mut openings = Vec::new();
    for change in changes {
        let row = IncidentRow::of(change)?;
        if change.read_version == 0 {
            openings.push(row);
        } else {
            update_incident(db, change.read_version, row).await?;
        }
    }
    let insert =
        "INSERT INTO incidents (id, key, version, life, quiet, target, opened_at, last_seen, last_event_at, state) ";
    rows::insert(db, insert, &openings, |row, one| {
        row.push_bind(one.id)
            .push_bind(one.key.as_str())
            .push_bind(one.version)
            .push_bind(one.life)
            .push_bind(one.quiet)
            .push_bind(one.target.as_deref());
        row.push_bind(one.at).push_bind(one.at).push_bind(one.at).push_bind(one.state.as_str());
    })
    .await?;
    write_events(db, changes).await?;
    write_effects(db, changes).await
}

async fn update_incident(db: &mut SqliteConnection, read_version: u64, row: IncidentRow) -> Result<(), AppendError> {
    let updated = sqlx::query(queries::UPDATE_INCIDENT)
        .bind(row.version)
        .bind(row.life)
        .bind(row.quiet)
        .bind(row.target)
        .bind(row.at)
        .bind(row.state)
        .bind(row.id)
        .bind(version(read_version))
        .execute(&mut *db)
        .await?;
    if updated.rows_affected() == 1 { Ok(()) } else { Err(AppendError::Conflict) }
}

/// A row of `events`.
struct EventRow {
    incident: i64,
    seq: i64,
    at: i64,
    name: &'static str,
    body: Vec<u8>,
    previous: Vec<u8>,
    hash: Vec<u8>,
}

async fn write_events(db: &mut SqliteConnection, changes: &[Change]) -> Result<(), AppendError> {
    let mut events = Vec::new();
    for change in changes {
        let incident = i64::from(change.after.id.number());
        let mut previous = chain::head(db, incident, change.read_version).await?;
        let mut seq = version(change.read_version);
        let at = to_micros(change.at);
        for event in &change.events {
            seq = seq.saturating_add(1);
            let body = json(event)?.into_bytes();
            let hash = chain::link(&previous, incident, seq, at, &body);
            events.push(EventRow { incident, seq, at, name: event.name(), body, previous, hash: hash.clone() });
            previous = hash;
        }
    }
    let insert = "INSERT INTO events (incident, seq, at, type, version, body, previous, hash) ";
    rows::insert(db, insert, &events, |row, one| {
        row.push_bind(one.incident).push_bind(one.seq).push_bind(one.at).push_bind(one.name).push_bind(RECORD_VERSION);
        row.push_bind(one.body.as_slice()).push_bind(one.previous.as_slice()).push_bind(one.hash.as_slice());
    })
    .await?;
    Ok(())
}

async fn write_effects(db: &mut SqliteConnection, changes: &[Change]) -> Result<(), AppendError> {
    // A new incident has no effects that others could replace.
    let older = || changes.iter().filter(|change| change.read_version > 0);
    for change in older() {
        replace_in_slots(db, i64::from(change.after.id.number()), &change.effects).await?;
    }
    let mut rows = Vec::new();
    for Change { after, effects, .. } in changes {
        rows.extend(effects.iter().map(|effect| (i64::from(after.id.number()), effect)));
    }
    insert_effects(db, &rows).await?;
    for change in older() {
        merge_slots(db, i64::from(change.after.id.number()), &change.effects).await?;
    }
    Ok(())
}

/// The newest state wins: an older edit that has not begun is merged into its new one, and gives way also where it has
/// the same key.
async fn replace_in_slots(db: &mut SqliteConnection, incident: i64, effects: &[NewEffect]) -> Result<(), AppendError> {
    for slot in effects.iter().filter_map(|effect| effect.slot.as_ref()) {
        sqlx::query(queries::REPLACE_IN_SLOT).bind(incident).bind(slot).execute(&mut *db).await?;
    }
    Ok(())
}

async fn merge_slots(db: &mut SqliteConnection, incident: i64, effects: &[NewEffect]) -> Result<(), AppendError> {
    if effects.iter().any(|effect| effect.slot.is_some()) {
        slots::merge(db, incident).await?;
    }
    Ok(())
}

async fn insert_effects(db: &mut SqliteConnection, effects: &[(i64, &NewEffect)]) -> Result<(), AppendError> {
    let with_work = |(incident, effect): &(i64, &NewEffect)| Ok((*incident, (*effect).clone(), json(&effect.work)?));
    let effects = effects.iter().map(with_work).collect::<Result<Vec<_>, AppendError>>()?;
    let insert = "INSERT INTO effects (incident, key, slot, room, priority, due, wanted_at, state, version, work) ";
    // The same effect asked for again: it comes sooner, unless it was begun.
    let sooner = " ON CONFLICT (incident, key) DO UPDATE SET due = excluded.due, wanted_at = excluded.wanted_at \
         WHERE state = 'due' AND last_error IS NULL AND due > excluded.due";
    rows::insert_or(db, insert, sooner, &effects, |row, (incident, effect, work)| {
        let due = to_micros(effect.due);
        row.push_bind(*incident).push_bind(effect.key.as_str()).push_bind(effect.slot.as_deref());
        row.push_bind(effect.work.room().name()).push_bind(effect.work.priority().rank()).push_bind(due).push_bind(due);
        row.push_bind("due").push_bind(RECORD_VERSION).push_bind(work.as_str());
    })
    .await?;
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

async fn take_lock(db: &mut SqliteConnection, name: &str, id: IncidentId, fix: u32) -> Result<(), AppendError> {
    sqlx::query("INSERT OR IGNORE INTO locks (name, incident, fix) VALUES (?, ?, ?)")
        .bind(name)
        .bind(i64::from(id.number()))
        .bind(i64::from(fix))
        .execute(&mut *db)
        .await?;
    let (holder, its_fix): (i64, i64) =
        sqlx::query_as("SELECT incident, fix FROM locks WHERE name = ?").bind(name).fetch_one(db).await?;
    let ours = holder == i64::from(id.number()) && its_fix == i64::from(fix);
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
