//! What the journal does for itself: a proof that it can commit, and an end for evidence and groups that nobody needs any
//! more.

use jiff::Timestamp;
use sqlx::SqliteConnection;
use tokio::sync::oneshot;

use super::{
    AppendError, EVIDENCE_MOST, Journal,
    append::ROW_BYTES,
    effects::{DONE_KEPT, ROWS_AT_ONCE},
    queries, to_micros,
    writer::Job,
};

/// How much evidence one transaction forgets: a body has up to 4 MiB, and appends wait for it.
pub const FORGOTTEN_AT_ONCE: usize = 20;
/// About how many rows that is.
pub(super) const EVIDENCE_ROWS_AT_ONCE: usize = FORGOTTEN_AT_ONCE * (EVIDENCE_MOST / ROW_BYTES);

/// A group of Alertmanager, and an incident that was seen in it.
pub(super) type InGroup = (String, i64);

pub(super) async fn beat(db: &mut SqliteConnection, now: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO beats (id, at) VALUES (1, ?) ON CONFLICT DO UPDATE SET at = excluded.at")
        .bind(to_micros(now))
        .execute(db)
        .await?;
    Ok(())
}

pub(super) async fn forget_evidence(db: &mut SqliteConnection, before: Timestamp) -> Result<u64, sqlx::Error> {
    let forgotten = sqlx::query(queries::OLD_EVIDENCE)
        .bind(to_micros(before))
        .bind(i64::try_from(FORGOTTEN_AT_ONCE).unwrap_or(i64::MAX))
        .execute(db)
        .await?;
    Ok(forgotten.rows_affected())
}

pub(super) async fn forget_groups(db: &mut SqliteConnection, groups: &[InGroup]) -> Result<u64, sqlx::Error> {
    let mut forgotten: u64 = 0;
    for (group, incident) in groups {
        let gone = sqlx::query("DELETE FROM groups WHERE group_key = ? AND incident = ?").bind(group).bind(incident);
        forgotten = forgotten.saturating_add(gone.execute(&mut *db).await?.rows_affected());
    }
    Ok(forgotten)
}

impl Journal {
    /// Forgets in which groups incidents were seen that closed long before `now`, batch by batch.
    pub async fn forget_groups(&self, now: Timestamp) -> Result<(), AppendError> {
        let before = now.saturating_sub(DONE_KEPT).unwrap_or(Timestamp::MIN);
        loop {
            let groups: Vec<InGroup> = sqlx::query_as(queries::GROUPS_LONG_AGO)
                .bind(to_micros(before))
                .bind(i64::try_from(ROWS_AT_ONCE).unwrap_or(i64::MAX))
                .fetch_all(&self.readers)
                .await
                .map_err(|error| AppendError::NotStored(error.to_string()))?;
            if groups.is_empty() {
                return Ok(());
            }
            let (reply, answer) = oneshot::channel();
            self.ask(Job::ForgetGroups(groups, reply), answer).await?;
        }
    }

    /// Commits something, as a proof that it can.
    pub async fn beat(&self, now: Timestamp) -> Result<(), AppendError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Job::Beat(now, reply), answer).await
    }

    /// Forgets raw evidence of incidents that are closed and had their last event before `before`: at most
    /// [`FORGOTTEN_AT_ONCE`]; how many it was. Events stay, and with them the digest that says what was looked at.
    pub async fn forget_evidence(&self, before: Timestamp) -> Result<u64, AppendError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Job::ForgetEvidence(before, reply), answer).await
    }
}
