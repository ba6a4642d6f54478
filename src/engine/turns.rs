//! Turns: who decides on an incident has it until the decision is stored, in the order in which they came. Without them a
//! person who decides on what a flapping alert changes all the time would decide in vain again and again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::sync::OwnedMutexGuard;

use crate::incident::IncidentId;

type Taken = BTreeMap<IncidentId, Weak<tokio::sync::Mutex<()>>>;

/// The turns that are taken or waited for.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<Taken>);

/// Holds incidents until it is dropped. A task that has a turn waits for no second one, so no two
/// tasks wait for each other.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    held: BTreeMap<IncidentId, OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits until these incidents are free, and takes them. In their order, so that two of these never wait for each other.
    pub(super) async fn of(&self, incidents: impl IntoIterator<Item = IncidentId>) -> Turn<'_> {
        let mut turn = Turn { turns: self, held: BTreeMap::new() };
        for incident in incidents.into_iter().collect::<BTreeSet<_>>() {
            let place = self.place(incident);
            turn.held.insert(incident, place.lock_owned().await);
        }
        turn
    }

    /// A turn that holds nothing yet.
    pub(super) fn none(&self) -> Turn<'_> {
        Turn { turns: self, held: BTreeMap::new() }
    }

    fn place(&self, incident: IncidentId) -> Arc<tokio::sync::Mutex<()>> {
        let mut taken = self.taken();
        let known = taken.get(&incident).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let fresh = Arc::default();
            taken.insert(incident, Arc::downgrade(&fresh));
            fresh
        })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Takes these as well if all of them are free, without waiting; whether it holds them.
    pub(super) fn takes(&mut self, incidents: impl IntoIterator<Item = IncidentId>) -> bool {
        let mut more = self.turns.none();
        for incident in incidents {
            if self.held.contains_key(&incident) || more.held.contains_key(&incident) {
                continue;
            }
            let Ok(place) = self.turns.place(incident).try_lock_owned() else { return false };
            more.held.insert(incident, place);
        }
        self.held.append(&mut more.held);
        true
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let held = std::mem::take(&mut self.held);
        let incidents: Vec<_> = held.keys().copied().collect();
        drop(held);
        let mut taken = self.turns.taken();
        for incident in incidents {
            // Somebody may wait for it: they keep its place.
            if taken.get(&incident).is_some_and(|place| place.strong_count() == 0) {
                taken.remove(&incident);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn people_get_their_turn_in_the_order_in_which_they_came_and_nothing_is_left_behind() {
        let turns = Turns::default();
        let (one, other) = (IncidentId::new(1), IncidentId::new(2));
        let body = turns.of([other, one]).await;
        let mut person = Box::pin(turns.of([one]));
        assert!(person.as_mut().now_or_never().is_none());
        let mut next_body = Box::pin(turns.of([one, other]));
        assert!(next_body.as_mut().now_or_never().is_none());
        drop(body);
        assert!(next_body.as_mut().now_or_never().is_none(), "it came later");
        let person = person.now_or_never().expect("the body is stored");
        drop(person);
        drop(next_body.now_or_never().expect("the person is served"));
        assert!(turns.taken().is_empty(), "a bot that runs for a year keeps no list of what it had");
    }

    #[tokio::test]
    async fn who_takes_only_what_is_free_passes_nobody_who_waits_and_keeps_nothing_of_what_is_not() {
        let turns = Turns::default();
        let (one, other) = (IncidentId::new(1), IncidentId::new(2));
        let person = turns.of([one]).await;
        let mut next = Box::pin(turns.of([one]));
        assert!(next.as_mut().now_or_never().is_none());
        let mut body = turns.none();
        assert!(!body.takes([other, one]));
        drop(turns.of([other]).now_or_never().expect("it was let go with the one that was not free"));
        drop(person);
        assert!(!body.takes([one]), "somebody waits for it");
        drop(next.now_or_never().expect("it is theirs"));
        assert!(body.takes([one, other]) && body.takes([one]));
        assert!(turns.of([one]).now_or_never().is_none());
        drop(body);
        assert!(turns.taken().is_empty());
    }

    #[tokio::test]
    async fn who_gives_up_waiting_holds_up_nobody() {
        let turns = Turns::default();
        let held = turns.of([IncidentId::new(1)]).await;
        assert!(turns.of([IncidentId::new(0), IncidentId::new(1)]).now_or_never().is_none());
        drop(turns.of([IncidentId::new(0)]).now_or_never().expect("it was let go with the one who gave up"));
        drop(held);
        assert!(turns.of([IncidentId::new(0), IncidentId::new(1)]).now_or_never().is_some());
    }
}
