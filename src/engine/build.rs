//! Puts an engine together, starts it and stops it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::SignedDuration;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    clock_set,
    counts::Windows,
    crash::Crasher,
    dispatch,
    health::{self, EngineHealth},
    inbox::Inbox,
    missing, on_start,
    perform::Perform,
    pulse::Lifeless,
    shared::{DispatchState, EngineSettings, Incoming, Listeners, RulesInForce, Shared},
    storm,
    submit_error::SubmitError,
    time::{ClockJumps, Time},
    turns::Turns,
};
use crate::{
    clock::Clock,
    incident::{Keeper, Policy, Room},
    journal::{AppendError, Journal, JournalError},
};

/// How long what hangs may take to let go when the engine stops.
const ABANDONED_WITHIN: Duration = Duration::from_secs(1);
/// How long the journal may take to have it back.
const HANDED_BACK_WITHIN: Duration = Duration::from_secs(1);

/// Puts an engine together.
pub struct EngineBuilder {
    journal: Journal,
    clock: Arc<dyn Clock>,
    cluster: String,
    policy: Policy,
    performers: BTreeMap<Room, Arc<dyn Perform>>,
    crasher: Option<Crasher>,
    keep: SignedDuration,
    shared_app: bool,
}

/// How long raw evidence is kept when nothing else is said: a year's audit looks back on it, and a month.
pub const EVIDENCE_KEPT: SignedDuration = SignedDuration::from_hours(400 * 24);

impl EngineBuilder {
    /// Raw evidence is kept this long after the last event of its incident, once that is closed; events stay for ever.
    pub fn keep(self, keep: SignedDuration) -> Self {
        Self { keep, ..self }
    }

    /// Whether a bot of another cluster shows its incidents to the same people through the same app: ids then carry the
    /// cluster.
    pub fn shared_app(self, shared_app: bool) -> Self {
        Self { shared_app, ..self }
    }

    /// Names who performs the work of a room. Work of a room that nobody performs stays due and is reported.
    pub fn performer(mut self, room: Room, performer: Arc<dyn Perform>) -> Self {
        self.performers.insert(room, performer);
        self
    }

    /// Calls `crasher` at every crash point. For tests of kill -9.
    pub fn crasher(mut self, crasher: Crasher) -> Self {
        self.crasher = Some(crasher);
        self
    }

    /// The inbox and the engine. Nothing is dispatched before [`Engine::start`].
    pub async fn build(self) -> Result<Engine, JournalError> {
        let switch = self.journal.write_switch().await?;
        let keeper = Keeper::new(&self.cluster, self.shared_app);
        let shared = Arc::new(Shared {
            journal: self.journal.kept_by(keeper),
            clock: self.clock,
            settings: EngineSettings { cluster: self.cluster, performers: self.performers, evidence_kept: self.keep },
            rules: RulesInForce::new(self.policy, switch.is_none_or(|switch| switch.on)),
            time: Time::default(),
            turns: Turns::default(),
            incoming: Incoming::default(),
            dispatch: DispatchState::default(),
            listeners: Listeners::default(),
            crasher: self.crasher,
        });
        clock_set::since_the_last_process(&shared).await.map_err(SubmitError::of_the_journal)?;
        let minute_ago = shared.clock.now() - SignedDuration::from_mins(1);
        for at in shared.journal.openings(minute_ago).await?.0 {
            shared.incoming.brake.opened(at);
        }
        missing::tell(&shared).await;
        Ok(Engine {
            shared,
            stop: CancellationToken::new(),
            abandon: CancellationToken::new(),
            tasks: TaskTracker::new(),
        })
    }
}

/// A running engine.
pub struct Engine {
    pub(super) shared: Arc<Shared>,
    stop: CancellationToken,
    abandon: CancellationToken,
    tasks: TaskTracker,
}

impl Engine {
    /// Begins to put an engine together. `cluster` is the name of this cluster, for the incident of a storm.
    pub fn builder(journal: Journal, clock: Arc<dyn Clock>, cluster: &str, policy: Policy) -> EngineBuilder {
        let cluster = cluster.to_owned();
        EngineBuilder {
            journal,
            clock,
            cluster,
            policy,
            performers: BTreeMap::new(),
            crasher: None,
            keep: EVIDENCE_KEPT,
            shared_app: false,
        }
    }

