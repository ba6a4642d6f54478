//! HTTP to a port of a pod, over a port-forward through the API server.

use std::pin::pin;

use futures::{
    FutureExt,
    future::{Either, select},
};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, body::Bytes};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::Portforwarder};

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

/// Ends the forwarding however the check ends. A `Portforwarder` that is merely dropped leaves its task behind, which
/// waits for the other end for ever: one connection a check that ran out of time.
struct Forwarding(Portforwarder);

impl Drop for Forwarding {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Reach {
    /// GETs a path of a port of a pod.
    pub(super) async fn get_forwarded(
        &self,
        pod: &PodRef,
        port: u16,
        path: &str,
        what: &str,
    ) -> Result<Answer, ClusterError> {
        self.bounded(what, self.forwarded(pod, port, path, what)).await
    }

    async fn forwarded(&self, pod: &PodRef, port: u16, path: &str, what: &str) -> Result<Answer, ClusterError> {
        let namespace = pod.namespace.as_str();
        let failed = |why: String| ClusterError::Failed { what: what.to_owned(), why };
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let forwarder = api.portforward(pod.name.as_str(), &[port]).await;
        let forwarder =
            forwarder.map_err(|error| ClusterError::of(&error, STREAM_VERBS, "pods/portforward", namespace, what))?;
        let mut forwarding = Forwarding(forwarder);
        let stream = forwarding.0.take_stream(port).ok_or_else(|| failed("no stream was opened".to_owned()))?;
        let refused = forwarding.0.take_error(port);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failed(error.to_string()))?;
        let request = Request::get(path)
            .header(hyper::header::HOST, "localhost")
            .header(hyper::header::CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(|error| failed(error.to_string()))?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(|error| failed(error.to_string()))?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), ANSWER_MOST).collect().await;
            let body = body.map_err(|error| failed(error.to_string()))?.to_bytes().to_vec();
            Ok(Answer { status, body })
        };
        // The connection is driven beside the exchange and not in a task of its own: a check that runs out of time
        // drops both, and nothing is left behind.
        let (exchange, connection) = (pin!(exchange), pin!(connection));
        let answer = match select(exchange, connection).await {
            Either::Left((answer, _)) => answer,
            // The last of the body may be read after the connection has ended.
            Either::Right((_, exchange)) => exchange.await,
        };
        // Why nothing came, in the kubelet's words, stands on a channel of its own.
        let said = refused.and_then(FutureExt::now_or_never).flatten();
        match (answer, said) {
            (Err(_), Some(said)) => Err(failed(said)),
            (answer, _) => answer,
        }
    }
}
