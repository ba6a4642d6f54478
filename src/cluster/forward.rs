//! HTTP to a port of a pod, over a port-forward through the API server.

use std::pin::pin;

use futures::{
    FutureExt,
    future::{BoxFuture, Either, Fuse, select},
};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, body::Bytes, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::Portforwarder};
use tokio::sync::Mutex;

use super::{ClusterError, Reach, client::STREAM_VERBS};
use crate::mesh::PodRef;

/// The largest answer that is read, in bytes: `/clusters` of a big mesh.
pub(super) const ANSWER_MOST: usize = 16 * 1024 * 1024;

/// What a port answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// Its status code.
    pub(super) status: u16,
    /// Its body.
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// Whether it says that all is well.
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// One port of a pod. What is asked of it goes over one port-forward, one request after the other, for as long as that
/// lasts: a forward costs two TLS connections, one of them between the API server and the node.
pub(super) struct PodPort<'a> {
    reach: &'a Reach,
    pod: &'a PodRef,
    port: u16,
    kept: Mutex<Option<Connection>>,
}

impl Reach {
    /// A port of a pod, to be asked over HTTP. Nothing is opened yet.
    pub(super) fn port<'a>(&'a self, pod: &'a PodRef, port: u16) -> PodPort<'a> {
        PodPort { reach: self, pod, port, kept: Mutex::new(None) }
    }
}

impl PodPort<'_> {
    /// GETs a path, within the limit of a check, the wait for its turn among them.
    pub(super) async fn get(&self, path: &str, what: &str) -> Result<Answer, ClusterError> {
        self.reach.bounded(what, self.asked(path, what)).await
    }

    async fn asked(&self, path: &str, what: &str) -> Result<Answer, ClusterError> {
        let failed = |why: String| ClusterError::Failed { what: what.to_owned(), why };
        // Taken out, so that what fails or runs out of time is never asked again.
        let mut kept = self.kept.lock().await;
        // A server may close after any answer, so an old connection that fails says nothing yet.
        let answered = match kept.take() {
            Some(mut connection) => connection.get(path).await.ok().map(|answer| (answer, connection)),
            None => None,
        };
        let (answer, connection) = if let Some(answered) = answered {
            answered
        } else {
            let mut connection = self.open(what).await?;
            (connection.get(path).await.map_err(failed)?, connection)
        };
        *kept = Some(connection);
        Ok(answer)
    }

    async fn open(&self, what: &str) -> Result<Connection, ClusterError> {
        let namespace = self.pod.namespace.as_str();
        let failed = |why: String| ClusterError::Failed { what: what.to_owned(), why };
        let api: Api<Pod> = Api::namespaced(self.reach.client.clone(), namespace);
        let forwarder = api.portforward(self.pod.name.as_str(), &[self.port]).await;
        let forwarder =
            forwarder.map_err(|error| ClusterError::of(&error, STREAM_VERBS, "pods/portforward", namespace, what))?;
        let mut forwarding = Forwarding(forwarder);
        let stream = forwarding.0.take_stream(self.port).ok_or_else(|| failed("no stream was opened".to_owned()))?;
        let refused = forwarding.0.take_error(self.port).map(|said| said.boxed().fuse());
        let (sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failed(error.to_string()))?;
        Ok(Connection { sender, driver: driver.map(drop).boxed().fuse(), refused, _forwarding: forwarding })
    }
}

/// Ends the forwarding however the check ends. A `Portforwarder` that is merely dropped leaves its task behind, which
/// waits for the other end for ever: one connection a check that ran out of time.
struct Forwarding(Portforwarder);

impl Drop for Forwarding {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// HTTP/1.1 over an open port-forward. It is driven beside each exchange and not in a task of its own: a check that runs
/// out of time drops both, and nothing is left behind.
struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    driver: Fuse<BoxFuture<'static, ()>>,
    /// Why nothing comes, in the kubelet's words, stands on a channel of its own.
    refused: Option<Fuse<BoxFuture<'static, Option<String>>>>,
    _forwarding: Forwarding,
}

impl Connection {
    /// GETs a path; the error is why there is no answer.
    async fn get(&mut self, path: &str) -> Result<Answer, String> {
        let Self { sender, driver, refused, .. } = self;
        let answer = match select(pin!(exchange(sender, path)), driver).await {
            Either::Left((answer, _)) => answer,
            // The last of the body may be read after the connection has ended.
            Either::Right(((), exchange)) => exchange.await,
        };
        let said = refused.as_mut().and_then(FutureExt::now_or_never).flatten();
        answer.map_err(|error| said.unwrap_or(error))
    }
}

async fn exchange(sender: &mut SendRequest<Empty<Bytes>>, path: &str) -> Result<Answer, String> {
    let request = Request::get(path)
        .header(hyper::header::HOST, "localhost")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    sender.ready().await.map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), ANSWER_MOST).collect().await;
    let body = body.map_err(|error| error.to_string())?.to_bytes().to_vec();
    Ok(Answer { status, body })
}
