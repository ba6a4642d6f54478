//! The one writer: gathers what waits into one durable transaction.

use std::{
    path::PathBuf,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use sqlx::{ConnectOptions, Connection, SqliteConnection, SqlitePool, sqlite::SqliteConnectOptions};
use tokio::sync::{oneshot, watch};

use super::{
    Append, AppendError, ClockMove, Journal,
    claims::{self, ClaimRequest},
    clock, effects,
    files::{FileLost, Files},
    lanes::{self, Lane, Lanes, Waiting},
    lock::Lock,
    reached,
    rescue::{self, Loss},
    upkeep,
    writer_state::{News, WriterState},
};
use crate::incident::{IncidentId, Room};

/// How many appends share one transaction: enough that the fsync is no limit, few enough that nobody waits long.
pub(super) const BATCH_MOST: usize = 256;

/// How long what an effect came to waits for a place in the queue: it has happened and must not be repeated, and the
/// claim outlives this.
const OUTCOME_WAITS: Duration = Duration::from_secs(8);

/// What the writer is asked.
pub(super) enum Job {
    Append(Box<Append>, oneshot::Sender<Result<Vec<IncidentId>, AppendError>>),
    Claim(ClaimRequest, oneshot::Sender<Result<Vec<claims::Claim>, AppendError>>),
    HandBack(Vec<(i64, u32)>, oneshot::Sender<Result<(), AppendError>>),
    Forget(jiff::Timestamp, oneshot::Sender<Result<u64, AppendError>>),
    ForgetDone(Vec<i64>, oneshot::Sender<Result<u64, AppendError>>),
    ForgetEvidence(jiff::Timestamp, oneshot::Sender<Result<u64, AppendError>>),
    ForgetGroups(Vec<upkeep::InGroup>, oneshot::Sender<Result<u64, AppendError>>),
    Beat(jiff::Timestamp, oneshot::Sender<Result<(), AppendError>>),
    MoveClock(Box<ClockMove>, oneshot::Sender<Result<Vec<IncidentId>, AppendError>>),
    KeepMark(String, oneshot::Sender<Result<(), AppendError>>),
}

impl Job {
    /// About how many rows it writes: what it costs others.
    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Append(append, _) => append.rows(),
            Self::HandBack(rows, _) => rows.len(),
            Self::ForgetDone(rows, _) => rows.len(),
            Self::ForgetGroups(groups, _) => groups.len(),
            Self::Forget(..) => effects::ROWS_AT_ONCE,
            Self::ForgetEvidence(..) => upkeep::EVIDENCE_ROWS_AT_ONCE,
            Self::MoveClock(..) => clock::ROWS_MOVED,
            // A claim writes as many as its room can perform at a time.
            Self::Claim(..) | Self::Beat(..) | Self::KeepMark(..) => 1,
        }
    }

    /// Whether somebody is answered that it is stored, so that it is missed where it is lost.
    fn is_answered(&self) -> bool {
        matches!(self, Self::Append(..) | Self::MoveClock(..))
    }

    fn lane(&self) -> Lane {
        match self {
            Self::Append(..)
            | Self::Claim(..)
            | Self::HandBack(..)
            | Self::Beat(..)
            | Self::MoveClock(..)
            | Self::KeepMark(..) => Lane::People,
            Self::Forget(..) | Self::ForgetDone(..) | Self::ForgetEvidence(..) | Self::ForgetGroups(..) => Lane::Bulk,
        }
    }
}

/// Where the journal lies, and what must live as long as a connection to it.
pub(super) struct JournalHome {
    pub(super) options: SqliteConnectOptions,
    pub(super) path: PathBuf,
    pub(super) files: Files,
    pub(super) readers: SqlitePool,
    pub(super) _lock: Lock,
}

pub(super) fn start(connection: SqliteConnection, place: JournalHome, state: WriterState) -> Lanes {
    let (lanes, waiting) = lanes::lanes();
    tokio::spawn(run(connection, place, waiting, state));
    lanes
}

