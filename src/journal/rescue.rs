//! A copy of a journal whose files were taken away: it is still whole in the connection that has them open, and in nothing
//! else.

use std::{
    io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::lock::beside;
use crate::private_file;

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub(super) enum RescueError {
    #[error("{path} could not be made")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the copy could not be written to {path}")]
    Copy {
        path: PathBuf,
        #[source]
        source: sqlx::Error,
    },
}

/// Copies all that was committed to a new file beside the journal.
pub(super) async fn copy(db: &mut SqliteConnection, journal: &Path, at: Timestamp) -> Result<PathBuf, RescueError> {
    let path = beside(journal, &format!(".rescued-{}", at.as_second()));
    // SQLite copies into a file that is there only if it is empty, and keeps its mode.
    private_file::open(&path).map_err(|source| RescueError::File { path: path.clone(), source })?;
    let copied = sqlx::query("VACUUM INTO ?").bind(path.to_string_lossy()).execute(db).await;
    copied.map_err(|source| RescueError::Copy { path: path.clone(), source })?;
    Ok(path)
}
