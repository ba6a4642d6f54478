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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Journal;

    async fn change(path: &Path, statement: &'static str) {
        let options = SqliteConnectOptions::new().filename(path);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::query(statement).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    #[tokio::test]
    async fn a_journal_is_looked_at_and_stays_byte_for_byte_what_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.sqlite");
        assert_eq!(probe(&path).await.unwrap(), Probed::New);
        assert!(!path.exists());
        let journal = Journal::open(&path).await.unwrap();
        assert!(matches!(probe(&path).await, Err(JournalError::InUse(_))));
        drop(journal);
        // An effect that a bot had claimed when it ended: opening the journal for work would hand it back.
        change(&path, "PRAGMA journal_mode = DELETE").await;
        let before = std::fs::read(&path).unwrap();
        while matches!(probe(&path).await, Err(JournalError::InUse(_))) {
            // The writer of the dropped journal ends in its own time.
            tokio::task::yield_now().await;
        }
        assert_eq!(probe(&path).await.unwrap(), Probed::Known { incidents: 0 });
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[tokio::test]
    async fn a_newer_journal_and_a_file_that_is_none_are_told_before_the_night() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.sqlite");
        drop(Journal::open(&path).await.unwrap());
        change(&path, "INSERT INTO _sqlx_migrations SELECT 9999, 'later', installed_on, success, checksum, execution_time FROM _sqlx_migrations LIMIT 1").await;
        let newer = loop {
            match probe(&path).await {
                Err(JournalError::InUse(_)) => tokio::task::yield_now().await,
                other => break other,
            }
        };
        assert!(matches!(newer, Err(JournalError::Newer)), "{newer:?}");
        let other = folder.path().join("other.sqlite");
        std::fs::write(&other, "this is no journal, whatever its name says").unwrap();
        assert!(probe(&other).await.is_err());
        assert!(probe(Path::new("/nowhere/journal.sqlite")).await.is_err());
    }
}
