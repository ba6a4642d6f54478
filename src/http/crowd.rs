//! Bodies of strangers while they arrive. They take up room as their bytes come, and where none is left the one that has
//! been arriving for longest makes way: who announces a long body and sends none keeps nobody out.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::holders::{Holder, Holders};

/// Room is counted in pieces of this size, in bytes.
pub(super) const PIECE: usize = 1024;

/// All bodies of strangers, and the room for them.
#[derive(Debug)]
pub(super) struct Crowd {
    room: Arc<Semaphore>,
    /// How many pieces each has that arrives.
    arriving: Arc<Holders<usize>>,
}

/// One body that arrives.
#[derive(Debug)]
pub(super) struct Arriving {
    /// Given back before its room is, so that what is free is never counted twice.
    pub(super) held: Holder<usize>,
    room: Option<OwnedSemaphorePermit>,
    crowd: Arc<Crowd>,
}

/// There was no room for more of a body, or its room went to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoRoom;

impl Crowd {
    pub(super) fn with_room_for(bytes: usize) -> Arc<Self> {
        Arc::new(Self { room: Arc::new(Semaphore::new(bytes.div_euclid(PIECE))), arriving: Arc::default() })
    }

    /// A body of which nothing has come yet.
    pub(super) fn begin(self: &Arc<Self>) -> Arriving {
        let held = self.arriving.enter(&mut self.arriving.lock(), 0);
        Arriving { crowd: Arc::clone(self), room: None, held }
    }

    /// Has bodies make way until there are so many free pieces, beginning with the oldest, and none where that would not do.
    /// Those that arrived whole are worked on and soon gone: they stay.
    fn make_way(&self, pieces: usize) {
        let mut table = self.arriving.lock();
        let mut freed = self.room.available_permits();
        let arriving = table.iter().map(|(_, pieces)| *pieces).fold(freed, usize::saturating_add);
        if arriving < pieces {
            return;
        }
        while freed < pieces {
            let oldest = table.iter().find(|(_, pieces)| **pieces > 0).map(|(number, _)| number);
            let Some(given_back) = oldest.and_then(|number| table.make_way(number)) else { return };
            freed = freed.saturating_add(given_back);
        }
    }
}

impl Arriving {
    /// Room for so many bytes more.
    pub(super) async fn grow(&mut self, bytes: usize, within: Duration) -> Result<(), NoRoom> {
        let pieces = bytes.div_ceil(PIECE);
        let wanted = u32::try_from(pieces).map_err(|_| NoRoom)?;
        if self.held.leave.is_cancelled() {
            return Err(NoRoom);
        }
        let room = if let Ok(room) = self.crowd.room.clone().try_acquire_many_owned(wanted) {
            room
        } else {
            self.crowd.make_way(pieces);
            let freed = tokio::time::timeout(within, self.crowd.room.clone().acquire_many_owned(wanted));
            tokio::select! {
                biased;
                () = self.held.leave.cancelled() => return Err(NoRoom),
                freed = freed => freed.ok().and_then(Result::ok).ok_or(NoRoom)?,
            }
        };
        match &mut self.room {
            Some(held) => held.merge(room),
            None => self.room = Some(room),
        }
        // It may have been told to make way meanwhile.
        if self.held.change(|held| *held = held.saturating_add(pieces)) { Ok(()) } else { Err(NoRoom) }
    }

    /// It has arrived whole: it makes way for nobody, and keeps its room until that is dropped.
    pub(super) fn whole(mut self) -> Option<OwnedSemaphorePermit> {
        self.room.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    #[tokio::test]
    async fn the_body_that_has_been_arriving_for_longest_makes_way_and_no_other() {
        let crowd = Crowd::with_room_for(4 * PIECE);
        let (empty, mut slow, mut second) = (crowd.begin(), crowd.begin(), crowd.begin());
        slow.grow(2 * PIECE, NOW).await.unwrap();
        second.grow(PIECE, NOW).await.unwrap();
        let mut newcomer = crowd.begin();
        let growing = async {
            let grown = newcomer.grow(2 * PIECE, Duration::from_secs(5)).await;
            grown.map(|()| newcomer)
        };
        let making_way = async {
            slow.held.leave.cancelled().await;
            assert!(slow.grow(1, NOW).await.is_err(), "it is given nothing more");
            drop(slow);
        };
        let (newcomer, ()) = tokio::join!(growing, making_way);
        assert!(!newcomer.unwrap().held.leave.is_cancelled());
        assert!(!empty.held.leave.is_cancelled() && !second.held.leave.is_cancelled());
    }

    #[tokio::test]
    async fn one_that_arrived_whole_makes_way_for_nobody_and_the_next_waits_for_its_room() {
        let crowd = Crowd::with_room_for(2 * PIECE);
        let mut first = crowd.begin();
        first.grow(2 * PIECE, NOW).await.unwrap();
        let whole = first.whole();
        let mut next = crowd.begin();
        assert_eq!(next.grow(1, NOW).await, Err(NoRoom));
        let waits = async { next.grow(1, Duration::from_secs(5)).await };
        let frees = async { drop(whole) };
        assert_eq!(tokio::join!(waits, frees).0, Ok(()));
    }

    #[tokio::test]
    async fn a_body_that_is_itself_the_oldest_is_refused_and_its_room_is_free_again() {
        let crowd = Crowd::with_room_for(2 * PIECE);
        let mut only = crowd.begin();
        only.grow(PIECE, NOW).await.unwrap();
        assert_eq!(only.grow(2 * PIECE, Duration::from_secs(5)).await, Err(NoRoom));
        drop(only);
        assert_eq!(crowd.begin().grow(2 * PIECE, NOW).await, Ok(()));
    }
}
