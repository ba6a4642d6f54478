//! The one writer: gathers what waits into one durable transaction.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::sync::{mpsc, oneshot, watch};

use super::{Append, AppendError, Journal, effects, effects::ClaimRequest, upkeep};
use crate::incident::IncidentId;

/// How many callers may wait; more are told to come again (503), so that memory stays bounded.
const WAITING_MOST: usize = 4096;
/// How many appends share one transaction: enough that the fsync is no limit, few enough that nobody waits long.
const BATCH_MOST: usize = 256;

/// How long what an effect came to waits for a place in the queue: it has happened and must not be repeated, and the
/// claim outlives this.
const OUTCOME_WAITS: Duration = Duration::from_secs(8);

/// What the writer is asked.
pub(super) enum Job {
    Append(Box<Append>, oneshot::Sender<Result<Vec<IncidentId>, AppendError>>),
    Claim(ClaimRequest, oneshot::Sender<Result<Vec<effects::Claim>, AppendError>>),
    HandBack(Vec<(i64, u32)>, oneshot::Sender<Result<(), AppendError>>),
    Forget(jiff::Timestamp, oneshot::Sender<Result<(), AppendError>>),
    ForgetDone(jiff::Timestamp, oneshot::Sender<Result<(), AppendError>>),
    ForgetEvidence(jiff::Timestamp, oneshot::Sender<Result<u64, AppendError>>),
    Beat(jiff::Timestamp, oneshot::Sender<Result<(), AppendError>>),
}

/// What others see of the writer.
#[derive(Clone)]
pub(super) struct Seen {
    /// Moves after every transaction that brought something.
    pub(super) changed: watch::Sender<u64>,
    /// How many transactions were written.
    pub(super) transactions: Arc<AtomicU64>,
    /// Whether the last one could not be.
    pub(super) fails: Arc<AtomicBool>,
}

impl Seen {
    pub(super) fn new() -> Self {
        Self { changed: watch::Sender::new(0), transactions: Arc::default(), fails: Arc::default() }
    }

    fn tell(&self, written: &Result<bool, AppendError>) {
        self.fails.store(written.is_err(), Ordering::Relaxed);
        let Ok(has_news) = written else { return };
        self.transactions.fetch_add(1, Ordering::Relaxed);
        // A claim that found nothing is no news: else the rooms would wake each other for ever.
        if *has_news {
            self.changed.send_modify(|count| *count = count.wrapping_add(1));
        }
    }
}

pub(super) fn start(connection: SqliteConnection, options: SqliteConnectOptions, seen: Seen) -> mpsc::Sender<Job> {
    let (sender, receiver) = mpsc::channel(WAITING_MOST);
    tokio::spawn(run(connection, options, receiver, seen));
    sender
}

async fn run(
    mut connection: SqliteConnection,
    options: SqliteConnectOptions,
    mut jobs: mpsc::Receiver<Job>,
    seen: Seen,
) {
    let mut batch = Vec::with_capacity(BATCH_MOST);
    while jobs.recv_many(&mut batch, BATCH_MOST).await > 0 {
        let written = write_batch(&mut connection, std::mem::take(&mut batch)).await;
        if let Err(error) = &written {
            tracing::error!(%error, "the journal could not be written");
            connection = afresh(connection, &options).await;
        }
        seen.tell(&written);
    }
    // Every handle is gone: close in order, so that the WAL is folded into the file.
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "the journal did not close in order; nothing that was answered is lost");
    }
}

/// Another connection in place of one that failed: SQLite ends a transaction by itself when the disk is full, and whoever
/// goes on with that connection begins none ever again.
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

/// Writes a batch; whether something is there that others wait for.
async fn write_batch(connection: &mut SqliteConnection, batch: Vec<Job>) -> Result<bool, AppendError> {
    let mut transaction = match connection.begin_with("BEGIN IMMEDIATE").await {
        Ok(transaction) => transaction,
        Err(error) => {
            let error = AppendError::NotStored(error.to_string());
            refuse(batch, &error);
            return Err(error);
        }
    };
    let begun = mark(&mut transaction, "SAVEPOINT batch").await;
    let mut replies: Vec<Reply> = Vec::with_capacity(batch.len());
    let mut has_news = false;
    for job in batch {
        let (reply, news) = write_one(&mut transaction, job).await;
        has_news |= news;
        replies.push(reply);
    }
    // Gone with the transaction, if SQLite ended that on the way: then what came before is not there.
    let whole = match begun {
        Ok(()) => mark(&mut transaction, "RELEASE batch").await,
        Err(error) => Err(error),
    };
    let committed = match whole {
        Ok(()) => transaction.commit().await.map_err(|error| AppendError::NotStored(error.to_string())),
        Err(error) => Err(error),
    };
    for reply in replies {
        reply(committed.clone());
    }
    committed.map(|()| has_news)
}

