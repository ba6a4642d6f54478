//! A journal with several names (hard links). SQLite names the WAL after the name by which the journal is opened, so what a
//! bot that was killed had yet to fold into the file is seen by that name only: by another one it would be missed, and
//! lost for good with the next commit. The journal keeps the name by which it was opened last.

use std::{
    io,
    path::{Path, PathBuf},
};

use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{JournalError, lock::beside};

/// Refuses to open by `real` a journal that has `names` names, where the WAL of another one may hold more.
pub(super) async fn refuse(real: &Path, names: u64) -> Result<(), JournalError> {
    if names < 2 {
        return Ok(());
    }
    let Some(last) = opened_last(real).await else { return Ok(()) };
    if last == real || is_folded_in(&last) {
        return Ok(());
    }
    Err(JournalError::OtherName { journal: real.to_owned(), last })
}

/// Whether nothing is left in the WAL of that name. One that cannot be looked at may hold anything.
fn is_folded_in(name: &Path) -> bool {
    match std::fs::metadata(beside(name, "-wal")) {
        Ok(wal) => wal.len() == 0,
        // In a folder that is not there (another container's) nobody can tell.
        Err(error) => error.kind() == io::ErrorKind::NotFound && name.parent().is_some_and(Path::is_dir),
    }
}

/// By which name it was opened last, as the file itself says; `None` where an earlier version wrote it.
async fn opened_last(real: &Path) -> Option<PathBuf> {
    let options = SqliteConnectOptions::new().filename(real).create_if_missing(false).read_only(true);
    let mut db = options.connect().await.ok()?;
    let name: Result<Option<String>, _> = sqlx::query_scalar("SELECT name FROM reached").fetch_one(&mut db).await;
    drop(db.close().await);
    name.ok().flatten().map(PathBuf::from)
}

/// Keeps the name in the file itself, where it is seen by every name.
pub(super) async fn keep(db: &mut SqliteConnection, real: &Path) -> Result<(), sqlx::Error> {
    let name = real.to_string_lossy();
    let kept = sqlx::query("UPDATE reached SET name = ?1 WHERE name IS NOT ?1").bind(name).execute(&mut *db).await?;
    if kept.rows_affected() > 0 {
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(db).await?;
    }
    Ok(())
}
