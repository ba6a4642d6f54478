//! What can go wrong with the journal, and what to do about it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::migrate::MigrateError;

/// The journal could not be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file could not be opened.
    #[error("the journal {path} could not be opened: check that the folder exists and may be written ({why})")]
    Open {
        /// Which file.
        path: PathBuf,
        /// What the system or SQLite said.
        why: String,
    },
    /// What is in the file, or in its WAL, is no journal any more.
    #[error(
        "the journal {path} is damaged ({why}): something else wrote into it, or into its -wal. Take {path} away, with its \
         -wal and -shm, and put a copy of it in its place; without a copy the bot begins anew, and forgets who was called, \
         and that fixes were switched off"
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What SQLite said.
        why: String,
    },
    /// What was stored last may be in the WAL of another name of it.
    #[error(
        "the journal {journal} has several names (hard links), and a bot that was killed had it open as {last}: what that bot \
         stored last is in {last}-wal. Start it with journal: {last} once and stop it in order, or take the names away that \
         are not used; a copy is made with cp while no bot runs, and never with ln",
        journal = journal.display(), last = last.display()
    )]
    OtherName {
        /// The name by which it was to be opened.
        journal: PathBuf,
        /// The name by which it was opened last.
        last: PathBuf,
    },
    /// Another process has it.
    #[error("the journal {0} is in use by another mtls-medic: stop that one first")]
    InUse(PathBuf),
    /// The lock file could not be made.
    #[error("the lock file {path} could not be made: check that the folder exists and may be written")]
    Lock {
        /// Which file.
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// Whether a saved copy lies beside it cannot be seen.
    #[error(
        "the folder of the journal {} could not be looked through for a copy that was saved when the journal was lost: let the bot's user \
         list it",
        journal.display()
    )]
    NotListed {
        journal: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It was lost once, and a copy of what was stored then lies beside it.
    #[error(
        "the journal {journal} was lost while a bot had it open, and all that was stored then is in {copy}. Take {journal} \
         away, with its -wal and -shm, and move {copy} to its place; or move {copy} to another folder if it is not wanted: \
         the bot then forgets who was called, and that fixes were switched off"
    )]
    Rescued {
        /// Which journal.
        journal: PathBuf,
        /// The newest copy.
        copy: PathBuf,
    },
    /// It was written by a newer version of this program.
    #[error(
        "the journal was written by a newer mtls-medic: start that version, or restore an older copy of the journal"
    )]
    Newer,
    /// The schema could not be brought up to date.
    #[error("the schema of the journal could not be brought up to date")]
    Migrate(#[source] Box<MigrateError>),
    /// A statement failed.
    #[error("the journal could not be read or written ({0})")]
    Sql(String),
    /// Nothing can be written at present.
    #[error("the journal cannot be written ({0}): nothing is taken in, and nobody is called, until it can be again")]
    NotWritten(String),
    /// A transaction does not end: the disk stands still.
    #[error(
        "the disk under the journal has not answered for {} s: nothing is taken in, and nobody is called, until it does; \
         look at the volume",
        .0.as_secs()
    )]
    Hangs(Duration),
    /// A stored record cannot be understood.
    #[error("a {what} in the journal cannot be read: it was written by another version, or damaged")]
    Record {
        /// Event, effect, state or answer.
        what: &'static str,
        #[source]
        source: serde_json::Error,
    },
    /// A stored record is of a version that this program does not know.
    #[error(
        "a {what} in the journal has version {version}, and this program knows up to {known}: use a newer mtls-medic"
    )]
    RecordVersion {
        /// Event or effect.
        what: &'static str,
        /// What was found.
        version: i64,
        /// The newest that is known.
        known: i64,
    },
}

/// SQLite's results for a file that is no database, or no whole one (SQLITE_CORRUPT, SQLITE_NOTADB).
const DAMAGED: [u32; 2] = [11, 26];

impl JournalError {
    /// What opening a journal came to.
    pub(super) fn opening(path: &Path, source: &sqlx::Error) -> Self {
        let (path, why) = (path.to_owned(), said(source));
        if is_damage(source) { Self::Damaged { path, why } } else { Self::Open { path, why } }
    }

    /// What bringing its schema up to date came to.
    pub(super) fn migrating(path: &Path, source: MigrateError) -> Self {
        match source {
            MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => Self::Newer,
            MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) if is_damage(&source) => {
                Self::opening(path, &source)
            }
            other => Self::Migrate(Box::new(other)),
        }
    }
}

impl From<sqlx::Error> for JournalError {
    fn from(source: sqlx::Error) -> Self {
        Self::Sql(said(&source))
    }
}

/// What SQLite said, once: its error and the one behind that are the same words.
fn said(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Io(source) => source.to_string(),
        other => other.as_database_error().map_or_else(|| other.to_string(), |said| said.message().to_owned()),
    }
}

fn is_damage(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|said| said.code()?.parse::<u32>().ok());
    // The lowest byte is the kind; what stands above it is a detail.
    code.is_some_and(|code| DAMAGED.contains(&(code & 0xff)))
}

/// Something could not be appended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The incident has moved since it was read: read again and decide again.
    #[error("the incident has changed meanwhile")]
    Conflict,
    /// The object is held by a step of another incident.
    #[error("{0} is being changed by a fix of another incident")]
    Locked(String),
    /// It could not be stored.
    #[error("{0}")]
    NotStored(String),
    /// Too much is waiting already.
    #[error("too much is waiting to be stored")]
    Busy,
}
