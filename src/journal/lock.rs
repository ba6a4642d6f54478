//! Nobody else is in the journal. The lock is on the file itself, by device and inode: another name, a symbolic link, a
//! second mount or a deleted lock file lead to the same file, and to the same lock.

use std::{
    collections::BTreeMap,
    fs::{self, File, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use super::JournalError;
use crate::private_file;

/// A file, whatever its names are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Inode {
    device: u64,
    number: u64,
}

impl Inode {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), number: metadata.ino() }
    }
}

/// The journals that this process holds. SQLite's own locks are of the kind (POSIX) that a process loses on a file when it
/// closes *any* descriptor of that file: what is open here is therefore found by looking, not by opening it again. One of
/// which no handle is left is being closed.
static HELD_HERE: Mutex<BTreeMap<Inode, Weak<Handle>>> = Mutex::new(BTreeMap::new());

/// What every user of an open journal holds.
#[derive(Debug)]
pub(super) struct Handle;

/// How long this process waits for itself to close a journal that it opens again.
const CLOSES_WITHIN: Duration = Duration::from_secs(10);

fn held_here() -> MutexGuard<'static, BTreeMap<Inode, Weak<Handle>>> {
    HELD_HERE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The lock; given back when it is dropped, or when the process ends, however it ends. It must outlive every connection to
/// the journal: see [`HELD_HERE`].
#[derive(Debug)]
pub(super) struct Lock {
    inode: Inode,
    /// The mode of the journal, if others could read it until now.
    pub(super) was_readable: Option<u32>,
    /// How many names the file has.
    pub(super) names: u64,
    _journal: File,
    _beside: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        held_here().remove(&self.inode);
    }
}

/// Opens a journal; with it the mode that it had when others could read it.
type Open = fn(&Path) -> io::Result<(File, Option<u32>)>;

impl Lock {
    /// Takes the lock on the journal at `path`, which is made if it is not there, and readable by its owner alone.
    pub(super) async fn take(path: &Path) -> Result<(Self, Arc<Handle>), JournalError> {
        let closed = async {
            while is_closing(path) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        // After that it is in use.
        drop(tokio::time::timeout(CLOSES_WITHIN, closed).await);
        Self::with(path, private_file::open_anybodys)
    }

    /// Takes the lock on a journal that is there, and changes nothing of it.
    pub(super) fn of_existing(path: &Path) -> Result<(Self, Arc<Handle>), JournalError> {
        Self::with(path, |path| Ok((File::options().read(true).write(true).open(path)?, None)))
    }

    fn with(path: &Path, open: Open) -> Result<(Self, Arc<Handle>), JournalError> {
        let mut held = held_here();
        if fs::metadata(path).is_ok_and(|metadata| held.contains_key(&Inode::of(&metadata))) {
            return Err(JournalError::InUse(path.to_owned()));
        }
        let failed = |source| JournalError::opening(path, &sqlx::Error::Io(source));
        let (journal, was_readable) = open(path).map_err(failed)?;
        lock(&journal, path, path)?;
        let beside = lock_beside(path)?;
        let metadata = journal.metadata().map_err(failed)?;
        let inode = Inode::of(&metadata);
        let handle = Arc::new(Handle);
        held.insert(inode, Arc::downgrade(&handle));
        Ok((Self { inode, was_readable, names: metadata.nlink(), _journal: journal, _beside: beside }, handle))
    }
}

/// Whether this process is about to close that journal.
fn is_closing(path: &Path) -> bool {
    let Ok(metadata) = fs::metadata(path) else { return false };
    held_here().get(&Inode::of(&metadata)).is_some_and(|handle| handle.strong_count() == 0)
}

/// Takes the lock file beside the journal as well: an older mtls-medic knows only that one.
pub(super) fn lock_beside(path: &Path) -> Result<File, JournalError> {
    let beside = beside(path, ".lock");
    let (file, _) =
        private_file::open_anybodys(&beside).map_err(|source| JournalError::Lock { path: beside.clone(), source })?;
    lock(&file, &beside, path)?;
    Ok(file)
}

/// A lock of the whole-file kind (flock): unlike SQLite's it belongs to the open file, and no other close ends it.
fn lock(file: &File, locked: &Path, journal: &Path) -> Result<(), JournalError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(fs::TryLockError::WouldBlock) => Err(JournalError::InUse(journal.to_owned())),
        Err(fs::TryLockError::Error(source)) => Err(JournalError::Lock { path: locked.to_owned(), source }),
    }
}

/// The path of a file beside the journal, by what its name ends with.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
