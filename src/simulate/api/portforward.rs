//! `pods/portforward` over WebSocket: HTTP/1.1 to the program that listens on a port of a pod.
//!
//! Port number i of the request has two channels, 2i for data and 2i+1 for errors. Each opens with the port as two bytes,
//! little-endian. kubectl tunnels SPDY for this, which is refused.

use std::{io, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{Response, StatusCode, header, request::Parts},
};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split},
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};

use super::{
    Api,
    channel::{Channels, Received, upgrade},
    containers::pod_of,
    path::Target,
    query::Query,
    status::Failure,
};
use crate::mesh::PodRef;

/// How many ports one request may name: the channel is one byte, and nobody needs more than a few.
const PORTS_MOST: usize = 16;
/// What fits into a stream before its writer waits, in bytes.
const BUFFER: usize = 64 * 1024;
/// How many messages wait for the client.
const MESSAGES: usize = 16;
/// How long the pod may leave bytes unread before the connection is given up.
const WRITE_WAIT: Duration = Duration::from_secs(10);

/// Bytes for a channel, or the end of the stream of a port.
enum FromPod {
    Data(usize, Vec<u8>),
    Error(usize, String),
    End(usize),
}

/// Checks the request, then forwards on the open connection.
pub(super) async fn portforward(
    api: &Arc<Api>,
    target: Target,
    query: &Query,
    request: &mut Parts,
) -> Result<Response<Body>, Failure> {
    let (pod, _) = pod_of(api, &target)?;
    if speaks_spdy(request) {
        let message = "port-forward over SPDY, which kubectl uses, is not served by the simulated mesh; \
                       WebSocket clients that speak v4 or v5.channel.k8s.io can forward ports";
        return Err(Failure::bad_request(message));
    }
    let named: Vec<&str> = query.all("ports").flat_map(|ports| ports.split(',')).collect();
    let ports: Vec<u16> = named.iter().filter_map(|port| port.parse().ok()).filter(|port| *port != 0).collect();
    if ports.is_empty() || ports.len() != named.len() || ports.len() > PORTS_MOST {
        let message = format!("query parameter \"ports\" must name 1 to {PORTS_MOST} ports, this is {named:?}");
        return Err(Failure::bad_request(message));
    }
    let api = Arc::clone(api);
    upgrade(request, move |channels| forward(api, pod, ports, channels)).await
}

/// SPDY itself, or SPDY tunnelled in a WebSocket.
fn speaks_spdy(request: &Parts) -> bool {
    let says = |name: header::HeaderName| {
        let values = request.headers.get_all(name);
        values.iter().any(|value| value.to_str().is_ok_and(|text| text.to_ascii_uppercase().contains("SPDY/")))
    };
    says(header::UPGRADE) || says(header::SEC_WEBSOCKET_PROTOCOL)
}

async fn forward(api: Arc<Api>, pod: PodRef, ports: Vec<u16>, mut channels: Channels) {
    let (sender, mut from_pod) = mpsc::channel(MESSAGES);
    // Dropping the set at the end aborts what still runs.
    let mut tasks = JoinSet::new();
    let mut to_pod: Vec<WriteHalf<DuplexStream>> = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let (ours, theirs) = duplex(BUFFER);
        let (reader, writer) = split(ours);
        to_pod.push(writer);
        tasks.spawn(answer_requests(Arc::clone(&api), pod.clone(), *port, theirs, (index, sender.clone())));
        tasks.spawn(read_pod(index, reader, sender.clone()));
        for channel in [data_channel(index), error_channel(index)] {
            if !channels.send(channel, &port.to_le_bytes()).await {
                return;
            }
        }
    }
    let mut used = vec![false; ports.len()];
    let mut ended = vec![false; ports.len()];
    loop {
        tokio::select! {
            () = api.shutdown.cancelled() => break,
            received = channels.receive() => match received {
                None => return,
                Some(Received::Data(channel, bytes)) if channel % 2 == 0 => {
                    let index = usize::from(channel / 2);
                    let (Some(writer), Some(used)) = (to_pod.get_mut(index), used.get_mut(index)) else { break };
                    *used = true;
                    // An error means that the pod has closed: its end is on the way through the other channel.
                    if timeout(WRITE_WAIT, writer.write_all(&bytes)).await.is_err() {
                        break;
                    }
                }
                Some(_) => {}
            },
            Some(message) = from_pod.recv() => {
                let sent = match message {
                    FromPod::Data(index, bytes) => channels.send(data_channel(index), &bytes).await,
                    FromPod::Error(index, text) => channels.send(error_channel(index), text.as_bytes()).await,
                    FromPod::End(index) => {
                        if let Some(ended) = ended.get_mut(index) {
                            *ended = true;
                        }
                        true
                    }
                };
                // There is no half-close: the end of the streams is the end of the connection.
                let over = used.iter().zip(&ended).all(|(used, ended)| *ended || !used) && ended.contains(&true);
                if over || !sent {
                    break;
                }
            }
        }
    }
    channels.close().await;
}

fn data_channel(index: usize) -> u8 {
    u8::try_from(index * 2).unwrap_or(u8::MAX)
}

fn error_channel(index: usize) -> u8 {
    u8::try_from(index * 2 + 1).unwrap_or(u8::MAX)
}

/// Copies what the pod writes until it closes.
async fn read_pod(index: usize, mut reader: ReadHalf<DuplexStream>, sender: mpsc::Sender<FromPod>) {
    let mut buffer = vec![0; BUFFER];
    while let Ok(length @ 1..) = reader.read(&mut buffer).await {
        let bytes = buffer.get(..length).unwrap_or_default().to_vec();
        if sender.send(FromPod::Data(index, bytes)).await.is_err() {
            return;
        }
    }
    let _ = sender.send(FromPod::End(index)).await;
}

/// The HTTP server inside the pod.
async fn answer_requests(
    api: Arc<Api>,
    pod: PodRef,
    port: u16,
    stream: DuplexStream,
    (index, sender): (usize, mpsc::Sender<FromPod>),
) {
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (api, pod, sender) = (&api, &pod, &sender);
        async move {
            let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
            match api.kubelet.http(pod, port, request.method().as_str(), path) {
                Ok(found) => Ok(response(found.status, found.content_type, found.body)),
                Err(error) => {
                    let text = format!("error forwarding port {port} to pod {pod}: {error}");
                    let _ = sender.send(FromPod::Error(index, text)).await;
                    // Ends the connection without an answer, as a refused one does.
                    Err(io::Error::other(error.to_string()))
                }
            }
        }
    });
    // An error here is a client that went away or sent no HTTP; the stream then ends, which is all there is to say.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

fn response(status: u16, content_type: &'static str, body: Vec<u8>) -> hyper::Response<Full<Bytes>> {
    let mut response = hyper::Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}
