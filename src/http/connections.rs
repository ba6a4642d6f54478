//! Who is connected: so many in all, and so many of one address. Where no place is left, the one that has kept the bot
//! waiting for longest makes way, so that clients which say nothing and read nothing keep nobody out.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use tokio_util::sync::CancellationToken;

use crate::bounds::{CONNECTIONS_FOR_PROBES, CONNECTIONS_MOST, CONNECTIONS_OF_ONE_MOST};

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Connections(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    next: u64,
    held: BTreeMap<u64, Held>,
}

#[derive(Debug)]
struct Held {
    peer: IpAddr,
    is_for_probes: bool,
    leave: CancellationToken,
    /// Since when the other side is waited for: its request, or that it reads its answer. `None` while the bot works.
    waiting: Option<Instant>,
}

/// The place of one connection, until it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    all: Arc<Connections>,
    number: u64,
    /// Cancelled when it must make way.
    pub(super) leave: CancellationToken,
    /// Whether only probes are answered in it.
    pub(super) is_for_probes: bool,
}

impl Connections {
    /// A place for a connection of `peer`; `None` when the bot works for all that are there.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<ConnectionSlot> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_peer = table.held.values().filter(|held| held.peer == peer).count();
        let is_greedy = of_peer >= CONNECTIONS_OF_ONE_MOST;
        let is_full = table.count(false) >= CONNECTIONS_MOST - CONNECTIONS_FOR_PROBES;
        // Each kind makes way for its own, so that there are never more of either.
        let is_for_probes = (is_greedy || is_full) && !table.make_way(false, is_greedy.then_some(peer));
        if is_for_probes && table.count(true) >= CONNECTIONS_FOR_PROBES && !table.make_way(true, None) {
            return None;
        }
        let number = table.next;
        table.next = number.wrapping_add(1);
        let leave = CancellationToken::new();
        table.held.insert(number, Held { peer, is_for_probes, leave: leave.clone(), waiting: Some(Instant::now()) });
        Some(ConnectionSlot { all: Arc::clone(self), number, leave, is_for_probes })
    }
}

impl Table {
    fn count(&self, for_probes: bool) -> usize {
        self.held.values().filter(|held| held.is_for_probes == for_probes).count()
    }

    /// Ends the connection of this kind (of `peer`, where it has too many) that has kept the bot waiting for longest.
    fn make_way(&mut self, for_probes: bool, peer: Option<IpAddr>) -> bool {
        let alike = self
            .held
            .iter()
            .filter(|(_, held)| held.is_for_probes == for_probes && peer.is_none_or(|peer| held.peer == peer));
        let waiting = alike.filter_map(|(number, held)| Some((held.waiting?, *number)));
        let Some((_, number)) = waiting.min() else { return false };
        if let Some(held) = self.held.remove(&number) {
            held.leave.cancel();
        }
        true
    }
}

impl ConnectionSlot {
    /// The other side is waited for from now on.
    pub(super) fn waits(&self) {
        self.note(Some(Instant::now()));
    }

    /// The bot works on what was asked.
    pub(super) fn works(&self) {
        self.note(None);
    }

    fn note(&self, waiting: Option<Instant>) {
        let mut table = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = table.held.get_mut(&self.number) {
            held.waiting = waiting;
        }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).held.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn who_waits_for_longest_makes_way_and_an_address_pays_for_its_own() {
        let all = Arc::new(Connections::default());
        let neighbour = all.admit(peer(1)).unwrap();
        let mut greedy: Vec<_> = (0..CONNECTIONS_OF_ONE_MOST).map(|_| all.admit(peer(2)).unwrap()).collect();
        greedy[0].works();
        greedy.push(all.admit(peer(2)).unwrap());
        let left: Vec<_> = greedy.iter().map(|place| place.leave.is_cancelled()).collect();
        assert!(!left[0] && left[1] && !left[2], "the first is worked for, and the second has waited for longest");
        assert!(!neighbour.leave.is_cancelled() && !greedy.last().unwrap().is_for_probes);
    }

    #[test]
    fn when_the_bot_works_for_all_of_them_a_probe_still_has_a_place() {
        let all = Arc::new(Connections::default());
        let most = CONNECTIONS_MOST - CONNECTIONS_FOR_PROBES;
        let busy: Vec<_> = (0..most).map(|at| all.admit(peer(u8::try_from(at % 4).unwrap())).unwrap()).collect();
        busy.iter().for_each(ConnectionSlot::works);
        let one = |_| {
            let place = all.admit(peer(9)).unwrap();
            place.works();
            place
        };
        let probes: Vec<_> = (0..CONNECTIONS_FOR_PROBES).map(one).collect();
        assert!(probes.iter().all(|place| place.is_for_probes));
        assert!(all.admit(peer(9)).is_none());
        drop(probes);
        assert!(all.admit(peer(9)).is_some());
    }

    #[test]
    fn the_places_for_probes_stay_so_many_however_many_wait_in_them() {
        let all = Arc::new(Connections::default());
        let most = CONNECTIONS_MOST - CONNECTIONS_FOR_PROBES;
        let busy: Vec<_> = (0..most).map(|at| all.admit(peer(u8::try_from(at % 4).unwrap())).unwrap()).collect();
        busy.iter().for_each(ConnectionSlot::works);
        let strangers: Vec<_> = (0..100).map(|_| all.admit(peer(9)).unwrap()).collect();
        assert!(
            strangers.iter().all(|place| place.is_for_probes),
            "one of them got a place that serves all that is asked"
        );
        let left = strangers.iter().filter(|place| !place.leave.is_cancelled()).count();
        assert_eq!(left, CONNECTIONS_FOR_PROBES);
        let kubelet = all.admit(peer(10)).unwrap();
        assert!(kubelet.is_for_probes);
        busy[0].waits();
        assert!(!all.admit(peer(11)).unwrap().is_for_probes && busy[0].leave.is_cancelled());
    }
}
