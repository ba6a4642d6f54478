//! How requests travel to an API server: kube's own layers, over sockets that send at once. Beneath all of them answers are
//! bounded while they arrive, in bytes, weight and time: kube reads them to their end, however long they are.

use std::{
    cell::RefCell,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures::{FutureExt, TryFutureExt, future::BoxFuture};
use hyper::{
    Request, Response, Uri,
    body::{Body, Bytes, Frame},
    header::HeaderValue,
    rt::{Read, Write},
};
use hyper_util::{
    client::legacy::{
        Builder,
        connect::{
            Connection, HttpConnector,
            proxy::{SocksV5, Tunnel},
        },
    },
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
use crate::bounds::{
    CLUSTER_ANSWER, CLUSTER_BUFFER, CLUSTER_LOG_READ, CLUSTER_LONG_ANSWER, CLUSTER_LONG_WEIGHT, CLUSTER_WEIGHT, Weight,
};

/// How long the API server may take to begin its answer, and to end it: longer than any check waits.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// The client of an API server.
pub(super) fn client(mut config: Config, long: &LongAnswers) -> Result<Client, Error> {
    // kube retries 429 and 503 for minutes by itself, POST included: a write that a disruption budget blocks would hang.
    config.default_retry = false;
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_connect_timeout(config.connect_timeout);
    // kube leaves this out (its issue 2056). A small request on a connection that was used before would then wait for the
    // other end to acknowledge what came earlier: 40 ms, for every second command in a pod.
    connector.set_nodelay(true);
    // As kube's own builder does it, which leaves hyper's buffers without a bound of ours.
    let Some(proxy) = config.proxy_url.clone() else { return over(connector, config, long) };
    match proxy.scheme_str() {
        Some("socks5") => over(SocksV5::new(proxy, connector), config, long),
        Some("http") => over(authorized(&proxy, Tunnel::new(proxy.clone(), connector)), config, long),
        Some("https") => {
            let connector = config.rustls_https_connector_with_connector(connector)?;
            over(authorized(&proxy, Tunnel::new(proxy.clone(), connector)), config, long)
        }
        _ => Err(Error::ProxyProtocolUnsupported { proxy_url: Box::new(proxy) }),
    }
}

/// The tunnel that says who we are, where the address of the proxy does.
fn authorized<C>(proxy: &Uri, tunnel: Tunnel<C>) -> Tunnel<C> {
    let user = proxy.authority().and_then(|authority| authority.as_str().rsplit_once('@')).map(|(user, _)| user);
    let value = user.map(|user| format!("Basic {}", STANDARD.encode(user)));
    match value.and_then(|value| HeaderValue::from_str(&value).ok()) {
        Some(mut value) => {
            value.set_sensitive(true);
            tunnel.with_auth(value)
        }
        None => tunnel,
    }
}

fn over<C>(connector: C, config: Config, long: &LongAnswers) -> Result<Client, Error>
where
    C: Service<
            Uri,
            Response: Connection + Read + Write + Send + Unpin,
            Future: Send,
            Error: std::error::Error + Send + Sync,
        > + Clone
        + Send
        + Sync
        + 'static,
{
    let connector = config.rustls_https_connector_with_connector(connector)?;
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(Builder::new(TokioExecutor::new()).http1_max_buf_size(CLUSTER_BUFFER).build(connector));
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
    #[error("the answer has too many parts: it would take over {CLUSTER_LONG_WEIGHT} bytes")]
    Weight,
    #[error("the answer took over {} s", ANSWERED_WITHIN.as_secs())]
    Time,
}

/// Whether a call failed since its answer is more than is read of one: a smaller one may be asked for.
pub(super) fn is_too_much(error: &Error) -> bool {
    let mut below: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = below {
        if let Some(Exceeded::Length(_) | Exceeded::Weight) = error.downcast_ref() {
            return true;
        }
        below = error.source();
    }
    false
}

tokio::task_local! {
    /// The place of a call whose answer is long.
    static PLACE: RefCell<Option<OwnedSemaphorePermit>>;
}

/// Makes one call. The place for its long answer is kept to its end: what is made of the answer takes more than its bytes.
pub(super) fn keeping_its_place<F: Future>(call: F) -> impl Future<Output = F::Output> {
    // In a box: calls lie deep within what waits for them.
    PLACE.scope(RefCell::default(), Box::pin(call))
}

/// An answer of the API server.
struct BoundedBody<B> {
    body: B,
    is_log: bool,
    length: usize,
    weight: Weight,
    limit: Pin<Box<Sleep>>,
    places: PollSemaphore,
    /// A place for a long answer.
    place: Option<OwnedSemaphorePermit>,
    /// What was read of it, and waits for a place.
    read: Option<Frame<Bytes>>,
}

impl<B> Drop for BoundedBody<B> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            // Beside a call of ours it is given back.
            let _ = PLACE.try_with(|kept| kept.replace(Some(place)));
        }
    }
}

