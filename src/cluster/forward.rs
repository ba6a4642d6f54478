//! HTTP to a port of a pod, over a port-forward through the API server.

use std::{
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{
    FutureExt,
    future::{BoxFuture, Either, Fuse, join, select},
};
use http_body_util::{BodyExt, Empty};
use hyper::{
    Response,
    body::{Body, Bytes, Incoming},
    client::conn::http1::SendRequest,
    header::TRANSFER_ENCODING,
};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::{Resource, api::Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::{
    ClusterClient, ClusterError,
    client::{STREAM_VERBS, told},
    long::{Held, LongAnswers},
    socket::PodSocket,
};
use crate::{
    bounds::{CLUSTER_LONG_ANSWER, SOCKET_BUFFER},
    mesh::PodRef,
};

/// What a port answered.
#[derive(Debug)]
pub(super) struct PortAnswer {
    /// Its status code.
    pub(super) status: u16,
    pub(super) body: Held,
}

impl PortAnswer {
    /// Whether it says that all is well.
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// One port of a pod. What is asked of it goes over one port-forward, one request after the other, for as long as that
/// lasts: a forward costs two TLS connections, one of them between the API server and the node.
pub(super) struct PodPort<'a> {
    reach: &'a ClusterClient,
    pod: &'a PodRef,
    port: u16,
    kept: tokio::sync::Mutex<Option<Connection>>,
}

impl ClusterClient {
    /// A port of a pod, to be asked over HTTP. Nothing is opened yet.
    pub(super) fn port<'a>(&'a self, pod: &'a PodRef, port: u16) -> PodPort<'a> {
        PodPort { reach: self, pod, port, kept: tokio::sync::Mutex::new(None) }
    }
}

impl PodPort<'_> {
    /// GETs a path, within the limit of a check, the wait for its turn among them.
    pub(super) async fn get(&self, path: &str, what: &str) -> Result<PortAnswer, ClusterError> {
        self.reach.bounded(what, self.asked(path, what)).await
    }

    async fn asked(&self, path: &str, what: &str) -> Result<PortAnswer, ClusterError> {
        let failed = |why: String| ClusterError::Failed { what: what.to_owned(), why: why.into() };
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
        let failed = |why: String| ClusterError::Failed { what: what.to_owned(), why: why.into() };
        let request = Request::new(Pod::url_path(&(), Some(namespace)));
        let request = request.portforward(self.pod.name.as_str(), &[self.port]);
        let socket = self.reach.socket(request.map_err(|error| failed(error.to_string()))?).await;
        let socket =
            socket.map_err(|error| ClusterError::of(&error, STREAM_VERBS, "pods/portforward", namespace, what))?;
        let (ours, theirs) = tokio::io::duplex(SOCKET_BUFFER);
        let (sender, http) = hyper::client::conn::http1::handshake(TokioIo::new(ours))
            .await
            .map_err(|error| failed(error.to_string()))?;
        let refused = Arc::default();
        let forwarded = forward(socket, theirs, self.port, Arc::clone(&refused));
        let driver = join(http.map(drop), forwarded).map(drop).boxed().fuse();
        Ok(Connection { sender, driver, refused, long: self.reach.long.clone() })
    }
}

/// Why nothing comes, in the kubelet's words: they stand on a channel of their own.
type ForwardRefusal = Arc<Mutex<Option<String>>>;

/// Carries bytes between `io` and one port of a pod (Kubernetes' port-forward protocol, version 4): what comes on channel 0
/// is data and on channel 1 an error, and either begins with the port.
async fn forward(mut socket: PodSocket, io: DuplexStream, port: u16, refused: ForwardRefusal) {
    const DATA: u8 = 0;
    const ERROR: u8 = 1;
    let (mut from_us, mut to_us) = tokio::io::split(io);
    let (mut buffer, mut opened) = (vec![0; SOCKET_BUFFER], [false; 2]);
    loop {
        let message = tokio::select! {
            read = from_us.read(&mut buffer) => match read {
                Ok(length @ 1..) => {
                    if socket.send(DATA, buffer.get(..length).unwrap_or_default()).await.is_err() {
                        return;
                    }
                    continue;
                }
                Ok(0) | Err(_) => return,
            },
            message = socket.next() => message,
        };
        let (channel, bytes) = match message {
            Ok(Some(message)) => message,
            Ok(None) => return,
            Err(error) => return tell(&refused, error.to_string()),
        };
        let Some(is_open) = opened.get_mut(usize::from(channel)) else { return };
        if !std::mem::replace(is_open, true) {
            if *bytes != port.to_le_bytes() {
                return tell(&refused, "it is forwarded to another port".to_owned());
            }
        } else if channel == ERROR {
            // Nothing else comes of this port.
            return tell(&refused, told(&String::from_utf8_lossy(&bytes)).to_string());
        } else if to_us.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

fn tell(refused: &ForwardRefusal, why: String) {
    *refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
}

/// HTTP/1.1 over an open port-forward. It is driven beside each exchange and not in a task of its own: a check that runs
/// out of time drops both, and nothing is left behind.
struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    driver: Fuse<BoxFuture<'static, ()>>,
    refused: ForwardRefusal,
    long: LongAnswers,
}

impl Connection {
    /// GETs a path; the error is why there is no answer.
    async fn get(&mut self, path: &str) -> Result<PortAnswer, String> {
        let Self { sender, driver, refused, long } = self;
        let answer = match select(pin!(exchange(sender, path, long)), driver).await {
            Either::Left((answer, _)) => answer,
            // The last of the body may be read after the connection has ended.
            Either::Right(((), exchange)) => exchange.await,
        };
        let said = refused.lock().unwrap_or_else(PoisonError::into_inner).take();
        answer.map_err(|error| said.unwrap_or(error))
    }
}

async fn exchange(
    sender: &mut SendRequest<Empty<Bytes>>,
    path: &str,
    long: &LongAnswers,
) -> Result<PortAnswer, String> {
    let request = hyper::Request::get(path)
        .header(hyper::header::HOST, "localhost")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    sender.ready().await.map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
    if !says_where_it_ends(&response) {
        return Err("the answer does not say where it ends, so that half of one would look like all of it".to_owned());
    }
    let status = response.status().as_u16();
    let (mut arriving, mut body) = (response.into_body(), long.collect(CLUSTER_LONG_ANSWER));
    while let Some(frame) = arriving.frame().await {
        let frame = frame.map_err(|error| error.to_string())?;
        if let Some(piece) = frame.data_ref() {
            body.push(piece).await.map_err(|error| error.to_string())?;
        }
    }
    Ok(PortAnswer { status, body })
}

/// Whether an answer that was cut is known for one: by its length, or by the last of its pieces.
fn says_where_it_ends(answer: &Response<Incoming>) -> bool {
    let mut codings = answer.headers().get_all(TRANSFER_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let is_chunked =
        codings.next_back().is_some_and(|codings| codings.trim().to_ascii_lowercase().ends_with("chunked"));
    is_chunked || answer.body().is_end_stream() || answer.body().size_hint().exact().is_some()
}