async fn mark(db: &mut SqliteConnection, statement: &'static str) -> Result<(), AppendError> {
    let done = sqlx::query(statement).execute(db).await;
    done.map(|_| ()).map_err(|error| AppendError::NotStored(error.to_string()))
}

async fn write_one(db: &mut SqliteConnection, job: Job) -> (Reply, bool) {
    match job {
        Job::Append(append, reply) => (answer(append.write(db).await, reply), true),
        Job::Claim(request, reply) => {
            let claimed = effects::claim(db, &request).await;
            let has_news = claimed.as_ref().is_ok_and(|(_, news)| *news);
            (answer(claimed.map(|(claims, _)| claims), reply), has_news)
        }
        Job::HandBack(rows, reply) => {
            (answer(effects::hand_back(db, &rows).await.map_err(AppendError::from), reply), true)
        }
        Job::ForgetDone(now, reply) => {
            (answer(effects::forget_done(db, now).await.map_err(AppendError::from), reply), false)
        }
        Job::Forget(before, reply) => {
            (answer(effects::forget(db, before).await.map_err(AppendError::from), reply), false)
        }
        Job::ForgetEvidence(before, reply) => {
            (answer(upkeep::forget_evidence(db, before).await.map_err(AppendError::from), reply), false)
        }
        Job::Beat(now, reply) => (answer(upkeep::beat(db, now).await.map_err(AppendError::from), reply), false),
    }
}

fn answer<T: Send + 'static>(result: Result<T, AppendError>, reply: oneshot::Sender<Result<T, AppendError>>) -> Reply {
    Box::new(move |committed| {
        // Whoever asked may have gone; then nobody wants to know.
        drop(reply.send(committed.and(result)));
    })
}

fn refuse(batch: Vec<Job>, error: &AppendError) {
    for job in batch {
        match job {
            Job::Append(_, reply) => drop(reply.send(Err(error.clone()))),
            Job::HandBack(_, reply) | Job::Forget(_, reply) | Job::ForgetDone(_, reply) | Job::Beat(_, reply) => {
                drop(reply.send(Err(error.clone())));
            }
            Job::ForgetEvidence(_, reply) => drop(reply.send(Err(error.clone()))),
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

impl Journal {
    /// Appends; returns the names of the incidents that opened by it, once it is on disk.
    pub async fn append(&self, append: Append) -> Result<Vec<IncidentId>, AppendError> {
        let closing = closing(&append);
        let (reply, answer) = oneshot::channel();
        let opened = self.ask(Job::Append(Box::new(append), reply), answer).await?;
        self.anchor(&closing).await;
        Ok(opened)
    }

    /// Appends what an effect came to: waits for a place while many others append, since being sent away would repeat
    /// what was done already.
    pub async fn append_outcome(&self, append: Append) -> Result<(), AppendError> {
        let (reply, answer) = oneshot::channel();
        let closing = closing(&append);
        let job = Job::Append(Box::new(append), reply);
        self.writer.send_timeout(job, OUTCOME_WAITS).await.map_err(|_| AppendError::Busy)?;
        answer.await.unwrap_or_else(|_| Err(AppendError::NotStored("the journal is closed".to_owned())))?;
        self.anchor(&closing).await;
        Ok(())
    }

    /// How many transactions were written since the start, for metrics.
    pub fn transactions(&self) -> u64 {
        self.seen.transactions.load(Ordering::Relaxed)
    }

    /// Whether the last transaction could not be written.
    pub fn fails(&self) -> bool {
        self.seen.fails.load(Ordering::Relaxed)
    }

    pub(super) async fn ask<T>(
        &self,
        job: Job,
        answer: oneshot::Receiver<Result<T, AppendError>>,
    ) -> Result<T, AppendError> {
        self.writer.try_send(job).map_err(|_| AppendError::Busy)?;
        answer.await.unwrap_or_else(|_| Err(AppendError::NotStored("the journal is closed".to_owned())))
    }

    /// A counter that moves after every transaction that brought something, for those who wait for something new.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.seen.changed.subscribe()
    }
}
