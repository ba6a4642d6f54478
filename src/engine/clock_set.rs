//! Watches for the wall clock being set, and moves what is stored with it: windows end when they would have.
//!
//! Between the jump and the move the engine's clock goes on as before. Who decides by the time and stores what was
//! decided holds `Time::still` meanwhile, so that no decision by the old time is stored beside deadlines by the new one.

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;

use super::{shared::Shared, submit_error::SubmitError};
use crate::{
    clock::Mark,
    incident::{Event, Incident, moved},
    journal::{Claim, ClockMove, JournalError},
};

/// How often the two clocks are compared.
const LOOKS_EVERY: Duration = Duration::from_millis(250);
/// How long it waits before it tries again to store a move.
const AFTER_TROUBLE: Duration = Duration::from_secs(2);
/// How many open incidents' people are told. More would be a storm, in which nobody reads each of them.
const TOLD_MOST: usize = 100;

/// A claim by a clock that was set meanwhile; its row was moved as well.
pub(super) fn claim_moved(claim: &Claim, by: SignedDuration) -> Claim {
    let earlier = claim.clone();
    Claim {
        due: claim.due.saturating_add(by).unwrap_or(claim.due),
        wanted: claim.wanted.saturating_add(by).unwrap_or(claim.wanted),
        // It was read from the same JSON, so it is read again.
        work: moved(&claim.work, by).unwrap_or(earlier.work),
        ..earlier
    }
}

pub(super) async fn watch(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(LOOKS_EVERY).await;
        let Some(by) = shared.clock.jump() else { continue };
        if let Err(error) = take_over(&shared).await {
            let seconds = by.as_secs();
            tracing::error!(seconds, %error, "the wall clock was set, and the deadlines could not be moved with it yet; windows go on by the clock of before");
            tokio::time::sleep(AFTER_TROUBLE).await;
        }
    }
}

/// Moves what is stored, and sets the engine's clock.
async fn take_over(shared: &Arc<Shared>) -> Result<(), SubmitError> {
    let _alone = shared.time.alone().await;
    let Some(by) = shared.clock.jump() else { return Ok(()) };
    move_stored(shared, by, by).await?;
    shared.incoming.brake.clock_set(by);
    shared.time.add(by);
    shared.clock.set_by(by);
    Ok(())
}

/// Moves what was stored by a clock that was set while the bot was away. The engine's own clock shows the new time already.
pub(super) async fn since_the_last_process(shared: &Arc<Shared>) -> Result<(), SubmitError> {
    let Some(kept) = shared.journal.mark().await? else { return Ok(()) };
    let mark: Mark = serde_json::from_str(&kept).map_err(|source| JournalError::Record { what: "mark", source })?;
    match shared.clock.set_since(&mark) {
        Some(by) => move_stored(shared, by, SignedDuration::ZERO).await,
        None => Ok(()),
    }
}

/// Moves what is stored by `by`; the engine's clock still has to be set by `ahead`.
async fn move_stored(shared: &Arc<Shared>, by: SignedDuration, ahead: SignedDuration) -> Result<(), SubmitError> {
    let before = shared.clock.now();
    let at = before.saturating_add(ahead).unwrap_or(before);
    let mark = shared.clock.mark();
    let mark = Mark { shown: mark.shown.saturating_add(ahead).unwrap_or(mark.shown), ..mark };
    let (deciding, mut told) = (shared.clone(), 0_usize);
    let change = Box::new(move |mut incident: Incident| {
        incident.id = incident.id.kept_by(deciding.journal.keeper);
        let tells = incident.is_live() && !incident.quiet && told < TOLD_MOST;
        told = told.saturating_add(usize::from(tells));
        deciding.change(incident, vec![Event::ClockSet { by, told: tells }], at)
    });
    let moved = shared.journal.move_clock(ClockMove { by, before, mark: written(&mark)?, change }).await?;
    let (seconds, which) = (by.as_secs(), if by.is_negative() { "back" } else { "forward" });
    tracing::error!(
        seconds,
        which,
        incidents = moved.len(),
        "the wall clock was set: every stored deadline is moved with it, so that windows end when they would have; look at the time synchronisation of this machine"
    );
    shared.time.count(by);
    shared.listeners.announce(&moved);
    Ok(())
}

/// Keeps what the clock shows for the next process; it is also a proof that the journal can commit.
pub(super) async fn keep_mark(shared: &Shared) -> Result<(), SubmitError> {
    let _still = shared.time.still().await;
    if shared.clock.jump().is_some() {
        // Perhaps the journal has moved by it and this process ends before its clock has: a mark of before would have the
        // next one move it again. By the mark that is kept it knows in any case.
        return Ok(shared.journal.beat(shared.clock.now()).await?);
    }
    Ok(shared.journal.keep_mark(written(&shared.clock.mark())?).await?)
}

fn written(mark: &Mark) -> Result<String, SubmitError> {
    Ok(serde_json::to_string(mark).map_err(|source| JournalError::Record { what: "mark", source })?)
}
