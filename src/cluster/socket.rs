//! A WebSocket into a pod (exec, port-forward), with our bounds. kube opens one without any: messages of 64 MiB, and a queue
//! of pongs without end for a neighbour that pings and does not read.

use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use hyper::{Request, body::Bytes, upgrade::Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{Role, WebSocketConfig},
    },
};

use super::ClusterClient;
use crate::bounds::{CONTROL_FRAMES, Frames, POD_MESSAGE, SOCKET_BUFFER, SOCKET_QUEUE};

/// How long the other end may take to read what is sent to it: a request of a few hundred bytes.
const SENT_WITHIN: Duration = Duration::from_secs(5);

/// The connection.
pub(super) struct PodSocket {
    stream: WebSocketStream<TokioIo<Upgraded>>,
    control: Frames,
}

/// Why nothing more comes.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("the stream broke off: {0}")]
    BrokeOff(#[source] Box<tokio_tungstenite::tungstenite::Error>),
    #[error("it sent too many control frames")]
    Flood,
    #[error("it did not read what it was sent")]
    Deaf,
}

impl From<tokio_tungstenite::tungstenite::Error> for Broken {
    fn from(error: tokio_tungstenite::tungstenite::Error) -> Self {
        Self::BrokeOff(Box::new(error))
    }
}

impl ClusterClient {
    /// Opens a connection by a request for one.
    pub(super) async fn socket(&self, request: Request<Vec<u8>>) -> Result<PodSocket, kube::Error> {
        // Nothing of it is read before the limits are there.
        let stream = self.client.connect(request).await?.into_stream().into_inner();
        let config = WebSocketConfig::default()
            .max_message_size(Some(POD_MESSAGE))
            .max_frame_size(Some(POD_MESSAGE))
            .read_buffer_size(SOCKET_BUFFER)
            .write_buffer_size(SOCKET_BUFFER)
            .max_write_buffer_size(SOCKET_QUEUE);
        let stream = WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await;
        Ok(PodSocket { stream, control: Frames::new(CONTROL_FRAMES, Instant::now()) })
    }
}

impl PodSocket {
    /// The next piece and the channel that it came on; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<(u8, Bytes)>, Broken> {
        while let Some(message) = self.stream.next().await {
            match message? {
                Message::Binary(mut bytes) if bytes.len() > 1 => {
                    let rest = bytes.split_off(1);
                    return Ok(bytes.first().map(|channel| (*channel, rest)));
                }
                // A channel that is opened says so without a byte.
                Message::Binary(_) => {}
                Message::Close(_) => return Ok(None),
                _ if !self.control.allow(Instant::now()) => return Err(Broken::Flood),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Sends bytes on a channel.
    pub(super) async fn send(&mut self, channel: u8, bytes: &[u8]) -> Result<(), Broken> {
        let message = Message::binary([&[channel], bytes].concat());
        let sent = tokio::time::timeout(SENT_WITHIN, self.stream.send(message)).await;
        Ok(sent.map_err(|_| Broken::Deaf)??)
    }
}
