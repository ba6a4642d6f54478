//! The one writer: gathers what waits into one durable transaction.

use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot, watch};

use super::{Append, AppendError, Journal, effects, effects::ClaimRequest};

/// How many callers may wait; more are told to come again (503), so that memory stays bounded.
const WAITING_MOST: usize = 4096;
/// How many appends share one transaction: enough that the fsync is no limit, few enough that nobody waits long.
const BATCH_MOST: usize = 256;

/// What the writer is asked.
pub(super) enum Job {
    Append(Box<Append>, oneshot::Sender<Result<(), AppendError>>),
    Claim(ClaimRequest, oneshot::Sender<Result<Vec<effects::Claim>, AppendError>>),
    HandBack(Vec<i64>, oneshot::Sender<Result<(), AppendError>>),
    Forget(jiff::Timestamp, oneshot::Sender<Result<(), AppendError>>),
}

pub(super) fn start(connection: SqliteConnection, changed: watch::Sender<u64>) -> mpsc::Sender<Job> {
    let (sender, receiver) = mpsc::channel(WAITING_MOST);
    tokio::spawn(run(connection, receiver, changed));
    sender
}

async fn run(mut connection: SqliteConnection, mut jobs: mpsc::Receiver<Job>, changed: watch::Sender<u64>) {
    let mut batch = Vec::with_capacity(BATCH_MOST);
    while jobs.recv_many(&mut batch, BATCH_MOST).await > 0 {
        write_batch(&mut connection, std::mem::take(&mut batch)).await;
        changed.send_modify(|count| *count = count.wrapping_add(1));
    }
    // Every handle is gone: close in order, so that the WAL is folded into the file.
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "the journal did not close in order; nothing that was answered is lost");
    }
}

/// An answer that is given once the batch is on disk.
type Reply = Box<dyn FnOnce(Result<(), AppendError>) + Send>;

async fn write_batch(connection: &mut SqliteConnection, batch: Vec<Job>) {
    let mut transaction = match connection.begin_with("BEGIN IMMEDIATE").await {
        Ok(transaction) => transaction,
        Err(error) => return refuse(batch, &AppendError::NotStored(error.to_string())),
    };
    let mut replies: Vec<Reply> = Vec::with_capacity(batch.len());
    for job in batch {
        replies.push(write_one(&mut transaction, job).await);
    }
    let committed = transaction.commit().await.map_err(|error| {
        tracing::error!(%error, "the journal could not be written");
        AppendError::NotStored(error.to_string())
    });
    for reply in replies {
        reply(committed.clone());
    }
}

async fn write_one(db: &mut SqliteConnection, job: Job) -> Reply {
    match job {
        Job::Append(append, reply) => answer(append.write(db).await, reply),
        Job::Claim(request, reply) => answer(effects::claim(db, &request).await.map_err(AppendError::from), reply),
        Job::HandBack(rows, reply) => answer(effects::hand_back(db, &rows).await.map_err(AppendError::from), reply),
        Job::Forget(before, reply) => answer(effects::forget(db, before).await.map_err(AppendError::from), reply),
    }
}

fn answer<T: Send + 'static>(result: Result<T, AppendError>, reply: oneshot::Sender<Result<T, AppendError>>) -> Reply {
    Box::new(move |committed| {
        // Whoever asked may have gone; then nobody wants to know.
        drop(reply.send(committed.and(result)));
    })
}

fn refuse(batch: Vec<Job>, error: &AppendError) {
    tracing::error!(%error, "the journal could not be written");
    for job in batch {
        match job {
            Job::Append(_, reply) | Job::HandBack(_, reply) | Job::Forget(_, reply) => {
                drop(reply.send(Err(error.clone())));
            }
            Job::Claim(_, reply) => drop(reply.send(Err(error.clone()))),
        }
    }
}

impl Journal {
    /// Appends; returns once it is on disk.
    pub async fn append(&self, append: Append) -> Result<(), AppendError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Job::Append(Box::new(append), reply), answer).await
    }

    pub(super) async fn ask<T>(
        &self,
        job: Job,
        answer: oneshot::Receiver<Result<T, AppendError>>,
    ) -> Result<T, AppendError> {
        self.writer.try_send(job).map_err(|_| AppendError::Busy)?;
        answer.await.unwrap_or_else(|_| Err(AppendError::NotStored("the journal is closed".to_owned())))
    }

    /// A counter that moves after every transaction, for those who wait for something new.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}
