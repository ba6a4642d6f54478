//! Decides on bodies of alerts and stores what they come to, each sender's answer with it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Accepted, SubmitError,
    body::{Draft, Drafted},
    build::Shared,
    deliveries::Waiting,
    inbox::{DECIDED_AGAIN_MOST, not_stored},
    turns::Turn,
};
use crate::{
    incident::{AlertDelivery, IncidentId, IncidentKey},
    journal::{AppendError, JournalError, Named, StoredIncident},
};

/// How many times an incident that was joined may have joined another one itself.
const JOINED_MOST: usize = 10;

/// What is done about a body whose incident somebody else decides on at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// It is held up, and the others are stored.
    LeavesWhatIsBusy,
    /// All of them wait.
    Waits,
}

/// Why bodies were not stored.
enum Failed {
    /// Somebody was faster: they are decided on again.
    Conflict,
    Not(SubmitError),
}

impl From<SubmitError> for Failed {
    fn from(error: SubmitError) -> Self {
        Self::Not(error)
    }
}

impl From<JournalError> for Failed {
    fn from(error: JournalError) -> Self {
        Self::Not(not_stored(error))
    }
}

fn answer_all(bodies: Vec<Waiting>, error: &SubmitError) {
    for body in bodies {
        body.answer(Err(error.clone()));
    }
}

impl Shared {
    /// Stores bodies, in their order, and answers their senders.
    pub(super) async fn store_bodies(&self, mut bodies: Vec<Waiting>, patience: Patience) {
        for _ in 0..DECIDED_AGAIN_MOST {
            if bodies.is_empty() {
                return;
            }
            match self.store_together(&mut bodies, patience).await {
                Ok(accepted) => {
                    for (body, accepted) in bodies.into_iter().zip(accepted) {
                        body.answer(Ok(accepted));
                    }
                    return;
                }
                Err(Failed::Conflict) => {}
                Err(Failed::Not(error)) if bodies.len() > 1 && !self.journal.fails() => {
                    // One of them names what cannot be read, perhaps: the others are stored all the same.
                    tracing::warn!(%error, bodies = bodies.len(), "bodies could not be stored together; each is tried alone");
                    for body in bodies {
                        Box::pin(self.store_bodies(vec![body], patience)).await;
                    }
                    return;
                }
                Err(Failed::Not(error)) => return answer_all(bodies, &error),
            }
        }
        answer_all(bodies, &SubmitError::Busy);
    }

    /// Stores them once; what each of those that are left came to.
    async fn store_together(&self, bodies: &mut Vec<Waiting>, patience: Patience) -> Result<Vec<Accepted>, Failed> {
        let names = self.named(bodies).await?;
        let _turn = match patience {
            Patience::Waits => self.turns.of(names.into_iter().flatten()).await,
            Patience::LeavesWhatIsBusy => self.hold_up_what_is_busy(bodies, names),
        };
        let _still = self.time.still().await;
        let mut draft = Draft::new(self, self.clock.now());
        let keys: BTreeSet<_> =
            bodies.iter().flat_map(|waiting| &waiting.body.alerts).map(|alert| &alert.key).collect();
        draft.load(&keys.into_iter().collect::<Vec<_>>()).await?;
        for waiting in &*bodies {
            draft.take(&waiting.body).await?;
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
                Ok(accepted)
            }
            // Somebody decided without a turn: the storm's own incident, or a post that something is late.
            Err(AppendError::Conflict) => Err(Failed::Conflict),
            Err(other) => Err(Failed::Not(other.into())),
        }
    }

    /// Takes the turns that are free; the bodies that need others are held up, and so are those behind them about the same.
    fn hold_up_what_is_busy(&self, bodies: &mut Vec<Waiting>, names: Vec<BTreeSet<IncidentId>>) -> Turn<'_> {
        let mut turn = self.turns.none();
        for (waiting, names) in std::mem::take(bodies).into_iter().zip(names) {
            if !self.deliveries.is_behind(&waiting.body) && turn.takes(names) {
                bodies.push(waiting);
            } else {
                self.deliveries.hold_up(waiting);
            }
        }
        turn
    }

    /// The incidents that each of the bodies may change.
    async fn named(&self, bodies: &[Waiting]) -> Result<Vec<BTreeSet<IncidentId>>, JournalError> {
        let bodies: Vec<_> = bodies.iter().map(|waiting| &waiting.body).collect();
        let mut of_keys: BTreeMap<IncidentKey, BTreeSet<IncidentId>> = BTreeMap::new();
        for Named { key, id, is_live } in self.journal.names_of(&keys(bodies.iter().copied())).await? {
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

    /// An incident, or the one that it joined, as long as that is the newest of its own key.
    pub(super) async fn followed(&self, newest: StoredIncident) -> Result<StoredIncident, JournalError> {
        let mut newest = newest;
        for _ in 0..JOINED_MOST {
            let Some(into) = newest.incident.joined() else { break };
            let Some(next) = self.journal.incident(into).await? else { break };
            if next.incident.joined().is_none() && !next.incident.is_live() {
                let newer = self.journal.newest_of(&next.incident.key).await?;
                if newer.is_none_or(|newer| newer.incident.id != into) {
                    break;
                }
            }
            newest = next;
        }
        Ok(newest)
    }
}

/// The keys under which the alerts of bodies may have an incident.
fn keys<'a>(bodies: impl IntoIterator<Item = &'a AlertDelivery>) -> Vec<&'a IncidentKey> {
    let alerts = bodies.into_iter().flat_map(|body| &body.alerts);
    let keys: BTreeSet<_> = alerts.flat_map(|alert| [Some(&alert.key), alert.earlier_key.as_ref()]).flatten().collect();
    keys.into_iter().collect()
}
