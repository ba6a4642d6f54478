//! Decides on bodies of alerts and stores what they come to, each sender's answer with it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    accepted::Accepted,
    commit::{Decision, until_stored},
    delivery_batch::{BatchToStore, DeliveryBatch},
    shared::Shared,
    submit_error::SubmitError,
    turns::Turn,
    waiting_bodies::WaitingBody,
};
use crate::{
    incident::{AlertDelivery, IncidentId, IncidentKey},
    journal::{JournalError, NewestOfKey},
};

/// What is done about a body whose incident somebody else decides on at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WhenBusy {
    /// It is held up, and the others are stored.
    LeavesWhatIsBusy,
    /// All of them wait.
    Waits,
}

fn answer_all(bodies: Vec<WaitingBody>, error: &SubmitError) {
    for body in bodies {
        body.answer(Err(error.clone()));
    }
}

struct StoreTogether<'a> {
    shared: &'a Shared,
    bodies: &'a mut Vec<WaitingBody>,
    patience: WhenBusy,
}

impl Decision for StoreTogether<'_> {
    type Stored = Vec<Accepted>;
    type Error = SubmitError;

    async fn attempt(&mut self) -> Result<Option<Vec<Accepted>>, SubmitError> {
        self.shared.store_together(self.bodies, self.patience).await
    }
}

impl Shared {
    /// Stores bodies, in their order, and answers their senders.
    pub(super) async fn store_bodies(&self, mut bodies: Vec<WaitingBody>, patience: WhenBusy) {
        match until_stored(StoreTogether { shared: self, bodies: &mut bodies, patience }).await {
            Ok(Some(accepted)) => {
                for (body, accepted) in bodies.into_iter().zip(accepted) {
                    body.answer(Ok(accepted));
                }
            }
            Ok(None) => answer_all(bodies, &SubmitError::Busy),
            Err(error) if bodies.len() > 1 && !self.journal.fails() => {
                // One of them names what cannot be read, perhaps: the others are stored all the same.
                tracing::warn!(%error, bodies = bodies.len(), "bodies could not be stored together; each is tried alone");
                for body in bodies {
                    Box::pin(self.store_bodies(vec![body], patience)).await;
                }
            }
            Err(error) => answer_all(bodies, &error),
        }
    }

    /// Stores them once; what each of those that are left came to, or `None` when somebody decided without a turn (the
    /// storm's own incident, or a post that something is late).
    async fn store_together(
        &self,
        bodies: &mut Vec<WaitingBody>,
        patience: WhenBusy,
    ) -> Result<Option<Vec<Accepted>>, SubmitError> {
        if bodies.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let names = self.named(bodies).await?;
        let _turn = match patience {
            WhenBusy::Waits => self.turns.of(names.into_iter().flatten()).await,
            WhenBusy::LeavesWhatIsBusy => self.hold_up_what_is_busy(bodies, names),
        };
        let _still = self.time.still().await;
        let mut batch = DeliveryBatch::new(self, self.clock.now());
        let keys: BTreeSet<_> =
            bodies.iter().flat_map(|waiting| &waiting.body.alerts).map(|alert| &alert.key).collect();
        batch.load(&keys.into_iter().collect::<Vec<_>>()).await?;
        for waiting in &*bodies {
            batch.take(&waiting.body).await?;
        }
        let BatchToStore { append, openings, sums } = batch.finish();
        let Some(opened) = self.commit_alerts(append).await? else { return Ok(None) };
        if openings.keep() {
            self.incoming.brake.notify();
        }
        Ok(Some(sums.named(&opened)))
    }

    /// Takes the turns that are free; the bodies that need others are held up, and so are those behind them about the same.
    fn hold_up_what_is_busy(&self, bodies: &mut Vec<WaitingBody>, names: Vec<BTreeSet<IncidentId>>) -> Turn<'_> {
        let mut turn = self.turns.none();
        for (waiting, names) in std::mem::take(bodies).into_iter().zip(names) {
            if !self.incoming.bodies.is_behind(&waiting.body) && turn.takes(names) {
                bodies.push(waiting);
            } else {
                self.incoming.bodies.hold_up(waiting);
            }
        }
        turn
    }

    /// The incidents that each of the bodies may change.
    async fn named(&self, bodies: &[WaitingBody]) -> Result<Vec<BTreeSet<IncidentId>>, JournalError> {
        let bodies: Vec<_> = bodies.iter().map(|waiting| &waiting.body).collect();
        let mut of_keys: BTreeMap<IncidentKey, BTreeSet<IncidentId>> = BTreeMap::new();
        for NewestOfKey { key, id, is_live } in self.journal.names_of(&keys(bodies.iter().copied())).await? {
            let names = of_keys.entry(key).or_default();
            names.insert(id);
            if !is_live && let Some(stored) = self.journal.incident(id).await? {
                names.insert(self.followed(stored).await?.incident.id);
            }
        }
        let mut of_bodies = Vec::with_capacity(bodies.len());
        for body in bodies {
            let mut names: BTreeSet<_> =
                keys([body]).into_iter().filter_map(|key| of_keys.get(key)).flatten().copied().collect();
            if body.truncated > 0 {
                names.extend(self.journal.names_in_group(&body.group_key).await?);
            }
            of_bodies.push(names);
        }
        Ok(of_bodies)
    }
}

/// The keys under which the alerts of bodies may have an incident.
fn keys<'a>(bodies: impl IntoIterator<Item = &'a AlertDelivery>) -> Vec<&'a IncidentKey> {
    let alerts = bodies.into_iter().flat_map(|body| &body.alerts);
    let keys: BTreeSet<_> = alerts.flat_map(|alert| [Some(&alert.key), alert.earlier_key.as_ref()]).flatten().collect();
    keys.into_iter().collect()
}