impl<B> BoundedBody<B> {
    fn new(body: B, is_log: bool, long: &LongAnswers) -> Self {
        let places = PollSemaphore::new(long.places());
        let (weight, limit) = (Weight::of_the_cluster(), Box::pin(sleep(ANSWERED_WITHIN)));
        Self { body, is_log, length: 0, weight, limit, places, place: None, read: None }
    }

    fn is_long(&self) -> bool {
        !self.is_log && (self.length > CLUSTER_ANSWER || self.weight.bytes > CLUSTER_WEIGHT)
    }

    fn take(&mut self, piece: &Bytes) -> Result<(), Exceeded> {
        self.length = self.length.saturating_add(piece.len());
        let most = if self.is_log { CLUSTER_LOG_READ } else { CLUSTER_LONG_ANSWER };
        if self.length > most {
            return Err(Exceeded::Length(most));
        }
        if !self.is_log {
            self.weight.add(piece);
        }
        if self.weight.bytes > CLUSTER_LONG_WEIGHT { Err(Exceeded::Weight) } else { Ok(()) }
    }
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin> Body for BoundedBody<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.limit.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(Exceeded::Time.into())));
        }
        if self.read.is_none() {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => return Poll::Ready(None),
            };
            if let Err(exceeded) = frame.data_ref().map_or(Ok(()), |piece| self.take(piece)) {
                return Poll::Ready(Some(Err(exceeded.into())));
            }
            self.read = Some(frame);
        }
        if self.is_long() && self.place.is_none() {
            // One call may ask twice, one after the other.
            self.place = PLACE.try_with(RefCell::take).ok().flatten();
        }
        if self.is_long() && self.place.is_none() {
            self.place = ready!(self.places.poll_acquire(context));
        }
        Poll::Ready(self.read.take().map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_none() && self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};

    use super::*;
    use crate::bounds::CLUSTER_LONG_ANSWERS_AT_ONCE;

    #[tokio::test]
    async fn the_place_of_a_long_answer_is_kept_until_the_call_has_made_of_it_what_it_wants() {
        let long = LongAnswers::default();
        let left = || long.places().available_permits();
        let read = async |text: Vec<u8>| BoundedBody::new(Full::new(Bytes::from(text)), false, &long).collect().await;
        // Short, and full of small parts.
        let heavy = || b"{},".repeat(1000);
        keeping_its_place(async {
            read(b"{}".to_vec()).await.unwrap();
            assert_eq!(left(), CLUSTER_LONG_ANSWERS_AT_ONCE);
            read(heavy()).await.unwrap();
            assert_eq!(left(), CLUSTER_LONG_ANSWERS_AT_ONCE - 1);
            read(heavy()).await.unwrap();
            assert_eq!(left(), CLUSTER_LONG_ANSWERS_AT_ONCE - 1, "a second answer of the same call needs no other");
        })
        .await;
        assert_eq!(left(), CLUSTER_LONG_ANSWERS_AT_ONCE);
        read(heavy()).await.unwrap();
        assert_eq!(left(), CLUSTER_LONG_ANSWERS_AT_ONCE, "beside a call it is not kept");
    }
}
