//! The demo with a local web page as the chat.

use std::{process::ExitCode, sync::Arc};

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    DemoArgs, DemoError,
    people::Persona,
    prometheus::{NAMESPACE, SERVICE},
    stage::{self, Stage},
};
use crate::{
    chat::page::{self, Backstage, DemoChannel},
    clock::{Clock, SpedClock},
    http,
    incident::{Destination, Face},
    people::Actor,
    simulate::world::{Fault, World},
};

/// The rates that the page offers.
const RATES: [f64; 4] = [1.0, 10.0, 60.0, 300.0];
/// The rate at which it starts: fast enough to be no wait, slow enough to be read.
const STARTS_AT: f64 = 10.0;

struct Props {
    clock: Arc<SpedClock>,
    world: Arc<World>,
}

/// The faults that the page can break and mend.
fn faults() -> [(&'static str, &'static str, Fault); 2] {
    let keeps = Fault::WorkloadKeepsOldSvid { namespace: NAMESPACE.to_owned(), workload: SERVICE.to_owned() };
    [
        ("old-svid", "frontend keeps its old SVID", keeps),
        ("frozen", "SPIRE agent of node-2 frozen", Fault::AgentFrozen { node: "node-2".to_owned() }),
    ]
}

impl Backstage for Props {
    fn person(&self, name: &str) -> Option<Actor> {
        let persona = [Persona::OnCall, Persona::Security].into_iter().find(|one| one.user() == name)?;
        Some(persona.actor(self.clock.now()))
    }

    fn world(&self) -> Value {
        let broken = self.world.faults();
        let faults: Vec<Value> = faults()
            .into_iter()
            .map(|(name, label, fault)| json!({"name": name, "label": label, "on": broken.contains(&fault)}))
            .collect();
        json!({"rate": self.clock.rate(), "rates": RATES, "failing": self.world.failure_rate(NAMESPACE, SERVICE),
            "faults": faults})
    }

    fn set_rate(&self, rate: f64) {
        self.clock.set_rate(rate);
    }

    fn toggle(&self, fault: &str) {
        let Some((_, _, fault)) = faults().into_iter().find(|(name, _, _)| *name == fault) else { return };
        if self.world.faults().contains(&fault) {
            self.world.heal(&fault);
        } else {
            self.world.inject(fault);
        }
    }
}

#[expect(clippy::print_stdout, reason = "the demo's terminal")]
pub(super) async fn run(args: DemoArgs) -> Result<ExitCode, DemoError> {
    if !args.listen.ip().is_loopback() {
        let why = format!("{} is not on loopback, and the page has no password: use 127.0.0.1", args.listen);
        return Err(DemoError::Machine { what: "opening the page", why });
    }
    let listener = TcpListener::bind(args.listen).await.map_err(|error| DemoError::Machine {
        what: "opening the page's port (choose another with --listen 127.0.0.1:0)",
        why: error.to_string(),
    })?;
    let address = listener.local_addr().map_err(DemoError::machine("opening the page's port"))?;
    let clock = stage::clock(args.speed.unwrap_or(STARTS_AT));
    let channel = Destination { face: Face::Page, channel: "incidents".to_owned() };
    let face = Arc::new(DemoChannel::new(clock.clone()));
    let stage = Stage::set(clock.clone(), args.scenario, channel, face.clone()).await?;
    let props = Props { clock, world: stage.simulation.world.clone() };
    let routes = page::router(face, Arc::new(stage.bot.inbox.clone()), Arc::new(props));
    let stop = CancellationToken::new();
    let serving = tokio::spawn(http::serve(listener, routes, stop.clone()));
    println!("A simulated mesh runs, in which {}.", args.scenario.summary());
    println!("Open the incident channel: http://{address}/        (Ctrl-C ends the demo)");
    crate::commands::until_stopped().await;
    stop.cancel();
    drop(serving.await);
    stage.clear().await;
    Ok(ExitCode::SUCCESS)
}
