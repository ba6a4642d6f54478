//! `mtls-medic simulate`: only the simulated mesh, for real kubectl and for trying things out.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use clap::Args;

use crate::{
    clock::SystemClock,
    simulate::{Simulation, StartError, api::Injection, world::Scenario},
};

/// Options of `simulate`.
#[derive(Debug, Args)]
#[command(after_help = scenarios())]
pub struct SimulateArgs {
    /// Listen here; loopback only, since it asks nobody for a password. Port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// Write a kubeconfig that points at the mesh to this file
    #[arg(long, value_name = "FILE")]
    kubeconfig: PathBuf,
    /// What is broken: a name of the list below
    #[arg(long, default_value = "healthy", value_name = "NAME")]
    scenario: Scenario,
    /// Answer some requests late, as get=200ms or */pods/exec=5s; may be repeated
    #[arg(long, value_name = "VERB[/RESOURCE]=DELAY", value_parser = Injection::delay)]
    delay: Vec<Injection>,
    /// Let some requests fail, as get/pods=503; may be repeated, and counts before --delay
    #[arg(long, value_name = "VERB[/RESOURCE]=CODE", value_parser = Injection::fail)]
    fail: Vec<Injection>,
}

/// The scenarios, for `--help`.
fn scenarios() -> String {
    let lines = Scenario::ALL.map(|one| format!("  {:<36}{}", one.name(), one.summary()));
    let end = "It runs until Ctrl-C or SIGTERM and ends with 0; with 3 when it could not start.";
    format!("Scenarios:\n{}\n\n{end}", lines.join("\n"))
}

/// The mesh could not be simulated.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// It did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The kubeconfig could not be written.
    #[error("the kubeconfig {path} could not be written: check that the folder exists")]
    Kubeconfig {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// Runs until Ctrl-C or SIGTERM.
#[expect(clippy::print_stdout, reason = "a command of the terminal")]
pub async fn run(args: SimulateArgs) -> Result<(), SimulateError> {
    let simulation = Simulation::start(Arc::new(SystemClock), args.scenario, args.listen).await?;
    simulation.options.inject_all(&args.fail);
    simulation.options.inject_all(&args.delay);
    let failed = |source| SimulateError::Kubeconfig { path: args.kubeconfig.clone(), source };
    simulation.write_kubeconfig(&args.kubeconfig).map_err(failed)?;
    println!("A simulated mesh ({}) answers at {}", args.scenario.summary(), simulation.url());
    println!("  export KUBECONFIG={}", args.kubeconfig.display());
    println!("  kubectl get pods -A          (Ctrl-C ends it)");
    super::until_stopped().await;
    simulation.stop().await;
    Ok(())
}
