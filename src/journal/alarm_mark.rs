//! What has to outlive a process whose journal cannot be written: the pages that it sent about that. A small file beside the
//! journal; where the disk is gone with the journal it cannot be written either, which the caller says.

use std::{fs, io, path::PathBuf};

use super::{Journal, lock::beside};
use crate::private_file;

/// The largest mark that is read, in bytes: a page a level and pager is a hundred of them.
const MARK_MOST: u64 = 64 * 1024;

impl Journal {
    /// Keeps what the next process must know.
    pub async fn keep_alarm(&self, mark: String) -> io::Result<()> {
        self.at_alarm_mark(move |path| private_file::write(&path, mark.as_bytes())).await
    }

    /// What an earlier process kept.
    pub async fn kept_alarm(&self) -> io::Result<Option<String>> {
        let read = |path: PathBuf| match fs::metadata(&path) {
            Ok(file) if file.len() > MARK_MOST => Err(io::Error::other("it is far too long")),
            Ok(_) => fs::read_to_string(&path).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        self.at_alarm_mark(read).await
    }

    /// Nothing is left to be known.
    pub async fn forget_alarm(&self) -> io::Result<()> {
        let forget = |path: PathBuf| match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        self.at_alarm_mark(forget).await
    }

    async fn at_alarm_mark<T: Send + 'static>(
        &self,
        act: impl FnOnce(PathBuf) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let path = beside(&self.real, ".alarm");
        tokio::task::spawn_blocking(move || act(path)).await.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}
