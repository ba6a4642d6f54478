//! How the changes of incidents become rows: their state, their events with the chain, and the effects that they ask for.

use serde::Serialize;
use sqlx::SqliteConnection;

use super::{AppendError, Change, RECORD_VERSION, chain, queries, rows, slots, to_micros};
use crate::incident::{Event, IncidentId, IncidentStatus, NewEffect};

pub(super) fn json<T: Serialize>(value: &T) -> Result<String, AppendError> {
    serde_json::to_string(value).map_err(|error| AppendError::NotStored(error.to_string()))
}

pub(super) fn version(version: u64) -> i64 {
    // Versions count events of one incident; one that exceeded 63 bits would have filled every disk first.
    i64::try_from(version).unwrap_or(i64::MAX)
}

/// Gives each new incident that has no number yet the next one. There is one writer, so the highest number stays that until
/// this transaction ends, and one that is rolled back has used none.
pub(super) async fn number_new(
    db: &mut SqliteConnection,
    changes: &mut [Change],
) -> Result<Vec<IncidentId>, AppendError> {
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
        let life = match incident.status {
            IncidentStatus::Open => "open",
            IncidentStatus::Clearing { .. } => "clearing",
            IncidentStatus::Closed { .. } => "closed",
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
pub(super) async fn replace_in_slots(
    db: &mut SqliteConnection,
    incident: i64,
    effects: &[NewEffect],
) -> Result<(), AppendError> {
    for slot in effects.iter().filter_map(|effect| effect.slot.as_ref()) {
        sqlx::query(queries::REPLACE_IN_SLOT).bind(incident).bind(slot).execute(&mut *db).await?;
    }
    Ok(())
}

pub(super) async fn merge_slots(
    db: &mut SqliteConnection,
    incident: i64,
    effects: &[NewEffect],
) -> Result<(), AppendError> {
    if effects.iter().any(|effect| effect.slot.is_some()) {
        slots::merge(db, incident).await?;
    }
    Ok(())
}

pub(super) async fn insert_effects(
    db: &mut SqliteConnection,
    effects: &[(i64, &NewEffect)],
) -> Result<(), AppendError> {
    let with_work = |(incident, effect): &(i64, &NewEffect)| Ok((*incident, (*effect).clone(), json(&effect.work)?));
    let effects = effects.iter().map(with_work).collect::<Result<Vec<_>, AppendError>>()?;
    let insert =
        "INSERT INTO effects (incident, key, slot, sequence, room, priority, due, wanted_at, state, version, work) ";
    // The same effect asked for again: it comes sooner, unless it was begun.
    let sooner = " ON CONFLICT (incident, key) DO UPDATE SET due = excluded.due, wanted_at = excluded.wanted_at \
         WHERE state = 'due' AND last_error IS NULL AND due > excluded.due";
    rows::insert_or(db, insert, sooner, &effects, |row, (incident, effect, work)| {
        let due = to_micros(effect.due);
        row.push_bind(*incident).push_bind(effect.key.as_str()).push_bind(effect.slot.as_deref());
        row.push_bind(effect.work.sequence());
        row.push_bind(effect.work.room().name()).push_bind(effect.work.priority().rank()).push_bind(due).push_bind(due);
        row.push_bind("due").push_bind(RECORD_VERSION).push_bind(work.as_str());
    })
    .await?;
    Ok(())
}
