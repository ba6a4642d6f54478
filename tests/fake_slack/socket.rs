//! Socket Mode: the other end of the bot's WebSocket.

use axum::{
    extract::{
        State as Of, WebSocketUpgrade,
        ws::{Message as Frame, WebSocket},
    },
    response::Response,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::FakeSlack;

pub async fn link(Of(slack): Of<FakeSlack>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(move |socket| serve(slack, socket))
}

async fn serve(slack: FakeSlack, mut socket: WebSocket) {
    let connections = {
        let state = slack.lock();
        state.other_bots + 1 + state.sockets.iter().filter(|open| !open.is_closed()).count()
    };
    let hello = json!({ "type": "hello", "num_connections": connections, "connection_info": { "app_id": "A0" } });
    if socket.send(Frame::Text(hello.to_string().into())).await.is_err() {
        return;
    }
    let (sender, mut outgoing) = mpsc::unbounded_channel();
    let number = {
        let mut state = slack.lock();
        state.sockets.push(sender);
        state.sockets.len()
    };
    slack.change();
    loop {
        if slack.lock().muted.contains(&number) {
            // The network is gone: nothing is read, nothing is answered, nothing is closed.
            return std::future::pending().await;
        }
        tokio::select! {
            // A dropped sender is a connection that Slack cuts without a word.
            next = outgoing.recv() => match next {
                Some(text) => if socket.send(Frame::Text(text.into())).await.is_err() { return },
                None => return,
            },
            heard = socket.recv() => match heard {
                Some(Ok(Frame::Text(text))) => {
                    slack.lock().acknowledged.push(serde_json::from_str(&text).unwrap());
                    slack.change();
                }
                Some(Ok(Frame::Ping(_))) => {
                    slack.lock().pings += 1;
                    slack.change();
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
        }
    }
}

impl FakeSlack {
    /// So many other bots use the same app.
    pub fn other_bots(&self, count: usize) {
        self.lock().other_bots = count;
    }

    /// How many WebSockets have ever been opened.
    pub fn sockets_opened(&self) -> usize {
        self.lock().sockets.len()
    }

    /// Sends an envelope through the newest connection and returns its id.
    pub fn envelope(&self, kind: &str, payload: &Value) -> String {
        let id = self.lock().name("envelope-");
        let envelope = json!({ "type": kind, "envelope_id": id, "accepts_response_payload": true, "payload": payload });
        self.through_socket(&envelope);
        id
    }

    /// Sends anything through the newest connection.
    pub fn through_socket(&self, message: &Value) {
        self.lock().sockets.last().unwrap().send(message.to_string()).unwrap();
    }

    /// From now on nothing that the newest connection is sent is read, and nothing is answered.
    pub fn mute(&self) {
        let mut state = self.lock();
        let number = state.sockets.len();
        state.muted.push(number);
        // Anything sent makes the connection look at that.
        state.sockets.last().unwrap().send(json!({ "type": "nothing" }).to_string()).unwrap();
    }

    /// Waits until the bot has asked so often whether we are there.
    pub async fn pinged(&self, times: usize) {
        self.until("pings", |slack| slack.lock().pings >= times).await;
    }

    /// Cuts the newest connection.
    pub fn cut(&self) {
        let (closed, _) = mpsc::unbounded_channel();
        *self.lock().sockets.last_mut().unwrap() = closed;
    }

    /// Whether an envelope was acknowledged.
    pub fn is_acknowledged(&self, envelope: &str) -> bool {
        self.lock().acknowledged.iter().any(|acknowledgement| acknowledgement["envelope_id"] == envelope)
    }
}
