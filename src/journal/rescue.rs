//! A copy of a journal whose files were taken away: it is still whole in the connection that has them open, and in nothing
//! else.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
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

/// What the name of a copy has behind the journal's: then follows when it was made, in digits.
const ENDING: &str = ".rescued-";
/// How long after a copy that failed the next one is tried.
const TRIED_AGAIN_AFTER: Duration = Duration::from_mins(1);

/// How a loss stands: it is copied once, and again and again as long as that fails.
#[derive(Debug, Default)]
pub(super) struct Loss {
    is_saved: bool,
    tried_at: Option<Instant>,
}

impl Loss {
    /// Whether to try a copy at `now`.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        !self.is_saved && self.tried_at.is_none_or(|tried| now.duration_since(tried) >= TRIED_AGAIN_AFTER)
    }

    /// A copy was tried at `now`.
    pub(super) fn tried(&mut self, now: Instant, is_saved: bool) {
        *self = Self { is_saved, tried_at: Some(now) };
    }
}

/// Copies all that was committed to a new file beside the journal.
pub(super) async fn copy(db: &mut SqliteConnection, journal: &Path, at: Timestamp) -> Result<PathBuf, RescueError> {
    let path = beside(journal, &format!("{ENDING}{}", at.as_millisecond()));
    // SQLite copies into a file that is there only if it is empty, and keeps its mode.
    private_file::open(&path).map_err(|source| RescueError::File { path: path.clone(), source })?;
    match sqlx::query("VACUUM INTO ?").bind(path.to_string_lossy()).execute(db).await {
        Ok(_) => Ok(path),
        Err(source) => {
            // A part of a journal is none; what cannot be taken away is found by who starts the bot again.
            drop(fs::remove_file(&path));
            Err(RescueError::Copy { path, source })
        }
    }
}

/// The newest copy that lies beside a journal: what was stored before the journal was lost. Until it is in its place, or
/// out of the way, another journal must not be begun, or an older one gone on with: the kill switch would stand as it
/// stood then.
pub(super) fn left_beside(journal: &Path) -> io::Result<Option<PathBuf>> {
    let real = real_place(journal);
    let (Some(name), Some(folder)) = (real.file_name(), real.parent()) else { return Ok(None) };
    let begins = format!("{}{ENDING}", name.to_string_lossy());
    let made_at = |name: &str| name.strip_prefix(&begins)?.parse::<u64>().ok();
    let folder = match fs::read_dir(folder) {
        Ok(folder) => folder,
        // A folder that is not there holds no copy.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let names = folder.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()));
    let newest = names.filter_map(|name| Some((made_at(&name)?, name))).max();
    Ok(newest.map(|(_, name)| real.with_file_name(name)))
}

/// Where the journal lies, or would: its copies lie beside the file that a symbolic link leads to, which may be gone.
fn real_place(journal: &Path) -> PathBuf {
    let linked = || {
        let target = fs::read_link(journal).ok()?;
        Some(journal.parent()?.join(target))
    };
    let place = journal.canonicalize().ok().or_else(linked).unwrap_or_else(|| journal.to_owned());
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    place.file_name().map_or_else(|| place.clone(), |name| folder.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_that_failed_is_tried_again_each_minute_and_one_that_succeeded_is_not() {
        let (mut loss, now) = (Loss::default(), Instant::now());
        assert!(loss.is_due(now));
        loss.tried(now, false);
        assert!(!loss.is_due(now + Duration::from_secs(59)));
        assert!(loss.is_due(now + Duration::from_mins(1)));
        loss.tried(now + Duration::from_mins(1), true);
        assert!(!loss.is_due(now + Duration::from_hours(1)));
    }
}
