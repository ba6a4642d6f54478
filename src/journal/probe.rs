//! Would this journal open, and can a transaction be made durable where it lies? Nothing of it is changed, since it may be
//! another version's, and in use tomorrow.

use std::path::{Path, PathBuf};

use sqlx::{
    Connection,
    sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous},
};

use super::{JournalError, open};

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probed {
    /// No journal yet; one can be made.
    New,
    /// It is there, and this program understands it.
    Known {
        /// How many incidents it holds.
        incidents: i64,
    },
}

/// Looks, without opening it for work.
pub async fn probe(path: &Path) -> Result<Probed, JournalError> {
    let _lock = open::lock(path)?;
    let found = if path.exists() { known(path).await? } else { Probed::New };
    commit_beside(path).await?;
    Ok(found)
}

/// Reads an existing journal: its schema, and the newest of its records.
async fn known(path: &Path) -> Result<Probed, JournalError> {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(false);
    let failed = |source| JournalError::Open { path: path.to_owned(), source };
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(failed)?;
    open::refuse_newer_schema(&mut connection).await?;
    open::refuse_newer(&mut connection).await?;
    let incidents = sqlx::query_scalar("SELECT count(*) FROM incidents").fetch_one(&mut connection).await?;
    // Takes the right to write, and gives it back: a file that may only be read fails here.
    sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await?;
    sqlx::query("ROLLBACK").execute(&mut connection).await?;
    connection.close().await?;
    Ok(Probed::Known { incidents })
}

/// Commits to a scratch journal in the same folder, as durably as the real one, and takes it away again.
async fn commit_beside(path: &Path) -> Result<(), JournalError> {
    let scratch = beside(path, ".doctor");
    let options = SqliteConnectOptions::new()
        .filename(&scratch)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let committed = async {
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let mut transaction = connection.begin().await?;
        sqlx::query("CREATE TABLE IF NOT EXISTS probe (at INTEGER)").execute(&mut *transaction).await?;
        sqlx::query("INSERT INTO probe VALUES (1)").execute(&mut *transaction).await?;
        transaction.commit().await?;
        connection.close().await
    };
    let committed = committed.await;
    for suffix in ["", "-wal", "-shm"] {
        // What is left over is a few kilobytes, and taken away at the next probe.
        drop(std::fs::remove_file(beside(&scratch, suffix)));
    }
    committed.map_err(|source| JournalError::Open { path: path.to_owned(), source })
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
