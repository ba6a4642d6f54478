//! The server: bounded connections and headers, and an end that waits for what is under way.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use hyper::{
    Request,
    body::{Body, Bytes, Frame, Incoming, SizeHint},
    server::conn::http1::Builder,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Mutex, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use super::{
    AGAIN_AFTER, Metrics, Readiness,
    connections::{Connections, Place},
    write_limit::WriteLimit,
};
use crate::{
    bounds::{CONNECTION_BUFFER, CONNECTIONS_MOST},
    engine::{Ended, Engine, Window},
};

/// How long a client may take for its request's head: a slow one holds its place no longer.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// How long connections may finish when the server stops.
const STOPS_WITHIN: Duration = Duration::from_secs(5);
/// Connections that made way and have not ended yet: so many more are accepted meanwhile.
const ENDING_MOST: usize = 64;
/// What is answered in the connections that are kept for probes.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// Serves until `stop`, then lets what is under way finish.
pub async fn serve(listener: TcpListener, routes: Router, stop: CancellationToken) -> io::Result<()> {
    let (places, all) = (Arc::new(Semaphore::new(CONNECTIONS_MOST + ENDING_MOST)), Arc::new(Connections::default()));
    let connections = TaskTracker::new();
    loop {
        let Ok(not_ended) = places.clone().acquire_owned().await else { break };
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => (stream, peer.ip()),
                Err(error) => {
                    // Out of file handles, most likely: they come back when connections end.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let Some(place) = all.admit(peer) else {
            tracing::debug!(%peer, "a connection was closed: the bot works for all that are there");
            continue;
        };
        let (routes, stop) = (routes.clone(), stop.clone());
        connections.spawn(async move {
            one(stream, Arc::new(place), routes, stop).await;
            drop(not_ended);
        });
    }
    connections.close();
    drop(tokio::time::timeout(STOPS_WITHIN, connections.wait()).await);
    Ok(())
}

/// One connection, until it ends, has to make way, or the server stops.
async fn one(stream: TcpStream, place: Arc<Place>, routes: Router, stop: CancellationToken) {
    let leave = place.leave.clone();
    // HTTP/1 only: a builder that first finds out the version waits for the first bytes without any limit.
    let mut builder = Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(CONNECTION_BUFFER);
    let answers = service_fn(move |request| answer(request, routes.clone(), place.clone()));
    let connection = builder.serve_connection(TokioIo::new(WriteLimit::new(stream)), answers).with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = leave.cancelled() => {
            tracing::debug!("a connection made way for another");
            return;
        }
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}

async fn answer(request: Request<Incoming>, routes: Router, place: Arc<Place>) -> Result<Response, Infallible> {
    if place.is_for_probes && !PROBES.contains(&request.uri().path()) {
        let again = [(header::RETRY_AFTER, AGAIN_AFTER), (header::CONNECTION, "close")];
        return Ok((StatusCode::SERVICE_UNAVAILABLE, again, "too many connections: come again\n").into_response());
    }
    let request = request.map(|body| Watched::new(body, place.clone()));
    let answered = routes.oneshot(request).await;
    // It has to be read, and the next request to come.
    place.waits();
    answered
}

/// A body, of which the place knows whether it has come whole.
struct Watched {
    body: Incoming,
    place: Arc<Place>,
}

impl Watched {
    fn new(body: Incoming, place: Arc<Place>) -> Self {
        if body.is_end_stream() {
            place.works();
        } else {
            place.waits();
        }
        Self { body, place }
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_none() || self.body.is_end_stream() {
            self.place.works();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

struct Health {
    engine: Arc<Engine>,
    metrics: Metrics,
    readiness: Readiness,
    /// What was last shown, and when that was begun.
    shown: Mutex<Option<(Instant, String)>>,
}

/// `/healthz`, `/readyz` and `/metrics`.
pub fn health_router(engine: Arc<Engine>, metrics: Metrics, readiness: Readiness) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(exposition))
        .with_state(Arc::new(Health { engine, metrics, readiness, shown: Mutex::default() }))
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

/// Anybody may ask, and it asks the journal: all that asked before it is put together get the same.
async fn exposition(State(health): State<Arc<Health>>) -> String {
    let asked = Instant::now();
    let mut shown = health.shown.lock().await;
    if let Some((_, text)) = shown.as_ref().filter(|(begun, _)| *begun >= asked) {
        return text.clone();
    }
    let begun = Instant::now();
    let text = put_together(&health).await;
    *shown = Some((begun, text.clone()));
    text
}

async fn put_together(health: &Health) -> String {
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
    escalation(health);
    let jumps = health.engine.clock_jumps();
    health.metrics.raise("clock_jumps_total", &[("direction", "back")], jumps.back);
    health.metrics.raise("clock_jumps_total", &[("direction", "forward")], jumps.forward);
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
