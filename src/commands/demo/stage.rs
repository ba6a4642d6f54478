//! The stage of the demo: the mesh, the bot, and the alert's source, in one process.

use std::{net::SocketAddr, sync::Arc};

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{DemoError, authentication, people, prometheus::Prometheus, token};
use crate::{
    clock::SpedClock,
    cluster::{Settings, connect_to},
    commands::bot::{Bot, Parts},
    engine::Perform,
    http,
    incident::{Destination, Room},
    private_file,
    simulate::{Simulation, world::Scenario},
};

/// Everything that runs.
pub(super) struct Stage {
    pub(super) bot: Bot,
    pub(super) simulation: Simulation,
    stop: CancellationToken,
    tasks: TaskTracker,
    // The journal's folder goes away with the stage.
    _folder: Folder,
}

/// A folder of this run, removed at its end.
struct Folder(std::path::PathBuf);

impl Folder {
    fn make(token: &str) -> Result<Self, DemoError> {
        let path = std::env::temp_dir().join(format!("mtls-medic-demo-{token}"));
        private_file::make_folder(&path).map_err(DemoError::machine("making a folder for the journal"))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, folder = %self.0.display(), "the demo's folder could not be removed");
        }
    }
}

/// The clock of a demo: starts now and runs at `rate`.
pub(super) fn clock(rate: f64) -> Arc<SpedClock> {
    Arc::new(SpedClock::new(Timestamp::now(), rate))
}

impl Stage {
    /// Sets it: the mesh with its scenario, the bot with one face, and the alert's source.
    pub(super) async fn set(
        clock: Arc<SpedClock>,
        scenario: Scenario,
        channel: Destination,
        face: Arc<dyn Perform>,
    ) -> Result<Self, DemoError> {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let simulation = Simulation::start(clock.clone(), scenario, loopback).await?;
        let token = token()?;
        let folder = Folder::make(&token)?;
        let room = Room::Chat(channel.face);
        let (journal, policy) = (folder.0.join("journal.sqlite"), people::policy(channel));
        let reach = connect_to(&simulation.url(), Settings::default())?;
        let mut parts = Parts::new(journal, clock.clone(), "demo", policy, authentication(&token)).in_reach(reach);
        parts.performers.push((room, face));
        let bot = Bot::start(parts).await?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let listener =
            TcpListener::bind(loopback).await.map_err(DemoError::machine("opening a port for the webhook"))?;
        let webhook = listener.local_addr().map_err(DemoError::machine("opening a port for the webhook"))?;
        tasks.spawn(http::serve(listener, bot.routes.clone(), stop.clone()));
        let prometheus = Prometheus { world: simulation.world.clone(), clock, webhook, token };
        tasks.spawn(prometheus.run(stop.clone()));
        tasks.close();
        Ok(Self { bot, simulation, stop, tasks, _folder: folder })
    }

    /// Clears it.
    pub(super) async fn clear(self) {
        self.stop.cancel();
        self.tasks.wait().await;
        self.bot.stop().await;
        self.simulation.stop().await;
    }
}
