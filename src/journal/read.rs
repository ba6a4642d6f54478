//! Reading: incidents, events, messages, answers and evidence, as committed.

use jiff::Timestamp;
use sqlx::{Row, sqlite::SqliteRow};

use super::{ChainLink, Journal, JournalError, RECORD_VERSION, StoredAnswer, from_micros, queries, to_micros};
use crate::incident::{Destination, Event, EvidenceDigest, Incident, IncidentId, IncidentKey, MessageRef};

/// An incident with the column that is no event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredIncident {
    /// Its state.
    pub incident: Incident,
    /// When its source last said that it fires.
    pub last_seen: Timestamp,
}

/// The newest incident of a key, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewestOfKey {
    pub key: IncidentKey,
    /// The incident.
    pub id: IncidentId,
    /// Whether it is not closed.
    pub is_live: bool,
}

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place, from 1.
    pub seq: i64,
    pub at: Timestamp,
    pub event: Event,
}

fn record<T: serde::de::DeserializeOwned>(what: &'static str, text: &[u8]) -> Result<T, JournalError> {
    serde_json::from_slice(text).map_err(|source| JournalError::Record { what, source })
}

fn listed(keys: &[&IncidentKey]) -> String {
    serde_json::json!(keys.iter().map(|key| &key.0).collect::<Vec<_>>()).to_string()
}

/// See [`Journal::owes`].
pub(super) async fn owes(db: impl sqlx::SqliteExecutor<'_>, incident: i64, kind: &str) -> Result<bool, sqlx::Error> {
    let owes = "SELECT EXISTS (SELECT 1 FROM effects WHERE incident = ?1 AND state IN ('due', 'claimed') \
         AND substr(key, 1, length(?2)) = ?2)";
    sqlx::query_scalar(owes).bind(incident).bind(format!("{kind}:")).fetch_one(db).await
}

impl Journal {
    fn stored(&self, row: &SqliteRow) -> Result<StoredIncident, JournalError> {
        let state: String = row.try_get("state")?;
        let mut incident: Incident = record("state", state.as_bytes())?;
        incident.id = incident.id.kept_by(self.keeper);
        Ok(StoredIncident { incident, last_seen: from_micros(row.try_get("last_seen")?) })
    }

    /// One incident.
    pub async fn incident(&self, id: IncidentId) -> Result<Option<StoredIncident>, JournalError> {
        let row = sqlx::query("SELECT state, last_seen FROM incidents WHERE id = ?")
            .bind(i64::from(id.number()))
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(|row| self.stored(row)).transpose()
    }

    /// Whether an incident has a task to be done, or being done, whose key begins with `kind`.
    pub async fn owes(&self, id: IncidentId, kind: &str) -> Result<bool, JournalError> {
        Ok(owes(&self.readers, i64::from(id.number()), kind).await?)
    }

    /// The newest incident of a key, open or closed.
    pub async fn newest_of(&self, key: &IncidentKey) -> Result<Option<StoredIncident>, JournalError> {
        let row = sqlx::query("SELECT state, last_seen FROM incidents WHERE key = ? ORDER BY id DESC LIMIT 1")
            .bind(&key.0)
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(|row| self.stored(row)).transpose()
    }

