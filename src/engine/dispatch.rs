//! Claims due effects, room by room, and has them performed within the room's concurrency limit.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    clock_set::claim_moved,
    crash::CrashPoint,
    draw_progress::keep_drawing,
    finish,
    limits::{self, RoomLimits},
    perform::{Done, Perform, PerformError, Task},
    shared::Shared,
};
use crate::{
    incident::{self, Face, Incident, MessageRef, Outcome, RunNumber, Work, page_key, still_wanted},
    journal::{Claim, JournalError, RoomCapacity, StoredIncident},
};

/// No effect takes longer than this; long waits are short polls that schedule the next one.
pub(super) const HARD_LIMIT: Duration = Duration::from_secs(30);
/// A claim ends after this time of the engine's clock, if what came of it could not be stored. Nobody renews it: as long
/// as this process performs it, it cannot run out (the hard limit is real time, and a demo's clock is faster).
const CLAIM_LASTS: SignedDuration = SignedDuration::from_secs(40);
/// How long a room waits before it looks again after the journal could not be read.
const AFTER_TROUBLE: Duration = Duration::from_secs(1);

/// One room's queue.
pub(super) struct RoomQueue {
    shared: Arc<Shared>,
    room: incident::Room,
    limits: RoomLimits,
}

impl RoomQueue {
    pub(super) fn each(shared: &Arc<Shared>) -> impl Iterator<Item = Self> {
        use incident::Room as Of;
        let faces = [Face::Slack, Face::Discord, Face::Page, Face::Terminal].map(Of::Chat);
        [Of::Engine, Of::Cluster, Of::Execute, Of::Pager]
            .into_iter()
            .chain(faces)
            .filter(|room| *room == Of::Engine || shared.settings.performers.contains_key(room))
            .map(|room| Self { shared: shared.clone(), room, limits: limits::of(room) })
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// Dispatches until it is stopped; then what runs finishes.
    pub(super) async fn run(self, stop: CancellationToken, abandon: CancellationToken) {
        let slots = Arc::new(Semaphore::new(usize::try_from(self.limits.most).unwrap_or(1)));
        let mut running = JoinSet::new();
        let mut changes = self.shared.journal.changes_for(self.room);
        let mut asked = self.shared.dispatch.pulse.enter(self.room);
        while !stop.is_cancelled() {
            changes.borrow_and_update();
            let question = *asked.borrow_and_update();
            let free = u32::try_from(slots.available_permits()).unwrap_or(0);
            let still = self.shared.time.still().await;
            let (looked_at, set) = (self.shared.clock.now(), self.shared.time.set());
            let claimed = if free > 0 { self.claim(looked_at, free).await } else { Some(Vec::new()) };
            drop(still);
            // Could not be asked: once more.
            let Some(claimed) = claimed else { continue };
            self.shared.dispatch.pulse.turn(self.room, question);
            let found = !claimed.is_empty();
            for claim in claimed {
                let Ok(slot) = slots.clone().acquire_owned().await else { return };
                let shared = self.shared.clone();
                shared.dispatch.hold(&claim);
                running.spawn(async move {
                    one(&shared, &claim, set).await;
                    shared.dispatch.release(&claim);
                    drop(slot);
                });
            }
            if found {
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.until_due(looked_at, slots.available_permits() > 0) => {}
                _ = changes.changed() => {}
                _ = asked.changed() => {}
                Some(_) = running.join_next() => {}
            }
        }
        loop {
            tokio::select! {
                ended = running.join_next() => if ended.is_none() { break },
                () = abandon.cancelled() => {
                    running.shutdown().await;
                    break;
                }
            }
        }
    }

    async fn claim(&self, now: Timestamp, free: u32) -> Option<Vec<Claim>> {
        let RoomLimits { kept, kept_for, .. } = self.limits;
        let wanted = RoomCapacity { most: free, kept, kept_for, running: self.shared.dispatch.running() };
        match self.shared.journal.claim(self.room, now, now + CLAIM_LASTS, wanted).await {
            Ok(claims) => {
                self.shared.dispatch.claiming.over();
                Some(claims)
            }
            Err(error) => {
                if self.shared.dispatch.claiming.is_news(&error.to_string(), Instant::now()) {
                    tracing::error!(room = self.room.name(), %error, "due effects could not be claimed");
                }
                tokio::time::sleep(AFTER_TROUBLE).await;
                None
            }
        }
    }

    /// Waits until something of this room becomes due after it was looked at, or a claim runs out; for ever when nothing
    /// will, since a change wakes the room. What was due and not claimed waits for the end of something, which wakes too.
    async fn until_due(&self, looked_at: Timestamp, has_slot: bool) {
        if !has_slot {
            return std::future::pending().await;
        }
        match self.shared.journal.next_due_of(self.room, looked_at).await {
            Ok(Some(due)) => self.shared.clock.sleep_until(due).await,
            Ok(None) => std::future::pending().await,
            Err(error) => {
                if self.shared.dispatch.claiming.is_news(&error.to_string(), Instant::now()) {
                    tracing::error!(room = self.room.name(), %error, "the journal could not be read");
                }
                tokio::time::sleep(AFTER_TROUBLE).await;
            }
        }
    }
}

/// Performs one effect and stores what it came to; it was claimed when the clock had been set by `set` in all.
async fn one(shared: &Shared, claim: &Claim, set: SignedDuration) {
    let span = tracing::info_span!("effect", incident = %claim.incident, key = %claim.key, attempt = claim.attempt);
    async {
        crash(shared, CrashPoint::Claimed, &claim.work);
        let (result, claim, set) = begin(shared, claim, set).await;
        let result = match result {
            Ok(stored) => perform(shared, &claim, stored).await,
            Err(error) => Err(error),
        };
        crash(shared, CrashPoint::ActedNotRecorded, &claim.work);
        if let Err(error) = &result {
            tracing::warn!(%error, "an effect was not performed");
        }
        finish::finish(shared, &claim, set, result).await;
        crash(shared, CrashPoint::Recorded, &claim.work);
    }
    .instrument(span)
    .await;
}

fn crash(shared: &Shared, point: CrashPoint, work: &Work) {
    if let Some(crasher) = &shared.crasher {
        crasher(point, work);
    }
}

/// What is to be done could not be read.
fn unreadable(claim: &Claim, error: &JournalError) -> PerformError {
    finish::not_begun(claim, error.to_string())
}

/// What an effect comes to that is no longer wanted. An attempt before this one, whose end nobody knows, may have called
/// somebody all the same.
fn not_wanted(claim: &Claim, incident: &Incident) -> Outcome {
    let told = incident.calls.page(&page_key(incident, &claim.key)).is_some();
    let may_ring = (claim.attempt > 1 && !told).then(|| finish::unanswered(&claim.work, &claim.key)).flatten();
    may_ring.unwrap_or(Outcome::NoLongerWanted)
}

/// The incident, and the claim by the same time as what is read of it.
async fn begin(
    shared: &Shared,
    claim: &Claim,
    set: SignedDuration,
) -> (Result<Option<StoredIncident>, PerformError>, Claim, SignedDuration) {
    let _still = shared.time.still().await;
    let claim = shared.time.presently(claim.clone(), set, claim_moved);
    let stored = shared.journal.incident(claim.incident).await.map_err(|error| unreadable(&claim, &error));
    (stored, claim, shared.time.set())
}

async fn perform(shared: &Shared, claim: &Claim, stored: Option<StoredIncident>) -> Result<Done, PerformError> {
    let Some(stored) = stored else { return Ok(Outcome::NoLongerWanted.into()) };
    let now = shared.clock.now().max(claim.due);
    if !still_wanted(&stored.incident, &claim.work, now) {
        return Ok(not_wanted(claim, &stored.incident).into());
    }
    if let Work::Timer { timer } = &claim.work {
        return Ok(Outcome::Elapsed { timer: timer.clone(), last_seen: stored.last_seen }.into());
    }
    if let Work::RunStep { step, .. } = &claim.work {
        // The switch is one for all that could ever write by this journal, whatever this process remembers of it.
        let switch = shared.journal.write_switch().await.map_err(|error| unreadable(claim, &error))?;
        shared.rules.put_switch(switch.is_none_or(|switch| switch.on));
        finish::take_lock(shared, claim, &stored.incident, *step).await?;
    }
    let root = message_of(shared, claim).await?;
    let Some(performer) = shared.settings.performers.get(&claim.work.room()) else {
        let reason = format!("nobody performs the work of {}", claim.work.room().name());
        return Err(finish::not_begun(claim, reason));
    };
    let task = Task {
        key: claim.key.clone(),
        work: claim.work.clone(),
        incident: Arc::new(stored.incident),
        attempt: claim.attempt,
        wanted: claim.wanted,
        root,
        writes_enabled: shared.rules.policy().writes_enabled,
        progress: shared.dispatch.triages.of(claim.incident),
    };
    match &claim.work {
        Work::Triage { run } => triage(shared, performer.as_ref(), task, *run).await,
        _ => within_the_limit(performer.as_ref(), task).await,
    }
}

/// Performs a triage while the card shows how far it is.
async fn triage(shared: &Shared, performer: &dyn Perform, task: Task, run: RunNumber) -> Result<Done, PerformError> {
    let incident = task.incident.clone();
    let progress = shared.dispatch.triages.begin(incident.id);
    let task = Task { progress: progress.clone(), ..task };
    let drawing = keep_drawing(shared, &incident, run, &progress);
    let result = tokio::select! {
        result = within_the_limit(performer, task) => result,
        () = drawing => Err(PerformError::Again { reason: "its progress ended before it did".to_owned(), after: None }),
    };
    shared.dispatch.triages.end(incident.id);
    result
}

/// The message that an effect belongs to; see [`Task::root`].
async fn message_of(shared: &Shared, claim: &Claim) -> Result<Option<MessageRef>, PerformError> {
    let (to, slot) = match &claim.work {
        Work::DrawCard { to } | Work::Post { to, .. } | Work::Mention { to, .. } => (to, "card"),
        Work::UpdateMention { to, post, .. } => (to, post.key.as_str()),
        _ => return Ok(None),
    };
    shared.journal.message(claim.incident, to, slot).await.map_err(|error| unreadable(claim, &error))
}

async fn within_the_limit(performer: &dyn Perform, task: Task) -> Result<Done, PerformError> {
    match tokio::time::timeout(HARD_LIMIT, performer.perform(task)).await {
        Ok(result) => result,
        Err(_) => Err(PerformError::Again {
            reason: format!("it took longer than {} s and was given up", HARD_LIMIT.as_secs()),
            after: None,
        }),
    }
}

/// Whether `due` lies so far back at `now` that somebody should hear of it.
pub(super) fn is_overdue(due: Timestamp, now: Timestamp) -> bool {
    now.duration_since(due) > SignedDuration::from_secs(60)
}
