//! `mtls-medic serve`: the bot.

use std::{collections::BTreeMap, io, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use clap::Args;
use futures::future::join_all;
use secrecy::SecretString;
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    bot::{Bot, Parts, STOPS_WITHIN},
    chat::{ChatParts, Connection, Finishing, Listening},
    pagers::pager,
    slack::SlackParts,
};
use crate::{
    alertmanager::Authentication,
    chat::{Outgoing, OutgoingError, connector, heartbeat::Heartbeat, pager::Pagers},
    clock::SteadyClock,
    cluster::{ClusterError, connect},
    config::{Config, ConfigError, SettledConfig},
    engine::{EVIDENCE_KEPT, Inbox},
    escalation::PagerName,
    http,
    incident::{IncidentStatus, Room},
    journal::JournalError,
    metrics::Metrics,
    telemetry::{self, LogFormat},
};

/// Options of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Read the configuration from this file (config/example.yaml explains every field)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Write log lines like this
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log: LogFormat,
    /// Check the configuration, say what is wrong with it, and stop
    #[arg(long)]
    check: bool,
}

/// The bot could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Something that goes out.
    #[error(transparent)]
    Outgoing(#[from] OutgoingError),
    /// The port.
    #[error("the port {address} could not be opened: is something else there?")]
    Listen {
        address: std::net::SocketAddr,
        #[source]
        source: std::io::Error,
    },
}

/// Runs until SIGTERM or Ctrl-C; then finishes or hands back what is under way.
#[expect(clippy::print_stdout, reason = "a command of the terminal")]
pub async fn run(args: ServeArgs) -> Result<(), ServeError> {
    telemetry::start(args.log, "info");
    let config = Config::load(&args.config)?;
    let (clock, metrics) = (Arc::new(SteadyClock::of_this_machine()), Metrics::default());
    let Outside { settled, chats, pagers, heartbeat } = Outside::of(&config, &clock, &metrics)?;
    if args.check {
        println!("{}", checked(&config));
        return Ok(());
    }
    for level in config.calls_nobody() {
        tracing::error!("{level}");
    }
    if let Some(said) = config.without_chat() {
        tracing::warn!("{said}");
    }
    let kubernetes = &config.kubernetes;
    let reach = connect(kubernetes.kubeconfig.as_deref(), kubernetes.context.as_deref(), settled.settings).await?;
    let bodies = http::Bodies::default();
    let authentication = settled.authentication.clone();
    let mut parts = Parts {
        shared_app: config.slack.as_ref().is_some_and(|slack| slack.shared_app),
        mapping: settled.mapping,
        evidence_kept: settled.keep.unwrap_or(EVIDENCE_KEPT),
        metrics,
        bodies: bodies.clone(),
        ..Parts::new(config.journal.clone(), clock.clone(), &config.cluster, settled.policy, authentication)
    }
    .in_reach(reach);
    parts.performers.push((Room::Pager, Arc::new(pagers)));
    parts.performers.extend(chats.iter().map(|chat| chat.face()));
    let bot = Bot::start(parts).await?;
    let stop = CancellationToken::new();
    let listing = listing(bot.inbox.clone(), settled.authentication);
    let mut routes = bot.routes.clone().merge(listing);
    let (mut hearing, mut desks) = (Vec::new(), Vec::new());
    for chat in chats {
        let Listening { routes: more, connection, desk } =
            chat.listen(bot.inbox.clone(), clock.clone(), bodies.clone());
        routes = routes.merge(more);
        desks.push(desk);
        if let Some(Connection { run, is_open, when_closed }) = connection {
            bot.readiness.require(when_closed, is_open);
            hearing.push(tokio::spawn(run(stop.clone())));
        }
    }
    let failed = |source| ServeError::Listen { address: config.listen, source };
    let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    tracing::info!(%address, "mtls-medic is on duty");
    if let Some(heartbeat) = heartbeat {
        tokio::spawn(heartbeat.run(bot.engine.clone(), stop.clone()));
    }
    let serving = tokio::spawn(http::serve(listener, routes, stop.clone()));
    super::until_stopped().await;
    stop.cancel();
    stopped(&bot, serving, hearing, desks).await;
    Ok(())
}

/// What is outside of the bot, as it is configured.
struct Outside {
    settled: SettledConfig,
    chats: Vec<Box<dyn ChatParts>>,
    pagers: Pagers,
    heartbeat: Option<Heartbeat>,
}

