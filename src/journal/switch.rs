//! The kill switch as it is stored: a chain of its moves, of which the last is in force.

use sqlx::{Row, SqliteConnection};

use super::{AppendError, Journal, JournalError, chain, to_micros};
use crate::incident::WriteSwitch;

/// The chain of the switch is hashed as that of incident 0, which no incident has.
const CHAIN: i64 = 0;

pub(super) async fn write_switch(db: &mut SqliteConnection, switch: &WriteSwitch) -> Result<(), AppendError> {
    let last = sqlx::query("SELECT seq, hash FROM switches ORDER BY seq DESC LIMIT 1").fetch_optional(&mut *db).await?;
    let (seq, previous): (i64, Vec<u8>) = match last {
        Some(row) => (row.try_get("seq")?, row.try_get("hash")?),
        None => (0, Vec::new()),
    };
    let seq = seq.saturating_add(1);
    let body = serde_json::to_vec(switch).map_err(|error| AppendError::NotStored(error.to_string()))?;
    let at = to_micros(switch.at);
    let hash = chain::link(&previous, CHAIN, seq, at, &body);
    sqlx::query("INSERT INTO switches (seq, at, body, previous, hash) VALUES (?, ?, ?, ?, ?)")
        .bind(seq)
        .bind(at)
        .bind(body)
        .bind(previous)
        .bind(hash)
        .execute(db)
        .await?;
    Ok(())
}

impl Journal {
    /// How the kill switch stands; `None` when nobody ever moved it.
    pub async fn write_switch(&self) -> Result<Option<WriteSwitch>, JournalError> {
        let body: Option<Vec<u8>> = sqlx::query_scalar("SELECT body FROM switches ORDER BY seq DESC LIMIT 1")
            .fetch_optional(&self.readers)
            .await?;
        body.map(|body| serde_json::from_slice(&body).map_err(|source| JournalError::Record { what: "switch", source }))
            .transpose()
    }
}
