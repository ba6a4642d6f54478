//! Whether the engine is alive: every room's loop turns, and the journal can commit.

use std::{collections::BTreeMap, time::Duration};

use tokio::sync::watch;

use crate::incident::Room;

/// Why the engine is not alive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lifeless {
    /// The loop of a room does not turn, or the journal answers no claim of it.
    #[error("dispatch stands still in {}", .0.join(", "))]
    StandsStill(Vec<&'static str>),
    /// Nothing can be stored.
    #[error("the journal cannot commit: {0}")]
    CannotStore(String),
}

/// What every loop is asked, and how far each has come.
#[derive(Debug)]
pub(super) struct Pulse {
    asked: watch::Sender<u64>,
    /// The newest question that each room's loop has come round to.
    turned: watch::Sender<BTreeMap<Room, u64>>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { asked: watch::Sender::new(0), turned: watch::Sender::new(BTreeMap::new()) }
    }
}

impl Pulse {
    /// A room's loop is there from now on.
    pub(super) fn enter(&self, room: Room) -> watch::Receiver<u64> {
        self.turned.send_modify(|turned| {
            turned.insert(room, 0);
        });
        self.asked.subscribe()
    }

    /// A room's loop has come round since `asked` was asked.
    pub(super) fn turn(&self, room: Room, asked: u64) {
        self.turned.send_if_modified(|turned| turned.insert(room, asked) != Some(asked));
    }

    /// Asks every loop for one turn, and waits for it.
    pub(super) async fn ask(&self, within: Duration) -> Result<(), Lifeless> {
        let mut turned = self.turned.subscribe();
        let mut question = 0;
        self.asked.send_modify(|asked| {
            *asked = asked.wrapping_add(1);
            question = *asked;
        });
        let round = |turned: &BTreeMap<Room, u64>| !turned.is_empty() && turned.values().all(|at| *at >= question);
        if tokio::time::timeout(within, turned.wait_for(round)).await.is_ok_and(|turned| turned.is_ok()) {
            return Ok(());
        }
        let still: Vec<_> =
            self.turned.borrow().iter().filter(|(_, at)| **at < question).map(|(room, _)| room.name()).collect();
        Err(Lifeless::StandsStill(if still.is_empty() { vec!["all rooms"] } else { still }))
    }
}
