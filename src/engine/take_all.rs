//! Takes every open incident for one person: each with events of its own, many in one transaction.

use super::{
    answers::{replayed, request_key},
    commit::{Decision, until_stored},
    shared::Shared,
    submit_error::SubmitError,
};
use crate::{
    incident::{Answer, Share, TakeAll, Taken, may_take_all, share},
    journal::{Append, StoredAnswer},
};

/// How many incidents are taken in one transaction: others that write wait no longer than for that.
const AT_ONCE: u32 = 50;
/// How many are taken for one request. More have never been open.
const TAKEN_MOST: u32 = 10_000;

/// See [`Inbox::take_all`](super::Inbox::take_all).
pub(super) async fn take_all(shared: &Shared, request: &TakeAll) -> Result<Answer, SubmitError> {
    let key = request_key(&request.actor.id, &request.key);
    if let Some(answer) = shared.journal.answer(&key).await? {
        return replayed(answer);
    }
    may_take_all(&request.actor, shared.clock.now())?;
    let (mut taken, mut after) = (Taken::default(), 0);
    loop {
        let some = TakeSome { shared, request, after, taken: &mut taken };
        let Some(last) = until_stored(some).await?.ok_or(SubmitError::Busy)? else { break };
        after = last;
        if taken.all() >= TAKEN_MOST {
            taken.and_more();
            break;
        }
    }
    let answer = taken.answer();
    let kept = StoredAnswer::Done(answer.text.clone());
    // Where it was asked twice at the same time, both took what the other had not: the first answer is kept.
    shared.commit(Append { answer: Some((key, kept, shared.clock.now())), ..Append::default() }).await?;
    tracing::info!(by = %request.actor.id, ?taken, "every open incident was taken");
    Ok(answer)
}

/// Takes the next ones behind `after`.
struct TakeSome<'a> {
    shared: &'a Shared,
    request: &'a TakeAll,
    after: u32,
    taken: &'a mut Taken,
}

impl Decision for TakeSome<'_> {
    /// The number of the last one, or `None` when no more are open.
    type Stored = Option<u32>;
    type Error = SubmitError;

    async fn attempt(&mut self) -> Result<Option<Option<u32>>, SubmitError> {
        let (shared, request) = (self.shared, self.request);
        let names = shared.journal.live_names_after(self.after, AT_ONCE).await?;
        let Some(last) = names.last().map(|name| name.number()) else { return Ok(Some(None)) };
        let _turn = shared.turns.of(names.iter().copied()).await;
        let _still = shared.time.still().await;
        let stored = shared.journal.live_of(&names).await?;
        let (now, policy) = (shared.clock.now(), shared.rules.policy());
        let (mut counted, mut changes) = (*self.taken, Vec::new());
        for stored in stored {
            let share = share(&stored.incident, &request.actor, now, &policy);
            counted.count(&stored.incident, &share);
            if let Share::Taken(events) = share {
                changes.push(shared.change(stored.incident, events, now));
            }
        }
        let stored = shared.commit(Append { changes, ..Append::default() }).await?;
        Ok(stored.map(|_| {
            *self.taken = counted;
            Some(last)
        }))
    }
}
