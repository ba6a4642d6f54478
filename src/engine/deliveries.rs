//! Bodies of alerts on their way. Those that wait are decided on and stored together: many groups of one incident cost one
//! reading and one writing of it, and none of them is decided on in vain because another was faster.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::{
    Accepted, Inbox, SubmitError,
    body::{Draft, Drafted},
    build::Shared,
    inbox::{DECIDED_AGAIN_MOST, not_stored},
};
use crate::{
    incident::{AlertDelivery, IncidentId, IncidentKey},
    journal::AppendError,
};

/// How many bodies may wait: more senders are told to come again (503).
const WAITING_MOST: usize = 4096;
/// How many alerts are stored together, unless one body has more: some 50 ms of the journal's writer.
const ALERTS_TOGETHER: usize = 512;
/// How many bodies are.
const BODIES_TOGETHER: usize = 256;

type Answered = Result<Accepted, SubmitError>;

/// The bodies that wait.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    waiting: Mutex<VecDeque<(AlertDelivery, oneshot::Sender<Answered>)>>,
    /// Held while some are stored. Whoever gets it stores for all who wait.
    turn: tokio::sync::Mutex<()>,
}

impl Deliveries {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<(AlertDelivery, oneshot::Sender<Answered>)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, delivery: AlertDelivery) -> Result<oneshot::Receiver<Answered>, SubmitError> {
        let mut waiting = self.waiting();
        if waiting.len() >= WAITING_MOST {
            return Err(SubmitError::Busy);
        }
        let (reply, answer) = oneshot::channel();
        waiting.push_back((delivery, reply));
        Ok(answer)
    }

    /// The bodies that are stored next, in the order in which they came.
    fn next(&self) -> (Vec<AlertDelivery>, Vec<oneshot::Sender<Answered>>) {
        let mut waiting = self.waiting();
        let (mut bodies, mut replies, mut alerts) = (Vec::new(), Vec::new(), 0_usize);
        while let Some((body, _)) = waiting.front() {
            alerts = alerts.saturating_add(body.alerts.len());
            if !bodies.is_empty() && (alerts > ALERTS_TOGETHER || bodies.len() >= BODIES_TOGETHER) {
                break;
            }
            let Some((body, reply)) = waiting.pop_front() else { break };
            bodies.push(body);
            replies.push(reply);
        }
        (bodies, replies)
    }
}

impl Inbox {
    /// Takes one webhook body: one transaction over its alerts, and over those of the bodies that came with it.
    pub async fn deliver(&self, delivery: &AlertDelivery) -> Result<Accepted, SubmitError> {
        let deliveries = &self.0.deliveries;
        let mut answer = deliveries.enter(delivery.clone())?;
        loop {
            let _turn = tokio::select! {
                biased;
                answer = &mut answer => {
                    let gone = || SubmitError::NotStored("the sender that stored it for others went away".to_owned());
                    return answer.unwrap_or_else(|_| Err(gone()));
                }
                turn = deliveries.turn.lock() => turn,
            };
            let (bodies, replies) = deliveries.next();
            let stored = self.0.store_bodies(&bodies).await;
            for (place, reply) in replies.into_iter().enumerate() {
                let of_one = stored.as_ref().map(|all| all.get(place).cloned().unwrap_or_default());
                // A sender that has gone wants no answer.
                drop(reply.send(of_one.map_err(Clone::clone)));
            }
        }
    }
}

impl Shared {
    /// Decides on bodies, in their order, and stores what they come to; what each of them came to.
    async fn store_bodies(&self, bodies: &[AlertDelivery]) -> Result<Vec<Accepted>, SubmitError> {
        let keys: BTreeSet<&IncidentKey> =
            bodies.iter().flat_map(|body| &body.alerts).map(|alert| &alert.key).collect();
        let keys: Vec<_> = keys.into_iter().collect();
        for _ in 0..DECIDED_AGAIN_MOST {
            let _turn = self.turns.of(self.named(bodies, &keys).await?).await;
            let _still = self.time.still().await;
            let mut draft = Draft::new(self, self.clock.now());
            draft.load(&keys).await?;
            for body in bodies {
                draft.take(body).await?;
            }
            let Drafted { append, openings, sums } = draft.finish();
            let news = self.news_of(&append);
            match self.journal.append_alerts(append).await {
                Ok(opened) => {
                    self.stored(&news);
                    if openings.keep() {
                        self.storm.notify();
                    }
                    let accepted = sums.named(&opened);
                    self.announce(accepted.iter().flat_map(|one| one.opened.iter().chain(&one.changed)));
                    return Ok(accepted);
                }
                // Somebody decided without a turn: the storm's own incident, or a post that something is late.
                Err(AppendError::Conflict) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Err(SubmitError::Busy)
    }

    /// The incidents that bodies may change.
    async fn named(&self, bodies: &[AlertDelivery], keys: &[&IncidentKey]) -> Result<Vec<IncidentId>, SubmitError> {
        let mut names = self.journal.names_of(keys).await.map_err(not_stored)?;
        for body in bodies.iter().filter(|body| body.truncated > 0) {
            names.extend(self.journal.names_in_group(&body.group_key).await.map_err(not_stored)?);
        }
        Ok(names)
    }
}
