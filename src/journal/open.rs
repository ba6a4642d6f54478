//! Opens the journal: one file, WAL, `synchronous=FULL`, and nobody else in it.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sqlx::{
    ConnectOptions, SqlitePool,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{JournalError, RECORD_VERSION, lanes::Lanes, slots, writer};
use crate::incident::Keeper;

pub(super) static MIGRATIONS: Migrator = sqlx::migrate!("src/journal/migrations");

/// Connections for reading; a card, a claim and a few webhooks at once.
const READERS: u32 = 4;
/// How long a connection waits for the file before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The journal. Cheap to clone.
#[derive(Clone)]
pub struct Journal {
    pub(super) readers: SqlitePool,
    pub(super) writer: Lanes,
    pub(super) seen: writer::Seen,
    /// Whose incidents these are.
    pub(crate) keeper: Option<Keeper>,
    _lock: Arc<File>,
}

impl Journal {
    /// Opens the journal at `path`, makes it if it is not there, and brings its schema up to date.
    pub async fn open(path: &Path) -> Result<Self, JournalError> {
        let lock = lock(path)?;
        let failed = |source| JournalError::Open { path: path.to_owned(), source };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true);
        let mut connection = options.connect().await.map_err(failed)?;
        MIGRATIONS.run_direct(None, &mut connection, false).await.map_err(|error| match error {
            MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => JournalError::Newer,
            other => JournalError::Migrate(Box::new(other)),
        })?;
        // Nobody else is in the file (the lock says so): what is claimed was claimed by a process that is gone.
        sqlx::query("UPDATE effects SET state = 'due', claimed_until = NULL WHERE state = 'claimed'")
            .execute(&mut connection)
            .await?;
        slots::merge_all(&mut connection).await?;
        refuse_newer(&mut connection).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options.clone().read_only(true))
            .await
            .map_err(failed)?;
        let seen = writer::Seen::new();
        Ok(Self {
            readers,
            writer: writer::start(connection, options, seen.clone()),
            seen,
            keeper: None,
            _lock: Arc::new(lock),
        })
    }

    /// The same journal, whose incidents are kept by that bot: read and new ones carry its name.
    pub fn kept_by(self, keeper: Keeper) -> Self {
        Self { keeper: Some(keeper), ..self }
    }
}

/// Refuses a journal whose records this program cannot read, before anything is done by half of what is in it.
pub(super) async fn refuse_newer(db: &mut sqlx::SqliteConnection) -> Result<(), JournalError> {
    for (what, newest) in [("event", "SELECT max(version) FROM events"), ("effect", "SELECT max(version) FROM effects")]
    {
        let version: Option<i64> = sqlx::query_scalar(newest).fetch_one(&mut *db).await?;
        if let Some(version) = version.filter(|version| *version > RECORD_VERSION) {
            return Err(JournalError::RecordVersion { what, version, known: RECORD_VERSION });
        }
    }
    Ok(())
}

/// Refuses a journal whose schema is newer than this program's; without changing it.
pub(super) async fn refuse_newer_schema(db: &mut sqlx::SqliteConnection) -> Result<(), JournalError> {
    let newest: Option<i64> =
        sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(&mut *db).await?;
    let known = MIGRATIONS.iter().map(|migration| migration.version).max();
    if newest > known { Err(JournalError::Newer) } else { Ok(()) }
}

/// Takes the lock file beside the journal; it is given back when the process ends, however it ends.
pub(super) fn lock(path: &Path) -> Result<File, JournalError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock_path = PathBuf::from(name);
    let failed = |source| JournalError::Lock { path: lock_path.clone(), source };
    let file = File::options().create(true).truncate(false).write(true).open(&lock_path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(JournalError::InUse(path.to_owned())),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}
