//! How requests travel to an API server: kube's own layers, over sockets that send at once.

use http_body_util::Limited;
use hyper::{Request, Response, body::Body};
use hyper_util::{
    client::legacy::{Builder, connect::HttpConnector},
    rt::TokioExecutor,
};
use kube::{
    Client, Config, Error,
    client::{self, ClientBuilder, ConfigExt},
};
use tower::{BoxError, Service, ServiceBuilder, util::MapResponseLayer};

/// The longest answer of the API server that is read, in bytes: 500 pods of 32 KiB, or 4000 lines of a log of 4 KiB.
pub(super) const BODY_MOST: usize = 16 * 1024 * 1024;

/// The client of an API server.
pub(super) fn client(mut config: Config) -> Result<Client, Error> {
    // kube retries 429 and 503 for minutes by itself, POST included: an eviction that a budget blocks would hang.
    config.default_retry = false;
    if config.proxy_url.is_some() {
        return Ok(bounded(ClientBuilder::try_from(config)?));
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
    Ok(bounded(ClientBuilder::new(service, config.default_namespace)))
}

/// kube itself reads answers to their end, however long they are.
fn bounded<S, B>(builder: ClientBuilder<S>) -> Client
where
    S: Service<Request<client::Body>, Response = Response<B>, Future: Send, Error: Into<BoxError>> + Send + 'static,
    B: Body<Data = hyper::body::Bytes, Error: Into<BoxError>> + Send + 'static,
{
    builder.with_layer(&MapResponseLayer::new(bounded_body)).build()
}

fn bounded_body<B: Body>(response: Response<B>) -> Response<Limited<B>> {
    response.map(|body| Limited::new(body, BODY_MOST))
}
