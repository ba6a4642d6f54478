//! `mtls-medic demo`: the whole story on one machine. A simulated mesh with a broken service, the real bot in front of it,
//! and a terminal or a local web page as the chat. Nothing to install, no token, no cluster, no network.

mod auto;
mod people;
mod prometheus;
mod rightly;
mod stage;
mod web;

use std::{net::SocketAddr, process::ExitCode};

use clap::Args;

use crate::{
    alertmanager::Authentication, chat::terminal::Shape, cluster::ClusterError, journal::JournalError,
    simulate::StartError, simulate::world::Scenario,
};

/// Options of `demo`.
#[derive(Debug, Args)]
#[command(after_help = super::simulate::scenarios())]
pub struct DemoArgs {
    /// Break this; the names are listed below
    #[arg(long, default_value = "expired-certificate", value_name = "NAME")]
    scenario: Scenario,
    /// Play the story to its end on the terminal, with played people; exits 0 only if the cause was named and mended and
    /// the incident closed, or, where the runbook has no fix, if the right level was called; with nothing broken, if
    /// nobody was
    #[arg(long)]
    auto: bool,
    /// How posts look on the terminal: `log`, or `discord` for whole messages as Discord shows them
    #[cfg(feature = "discord")]
    #[arg(long, value_enum, default_value_t, requires = "auto", value_name = "SHAPE")]
    shape: ShapeName,
    /// Serve the web page here; loopback only
    #[arg(long, default_value = "127.0.0.1:8337", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// How many times faster than real time the demo's clock runs
    #[arg(long, value_name = "RATE")]
    speed: Option<f64>,
}

/// The name of a shape of posts.
#[cfg(feature = "discord")]
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum ShapeName {
    #[default]
    Log,
    Discord,
}

impl DemoArgs {
    fn shape(&self) -> Shape {
        #[cfg(feature = "discord")]
        if matches!(self.shape, ShapeName::Discord) {
            return Shape::Discord;
        }
        Shape::Log
    }
}

/// The demo could not run.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The mesh.
    #[error(transparent)]
    Simulation(#[from] StartError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A folder, a port or randomness.
    #[error("{what}: {why}")]
    Machine {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        why: String,
    },
}

impl DemoError {
    fn machine(what: &'static str) -> impl Fn(std::io::Error) -> Self {
        move |error| Self::Machine { what, why: error.to_string() }
    }
}

/// Runs the demo.
pub async fn run(args: DemoArgs) -> Result<ExitCode, DemoError> {
    if args.auto { auto::run(args.scenario, args.speed, args.shape()).await } else { web::run(args).await }
}

/// A random token for the webhook of this run.
fn token() -> Result<String, DemoError> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| DemoError::Machine { what: "making a token", why: error.to_string() })?;
    Ok(hex::encode(bytes))
}

fn authentication(token: &str) -> Authentication {
    Authentication::Credentials(vec![crate::alertmanager::Credential::Bearer(token.into())])
}
