//! Moves the kill switch: stored before it is in force, and told to everybody who works on an open incident.

use super::{
    answers::{replayed, request_key},
    commit::{Decision, until_stored},
    shared::Shared,
    submit_error::SubmitError,
};
use crate::{
    incident::{Answer, SwitchRequest, answer_to_switch, decide_switch, switched},
    journal::{Append, StoredAnswer},
};

/// In how many open incidents the bot says it. More would be a storm, in which nobody reads each of them.
const TOLD_MOST: u32 = 100;

/// See [`Inbox::switch_writes`](super::Inbox::switch_writes).
pub(super) async fn switch_writes(shared: &Shared, request: &SwitchRequest) -> Result<Answer, SubmitError> {
    let key = request_key(&request.actor.id, &request.key);
    until_stored(MoveSwitch { shared, request, key }).await?.unwrap_or(Err(SubmitError::Busy))
}

struct MoveSwitch<'a> {
    shared: &'a Shared,
    request: &'a SwitchRequest,
    key: String,
}

impl Decision for MoveSwitch<'_> {
    type Stored = Result<Answer, SubmitError>;
    type Error = SubmitError;

    async fn attempt(&mut self) -> Result<Option<Self::Stored>, SubmitError> {
        let (shared, request) = (self.shared, self.request);
        if let Some(answer) = shared.journal.answer(&self.key).await? {
            return Ok(Some(replayed(answer)));
        }
        let ids: Vec<_> = shared.journal.live(TOLD_MOST).await?.iter().map(|stored| stored.incident.id).collect();
        // What alerts change meanwhile never keeps the switch from being moved.
        let _turn = shared.turns.of(ids.iter().copied()).await;
        let _still = shared.time.still().await;
        let now = shared.clock.now();
        let switch = decide_switch(request, shared.rules.configured_writes(), now)?;
        let answer = answer_to_switch(&switch);
        let mut live = Vec::with_capacity(ids.len());
        for id in &ids {
            live.extend(shared.journal.incident(*id).await?.filter(|stored| stored.incident.is_live()));
        }
        let changes = live
            .into_iter()
            .map(|stored| {
                let events = switched(&stored.incident, &switch);
                shared.change(stored.incident, events, now)
            })
            .collect();
        let append = Append {
            changes,
            answer: Some((self.key.clone(), StoredAnswer::Done(answer.text.clone()), now)),
            switch: Some(switch.clone()),
            ..Append::default()
        };
        if shared.commit(append).await?.is_none() {
            return Ok(None);
        }
        // Why is for the incident's thread, not for the log.
        tracing::warn!(by = %switch.by, on = switch.on, "the kill switch was moved");
        // What is stored last is in force, whichever of two people's answers comes first.
        let stored = shared.journal.write_switch().await?;
        shared.rules.put_switch(stored.is_none_or(|stored| stored.on));
        // A face that was faster has drawn them by the rules of before.
        shared.listeners.announce(&ids);
        Ok(Some(Ok(answer)))
    }
}
