//! The server: bounded connections and headers, and an end that waits for what is under way.

use std::{io, sync::Arc, time::Duration};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use hyper::server::conn::http1::Builder;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Metrics, Readiness};
use crate::engine::{Ended, Engine, Window};

/// How many connections are served at once; more wait in the kernel's queue.
const CONNECTIONS_MOST: usize = 512;
/// How long a client may take for its request's head: a slow one holds its place no longer.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// How long connections may finish when the server stops.
const STOPS_WITHIN: Duration = Duration::from_secs(5);

/// Serves until `stop`, then lets what is under way finish.
pub async fn serve(listener: TcpListener, routes: Router, stop: CancellationToken) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MOST));
    let connections = TaskTracker::new();
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { break };
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file handles, most likely: they come back when connections end.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let service = TowerToHyperService::new(routes.clone());
        let stop = stop.clone();
        connections.spawn(async move {
            // HTTP/1 only: a builder that first finds out the version waits for the first bytes without any limit.
            let mut builder = Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
            let connection = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
            tokio::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection broke off");
            }
            drop(place);
        });
    }
    connections.close();
    drop(tokio::time::timeout(STOPS_WITHIN, connections.wait()).await);
    Ok(())
}

struct Health {
    engine: Arc<Engine>,
    metrics: Metrics,
    readiness: Readiness,
}

/// `/healthz`, `/readyz` and `/metrics`.
pub fn health_router(engine: Arc<Engine>, metrics: Metrics, readiness: Readiness) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(exposition))
        .with_state(Arc::new(Health { engine, metrics, readiness }))
}

async fn ready(State(health): State<Arc<Health>>) -> impl IntoResponse {
    let missing = health.readiness.missing();
    if !missing.is_empty() {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", missing.join("; ")));
    }
    match health.engine.health().await {
        Ok(state) => match state.overdue_since {
            None => (StatusCode::OK, "ready\n".to_owned()),
            Some(since) => {
                let text = format!("not ready: effects are overdue since {since:.0}: {:?}\n", state.due);
                (StatusCode::SERVICE_UNAVAILABLE, text)
            }
        },
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {error}\n")),
    }
}

async fn exposition(State(health): State<Arc<Health>>) -> String {
    let state = health.engine.health().await;
    // A gauge keeps its last value: a journal that cannot be read must not leave "ready" behind.
    let is_readable = state.is_ok();
    let state = state.unwrap_or_default();
    health.metrics.clear("effects_due");
    for (room, due) in &state.due {
        health.metrics.set("effects_due", &[("room", room)], u64::try_from(*due).unwrap_or(0));
    }
    let is_ready = is_readable && state.overdue_since.is_none() && health.readiness.missing().is_empty();
    health.metrics.set("ready", &[], u64::from(is_ready));
    health.metrics.set("engine_overdue", &[], u64::from(state.overdue_since.is_some()));
    health.metrics.set("journal_readable", &[], u64::from(is_readable));
    escalation(&health);
    health.metrics.raise("journal_transactions_total", &[], health.engine.transactions());
    health.metrics.render()
}

/// The windows that ended, by level.
fn escalation(health: &Health) {
    for ((window, ended), count) in health.engine.windows() {
        let (level, kind) = match window {
            Window::Answer(level) => (level.to_string(), "answer"),
            Window::AllPaged => ("all".to_owned(), "answer"),
            Window::Idle(level) => (level.to_string(), "idle"),
        };
        let end = match ended {
            Ended::Met => "met",
            Ended::Breached => "breached",
        };
        let labels = [("level", level.as_str()), ("window", kind), ("end", end)];
        health.metrics.raise("escalation_windows_total", &labels, count);
    }
}
