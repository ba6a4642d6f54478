//! The channel protocol of exec and port-forward: WebSocket messages whose first byte names a channel.

use axum::{
    body::Body,
    extract::{
        FromRequestParts,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code},
    },
    http::{Response, request::Parts},
};
use std::time::Duration;

use super::status::Failure;

/// The protocols served, the preferred one first. kubectl offers only v5; without an echo of it, it falls back to SPDY.
const PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];
/// The largest message taken from a client, in bytes: kubectl and kube send far less at a time.
const MESSAGE_MOST: usize = 1024 * 1024;
/// How many bytes go out in one message, as a kubelet copies them.
const CHUNK: usize = 32 * 1024;
/// How long the client gets to answer our Close.
const CLOSE_WAIT: Duration = Duration::from_secs(5);
/// The channel that v5 uses to say that another one has ended.
const END: u8 = 255;

/// What came from the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// Bytes on a channel.
    Data(u8, Vec<u8>),
    /// A channel ended (v5).
    Ended(u8),
}

/// The server's end of an open connection.
pub(super) struct Channels(WebSocket);

/// Answers the upgrade and runs `work` on the open connection.
pub(super) async fn upgrade<F, W>(parts: &mut Parts, work: W) -> Result<Response<Body>, Failure>
where
    W: FnOnce(Channels) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let upgrade = WebSocketUpgrade::from_request_parts(parts, &())
        .await
        .map_err(|_| Failure::bad_request("the simulated mesh streams over WebSocket only; SPDY is not served here"))?;
    let upgrade = upgrade.max_message_size(MESSAGE_MOST).max_frame_size(MESSAGE_MOST).protocols(PROTOCOLS);
    if upgrade.selected_protocol().is_none() {
        let offered: Vec<_> = upgrade.requested_protocols().filter_map(|name| name.to_str().ok()).collect();
        let (offered, served) = (offered.join(", "), PROTOCOLS.join(", "));
        let message =
            format!("the simulated mesh serves the WebSocket protocols {served}; the client offered {offered}");
        return Err(Failure::bad_request(message));
    }
    Ok(upgrade.on_upgrade(move |socket| work(Channels(socket))))
}

impl Channels {
    /// The next bytes from the client; `None` when it is gone. Pings are answered meanwhile.
    pub(super) async fn receive(&mut self) -> Option<Received> {
        loop {
            match self.0.recv().await? {
                Ok(Message::Binary(bytes)) => match bytes.split_first() {
                    Some((&END, rest)) => return Some(Received::Ended(rest.first().copied().unwrap_or(END))),
                    Some((&channel, rest)) => return Some(Received::Data(channel, rest.to_vec())),
                    None => {}
                },
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Sends bytes on a channel; false when the client is gone.
    pub(super) async fn send(&mut self, channel: u8, bytes: &[u8]) -> bool {
        for chunk in bytes.chunks(CHUNK) {
            let mut message = Vec::with_capacity(chunk.len() + 1);
            message.push(channel);
            message.extend_from_slice(chunk);
            if self.0.send(Message::Binary(message.into())).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Closes in the ordinary way and waits a moment for the client to do the same, so that nothing sent is lost.
    pub(super) async fn close(mut self) {
        let frame = CloseFrame { code: close_code::NORMAL, reason: "".into() };
        if self.0.send(Message::Close(Some(frame))).await.is_err() {
            return;
        }
        // kube hangs up at once, kubectl answers the Close: either ends the stream.
        let _ = tokio::time::timeout(CLOSE_WAIT, async { while let Some(Ok(_)) = self.0.recv().await {} }).await;
    }
}
