//! A simulated mesh that runs: the world, and the API server in front of it, on a loopback port.

use std::{io, net::SocketAddr, path::Path, sync::Arc};

use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    api::{self, Options},
    planted::{Planted, PlantedKubelet},
    world::{AuthorityError, Scenario, World},
};
use crate::clock::Clock;

/// Why a simulated mesh did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It listens on loopback only: it lets everybody in.
    #[error("the simulated mesh listens on loopback only, and {0} is not: use 127.0.0.1")]
    NotLoopback(SocketAddr),
    /// The port could not be opened.
    #[error("the simulated mesh could not listen on {address}: is something else there?")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    /// A certificate could not be made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

/// A running simulated mesh. Ends when it is stopped or dropped.
pub struct Simulation {
    /// The world: faults go in here.
    pub world: Arc<World>,
    /// What tests may break in the API server.
    pub options: Options,
    /// What tests may plant in logs and certificate files.
    pub planted: Planted,
    /// Where it listens.
    pub address: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Simulation {
    /// Starts a world with a scenario and serves its API.
    pub async fn start(clock: Arc<dyn Clock>, scenario: Scenario, listen: SocketAddr) -> Result<Self, StartError> {
        if !listen.ip().is_loopback() {
            return Err(StartError::NotLoopback(listen));
        }
        let failed = |source| StartError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let world = World::start(clock, scenario)?;
        let (stop, tasks, options) = (CancellationToken::new(), TaskTracker::new(), Options::default());
        tasks.spawn(world.clone().run(stop.clone()));
        let (planted, store) = (Planted::default(), world.store());
        let now = Box::new(move || store.now());
        let kubelet = Arc::new(PlantedKubelet { real: world.clone(), planted: planted.clone(), now });
        let serving = api::serve(listener, world.store(), kubelet, options.clone(), stop.clone());
        tasks.spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "the simulated API server ended");
            }
        });
        tasks.close();
        Ok(Self { world, options, planted, address, stop, tasks })
    }

    /// Its address, as a client's configuration wants it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Writes a kubeconfig that points at it.
    pub fn write_kubeconfig(&self, path: &Path) -> io::Result<()> {
        api::write_kubeconfig(path, &self.url())
    }

    /// Stops it and waits until it has ended.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