    /// The newest incident of each of these keys, open or closed, where there is one.
    pub async fn newest_of_each(
        &self,
        keys: &[&IncidentKey],
    ) -> Result<Vec<(IncidentKey, StoredIncident)>, JournalError> {
        let rows = sqlx::query(queries::NEWEST_OF).bind(listed(keys)).fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok((IncidentKey(row.try_get("wanted")?), self.stored(row)?))).collect()
    }

    /// The names of the newest incidents of these keys, open or closed, without reading their state.
    pub async fn names_of(&self, keys: &[&IncidentKey]) -> Result<Vec<NewestOfKey>, JournalError> {
        let rows: Vec<(String, i64, bool)> =
            sqlx::query_as(queries::NAMES_OF).bind(listed(keys)).fetch_all(&self.readers).await?;
        let named = |(key, id, is_live): (String, i64, bool)| {
            let id = IncidentId::new(u32::try_from(id).ok()?).kept_by(self.keeper);
            Some(NewestOfKey { key: IncidentKey(key), id, is_live })
        };
        Ok(rows.into_iter().filter_map(named).collect())
    }

    /// The incidents about a target, as it stands in their state, that are not closed: oldest first, at most `most`.
    pub async fn live_about<T: serde::Serialize>(
        &self,
        target: &T,
        most: u32,
    ) -> Result<Vec<StoredIncident>, JournalError> {
        let target = serde_json::to_string(target).map_err(|source| JournalError::Record { what: "target", source })?;
        let rows = sqlx::query(
            "SELECT state, last_seen FROM incidents WHERE target = ? AND life <> 'closed' ORDER BY id LIMIT ?",
        )
        .bind(target)
        .bind(i64::from(most))
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(|row| self.stored(row)).collect()
    }

    /// The incidents that are not closed, newest first, at most `most`.
    pub async fn live(&self, most: u32) -> Result<Vec<StoredIncident>, JournalError> {
        let rows = sqlx::query(queries::LIVE).bind(i64::from(most)).fetch_all(&self.readers).await?;
        rows.iter().map(|row| self.stored(row)).collect()
    }

    /// The newest incidents of any life, newest first, at most `most`.
    pub async fn newest(&self, most: u32) -> Result<Vec<StoredIncident>, JournalError> {
        let rows = sqlx::query(queries::NEWEST).bind(i64::from(most)).fetch_all(&self.readers).await?;
        rows.iter().map(|row| self.stored(row)).collect()
    }

    /// The names of the incidents, not closed, that were seen in a group of Alertmanager.
    pub async fn names_in_group(&self, group_key: &str) -> Result<Vec<IncidentId>, JournalError> {
        let names: Vec<i64> =
            sqlx::query_scalar(queries::NAMES_IN_GROUP).bind(group_key).fetch_all(&self.readers).await?;
        Ok(names
            .into_iter()
            .filter_map(|id| u32::try_from(id).ok())
            .map(|id| IncidentId::new(id).kept_by(self.keeper))
            .collect())
    }

    /// The incidents, not closed, that were seen in a group of Alertmanager.
    pub async fn live_in_group(&self, group_key: &str) -> Result<Vec<StoredIncident>, JournalError> {
        let rows = sqlx::query(queries::IN_GROUP).bind(group_key).fetch_all(&self.readers).await?;
        rows.iter().map(|row| self.stored(row)).collect()
    }

    /// How many incidents have opened since `since`, and how many live ones opened within a storm.
    pub async fn openings(&self, since: Timestamp) -> Result<(Vec<Timestamp>, u32), JournalError> {
        let opened: Vec<i64> =
            sqlx::query_scalar(queries::OPENINGS).bind(to_micros(since)).fetch_all(&self.readers).await?;
        let quiet: i64 = sqlx::query_scalar(queries::QUIET_COUNT).fetch_one(&self.readers).await?;
        Ok((opened.into_iter().map(from_micros).collect(), u32::try_from(quiet).unwrap_or(u32::MAX)))
    }

    /// The newest live incidents that opened within a storm, newest first, at most `most`.
    pub async fn quiet(&self, most: u32) -> Result<Vec<StoredIncident>, JournalError> {
        let rows = sqlx::query(queries::QUIET).bind(i64::from(most)).fetch_all(&self.readers).await?;
        rows.iter().map(|row| self.stored(row)).collect()
    }

    /// The live incidents that opened since then and stand on their own, oldest first, at most `most`.
    pub async fn opened_aloud(&self, since: Timestamp, most: u32) -> Result<Vec<StoredIncident>, JournalError> {
        let asked = sqlx::query(queries::OPENED_ALOUD).bind(to_micros(since)).bind(i64::from(most));
        asked.fetch_all(&self.readers).await?.iter().map(|row| self.stored(row)).collect()
    }

    /// Whether the channel may still be told this: it was not told before, and fewer than `most` such things were.
    pub async fn may_tell(&self, what: &str, most: u32) -> Result<bool, JournalError> {
        let (told, all): (i64, i64) = sqlx::query_as("SELECT coalesce(sum(what = ?), 0), count(*) FROM told")
            .bind(what)
            .fetch_one(&self.readers)
            .await?;
        Ok(told == 0 && all < i64::from(most))
    }

    /// The names of the live incidents with numbers above `after`, lowest first, at most `most`.
    pub async fn live_names_after(&self, after: u32, most: u32) -> Result<Vec<IncidentId>, JournalError> {
        let names: Vec<i64> =
            sqlx::query_scalar("SELECT id FROM incidents WHERE id > ? AND life <> 'closed' ORDER BY id LIMIT ?")
                .bind(i64::from(after))
                .bind(i64::from(most))
                .fetch_all(&self.readers)
                .await?;
        Ok(names
            .into_iter()
            .filter_map(|id| u32::try_from(id).ok())
            .map(|id| IncidentId::new(id).kept_by(self.keeper))
            .collect())
    }

    /// These of the incidents that are not closed, lowest number first.
    pub async fn live_of(&self, names: &[IncidentId]) -> Result<Vec<StoredIncident>, JournalError> {
        let numbers: Vec<_> = names.iter().map(|name| name.number()).collect();
        let rows = sqlx::query(
            "SELECT state, last_seen FROM incidents WHERE id IN (SELECT value FROM json_each(?)) AND life <> 'closed' \
             ORDER BY id",
        )
        .bind(serde_json::json!(numbers).to_string())
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(|row| self.stored(row)).collect()
    }

    /// The live incidents with numbers above `after`, lowest first, at most `most`.
    pub async fn live_after(&self, after: u32, most: u32) -> Result<Vec<StoredIncident>, JournalError> {
        let rows =
            sqlx::query("SELECT state, last_seen FROM incidents WHERE id > ? AND life <> 'closed' ORDER BY id LIMIT ?")
                .bind(i64::from(after))
                .bind(i64::from(most))
                .fetch_all(&self.readers)
                .await?;
        rows.iter().map(|row| self.stored(row)).collect()
    }

    /// The events of an incident, in order.
    pub async fn events(&self, id: IncidentId) -> Result<Vec<StoredEvent>, JournalError> {
        let rows = sqlx::query("SELECT seq, at, version, body FROM events WHERE incident = ? ORDER BY seq")
            .bind(i64::from(id.number()))
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(read_event).collect()
    }

    /// The chain of an incident's events, as stored.
    pub async fn links(&self, id: IncidentId) -> Result<Vec<ChainLink>, JournalError> {
        let rows = sqlx::query("SELECT seq, at, body, previous, hash FROM events WHERE incident = ? ORDER BY seq")
            .bind(i64::from(id.number()))
            .fetch_all(&self.readers)
            .await?;
        let link = |row: &SqliteRow| -> Result<ChainLink, sqlx::Error> {
            Ok(ChainLink {
                seq: row.try_get("seq")?,
                at: row.try_get("at")?,
                body: row.try_get("body")?,
                previous: row.try_get("previous")?,
                hash: row.try_get("hash")?,
            })
        };
        Ok(rows.iter().map(link).collect::<Result<_, _>>()?)
    }

    /// Our message in a channel, by slot.
    pub async fn message(
        &self,
        id: IncidentId,
        to: &Destination,
        slot: &str,
    ) -> Result<Option<MessageRef>, JournalError> {
        let row: Option<(String, i64)> = sqlx::query_as(
            "SELECT message, version FROM deliveries WHERE incident = ? AND face = ? AND channel = ? AND slot = ?",
        )
        .bind(i64::from(id.number()))
        .bind(to.face.name())
        .bind(&to.channel)
        .bind(slot)
        .fetch_optional(&self.readers)
        .await?;
        Ok(row.map(|(id, version)| MessageRef { id, version: u64::try_from(version).unwrap_or(0) }))
    }

    /// The incident whose root or thread message this is.
    pub async fn incident_of_message(&self, channel: &str, message: &str) -> Result<Option<IncidentId>, JournalError> {
        let id: Option<i64> =
            sqlx::query_scalar("SELECT incident FROM deliveries WHERE channel = ? AND message = ? LIMIT 1")
                .bind(channel)
                .bind(message)
                .fetch_optional(&self.readers)
                .await?;
        Ok(id.and_then(|id| u32::try_from(id).ok()).map(|id| IncidentId::new(id).kept_by(self.keeper)))
    }

    /// The answer that a request with this key got, if it was seen before.
    pub async fn answer(&self, key: &str) -> Result<Option<StoredAnswer>, JournalError> {
        let text: Option<String> = sqlx::query_scalar("SELECT answer FROM requests WHERE key = ?")
            .bind(key)
            .fetch_optional(&self.readers)
            .await?;
        text.map(|text| record("answer", text.as_bytes())).transpose()
    }

    /// Stored evidence.
    pub async fn evidence(&self, digest: &EvidenceDigest) -> Result<Option<Vec<u8>>, JournalError> {
        let body = sqlx::query_scalar("SELECT body FROM evidence WHERE digest = ?")
            .bind(&digest.0)
            .fetch_optional(&self.readers)
            .await?;
        Ok(body)
    }
}

fn read_event(row: &SqliteRow) -> Result<StoredEvent, JournalError> {
    let version: i64 = row.try_get("version")?;
    if version > RECORD_VERSION {
        return Err(JournalError::RecordVersion { what: "event", version, known: RECORD_VERSION });
    }
    let body: Vec<u8> = row.try_get("body")?;
    Ok(StoredEvent { seq: row.try_get("seq")?, at: from_micros(row.try_get("at")?), event: record("event", &body)? })
}
