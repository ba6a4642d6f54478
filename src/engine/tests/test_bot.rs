//! The one builder of engines for tests: a journal in a folder of its own, a clock, and rooms that do as a test says.

use std::sync::Arc;

use jiff::Timestamp;

use super::super::{Engine, Perform};
use crate::{
    clock::{Clock, VirtualClock},
    escalation,
    incident::{Policy, Room},
    journal::{Journal, JournalError},
};

/// What outlives the processes of a bot: each engine that it starts goes on with the journal of the one before.
#[derive(Clone)]
pub(crate) struct TestBot {
    folder: Arc<tempfile::TempDir>,
    /// Stands still until the test moves it.
    pub(crate) clock: Arc<VirtualClock>,
    /// A clock that runs, in its place.
    runs_on: Option<Arc<dyn Clock>>,
    cluster: &'static str,
    policy: Policy,
    rooms: Vec<(Room, Arc<dyn Perform>)>,
}

impl TestBot {
    /// At the epoch, in cluster `c`; it calls nobody and may write.
    pub(crate) fn new() -> Self {
        let nobody = Policy::usual(escalation::EscalationPolicy::of(Vec::new()), Vec::new());
        Self {
            folder: Arc::new(tempfile::tempdir().unwrap()),
            clock: Arc::new(VirtualClock::starting_at(Timestamp::UNIX_EPOCH)),
            runs_on: None,
            cluster: "c",
            policy: Policy { writes_enabled: true, ..nobody },
            rooms: Vec::new(),
        }
    }

    /// On another clock that stands still, and shows this.
    pub(crate) fn at(self, now: Timestamp) -> Self {
        Self { clock: Arc::new(VirtualClock::starting_at(now)), ..self }
    }

    /// On a clock that runs.
    pub(crate) fn on(self, clock: Arc<dyn Clock>) -> Self {
        Self { runs_on: Some(clock), ..self }
    }

    pub(crate) fn in_cluster(self, cluster: &'static str) -> Self {
        Self { cluster, ..self }
    }

    pub(crate) fn ruled_by(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// What these rooms do is done by one.
    pub(crate) fn with<P: Perform>(mut self, rooms: impl IntoIterator<Item = Room>, performer: &Arc<P>) -> Self {
        for room in rooms {
            self.rooms.push((room, performer.clone()));
        }
        self
    }

    pub(crate) fn journal_file(&self) -> std::path::PathBuf {
        self.folder.path().join("journal.sqlite")
    }

    /// Opens the journal, once the engine before has let go of it.
    pub(crate) async fn journal(&self) -> Journal {
        loop {
            match Journal::open(&self.journal_file()).await {
                Ok(journal) => return journal,
                Err(JournalError::InUse(_)) => tokio::task::yield_now().await,
                Err(other) => panic!("{other}"),
            }
        }
    }

    /// An engine that does nothing yet.
    pub(crate) async fn built(&self) -> Engine {
        self.built_on(self.journal().await).await
    }

    /// The same on a journal that is open, with what the test has stored in it.
    pub(crate) async fn built_on(&self, journal: Journal) -> Engine {
        let clock = self.runs_on.clone().unwrap_or_else(|| self.clock.clone());
        let mut builder = Engine::builder(journal, clock, self.cluster, self.policy.clone());
        for (room, performer) in &self.rooms {
            builder = builder.performer(*room, performer.clone());
        }
        builder.build().await.unwrap()
    }

    /// An engine that runs.
    pub(crate) async fn started(&self) -> Engine {
        let engine = self.built().await;
        engine.start();
        engine
    }
}
