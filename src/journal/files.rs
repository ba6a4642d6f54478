//! The files of the journal, looked at around every commit: what is written into a file that was deleted, or that another
//! has replaced, is gone with the process, and must not be answered as stored.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    lock::{Inode, beside},
    reached::{Count, Reached},
    wal::Wal,
};

/// The files as they were when the journal was opened. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Files {
    paths: Arc<[(PathBuf, Inode)]>,
    wal: Wal,
    pub(super) reached: Reached,
}

/// A file of the journal is no longer the one that the bot writes.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileLost {
    /// It was deleted or moved away.
    #[error("{0} was deleted or moved away while the bot had it open")]
    Deleted(PathBuf),
    /// Another file has its name.
    #[error("{0} was replaced by another file while the bot had it open")]
    Replaced(PathBuf),
    /// It is shorter than what was written into it, or begins otherwise.
    #[error(
        "{0} was cut or overwritten by another program while the bot had it open: what was stored last is gone. Call by hand \
         until the bot was stopped and started again: it then goes on with what is left, and tells people what is missing"
    )]
    Changed(PathBuf),
    /// It cannot be looked at.
    #[error("{path} can no longer be looked at ({source})")]
    Unseen { path: PathBuf, source: io::Error },
}

impl FileLost {
    /// Whether what the journal holds can still be read through the connection that has it open.
    pub(super) fn is_whole(&self) -> bool {
        !matches!(self, Self::Changed(_))
    }
}

impl Files {
    /// Learns which files are open: the journal by the name that it was configured with, and SQLite's own beside the file
    /// that this name leads to. Nobody else is in them yet.
    pub(super) fn opened(configured: &Path, real: &Path, reached: Reached) -> io::Result<Self> {
        let paths = [configured.to_owned(), beside(real, "-wal"), beside(real, "-shm")];
        let learned = paths.into_iter().map(|path| fs::metadata(&path).map(|metadata| (path, Inode::of(&metadata))));
        let paths = learned.collect::<io::Result<Vec<_>>>()?.into();
        Ok(Self { paths, wal: Wal::opened(real)?, reached })
    }

    /// Whether they are all still there, and the WAL is what was written into it.
    pub(super) async fn look(&self) -> Result<(), FileLost> {
        self.look_and_mark(None).await
    }

    /// The same; then marks what was committed.
    pub(super) async fn look_and_mark(&self, committed: Option<Count>) -> Result<(), FileLost> {
        let files = self.clone();
        let looked = tokio::task::spawn_blocking(move || {
            files.paths.iter().try_for_each(|(path, inode)| same(path, *inode))?;
            files.wal.look()?;
            if let Some(count) = committed {
                files.reached.mark(count);
            }
            Ok(())
        });
        // It is not cancelled and does not panic; without an answer nothing is known, and nothing is answered as stored.
        looked.await.unwrap_or_else(|error| {
            let path = self.paths.first().map(|(path, _)| path.clone()).unwrap_or_default();
            Err(FileLost::Unseen { path, source: io::Error::other(error) })
        })
    }
}

fn same(path: &Path, inode: Inode) -> Result<(), FileLost> {
    match fs::metadata(path) {
        Ok(metadata) if Inode::of(&metadata) == inode => Ok(()),
        Ok(_) => Err(FileLost::Replaced(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(FileLost::Deleted(path.to_owned())),
        Err(source) => Err(FileLost::Unseen { path: path.to_owned(), source }),
    }
}
