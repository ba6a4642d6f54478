//! How requests travel to an API server: kube's own layers, over sockets that send at once. Beneath all of them answers are
//! bounded while they arrive, in bytes, parts and time: kube reads them to their end, however long they are.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::{FutureExt, TryFutureExt, future::BoxFuture};
use hyper::{
    Request, Response,
    body::{Body, Bytes, Frame},
};
use hyper_util::{
    client::legacy::{Builder, connect::HttpConnector},
    rt::TokioExecutor,
};
use kube::{
    Client, Config, Error,
    client::{self, ClientBuilder, ConfigExt},
};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Sleep, sleep, timeout},
};
use tokio_util::sync::PollSemaphore;
use tower::{BoxError, Service, ServiceBuilder, layer::layer_fn};

use super::long::LongAnswers;
use crate::bounds::{CLUSTER_ANSWER, CLUSTER_LOG_READ, CLUSTER_LONG_ANSWER, CLUSTER_PARTS};

/// How long the API server may take to begin its answer, and to end it: longer than any check waits.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// The client of an API server.
pub(super) fn client(mut config: Config, long: &LongAnswers) -> Result<Client, Error> {
    // kube retries 429 and 503 for minutes by itself, POST included: an eviction that a budget blocks would hang.
    config.default_retry = false;
    if config.proxy_url.is_some() {
        return Ok(bounded(ClientBuilder::try_from(config)?, long));
    }
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_connect_timeout(config.connect_timeout);
    // kube leaves this out (its issue 2056). A small request on a connection that was used before would then wait for the
    // other end to acknowledge what came earlier: 40 ms, for every second command in a pod.
    connector.set_nodelay(true);
    let connector = config.rustls_https_connector_with_connector(connector)?;
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(Builder::new(TokioExecutor::new()).build(connector));
    Ok(bounded(ClientBuilder::new(service, config.default_namespace), long))
}

fn bounded<S, B>(builder: ClientBuilder<S>, long: &LongAnswers) -> Client
where
    S: Service<Request<client::Body>, Response = Response<B>, Future: Send, Error: Into<BoxError> + 'static>
        + Send
        + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    builder.with_layer(&layer_fn(|inner| Bounded { inner, long: long.clone() })).build()
}

/// A way to the API server whose answers are bounded.
struct Bounded<S> {
    inner: S,
    long: LongAnswers,
}

impl<S, B> Service<Request<client::Body>> for Bounded<S>
where
    S: Service<Request<client::Body>, Response = Response<B>, Future: Send + 'static, Error: Into<BoxError> + 'static>,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    type Response = Response<BoundedBody<B>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<client::Body>) -> Self::Future {
        // Logs are not collected: what is kept of them is bounded where they are read (`logs`).
        let is_log = request.uri().path().ends_with("/log");
        let long = self.long.clone();
        let answered = self.inner.call(request).map_err(Into::into);
        timeout(ANSWERED_WITHIN, answered)
            .map(move |answered| {
                let answered = answered.unwrap_or_else(|_| Err(Exceeded::Time.into()));
                answered.map(|answer| answer.map(|body| BoundedBody::new(body, is_log, &long)))
            })
            .boxed()
    }
}

/// Why an answer is not read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Exceeded {
    #[error("the answer is over {0} bytes (length limit)")]
    Length(usize),
    #[error("the answer has over {CLUSTER_PARTS} parts")]
    Parts,
    #[error("the answer took over {} s", ANSWERED_WITHIN.as_secs())]
    Time,
}

/// An answer of the API server.
struct BoundedBody<B> {
    body: B,
    is_log: bool,
    length: usize,
    parts: usize,
    limit: Pin<Box<Sleep>>,
    places: PollSemaphore,
    /// A place for a long answer.
    place: Option<OwnedSemaphorePermit>,
}

impl<B> BoundedBody<B> {
    fn new(body: B, is_log: bool, long: &LongAnswers) -> Self {
        let places = PollSemaphore::new(long.places());
        Self { body, is_log, length: 0, parts: 0, limit: Box::pin(sleep(ANSWERED_WITHIN)), places, place: None }
    }

    fn take(&mut self, piece: &Bytes) -> Result<(), Exceeded> {
        self.length = self.length.saturating_add(piece.len());
        let most = if self.is_log { CLUSTER_LOG_READ } else { CLUSTER_LONG_ANSWER };
        if self.length > most {
            return Err(Exceeded::Length(most));
        }
        if !self.is_log {
            let parts = piece.iter().filter(|byte| matches!(byte, b'{' | b'[')).count();
            self.parts = self.parts.saturating_add(parts);
        }
        if self.parts > CLUSTER_PARTS { Err(Exceeded::Parts) } else { Ok(()) }
    }
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin> Body for BoundedBody<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.limit.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(Exceeded::Time.into())));
        }
        if self.length > CLUSTER_ANSWER && !self.is_log && self.place.is_none() {
            self.place = ready!(self.places.poll_acquire(context));
        }
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            None => return Poll::Ready(None),
        };
        let taken = frame.data_ref().map_or(Ok(()), |piece| self.take(piece));
        Poll::Ready(Some(taken.map(|()| frame).map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}
