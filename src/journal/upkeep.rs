//! What the journal does for itself: a proof that it can commit, and an end for evidence that nobody needs any more.

use jiff::Timestamp;
use sqlx::SqliteConnection;
use tokio::sync::oneshot;

use super::{AppendError, Journal, queries, to_micros, writer::Job};

/// How much evidence one transaction forgets: a body has up to 4 MiB, and appends wait for it.
pub const FORGOTTEN_AT_ONCE: u32 = 20;

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
        .bind(i64::from(FORGOTTEN_AT_ONCE))
        .execute(db)
        .await?;
    Ok(forgotten.rows_affected())
}

impl Journal {
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