async fn run(mut connection: SqliteConnection, place: JournalHome, mut waiting: Waiting, state: WriterState) {
    let (mut loss, mut last_error, mut is_whole) = (Loss::default(), None, true);
    loop {
        let batch = waiting.next().await;
        if batch.is_empty() {
            break;
        }
        state.begins();
        let written = write_batch(&mut connection, &place.files, &state, batch).await;
        if let Err(error) = &written {
            if last_error.as_ref() != Some(error) {
                tracing::error!(%error, "the journal could not be written");
            }
            let looked = place.files.look().await;
            is_whole = looked.as_ref().err().is_none_or(FileLost::is_whole);
            match looked {
                Ok(()) => connection = afresh(connection, &place.options).await,
                // Nothing is read through a gap, and nothing is written over what may be left.
                Err(file) if !file.is_whole() => {}
                // Only this connection still has what was stored: it is kept.
                Err(file) if loss.is_due(Instant::now()) => {
                    let is_saved = save(&mut connection, &place, &file).await;
                    loss.tried(Instant::now(), is_saved);
                }
                Err(_) => {}
            }
        } else {
            // The files are there, perhaps again: the next loss is another one.
            (loss, is_whole) = (Loss::default(), true);
        }
        state.tell(&written);
        last_error = written.err();
    }
    // Every handle is gone: close in order, so that the WAL is folded into the file.
    place.readers.close().await;
    if !is_whole {
        // Closing would write what lies in the gap into the file. The system takes it back with the process.
        std::mem::forget((connection, place.files));
        return;
    }
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "the journal did not close in order; nothing that was answered is lost");
    }
}

/// Copies a journal whose files were taken away, and says what to do; whether there is a copy.
async fn save(connection: &mut SqliteConnection, place: &JournalHome, lost: &FileLost) -> bool {
    let journal = place.path.display();
    match rescue::copy(connection, &place.path, jiff::Timestamp::now()).await {
        Ok(copy) => {
            let copy = copy.display();
            tracing::error!(
                %lost,
                "all that was stored is saved in {copy}: stop the bot, move (never copy) that file to {journal}, take the old \
                 -wal and -shm away, and start the bot"
            );
            true
        }
        Err(error) => {
            let why = std::error::Error::source(&error).map(ToString::to_string);
            let process = std::process::id();
            tracing::error!(
                %lost, %error, why,
                "what was stored is only in this process: do not stop it; put the files back, or copy them from /proc/{process}/fd; \
                 a copy is tried again each minute"
            );
            false
        }
    }
}

/// Replaces a connection that failed: SQLite ends a transaction by itself when the disk is full, and the old connection begins
/// none ever again.
async fn afresh(old: SqliteConnection, options: &SqliteConnectOptions) -> SqliteConnection {
    match options.connect().await {
        Ok(new) => {
            drop(old.close_hard().await);
            new
        }
        Err(error) => {
            tracing::error!(%error, "the journal could not be opened afresh");
            old
        }
    }
}

/// An answer that is given once the batch is on disk.
type Reply = Box<dyn FnOnce(Result<(), AppendError>) + Send>;