    /// Where requests come in.
    pub fn inbox(&self) -> Inbox {
        Inbox(self.shared.clone())
    }

    /// Starts to dispatch effects.
    pub fn start(&self) {
        for task in dispatch::RoomQueue::each(&self.shared) {
            self.tasks.spawn(task.run(self.stop.clone(), self.abandon.clone()));
        }
        for task in [Background::Storm, Background::Health, Background::OnStart, Background::Clock] {
            let (shared, stop) = (self.shared.clone(), self.stop.clone());
            self.tasks.spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = task.run(shared) => {}
                }
            });
        }
        self.tasks.close();
    }

    /// Stops: claims nothing more, lets what is being performed finish within `within`, and hands the rest back. Whatever
    /// hangs, a thread or the disk too, it takes no longer than `within` and two seconds.
    pub async fn stop(&self, within: Duration) {
        self.stop.cancel();
        if tokio::time::timeout(within, self.tasks.wait()).await.is_err() {
            self.abandon.cancel();
            if tokio::time::timeout(ABANDONED_WITHIN, self.tasks.wait()).await.is_err() {
                tracing::error!("something holds its thread and cannot be ended; it ends with the process");
            }
            let held = self.shared.dispatch.abandon();
            let count = held.len();
            tracing::warn!(count, "some effects did not finish in time and are handed back");
            let handed_back = self.shared.journal.hand_back(held);
            match tokio::time::timeout(HANDED_BACK_WITHIN, handed_back).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "they could not be handed back; the next start takes them"),
                Err(_) => tracing::error!("the journal does not answer; the next start takes them"),
            }
        } else if tokio::time::timeout(HANDED_BACK_WITHIN, clock_set::keep_mark(&self.shared)).await.is_err() {
            tracing::error!("the journal does not answer; the next start knows an earlier time");
        }
    }

    /// How often the wall clock was set.
    pub fn clock_jumps(&self) -> ClockJumps {
        self.shared.time.jumps()
    }

    /// Whether every room's loop comes round, through the journal's queue, and the journal can commit, each within
    /// `within` of real time.
    pub async fn pulse(&self, within: Duration) -> Result<(), Lifeless> {
        self.shared.dispatch.pulse.ask(within).await?;
        let commit = self.shared.journal.beat(self.shared.clock.now());
        let committed = tokio::time::timeout(within, commit).await;
        let late = |_| Err(AppendError::NotStored(format!("no answer within {} s", within.as_secs())));
        committed.unwrap_or_else(late).map_err(|error| Lifeless::CannotStore(error.to_string()))
    }

    /// What waits, and for how long.
    pub async fn health(&self) -> Result<EngineHealth, JournalError> {
        health::look(&self.shared).await
    }

    /// The windows that were met and breached since the start of the process.
    pub fn windows(&self) -> Windows {
        self.shared.listeners.windows.windows()
    }

    /// How many transactions the journal has written since it was opened.
    pub fn transactions(&self) -> u64 {
        self.shared.journal.transactions()
    }

    /// Returns once nothing is due at the clock's time and nothing is being performed. For tests on a virtual clock.
    pub async fn settled(&self) -> Result<(), JournalError> {
        let mut changes = self.shared.journal.changes();
        loop {
            changes.borrow_and_update();
            if self.shared.journal.unfinished(self.shared.clock.now()).await? == 0 {
                return Ok(());
            }
            // The sender lives in the journal that we hold, so this cannot fail.
            drop(changes.changed().await);
        }
    }

    /// When the next effect is due.
    pub async fn next_due(&self) -> Result<Option<jiff::Timestamp>, JournalError> {
        self.shared.journal.next_due().await
    }
}

#[derive(Clone, Copy)]
enum Background {
    Storm,
    Health,
    /// Ends by itself.
    OnStart,
    Clock,
}

impl Background {
    async fn run(self, shared: Arc<Shared>) {
        match self {
            Self::Storm => storm::watch(shared).await,
            Self::Health => health::watch(shared).await,
            Self::OnStart => on_start::look_through(shared).await,
            Self::Clock => clock_set::watch(shared).await,
        }
    }
}
