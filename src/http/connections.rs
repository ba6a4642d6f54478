//! Who is connected: so many in all, and so many of one address. Where no place is left, the one that has kept the bot
//! waiting for longest makes way, so that clients which say nothing and read nothing keep nobody out.

use std::{net::IpAddr, sync::Arc, time::Instant};

use super::holders::{Holder, Holders, Table};
use crate::bounds::{CONNECTIONS_FOR_PROBES, CONNECTIONS_MOST, CONNECTIONS_OF_ONE_MOST};

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Connections(Arc<Holders<HeldConnection>>);

#[derive(Debug)]
pub(super) struct HeldConnection {
    peer: IpAddr,
    is_for_probes: bool,
    /// Since when the other side is waited for: its request, or that it reads its answer. `None` while the bot works.
    waiting: Option<Instant>,
}

/// The place of one connection, until it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    pub(super) held: Holder<HeldConnection>,
    /// Whether only probes are answered in it.
    pub(super) is_for_probes: bool,
}

impl Connections {
    /// A place for a connection of `peer`; `None` when the bot works for all that are there.
    pub(super) fn admit(&self, peer: IpAddr) -> Option<ConnectionSlot> {
        let mut table = self.0.lock();
        let of_peer = table.iter().filter(|(_, held)| held.peer == peer).count();
        let is_greedy = of_peer >= CONNECTIONS_OF_ONE_MOST;
        let is_full = count(&table, false) >= CONNECTIONS_MOST - CONNECTIONS_FOR_PROBES;
        // Each kind makes way for its own, so that there are never more of either.
        let is_for_probes = (is_greedy || is_full) && !make_way(&mut table, false, is_greedy.then_some(peer));
        if is_for_probes && count(&table, true) >= CONNECTIONS_FOR_PROBES && !make_way(&mut table, true, None) {
            return None;
        }
        let held = HeldConnection { peer, is_for_probes, waiting: Some(Instant::now()) };
        Some(ConnectionSlot { held: self.0.enter(&mut table, held), is_for_probes })
    }
}

fn count(table: &Table<HeldConnection>, for_probes: bool) -> usize {
    table.iter().filter(|(_, held)| held.is_for_probes == for_probes).count()
}

/// Ends the connection of this kind (of `peer`, where it has too many) that has kept the bot waiting for longest.
fn make_way(table: &mut Table<HeldConnection>, for_probes: bool, peer: Option<IpAddr>) -> bool {
    let alike = |held: &HeldConnection| held.is_for_probes == for_probes && peer.is_none_or(|peer| held.peer == peer);
    let waiting =
        table.iter().filter(|(_, held)| alike(held)).filter_map(|(number, held)| Some((held.waiting?, number)));
    let Some((_, number)) = waiting.min() else { return false };
    table.make_way(number).is_some()
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
        self.held.change(|held| held.waiting = waiting);
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
        let all = Connections::default();
        let neighbour = all.admit(peer(1)).unwrap();
        let mut greedy: Vec<_> = (0..CONNECTIONS_OF_ONE_MOST).map(|_| all.admit(peer(2)).unwrap()).collect();
        greedy[0].works();
        greedy.push(all.admit(peer(2)).unwrap());
        let left: Vec<_> = greedy.iter().map(|place| place.held.leave.is_cancelled()).collect();
        assert!(!left[0] && left[1] && !left[2], "the first is worked for, and the second has waited for longest");
        assert!(!neighbour.held.leave.is_cancelled() && !greedy.last().unwrap().is_for_probes);
    }

    #[test]
    fn when_the_bot_works_for_all_of_them_a_probe_still_has_a_place() {
        let all = Connections::default();
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
        let all = Connections::default();
        let most = CONNECTIONS_MOST - CONNECTIONS_FOR_PROBES;
        let busy: Vec<_> = (0..most).map(|at| all.admit(peer(u8::try_from(at % 4).unwrap())).unwrap()).collect();
        busy.iter().for_each(ConnectionSlot::works);
        let strangers: Vec<_> = (0..100).map(|_| all.admit(peer(9)).unwrap()).collect();
        assert!(
            strangers.iter().all(|place| place.is_for_probes),
            "one of them got a place that serves all that is asked"
        );
        let left = strangers.iter().filter(|place| !place.held.leave.is_cancelled()).count();
        assert_eq!(left, CONNECTIONS_FOR_PROBES);
        let kubelet = all.admit(peer(10)).unwrap();
        assert!(kubelet.is_for_probes);
        busy[0].waits();
        assert!(!all.admit(peer(11)).unwrap().is_for_probes && busy[0].held.leave.is_cancelled());
    }
}
