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

use self::rightly::{RightEnd, right_end};
use crate::{
    alertmanager::Authentication, chat::terminal::Shape, cluster::ClusterError, journal::JournalError,
    simulate::StartError, simulate::world::Scenario,
};

/// Options of `demo`.
#[derive(Debug, Args)]
#[command(after_help = help())]
pub struct DemoArgs {
    /// What is broken: a name of the list below
    #[arg(long, default_value = "expired-certificate", value_name = "NAME")]
    scenario: Scenario,
    /// Play the whole night on the terminal; the demo plays the people, too. It ends with 0 or 1, as the list below says
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

/// Behind the options: each scenario with the right end of its night, and the exit codes.
fn help() -> String {
    let right = |night| match right_end(night) {
        RightEnd::Quiet => "nobody is called".to_owned(),
        RightEnd::Mended(_) => "the bot mends it".to_owned(),
        RightEnd::Called(_, level) => format!("no fix: {level} is called"),
    };
    let line = |night: Scenario| format!("  {:<36}{:<22}{}", night.name(), right(night), night.summary());
    format!(
        "Scenarios, each with the right end of its night:\n{}\n\nExit codes of --auto:\n  \
         0  the night ended right: the bot named the cause and mended it, and the incident closed; or it\n     \
         called the right level where the runbook has no fix; or nobody, where nothing was broken\n  \
         1  the night ended in another way\n  \
         3  the demo could not run",
        Scenario::ALL.map(line).join("\n")
    )
}

/// The name of a shape of posts.
#[cfg(feature = "discord")]
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum ShapeName {
    #[default]
    Log,
    Discord,
}

#[cfg(feature = "discord")]
fn shape(args: &DemoArgs) -> Shape {
    match args.shape {
        ShapeName::Log => Shape::Log,
        ShapeName::Discord => Shape::Discord,
    }
}

#[cfg(not(feature = "discord"))]
fn shape(_: &DemoArgs) -> Shape {
    Shape::Log
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
    if args.auto { auto::run(args.scenario, args.speed, shape(&args)).await } else { web::run(args).await }
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

#[cfg(test)]
mod tests {
    #[test]
    fn the_help_says_in_a_line_how_each_night_ends_and_what_the_exit_codes_mean() {
        insta::assert_snapshot!(super::help(), @r"
        Scenarios, each with the right end of its night:
          healthy                             nobody is called      nothing is broken
          expired-certificate                 the bot mends it      web/frontend keeps an SVID that ended 40 minutes ago
          spire-agent                         the bot mends it      the SPIRE agent of frontend's node is frozen and its SVIDs have run out
          expired-certificate-agent-frozen    the bot mends it      both at once: a restarted pod would get no SVID
          spire-server                        no fix: L2 is called  the SPIRE server is down and SVIDs have run out everywhere
          expired-certificate-tls12           the bot mends it      expired-certificate, with clients that stop at TLS 1.2
          expired-certificate-native-sidecar  the bot mends it      expired-certificate, with istio-proxy as an init container
          proxy-keeps-old-svid                the bot mends it      frontend's file is new, and its proxy serves an SVID that ended
          agent-stuck-but-green               the bot mends it      the agent of frontend's node hangs silently; its healthcheck is green
          server-port-blocked                 no fix: L3 is called  no agent reaches port 8081 of a healthy SPIRE server
          no-registration-entry               no fix: L2 is called  SPIRE has no registration entry for frontend: it gets no SVID
          wrong-identity                      no fix: L2 is called  frontend's SVID has another SPIFFE ID than its callers expect
          istiod-issued                       no fix: L2 is called  istiod issued frontend's certificate, and the others trust SPIRE only
          clock-skew                          no fix: L3 is called  the SPIRE server's clock is 45 minutes ahead: SVIDs begin in the future
          istio-configuration                 no fix: L2 is called  frontend takes mTLS alone, and a DestinationRule has its callers send plain text
          trust-bundle                        no fix: L2 is called  SPIRE's CA rotated; a pod of frontend and the ConfigMap hold the old bundle

        Exit codes of --auto:
          0  the night ended right: the bot named the cause and mended it, and the incident closed; or it
             called the right level where the runbook has no fix; or nobody, where nothing was broken
          1  the night ended in another way
          3  the demo could not run
        ");
    }
}
