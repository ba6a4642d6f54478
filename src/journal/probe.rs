//! Would this journal open, and can a transaction be made durable where it lies? Nothing of it is changed, since it may be
//! another version's, and in use tomorrow.

use std::path::Path;

use sqlx::{
    Connection,
    sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous},
};

use super::{
    JournalError,
    lock::{Lock, beside, lock_beside},
    open, other_name,
};
use crate::private_file;

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
    open::refuse_rescued(path)?;
    if path.exists() {
        // Kept until every connection is closed.
        let lock = Lock::of_existing(path)?;
        let found = looked_at(path, lock.0.names).await;
        drop(lock);
        let found = found?;
        commit_beside(path).await?;
        Ok(found)
    } else {
        let _lock = lock_beside(path)?;
        commit_beside(path).await?;
        Ok(Probed::New)
    }
}

async fn looked_at(path: &Path, names: u64) -> Result<Probed, JournalError> {
    let real = path.canonicalize().map_err(|source| JournalError::opening(path, &sqlx::Error::Io(source)))?;
    other_name::refuse(&real, names).await?;
    known(path).await
}

/// Reads an existing journal: its schema, and the newest of its records.
async fn known(path: &Path) -> Result<Probed, JournalError> {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(false);
    let failed = |source| JournalError::opening(path, &source);
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(failed)?;
    let found = understood(&mut connection).await;
    connection.close().await?;
    found
}

async fn understood(db: &mut SqliteConnection) -> Result<Probed, JournalError> {
    open::refuse_newer_schema(db).await?;
    open::refuse_newer(db).await?;
    let incidents = sqlx::query_scalar("SELECT count(*) FROM incidents").fetch_one(&mut *db).await?;
    // Takes the right to write, and gives it back: a file that may only be read fails here.
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *db).await?;
    sqlx::query("ROLLBACK").execute(&mut *db).await?;
    Ok(Probed::Known { incidents })
}

/// Commits to a scratch journal in the same folder, as durably as the real one, and takes it away again.
async fn commit_beside(path: &Path) -> Result<(), JournalError> {
    let scratch = beside(path, ".doctor");
    let failed = |source| JournalError::opening(path, &source);
    private_file::open(&scratch).map_err(|source| failed(sqlx::Error::Io(source)))?;
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
    committed.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Journal;

    async fn change(path: &Path, statement: &'static str) {
        let options = SqliteConnectOptions::new().filename(path);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        // The readers of a journal that was dropped close in their own time, after its lock is given back.
        while let Err(error) = sqlx::query(statement).execute(&mut connection).await {
            assert!(error.to_string().contains("locked"), "{error}");
            tokio::task::yield_now().await;
        }
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
        while matches!(probe(&path).await, Err(JournalError::InUse(_))) {
            // The writer of the dropped journal ends in its own time.
            tokio::task::yield_now().await;
        }
        // An effect that a bot had claimed when it ended: opening the journal for work would hand it back.
        change(&path, "PRAGMA journal_mode = DELETE").await;
        let before = std::fs::read(&path).unwrap();
        assert_eq!(probe(&path).await.unwrap(), Probed::Known { incidents: 0 });
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[tokio::test]
    async fn a_newer_journal_and_a_file_that_is_none_are_told_before_the_night() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.sqlite");
        drop(Journal::open(&path).await.unwrap());
        while matches!(probe(&path).await, Err(JournalError::InUse(_))) {
            tokio::task::yield_now().await;
        }
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