/// Writes a batch; what is there by it that others wait for.
async fn write_batch(
    connection: &mut SqliteConnection,
    files: &Files,
    state: &WriterState,
    batch: Vec<Job>,
) -> Result<News, AppendError> {
    let mut transaction = match connection.begin_with("BEGIN IMMEDIATE").await {
        Ok(transaction) => transaction,
        Err(error) => {
            // A gap in the WAL is read as a disk that fails.
            let why = files.look().await.err().map_or_else(|| error.to_string(), |lost| lost.to_string());
            let error = AppendError::NotStored(why);
            state.fails.store(true, Ordering::Relaxed);
            refuse(batch, &error);
            return Err(error);
        }
    };
    // What is written behind a gap is lost with it.
    if let Err(lost) = files.look().await {
        let error = AppendError::NotStored(lost.to_string());
        state.fails.store(true, Ordering::Relaxed);
        // Nothing was written yet.
        drop(transaction.rollback().await);
        refuse(batch, &error);
        return Err(error);
    }
    let is_answered = batch.iter().any(Job::is_answered);
    let begun = mark(&mut transaction, "SAVEPOINT batch").await;
    let mut replies: Vec<Reply> = Vec::with_capacity(batch.len());
    let mut news = News::none();
    for job in batch {
        let (reply, brought) = write_one(&mut transaction, job).await;
        news.add(brought);
        replies.push(reply);
    }
    let counted = if is_answered {
        reached::count(&mut transaction, jiff::Timestamp::now()).await.map(Some).map_err(AppendError::from)
    } else {
        Ok(None)
    };
    // Gone with the transaction, if SQLite ended that on the way: then what came before is not there.
    let whole = match begun.and(counted) {
        Ok(count) => mark(&mut transaction, "RELEASE batch").await.map(|()| count),
        Err(error) => Err(error),
    };
    let committed = match whole {
        Ok(count) => {
            transaction.commit().await.map(|()| count).map_err(|error| AppendError::NotStored(error.to_string()))
        }
        Err(error) => Err(error),
    };
    // What is in a file that nobody can find again is not stored.
    let committed = match committed {
        Ok(count) => files.look_and_mark(count).await.map_err(|lost| AppendError::NotStored(lost.to_string())),
        Err(failed) => Err(failed),
    };
    // Set it first: a caller that hears of the failure must find the bot not ready.
    state.fails.store(committed.is_err(), Ordering::Relaxed);
    for reply in replies {
        reply(committed.clone());
    }
    committed.map(|()| news)
}

async fn mark(db: &mut SqliteConnection, statement: &'static str) -> Result<(), AppendError> {
    let done = sqlx::query(statement).execute(db).await;
    done.map(|_| ()).map_err(|error| AppendError::NotStored(error.to_string()))
}

async fn write_one(db: &mut SqliteConnection, job: Job) -> (Reply, News) {
    match job {
        Job::Append(append, reply) => {
            let news = News::of(&append);
            (answer(append.write(db).await, reply), news)
        }
        Job::Claim(request, reply) => {
            let claimed = claims::claim(db, &request).await;
            let news = News::of_every_room(claimed.as_ref().is_ok_and(|(_, news)| *news));
            (answer(claimed.map(|(claims, _)| claims), reply), news)
        }
        Job::HandBack(rows, reply) => (done(claims::hand_back(db, &rows).await, reply), News::of_every_room(true)),
        Job::ForgetDone(rows, reply) => (done(effects::forget_done(db, &rows).await, reply), News::none()),
        Job::Forget(before, reply) => (done(effects::forget(db, before).await, reply), News::none()),
        Job::ForgetEvidence(before, reply) => (done(upkeep::forget_evidence(db, before).await, reply), News::none()),
        Job::ForgetGroups(groups, reply) => (done(upkeep::forget_groups(db, &groups).await, reply), News::none()),
        Job::MoveClock(set, reply) => (answer(move_clock(db, *set).await, reply), News::of_every_room(true)),
        Job::KeepMark(mark, reply) => (done(clock::keep_mark(db, &mark).await, reply), News::none()),
        Job::Beat(now, reply) => (done(upkeep::beat(db, now).await, reply), News::none()),
    }
}

/// All of it or nothing, whatever its neighbours in the batch come to.
async fn move_clock(db: &mut SqliteConnection, set: ClockMove) -> Result<Vec<IncidentId>, AppendError> {
    let mut savepoint = db.begin().await?;
    let names = clock::move_all(&mut savepoint, set).await?;
    savepoint.commit().await?;
    Ok(names)
}

fn done<T: Send + 'static>(result: Result<T, sqlx::Error>, reply: oneshot::Sender<Result<T, AppendError>>) -> Reply {
    answer(result.map_err(AppendError::from), reply)
}

