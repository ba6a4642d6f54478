//! The server: bounded connections and headers, and an end that waits for what is under way.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    Router,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
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
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use super::{
    AGAIN_AFTER,
    connections::{ConnectionSlot, Connections},
    write_limit::WriteLimit,
};
use crate::bounds::{CONNECTION_BUFFER, CONNECTIONS_MOST};

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
    let (places, all) = (Arc::new(Semaphore::new(CONNECTIONS_MOST + ENDING_MOST)), Connections::default());
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
async fn one(stream: TcpStream, place: Arc<ConnectionSlot>, routes: Router, stop: CancellationToken) {
    let leave = place.held.leave.clone();
    // HTTP/1 only: a builder that first finds out the version waits for the first bytes without any limit.
    let mut builder = Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(CONNECTION_BUFFER);
    let answers = service_fn(move |request| answer(request, routes.clone(), place.clone()));
    let connection = builder.serve_connection(TokioIo::new(WriteLimit::new(stream)), answers);
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

async fn answer(
    request: Request<Incoming>,
    routes: Router,
    place: Arc<ConnectionSlot>,
) -> Result<Response, Infallible> {
    if place.is_for_probes && !PROBES.contains(&request.uri().path()) {
        let again = [(header::RETRY_AFTER, AGAIN_AFTER), (header::CONNECTION, "close")];
        return Ok((StatusCode::SERVICE_UNAVAILABLE, again, "too many connections: come again\n").into_response());
    }
    let request = request.map(|body| WatchedStream::new(body, place.clone()));
    let answered = routes.oneshot(request).await;
    // It has to be read, and the next request to come.
    place.waits();
    answered
}

/// A body, of which the place knows whether it has come whole.
struct WatchedStream {
    body: Incoming,
    place: Arc<ConnectionSlot>,
}

impl WatchedStream {
    fn new(body: Incoming, place: Arc<ConnectionSlot>) -> Self {
        if body.is_end_stream() {
            place.works();
        } else {
            place.waits();
        }
        Self { body, place }
    }
}

impl Body for WatchedStream {
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
