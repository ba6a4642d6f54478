//! Envoy's admin interface: over a port-forward through the API server, or, where that is not allowed, by `pilot-agent`
//! in the sidecar.

use std::pin::pin;

use futures::future::{Either, select};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, body::Bytes};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;

use super::{ClusterError, Reach, exec::Tool};
use crate::mesh::PodRef;

/// The port of Envoy's admin interface in an Istio sidecar.
const ADMIN_PORT: u16 = 15000;
/// The largest answer that is read, in bytes: `/clusters` of a big mesh.
const ANSWER_MOST: usize = 16 * 1024 * 1024;
/// The container of the sidecar.
pub(super) const PROXY: &str = "istio-proxy";

impl Reach {
    /// GETs a path of the admin interface. Says where the answer came from.
    pub(super) async fn admin(&self, pod: &PodRef, path: &str) -> Result<Vec<u8>, ClusterError> {
        let what = format!("Envoy {path} of {pod}");
        match self.bounded(&what, self.forwarded(pod, path, &what)).await {
            Ok(answer) => Ok(answer),
            Err(refused @ ClusterError::Forbidden { .. }) => {
                let output = self.exec(pod, Some(PROXY), &Tool::PilotAgent(path.to_owned())).await;
                match output {
                    Ok(output) if output.exit_code == 0 => Ok(output.stdout),
                    // The first refusal names the right that is the better one to grant.
                    _ => Err(refused),
                }
            }
            Err(other) => Err(other),
        }
    }

    async fn forwarded(&self, pod: &PodRef, path: &str, what: &str) -> Result<Vec<u8>, ClusterError> {
        let namespace = pod.namespace.as_str();
        let failed = |why: String| ClusterError::Failed { what: what.to_owned(), why };
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let mut forwarder = api
            .portforward(pod.name.as_str(), &[ADMIN_PORT])
            .await
            .map_err(|error| ClusterError::of(&error, "create", "pods/portforward", namespace, what))?;
        let stream = forwarder.take_stream(ADMIN_PORT).ok_or_else(|| failed("no stream was opened".to_owned()))?;
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
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_MOST).collect().await;
            let body = body.map_err(|error| failed(error.to_string()))?.to_bytes().to_vec();
            if status.is_success() { Ok(body) } else { Err(failed(format!("it answered {status}"))) }
        };
        // The connection is driven beside the exchange and not in a task of its own: a check that runs out of time
        // drops both, and nothing is left behind.
        let (exchange, connection) = (pin!(exchange), pin!(connection));
        let answer = match select(exchange, connection).await {
            Either::Left((answer, _)) => answer,
            // The last of the body may be read after the connection has ended.
            Either::Right((_, exchange)) => exchange.await,
        };
        forwarder.abort();
        answer
    }
}
