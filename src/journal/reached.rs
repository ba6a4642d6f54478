//! How far the journal got, remembered beside it: what was answered and is no longer in it is missed at the next start,
//! whatever became of its files meanwhile.
//!
//! The mark is written after each commit and before the answers, into the system's memory and not through to the disk: it
//! outlives the process, however that ends, and costs microseconds. After a power cut it may be half a minute old: then it
//! says less than was stored, and never more.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{from_micros, lock::beside, to_micros};
use crate::private_file;

/// What the mark begins with.
const SCHEMA: &str = "mtls-medic.reached/v1";
/// The length of the mark, so that a shorter one overwrites a longer one: far below a sector, so it is never torn.
const LENGTH: usize = 96;

/// How often something was stored that was answered, and when last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) count: i64,
    pub(super) at: Timestamp,
}

/// What was answered and is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingTransactions {
    /// How many transactions.
    pub transactions: u64,
    /// When the newest that is still there was stored; `None` where nothing is.
    pub since: Option<Timestamp>,
    /// When the newest that is gone was.
    pub until: Timestamp,
}

/// The mark. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Reached(Arc<MarkFile>);

#[derive(Debug)]
struct MarkFile {
    path: PathBuf,
    file: Mutex<Option<File>>,
    /// Whether it stands still, since people have yet to hear what is missing.
    stands_still: AtomicBool,
    /// Whether it was said that it cannot be written.
    said: AtomicBool,
}

impl Reached {
    /// The mark beside a journal, and what of it is missing in that.
    pub(super) fn beside(real: &Path, stored: Count) -> (Self, Option<MissingTransactions>) {
        let path = beside(real, ".reached");
        let marked = read(&path).filter(|marked| marked.count > stored.count);
        let missing = marked.map(|marked| MissingTransactions {
            transactions: marked.count.abs_diff(stored.count),
            since: Some(stored.at).filter(|at| *at > Timestamp::UNIX_EPOCH),
            until: marked.at,
        });
        let mark = MarkFile {
            path,
            file: Mutex::default(),
            stands_still: AtomicBool::new(missing.is_some()),
            said: AtomicBool::default(),
        };
        (Self(Arc::new(mark)), missing)
    }

    /// Marks what is stored. What cannot be marked is stored all the same, so it fails nothing.
    pub(super) fn mark(&self, reached: Count) {
        if self.0.stands_still.load(Ordering::Relaxed) {
            return;
        }
        match self.0.write(reached) {
            Ok(()) => self.0.said.store(false, Ordering::Relaxed),
            Err(error) if !self.0.said.swap(true, Ordering::Relaxed) => {
                let path = self.0.path.display();
                tracing::error!(%path, %error, "how far the journal got could not be written: what is lost from it would not be missed at the next start");
            }
            Err(_) => {}
        }
    }

    /// People have heard what is missing: the mark goes on from what is there.
    pub(super) fn goes_on(&self, from: Count) {
        self.0.stands_still.store(false, Ordering::Relaxed);
        self.mark(from);
    }
}

impl MarkFile {
    fn write(&self, Count { count, at }: Count) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // One that was taken away is made anew.
        let is_there = file.as_ref().map(File::metadata).transpose()?.is_some_and(|metadata| metadata.nlink() > 0);
        if !is_there {
            *file = Some(private_file::open_anybodys(&self.path)?.0);
        }
        let text = format!("{:<1$}", format!("{SCHEMA} {count} {at}"), LENGTH.saturating_sub(1)) + "\n";
        file.as_ref().map_or(Ok(()), |file| file.write_all_at(text.as_bytes(), 0))
    }
}

/// What a mark says; `None` where there is none, or none that this program understands.
fn read(path: &Path) -> Option<Count> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::error!(path = %path.display(), %error, "how far the journal got could not be read: what is lost from it is not missed");
            }
            return None;
        }
    };
    let mut words = text.split_whitespace();
    let (schema, count, at) = (words.next()?, words.next()?, words.next()?);
    (schema == SCHEMA).then_some(Count { count: count.parse().ok()?, at: at.parse().ok()? })
}

/// Counts one more transaction, in that transaction.
pub(super) async fn count(db: &mut SqliteConnection, at: Timestamp) -> Result<Count, sqlx::Error> {
    let count = sqlx::query_scalar("UPDATE reached SET count = count + 1, at = ? RETURNING count")
        .bind(to_micros(at))
        .fetch_one(db)
        .await?;
    Ok(Count { count, at })
}

/// What is counted so far.
pub(super) async fn counted(db: &mut SqliteConnection) -> Result<Count, sqlx::Error> {
    let (count, at): (i64, i64) = sqlx::query_as("SELECT count, at FROM reached").fetch_one(db).await?;
    Ok(Count { count, at: from_micros(at) })
}
