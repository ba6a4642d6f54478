//! Moves the kill switch: stored before it is in force, and told to everybody who works on an open incident.

use super::{
    Inbox, SubmitError,
    inbox::{DECIDED_AGAIN_MOST, not_stored, replayed, request_key},
};
use crate::{
    incident::{Answer, SwitchRequest, answer_to_switch, decide_switch, switched},
    journal::{Append, AppendError, StoredAnswer},
};

/// How many open incidents are told. More would be a storm, in which nobody reads each of them.
const TOLD_MOST: u32 = 100;

impl Inbox {
    /// Switches fixes off or on; returns after commit. Off is in force for every step that has not begun.
    pub async fn switch_writes(&self, request: &SwitchRequest) -> Result<Answer, SubmitError> {
        let key = request_key(&request.actor.id, &request.key);
        for _ in 0..DECIDED_AGAIN_MOST {
            if let Some(answer) = self.0.journal.answer(&key).await.map_err(not_stored)? {
                return replayed(answer);
            }
            let ids: Vec<_> = self.live(TOLD_MOST).await?.iter().map(|stored| stored.incident.id).collect();
            // What alerts change meanwhile never keeps the switch from being moved.
            let _turn = self.0.turns.of(ids.iter().copied()).await;
            let _still = self.0.time.still().await;
            let now = self.0.clock.now();
            let switch = decide_switch(request, self.0.configured_writes(), now)?;
            let answer = answer_to_switch(&switch);
            let mut live = Vec::with_capacity(ids.len());
            for id in &ids {
                live.extend(self.incident(*id).await?.filter(|stored| stored.incident.is_live()));
            }
            let changes = live
                .into_iter()
                .map(|stored| {
                    let events = switched(&stored.incident, &switch);
                    self.0.change(stored.incident, events, now)
                })
                .collect();
            let append = Append {
                changes,
                answer: Some((key.clone(), StoredAnswer::Done(answer.text.clone()), now)),
                switch: Some(switch.clone()),
                ..Append::default()
            };
            match self.0.journal.append(append).await {
                Ok(_) => {
                    // Why is for the incident's thread, not for the log.
                    tracing::warn!(by = %switch.by, on = switch.on, "the kill switch was moved");
                    // What is stored last is in force, whichever of two people's answers comes first.
                    let stored = self.0.journal.write_switch().await.map_err(not_stored)?;
                    self.0.put_switch(stored.is_none_or(|stored| stored.on));
                    self.0.announce(&ids);
                    return Ok(answer);
                }
                Err(AppendError::Conflict) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Err(SubmitError::Busy)
    }
}