impl Outside {
    /// Says all that is wrong at once: who mends one secret at a time starts the bot as often.
    fn of(config: &Config, clock: &Arc<SteadyClock>, metrics: &Metrics) -> Result<Self, ServeError> {
        let settled = config.settle().map_err(ServeError::from);
        let slack = SlackParts::of(config, clock.clone(), metrics);
        let discord = discord(config, clock, metrics);
        let pagers = pagers(config);
        let wrong = [settled.as_ref().err(), slack.as_ref().err(), discord.as_ref().err(), pagers.as_ref().err()];
        let problems: Vec<String> = wrong.into_iter().flatten().flat_map(problems_of).cloned().collect();
        if !problems.is_empty() {
            return Err(ConfigError::Problems(problems).into());
        }
        let (mut settled, pagers) = (settled?, pagers?.with_metrics(metrics.clone()));
        let slack = slack?.map(|slack| -> Box<dyn ChatParts> { Box::new(slack) });
        let chats = slack.into_iter().chain(discord?).collect();
        let heartbeat = settled.heartbeat.take().map(|(url, every)| heartbeat(url, every, metrics)).transpose()?;
        Ok(Self { settled, chats, pagers, heartbeat })
    }
}

/// The Discord server, if one is configured.
#[cfg(feature = "discord")]
fn discord(
    config: &Config,
    clock: &Arc<SteadyClock>,
    metrics: &Metrics,
) -> Result<Option<Box<dyn ChatParts>>, ServeError> {
    let parts = super::discord::DiscordParts::of(config, clock.clone(), metrics)?;
    Ok(parts.map(|discord| -> Box<dyn ChatParts> { Box::new(discord) }))
}

/// This bot was built without Discord.
#[cfg(not(feature = "discord"))]
fn discord(config: &Config, _: &Arc<SteadyClock>, _: &Metrics) -> Result<Option<Box<dyn ChatParts>>, ServeError> {
    if config.discord.is_none() {
        return Ok(None);
    }
    let problem = "discord: this bot was built without it (feature discord): take another build, or leave it out";
    Err(ConfigError::Problems(vec![problem.to_owned()]).into())
}

/// Stops all at once, so that the whole stop fits into what an orchestrator gives before it kills.
async fn stopped(
    bot: &Bot,
    serving: JoinHandle<io::Result<()>>,
    hearing: Vec<JoinHandle<()>>,
    desks: Vec<Arc<dyn Finishing>>,
) {
    tracing::info!("stopping: what is under way finishes or is handed back");
    let intake = async {
        drop(serving.await);
        drop(join_all(hearing).await);
        // What people were told is taken is finished.
        join_all(desks.iter().map(|desk| desk.finished())).await;
    };
    let (taken, ()) = tokio::join!(tokio::time::timeout(STOPS_WITHIN, intake), bot.stop());
    if taken.is_err() {
        tracing::warn!("some requests did not finish in time; their senders see no answer and ask again");
    }
}

/// What `--check` says of a configuration with which the bot would start: also what it would then warn of.
fn checked(config: &Config) -> String {
    let warnings = config.calls_nobody().into_iter().chain(config.without_chat().map(str::to_owned));
    warnings.fold("The configuration is right.".to_owned(), |said, warning| format!("{said}\nBut {warning}."))
}

fn problems_of(error: &ServeError) -> &[String] {
    if let ServeError::Config(ConfigError::Problems(problems)) = error { problems } else { &[] }
}

fn heartbeat(url: SecretString, every: Duration, metrics: &Metrics) -> Result<Heartbeat, ServeError> {
    let heartbeat = Heartbeat::new(Outgoing::new(connector()?), url, every, metrics.clone());
    heartbeat.map_err(|problem| ConfigError::Problems(vec![problem]).into())
}

fn pagers(config: &Config) -> Result<Pagers, ServeError> {
    let mut by_name = BTreeMap::new();
    let mut problems = Vec::new();
    for (name, file) in &config.pagers {
        match pager(name, file) {
            Ok(pager) => drop(by_name.insert(PagerName(name.clone()), pager)),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        Ok(Pagers::new(Outgoing::new(connector()?), by_name).with_runbook(config.runbook()))
    } else {
        Err(ConfigError::Problems(problems).into())
    }
}

/// `GET /incidents`: the newest incidents as JSON, for those who may send alerts.
fn listing(inbox: Inbox, authentication: Authentication) -> Router {
    Router::new().route("/incidents", get(incidents)).with_state((inbox, authentication))
}

/// How many incidents are listed.
const LISTED_MOST: u32 = 100;

async fn incidents(State((inbox, authentication)): State<(Inbox, Authentication)>, headers: HeaderMap) -> Response {
    if !authentication.admits(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    match inbox.newest(LISTED_MOST).await {
        Ok(stored) => {
            let list: Vec<_> = stored
                .iter()
                .map(|stored| {
                    let incident = &stored.incident;
                    let state = match incident.status {
                        IncidentStatus::Open => "open",
                        IncidentStatus::Clearing { .. } => "clearing",
                        IncidentStatus::Closed { .. } => "closed",
                    };
                    json!({"id": incident.id.to_string(), "state": state, "key": incident.key,
                        "opened_at": crate::legible::moment(incident.opened_at),
                        "target": incident.target.as_ref().map(ToString::to_string),
                        "verdict": incident.verdict.as_ref().map(|verdict| verdict.scenario)})
                })
                .collect();
            Json(crate::legible::document(list.into())).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
