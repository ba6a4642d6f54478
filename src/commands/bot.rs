//! The bot put together: what `serve` and `demo` have in common.

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::Router;
use jiff::SignedDuration;

use crate::{
    alertmanager::{self, Authentication, Intake, Mapping},
    clock::Clock,
    cluster::{ClusterAdapter, Reach},
    engine::{Engine, Inbox, Perform},
    http::{Bodies, Metrics, Readiness, health_router},
    incident::{Policy, Room},
    journal::{Journal, JournalError},
};

/// How long effects may finish when the bot stops; what hangs is then handed back, all of it within ten seconds.
pub(super) const STOPS_WITHIN: Duration = Duration::from_secs(8);

/// What a bot is made of.
pub(super) struct Parts {
    pub(super) journal: PathBuf,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) cluster: String,
    /// Whether a bot of another cluster uses the same Slack app.
    pub(super) shared_app: bool,
    pub(super) policy: Policy,
    pub(super) reach: Reach,
    pub(super) mapping: Mapping,
    pub(super) authentication: Authentication,
    pub(super) faces: Vec<(Room, Arc<dyn Perform>)>,
    /// How long raw evidence is kept; `None` for the engine's own word.
    pub(super) keep: Option<SignedDuration>,
    /// Where everything is counted; the faces may count there as well.
    pub(super) metrics: Metrics,
    /// The room for bodies, over all routes.
    pub(super) bodies: Bodies,
}

/// A running bot.
pub(super) struct Bot {
    pub(super) engine: Arc<Engine>,
    pub(super) inbox: Inbox,
    pub(super) routes: Router,
    pub(super) readiness: Readiness,
}

impl Bot {
    /// Puts it together and starts it; the routes are the caller's to serve.
    pub(super) async fn start(parts: Parts) -> Result<Self, JournalError> {
        let journal = Journal::open(&parts.journal).await?;
        let cluster = Arc::new(ClusterAdapter::new(parts.reach, parts.clock.clone()));
        let mut builder = Engine::builder(journal, parts.clock, &parts.cluster, parts.policy)
            .shared_app(parts.shared_app)
            .performer(Room::Cluster, cluster.clone())
            .performer(Room::Execute, cluster);
        if let Some(keep) = parts.keep {
            builder = builder.keep(keep);
        }
        for (room, face) in parts.faces {
            builder = builder.performer(room, face);
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
        engine.start();
        Ok(Self { inbox: engine.inbox(), engine, routes, readiness })
    }

    /// Stops it: what is under way finishes or is handed back.
    pub(super) async fn stop(&self) {
        self.engine.stop(STOPS_WITHIN).await;
    }
}
