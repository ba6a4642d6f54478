//! The bot put together: what `serve`, `demo` and the tests of whole nights have in common.

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::Router;
use jiff::SignedDuration;

use crate::{
    alertmanager::{self, Authentication, Intake, Mapping},
    clock::Clock,
    cluster::{ClusterAdapter, ClusterClient},
    engine::{Crasher, EVIDENCE_KEPT, Engine, Inbox, Perform},
    http::{Bodies, Readiness, health_router},
    incident::{Policy, Room},
    journal::{Journal, JournalError},
    metrics::Metrics,
};

/// How long effects may finish when the bot stops; what hangs is then handed back, all of it within ten seconds.
pub(super) const STOPS_WITHIN: Duration = Duration::from_secs(8);

/// What a bot is made of.
pub struct Parts {
    /// The journal's file.
    pub journal: PathBuf,
    /// The clock that everything runs by.
    pub clock: Arc<dyn Clock>,
    /// The name of this cluster.
    pub cluster: String,
    /// Whether a bot of another cluster uses the same Slack app.
    pub shared_app: bool,
    /// The rules.
    pub policy: Policy,
    /// Which alerts are ours.
    pub mapping: Mapping,
    /// Who may send alerts.
    pub authentication: Authentication,
    /// Who performs the work of each room.
    pub performers: Vec<(Room, Arc<dyn Perform>)>,
    /// How long raw evidence is kept.
    pub evidence_kept: SignedDuration,
    /// Where everything is counted; the faces may count there as well.
    pub metrics: Metrics,
    /// The room for bodies, over all routes.
    pub bodies: Bodies,
    /// Called at every crash point. For tests of kill -9.
    pub crasher: Option<Crasher>,
}

impl Parts {
    /// The parts of a bot that performs nothing yet, and takes the runbook's alerts from those who know a credential.
    pub fn new(
        journal: PathBuf,
        clock: Arc<dyn Clock>,
        cluster: &str,
        policy: Policy,
        authentication: Authentication,
    ) -> Self {
        Self {
            journal,
            clock,
            cluster: cluster.to_owned(),
            shared_app: false,
            policy,
            mapping: Mapping::default(),
            authentication,
            performers: Vec::new(),
            evidence_kept: EVIDENCE_KEPT,
            metrics: Metrics::default(),
            bodies: Bodies::default(),
            crasher: None,
        }
    }

    /// With a cluster to look at and to change.
    #[must_use]
    pub fn in_reach(mut self, reach: ClusterClient) -> Self {
        let cluster = Arc::new(ClusterAdapter::new(reach, self.clock.clone()));
        self.performers.push((Room::Cluster, cluster.clone()));
        self.performers.push((Room::Execute, cluster));
        self
    }
}

/// A running bot.
pub struct Bot {
    /// The engine.
    pub engine: Arc<Engine>,
    /// Where requests come in.
    pub inbox: Inbox,
    /// The webhook and what watchers ask; the caller's to serve.
    pub routes: Router,
    pub(super) readiness: Readiness,
}

impl Bot {
    /// Puts it together and starts it.
    pub async fn start(parts: Parts) -> Result<Self, JournalError> {
        let bot = Self::build(parts).await?;
        bot.engine.start();
        Ok(bot)
    }

    /// Puts it together; it takes what comes and does nothing yet.
    pub async fn build(parts: Parts) -> Result<Self, JournalError> {
        let journal = Journal::open(&parts.journal).await?;
        let mut builder = Engine::builder(journal, parts.clock, &parts.cluster, parts.policy)
            .shared_app(parts.shared_app)
            .keep(parts.evidence_kept);
        for (room, performer) in parts.performers {
            builder = builder.performer(room, performer);
        }
        if let Some(crasher) = parts.crasher {
            builder = builder.crasher(crasher);
        }
        let engine = Arc::new(builder.build().await?);
        let (metrics, readiness) = (parts.metrics, Readiness::default());
        let intake = Intake {
            inbox: engine.inbox(),
            mapping: parts.mapping,
            authentication: parts.authentication,
            metrics: metrics.clone(),
            bodies: parts.bodies,
        };
        let routes = alertmanager::router(intake).merge(health_router(engine.clone(), metrics, readiness.clone()));
        Ok(Self { inbox: engine.inbox(), engine, routes, readiness })
    }

    /// Stops it: what is under way finishes or is handed back.
    pub(super) async fn stop(&self) {
        self.engine.stop(STOPS_WITHIN).await;
    }
}