fn answer<T: Send + 'static>(result: Result<T, AppendError>, reply: oneshot::Sender<Result<T, AppendError>>) -> Reply {
    Box::new(move |committed| {
        // The caller may have gone; then nobody waits for the answer.
        drop(reply.send(committed.and(result)));
    })
}

fn refuse(batch: Vec<Job>, error: &AppendError) {
    for job in batch {
        match job {
            Job::Append(_, reply) | Job::MoveClock(_, reply) => drop(reply.send(Err(error.clone()))),
            Job::HandBack(_, reply) | Job::Beat(_, reply) | Job::KeepMark(_, reply) => {
                drop(reply.send(Err(error.clone())));
            }
            Job::Forget(_, reply)
            | Job::ForgetEvidence(_, reply)
            | Job::ForgetDone(_, reply)
            | Job::ForgetGroups(_, reply) => {
                drop(reply.send(Err(error.clone())));
            }
            Job::Claim(_, reply) => drop(reply.send(Err(error.clone()))),
        }
    }
}

/// The incidents that close by this.
fn closing(append: &Append) -> Vec<IncidentId> {
    let closes = |change: &&super::Change| {
        change.events.iter().any(|event| matches!(event, crate::incident::Event::Closed { .. }))
    };
    append.changes.iter().filter(closes).map(|change| change.after.id).collect()
}

async fn answered<T>(answer: oneshot::Receiver<Result<T, AppendError>>) -> Result<T, AppendError> {
    answer.await.unwrap_or_else(|_| Err(AppendError::NotStored("the journal is closed".to_owned())))
}

impl Journal {
    /// Appends; returns the names of the incidents that opened by it, once it is on disk.
    pub async fn append(&self, append: Append) -> Result<Vec<IncidentId>, AppendError> {
        self.append_in(Lane::People, append).await
    }

    /// Appends what alerts say, after what people ask and what effects came to; returns the same.
    pub async fn append_alerts(&self, append: Append) -> Result<Vec<IncidentId>, AppendError> {
        self.append_in(Lane::Bulk, append).await
    }

    async fn append_in(&self, lane: Lane, append: Append) -> Result<Vec<IncidentId>, AppendError> {
        let closing = closing(&append);
        let (reply, answer) = oneshot::channel();
        self.writer.take(lane, Job::Append(Box::new(append), reply))?;
        let opened = answered(answer).await?;
        self.anchor(&closing).await;
        Ok(opened)
    }

    /// Appends what an effect came to: waits for a place while many others append, since being sent away would repeat
    /// what was done already.
    pub async fn append_outcome(&self, append: Append) -> Result<(), AppendError> {
        let (reply, answer) = oneshot::channel();
        let closing = closing(&append);
        let job = Job::Append(Box::new(append), reply);
        self.writer.take_within(job, OUTCOME_WAITS).await?;
        answered(answer).await?;
        self.anchor(&closing).await;
        Ok(())
    }

    /// How many transactions were written since the start, for metrics.
    pub fn transactions(&self) -> u64 {
        self.writer_state.transactions.load(Ordering::Relaxed)
    }

    /// Whether the last transaction could not be written.
    pub fn fails(&self) -> bool {
        self.writer_state.fails.load(Ordering::Relaxed)
    }

    /// How long the transaction that is being written has taken so far.
    pub fn writing_for(&self) -> Option<Duration> {
        self.writer_state.writing_for()
    }

    pub(super) async fn ask<T>(
        &self,
        job: Job,
        answer: oneshot::Receiver<Result<T, AppendError>>,
    ) -> Result<T, AppendError> {
        self.writer.take(job.lane(), job)?;
        answered(answer).await
    }

    /// A counter that moves after every transaction that brought something, for those who wait for something new.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.writer_state.changed.subscribe()
    }

    /// The same for what brings something to one room.
    pub fn changes_for(&self, room: Room) -> watch::Receiver<u64> {
        self.writer_state.changes_for(room)
    }
}
