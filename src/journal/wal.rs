//! Whether the WAL still holds what SQLite wrote into it. Its index (`-shm`) says how far it goes and how it begins, so that
//! a WAL that somebody has cut or written over is known before more is written behind the gap. Both formats are kept by
//! SQLite for good: <https://sqlite.org/walformat.html>.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{files::FileLost, lock::beside};

/// What stands before the pages of a WAL, and before each of them, in bytes.
const HEADER: usize = 32;
const FRAME_HEADER: u64 = 24;
/// The index begins with two copies of its header, which differ while it is written.
const INDEX_HEADER: usize = 48;
/// How often an index that changes is read again: the process that folds the WAL into the journal changes it
/// once.
const READS_MOST: usize = 5;

/// The WAL and its index. Both stay open as long as any connection to the journal: SQLite's locks on the index are of the
/// kind that a process loses when it closes *any* descriptor of the file. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Wal {
    path: PathBuf,
    file: Arc<File>,
    index: Arc<File>,
}

/// What the index says.
#[derive(Debug, PartialEq, Eq)]
struct Index {
    /// How long the WAL is at least.
    length: u64,
    /// What its header says of this round of it.
    salt: [u8; 8],
}

impl Wal {
    /// Opens both, once SQLite has made them.
    pub(super) fn opened(real: &Path) -> io::Result<Self> {
        let path = beside(real, "-wal");
        let (file, index) = (File::open(&path)?, File::open(beside(real, "-shm"))?);
        Ok(Self { path, file: Arc::new(file), index: Arc::new(index) })
    }

    /// Whether the WAL holds all that the index names.
    pub(super) fn look(&self) -> Result<(), FileLost> {
        let unseen = |source| FileLost::Unseen { path: self.path.clone(), source };
        for _ in 0..READS_MOST {
            let Some(index) = self.index().map_err(unseen)? else { continue };
            if self.holds(&index).map_err(unseen)? {
                return Ok(());
            }
            // Somebody who folds the WAL into the journal cuts it after the index says so.
            if self.index().map_err(unseen)?.as_ref() == Some(&index) {
                return Err(FileLost::Changed(self.path.clone()));
            }
        }
        // It is being changed by SQLite at this moment; the next look tells.
        Ok(())
    }

    /// What the index says; `None` while it is being written.
    fn index(&self) -> io::Result<Option<Index>> {
        let mut copies = [0; 2 * INDEX_HEADER];
        self.index.read_exact_at(&mut copies, 0)?;
        let (one, other) = copies.split_at(INDEX_HEADER);
        Ok(if one == other { Index::of(one) } else { None })
    }

    fn holds(&self, index: &Index) -> io::Result<bool> {
        if index.length == 0 {
            return Ok(true);
        }
        if self.file.metadata()?.len() < index.length {
            return Ok(false);
        }
        let mut header = [0; HEADER];
        self.file.read_exact_at(&mut header, 0)?;
        Ok(header.get(16..24) == Some(&index.salt[..]))
    }
}

impl Index {
    fn of(header: &[u8]) -> Option<Self> {
        let page = u16::from_ne_bytes(header.get(14..16)?.try_into().ok()?);
        let frames = u32::from_ne_bytes(header.get(16..20)?.try_into().ok()?);
        // The one size that does not fit into 16 bits is written as 1.
        let page = if page == 1 { 65_536 } else { u64::from(page) };
        let pages = u64::from(frames).saturating_mul(page.saturating_add(FRAME_HEADER));
        let header_length = u64::try_from(HEADER).unwrap_or(u64::MAX);
        let length = if frames == 0 { 0 } else { pages.saturating_add(header_length) };
        Some(Self { length, salt: header.get(32..40)?.try_into().ok()? })
    }
}
