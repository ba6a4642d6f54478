//! What waits for the writer: people and pages first, and nothing waits for ever.
//!
//! Two lanes. What people ask, what effects came to and what is claimed goes first; bodies of alerts and upkeep go in
//! what room is left, and at least every second transaction takes some of it. What is heavy has a transaction of its own,
//! so that what came with it is answered before.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use super::{
    AppendError,
    writer::{BATCH_MOST, Job},
};

/// How many callers may wait in a lane; one more gets 503 and comes again, so that memory stays bounded.
const WAITING_MOST: usize = 4096;
/// How many rows of bodies and upkeep share a transaction with what is urgent: some 20 ms.
const SHARED_ROWS: usize = 512;

/// How urgent a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Somebody waits for it, or is called by it.
    People,
    /// Alerts and upkeep, which come in bulk.
    Bulk,
}

/// The callers' side. Cheap to clone.
#[derive(Clone)]
pub(super) struct Lanes {
    people: mpsc::Sender<Job>,
    bulk: mpsc::Sender<Job>,
}

/// The writer's side.
pub(super) struct Waiting {
    people: mpsc::Receiver<Job>,
    bulk: mpsc::Receiver<Job>,
    /// Heavy jobs that gave way once, one of each lane at most: they are next.
    gave_way: VecDeque<Job>,
}

pub(super) fn lanes() -> (Lanes, Waiting) {
    let (people, people_waiting) = mpsc::channel(WAITING_MOST);
    let (bulk, bulk_waiting) = mpsc::channel(WAITING_MOST);
    (Lanes { people, bulk }, Waiting { people: people_waiting, bulk: bulk_waiting, gave_way: VecDeque::new() })
}

impl Lanes {
    fn of(&self, lane: Lane) -> &mpsc::Sender<Job> {
        match lane {
            Lane::People => &self.people,
            Lane::Bulk => &self.bulk,
        }
    }

    /// Takes a job if there is room for it.
    pub(super) fn take(&self, lane: Lane, job: Job) -> Result<(), AppendError> {
        self.of(lane).try_send(job).map_err(|_| AppendError::Busy)
    }

    /// Waits for room as long as `most`.
    pub(super) async fn take_within(&self, job: Job, most: std::time::Duration) -> Result<(), AppendError> {
        self.people.send_timeout(job, most).await.map_err(|_| AppendError::Busy)
    }
}

impl Waiting {
    /// What the next transaction holds; empty when every caller is gone.
    pub(super) async fn next(&mut self) -> Vec<Job> {
        if let Some(heavy) = self.gave_way.pop_front() {
            return vec![heavy];
        }
        let mut batch = Vec::new();
        let (first, is_bulk) = tokio::select! {
            biased;
            Some(job) = self.people.recv() => (job, false),
            Some(job) = self.bulk.recv() => (job, true),
            else => return batch,
        };
        let is_heavy = |job: &Job| job.rows() > SHARED_ROWS;
        if is_heavy(&first) {
            return vec![first];
        }
        let mut rows = 0;
        if is_bulk {
            rows = first.rows();
        }
        batch.push(first);
        while batch.len() < BATCH_MOST
            && let Ok(job) = self.people.try_recv()
        {
            if is_heavy(&job) {
                self.gave_way.push_back(job);
                break;
            }
            batch.push(job);
        }
        while rows < SHARED_ROWS
            && let Ok(job) = self.bulk.try_recv()
        {
            if rows.saturating_add(job.rows()) > SHARED_ROWS {
                self.gave_way.push_back(job);
                break;
            }
            rows = rows.saturating_add(job.rows());
            batch.push(job);
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tokio::sync::oneshot;

    use super::*;
    use crate::journal::Append;

    /// A command or a beat, of one row.
    fn small() -> Job {
        Job::Beat(Timestamp::UNIX_EPOCH, oneshot::channel().0)
    }

    fn body(rows: usize) -> Job {
        let seen = vec![(crate::incident::IncidentId::new(1), Timestamp::UNIX_EPOCH); rows - 1];
        Job::Append(Box::new(Append { seen, ..Append::default() }), oneshot::channel().0)
    }

    fn shape(batch: &[Job]) -> Vec<usize> {
        batch.iter().map(Job::rows).collect()
    }

    #[tokio::test]
    async fn a_command_that_comes_after_ten_bodies_is_stored_before_the_second() {
        let (lanes, mut waiting) = lanes();
        for _ in 0..10 {
            lanes.take(Lane::Bulk, body(4_500)).unwrap();
        }
        assert_eq!(shape(&waiting.next().await), [4_500], "one is being stored");
        lanes.take(Lane::People, small()).unwrap();
        assert_eq!(shape(&waiting.next().await), [1]);
        assert_eq!(shape(&waiting.next().await), [4_500]);
    }

    #[tokio::test]
    async fn bodies_are_stored_however_much_people_ask() {
        let (lanes, mut waiting) = lanes();
        lanes.take(Lane::Bulk, body(4_500)).unwrap();
        lanes.take(Lane::Bulk, body(10)).unwrap();
        let mut stored = Vec::new();
        for _ in 0..4 {
            for _ in 0..300 {
                lanes.take(Lane::People, small()).unwrap();
            }
            stored.extend(waiting.next().await.iter().map(Job::rows).filter(|rows| *rows > 1));
        }
        assert_eq!(stored, [4_500, 10]);
    }

    #[tokio::test]
    async fn evidence_that_is_kept_or_forgotten_and_a_clock_that_is_set_hold_up_no_command_that_came_with_them() {
        let (lanes, mut waiting) = lanes();
        let forget = || Job::ForgetEvidence(Timestamp::UNIX_EPOCH, oneshot::channel().0);
        let digest = crate::incident::EvidenceDigest("d".to_owned());
        let large = vec![0; crate::journal::EVIDENCE_MOST];
        let evidence = Some((crate::incident::IncidentId::new(1), digest, large, Timestamp::UNIX_EPOCH));
        lanes.take(Lane::People, small()).unwrap();
        let evidence = Append { evidence, ..Append::default() };
        lanes.take(Lane::People, Job::Append(Box::new(evidence), oneshot::channel().0)).unwrap();
        lanes.take(Lane::People, small()).unwrap();
        lanes.take(Lane::Bulk, forget()).unwrap();
        lanes.take(Lane::Bulk, forget()).unwrap();
        assert_eq!(shape(&waiting.next().await), [1], "what came before");
        assert_eq!(shape(&waiting.next().await), [1_025]);
        assert_eq!(shape(&waiting.next().await), [20_480]);
        assert_eq!(shape(&waiting.next().await), [1]);
        assert_eq!(shape(&waiting.next().await), [20_480]);
    }

    #[tokio::test]
    async fn small_bodies_share_a_transaction_and_a_full_lane_says_so() {
        let (lanes, mut waiting) = lanes();
        for _ in 0..WAITING_MOST {
            lanes.take(Lane::Bulk, body(8)).unwrap();
        }
        assert_eq!(lanes.take(Lane::Bulk, body(8)), Err(AppendError::Busy));
        assert_eq!(lanes.take(Lane::People, small()), Ok(()), "people still get in");
        assert_eq!(waiting.next().await.len(), 1 + SHARED_ROWS / 8);
    }
}
