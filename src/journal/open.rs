//! Opens the journal: one file, WAL, `synchronous=FULL`, and nobody else in it.

use std::{path::Path, sync::Arc, time::Duration};

use sqlx::{
    ConnectOptions, SqlitePool,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    JournalError, RECORD_VERSION,
    files::Files,
    lanes::Lanes,
    lock::{Handle, Lock, beside},
    other_name,
    reached::{self, MissingTransactions, Reached},
    rescue, slots,
    writer::{self, JournalHome},
    writer_state::WriterState,
};
use crate::{incident::Keeper, private_file};

pub(super) static MIGRATIONS: Migrator = sqlx::migrate!("src/journal/migrations");

/// Connections for reading; a card, a claim and a few webhooks at once.
const READERS: u32 = 4;
/// How long a connection waits for the file before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The pages that the WAL has when it is folded into the file: 32 MiB. SQLite's own 1,000 are a few writings of a large
/// incident, whose same pages were then copied ten times a second. It is read in a tenth of a second after a crash.
const CHECKPOINT_AT_PAGES: &str = "8192";

/// The journal. Cheap to clone.
#[derive(Clone)]
pub struct Journal {
    pub(super) readers: SqlitePool,
    pub(super) writer: Lanes,
    pub(super) writer_state: WriterState,
    /// Whose incidents these are.
    pub(crate) keeper: Option<Keeper>,
    /// The file itself, whatever links lead to it.
    pub(super) real: Arc<Path>,
    pub(super) reached: Reached,
    missing: Option<MissingTransactions>,
    _handle: Arc<Handle>,
}

impl Journal {
    /// Opens the journal at `path`, makes it if it is not there, and brings its schema up to date.
    pub async fn open(path: &Path) -> Result<Self, JournalError> {
        refuse_rescued(path)?;
        let (lock, handle) = Lock::take(path).await?;
        let failed = |source| JournalError::opening(path, &source);
        let unreadable = |source| failed(sqlx::Error::Io(source));
        // SQLite names its own files after this one, and they must be the same by whatever name the journal is reached.
        let real = path.canonicalize().map_err(unreadable)?;
        tell_of(path, &real, &lock);
        other_name::refuse(&real, lock.names).await?;
        let options = SqliteConnectOptions::new()
            .filename(&real)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("wal_autocheckpoint", CHECKPOINT_AT_PAGES)
            .foreign_keys(true);
        let mut connection = options.connect().await.map_err(failed)?;
        let migrated = MIGRATIONS.run_direct(None, &mut connection, false).await;
        migrated.map_err(|error| JournalError::migrating(path, error))?;
        // Nobody else is in the file (the lock says so): what is claimed was claimed by a process that is gone.
        sqlx::query("UPDATE effects SET state = 'due', claimed_until = NULL WHERE state = 'claimed'")
            .execute(&mut connection)
            .await?;
        slots::merge_all(&mut connection).await?;
        refuse_newer(&mut connection).await?;
        other_name::keep(&mut connection, &real).await?;
        let (reached, missing) = Reached::beside(&real, reached::counted(&mut connection).await?);
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options.clone().read_only(true))
            .await
            .map_err(failed)?;
        let files = Files::opened(path, &real, reached.clone()).map_err(unreadable)?;
        let writer_state = WriterState::new();
        // A connection that replaces one that failed must never make another journal.
        let options = options.create_if_missing(false);
        let place = JournalHome { options, path: real.clone(), files, readers: readers.clone(), _lock: lock };
        let writer = writer::start(connection, place, writer_state.clone());
        Ok(Self { readers, writer, writer_state, keeper: None, real: real.into(), reached, missing, _handle: handle })
    }

    /// What was answered by an earlier process and was not there when the journal was opened.
    pub fn missing(&self) -> Option<&MissingTransactions> {
        self.missing.as_ref()
    }

    /// People have heard what is missing: it is missed no more at the next start.
    pub async fn missing_is_told(&self) -> Result<(), JournalError> {
        let mut reader = self.readers.acquire().await?;
        self.reached.goes_on(reached::counted(&mut reader).await?);
        Ok(())
    }

    /// The same journal, whose incidents are kept by that bot: read and new ones carry its name.
    pub fn kept_by(self, keeper: Keeper) -> Self {
        Self { keeper: Some(keeper), ..self }
    }
}

/// Refuses a journal that was lost once and whose copy is not yet in its place.
pub(super) fn refuse_rescued(path: &Path) -> Result<(), JournalError> {
    match rescue::left_beside(path) {
        Ok(Some(copy)) => Err(JournalError::Rescued { journal: path.to_owned(), copy }),
        Ok(None) => Ok(()),
        Err(source) => Err(JournalError::NotListed { journal: path.to_owned(), source }),
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

/// Takes the rights of others from what SQLite left beside the journal, and says what was found open to them.
fn tell_of(path: &Path, real: &Path, lock: &Lock) {
    let was_readable = |path: &Path, mode: u32| {
        let mode = format!("{mode:04o}");
        tracing::warn!(path = %path.display(), mode, "others could read this file; now only its owner can");
    };
    if let Some(mode) = lock.was_readable {
        was_readable(path, mode);
    }
    for path in ["-wal", "-shm"].map(|ending| beside(real, ending)) {
        match private_file::narrow(&path) {
            Ok(Some(mode)) => was_readable(&path, mode),
            Ok(None) => {}
            Err(error) => tracing::warn!(path = %path.display(), %error, "others may be able to read this file"),
        }
    }
    if lock.names > 1 {
        let path = path.display();
        tracing::warn!(%path, "the journal has another name (a hard link): take the other one away. After a kill the journal opens only by the name that it had then");
    }
}
