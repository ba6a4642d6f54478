//! Takes every open incident for one person: each with events of its own, many in one transaction.

use super::{
    Inbox, SubmitError,
    inbox::{DECIDED_AGAIN_MOST, not_stored, replayed, request_key},
};
use crate::{
    incident::{Answer, Share, TakeAll, Taken, may_take_all, share},
    journal::{Append, AppendError, StoredAnswer},
};

/// How many incidents are taken in one transaction: others that write wait no longer than for that.
const AT_ONCE: u32 = 50;
/// How many are taken for one request. More have never been open.
const TAKEN_MOST: u32 = 10_000;

impl Inbox {
    /// Takes all that are open; returns after commit. Asked again with the same key, it gives the first answer; after a
    /// crash in its middle it goes on with those that are left.
    pub async fn take_all(&self, request: &TakeAll) -> Result<Answer, SubmitError> {
        let key = request_key(&request.actor.id, &request.key);
        if let Some(answer) = self.0.journal.answer(&key).await.map_err(not_stored)? {
            return replayed(answer);
        }
        may_take_all(&request.actor, self.0.clock.now())?;
        let (mut taken, mut after) = (Taken::default(), 0);
        while let Some(last) = self.take_some(request, after, &mut taken).await? {
            after = last;
            if taken.all() >= TAKEN_MOST {
                taken.and_more();
                break;
            }
        }
        let answer = taken.answer();
        let kept = StoredAnswer::Done(answer.text.clone());
        let append = Append { answer: Some((key, kept, self.0.clock.now())), ..Append::default() };
        match self.0.journal.append(append).await {
            // Asked twice at the same time: both took what the other had not.
            Ok(_) | Err(AppendError::Conflict) => {}
            Err(other) => return Err(other.into()),
        }
        tracing::info!(by = %request.actor.id, ?taken, "every open incident was taken");
        Ok(answer)
    }

    /// Takes the next ones behind `after`; the number of the last, or `None` when no more are open.
    async fn take_some(&self, request: &TakeAll, after: u32, taken: &mut Taken) -> Result<Option<u32>, SubmitError> {
        for _ in 0..DECIDED_AGAIN_MOST {
            let names = self.0.journal.live_names_after(after, AT_ONCE).await.map_err(not_stored)?;
            let Some(last) = names.last().map(|name| name.number()) else { return Ok(None) };
            let _turn = self.0.turns.of(names.iter().copied()).await;
            let _still = self.0.time.still().await;
            let stored = self.0.journal.live_of(&names).await.map_err(not_stored)?;
            let (now, policy) = (self.0.clock.now(), self.0.policy());
            let (mut counted, mut changes) = (*taken, Vec::new());
            for stored in stored {
                let share = share(&stored.incident, &request.actor, now, &policy);
                counted.count(&stored.incident, &share);
                if let Share::Taken(events) = share {
                    changes.push(self.0.change(stored.incident, events, now));
                }
            }
            let ids: Vec<_> = changes.iter().map(|change| change.after.id).collect();
            let append = Append { changes, ..Append::default() };
            let news = self.0.news_of(&append);
            match self.0.journal.append(append).await {
                Ok(_) => {
                    self.0.stored(&news);
                    self.0.announce(&ids);
                    *taken = counted;
                    return Ok(Some(last));
                }
                Err(AppendError::Conflict) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Err(SubmitError::Busy)
    }
}
