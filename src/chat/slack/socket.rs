//! Slack over Socket Mode: a WebSocket that we open, so that a cluster needs no way in. Reconnects for ever.

use std::{
    future::pending,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{SinkExt, StreamExt, future::Either};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch},
    time::sleep,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{Message as Frame, protocol::WebSocketConfig},
};
use tokio_util::sync::CancellationToken;

use super::{
    asked::{Asked, Unreadable},
    client::Client,
    error::SlackError,
    inbound::SlackDesk,
};
use crate::{
    bounds::{
        CONTROL_FRAMES, Frames, SLACK_WEIGHT, SOCKET_BUFFER, SOCKET_MESSAGE, SOCKET_MESSAGES, SOCKET_QUEUE, SOCKETS,
        weigh,
    },
    chat::outgoing::{CALL_LIMIT, checked},
    metrics::Metric,
};

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How long is waited for what.
#[derive(Debug, Clone)]
pub struct Patience {
    /// Silence after which the other side is asked whether it is there; as long again without an answer means that it is
    /// not. Slack itself pings more often than this.
    pub silence: Duration,
    /// The waits between attempts to connect; the last one repeats. `apps.connections.open` may be called about once a
    /// minute when it goes on.
    pub waits: Vec<Duration>,
    /// How long a connection is listened to that Slack said it would close: it does so within seconds.
    pub farewell: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let waits = [500, 2_000, 10_000, 30_000, 60_000];
        let waits = waits.into_iter().map(Duration::from_millis).collect();
        Self { silence: Duration::from_secs(30), waits, farewell: Duration::from_mins(1) }
    }
}

/// How long Slack may take to read what is sent to it: an acknowledgement of a few bytes.
const SENT_WITHIN: Duration = Duration::from_secs(5);

/// The Socket Mode connection.
pub struct Socket {
    /// With the app-level token (`xapp-`).
    client: Client,
    desk: Arc<SlackDesk>,
    /// How many connections have said hello and are open.
    open: watch::Sender<usize>,
    /// One for each connection that is there, whether it is good or not.
    places: Arc<Semaphore>,
    patience: Patience,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Socket(open: {})", *self.open.borrow())
    }
}

impl Socket {
    /// A connection that is not open yet; `client` holds the app-level token.
    pub fn new(client: Client, desk: Arc<SlackDesk>, patience: Patience) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(SOCKETS));
        Arc::new(Self { client, desk, open: watch::Sender::new(0), places, patience })
    }

    /// Whether Slack can reach us now: part of readiness.
    pub fn is_open(&self) -> bool {
        *self.open.borrow() > 0
    }

    fn count_open(&self, change: impl FnOnce(usize) -> usize) {
        self.open.send_modify(|open| {
            *open = change(*open);
            self.client.metrics.set(Metric::SlackSocketsOpen, u64::try_from(*open).unwrap_or(u64::MAX));
        });
    }

    /// Sees whether another bot uses the same app: then each hears a part of what people ask.
    fn count_others(&self, of_the_app: Option<u64>) {
        let Some(of_the_app) = of_the_app else { return };
        self.client.metrics.set(Metric::SlackAppConnections, of_the_app);
        let ours = u64::try_from(*self.open.borrow()).unwrap_or(u64::MAX);
        let others = of_the_app.saturating_sub(ours);
        if others > 0 {
            tracing::warn!(
                others,
                "Slack counts connections of this app that are not this process's: those of another bot, which then hears a \
                 part of what people ask here, or old ones that Slack has not given up yet. Give each bot an app of its own; \
                 `mtls-medic doctor` counts again"
            );
        }
    }

    /// How many connections are open, and every change of that.
    pub fn watch(&self) -> watch::Receiver<usize> {
        self.open.subscribe()
    }

    /// Keeps a connection open until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut failures = 0_usize;
        while !stop.is_cancelled() {
            // Where Slack dismisses one after the other, the next one waits until the oldest has ended.
            let place = tokio::select! {
                Ok(place) = self.places.clone().acquire_owned() => place,
                () = stop.cancelled() => return,
            };
            let began = Instant::now();
            let asked_for = match connect(&self.client).await {
                Ok(stream) => match self.listened(stream, place, &stop).await {
                    // The next connection is opened while the old one still listens. One that is greeted and dismissed
                    // at once, again and again, is no good connection: then there are waits in between.
                    Left::Announced if began.elapsed() >= self.patience.silence => {
                        failures = 0;
                        continue;
                    }
                    Left::Closed => {
                        failures = 0;
                        None
                    }
                    Left::Announced | Left::Failed => None,
                },
                Err(Closed { reason, after, .. }) => {
                    tracing::warn!(reason, "no Socket Mode connection; trying again");
                    after
                }
            };
            let wait = asked_for.unwrap_or_else(|| jittered(self.wait_after(failures)));
            failures = failures.saturating_add(1);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    fn wait_after(&self, failures: usize) -> Duration {
        let waits = &self.patience.waits;
        waits.get(failures).or(waits.last()).copied().unwrap_or(self.patience.silence)
    }

    /// Listens in a task of its own, and returns when another connection is wanted.
    async fn listened(self: &Arc<Self>, stream: Stream, place: OwnedSemaphorePermit, stop: &CancellationToken) -> Left {
        let (leaving, left) = oneshot::channel();
        let (this, stop) = (Arc::clone(self), stop.clone());
        tokio::spawn(async move {
            this.listen(stream, leaving, stop).await;
            drop(place);
        });
        left.await.unwrap_or(Left::Failed)
    }

    /// Listens until the connection ends. Says through `leaving` when and why another should be opened.
    async fn listen(&self, mut stream: Stream, leaving: oneshot::Sender<Left>, stop: CancellationToken) {
        let (mut leaving, mut greeted, mut pinged) = (Some(leaving), false, false);
        let (mut control, mut messages) =
            (Frames::new(CONTROL_FRAMES, Instant::now()), Frames::new(SOCKET_MESSAGES, Instant::now()));
        let mut farewell = pin!(Either::Left(pending()));
        loop {
            let frame = tokio::select! {
                frame = tokio::time::timeout(self.patience.silence, stream.next()) => frame,
                () = &mut farewell => break,
                () = stop.cancelled() => break,
            };
            let text = match frame {
                Err(_) if pinged => break,
                Err(_) => {
                    pinged = true;
                    if !sent(&mut stream, Frame::Ping(Vec::new().into())).await {
                        break;
                    }
                    continue;
                }
                Ok(Some(Ok(Frame::Text(text)))) => text,
                Ok(Some(Ok(Frame::Close(_)) | Err(_)) | None) => break,
                // Pings are answered by the library as the stream is read on.
                Ok(Some(Ok(_))) => {
                    if !control.allow(Instant::now()) {
                        tracing::warn!("Slack's socket was closed: it sent too many control frames");
                        break;
                    }
                    pinged = false;
                    continue;
                }
            };
            if !messages.allow(Instant::now()) {
                tracing::warn!("Slack's socket was closed: it sent too many messages");
                break;
            }
            pinged = false;
            match self.handle(&text) {
                Heard::Hello(of_the_app) if !greeted => {
                    greeted = true;
                    self.count_open(|open| open.saturating_add(1));
                    self.count_others(of_the_app);
                }
                Heard::Hello(_) | Heard::Nothing => {}
                Heard::Disconnect => {
                    if let Some(leaving) = leaving.take() {
                        farewell.set(Either::Right(sleep(self.patience.farewell)));
                        let _ = leaving.send(if greeted { Left::Announced } else { Left::Failed });
                    }
                }
                Heard::Envelope(acknowledgement) => {
                    if !sent(&mut stream, Frame::Text(acknowledgement.into())).await {
                        break;
                    }
                }
            }
        }
        if greeted {
            self.count_open(|open| open.saturating_sub(1));
        }
        if let Some(leaving) = leaving {
            let _ = leaving.send(if greeted { Left::Closed } else { Left::Failed });
        }
        let _ = tokio::time::timeout(SENT_WITHIN, stream.close(None)).await;
    }

    /// Takes one message. Every envelope is acknowledged by its id, also those that are not understood: sent again they
    /// would be no better.
    fn handle(&self, text: &str) -> Heard {
        if weigh(text.as_bytes()) > SLACK_WEIGHT {
            tracing::warn!("a message of Slack's was not read: it holds too many parts");
            self.desk.count_refusal("too_many_parts");
            return Heard::Nothing;
        }
        let Ok(message) = serde_json::from_str::<Value>(text) else { return Heard::Nothing };
        let kind = message.get("type").and_then(Value::as_str).unwrap_or_default();
        let payload = message.get("payload").unwrap_or(&Value::Null);
        let asked = match kind {
            "hello" => return Heard::Hello(connections(&message)),
            "disconnect" => return Heard::Disconnect,
            "slash_commands" => Some(Asked::command(payload)),
            "interactive" => Some(Asked::interaction(payload)),
            _ => None,
        };
        let Some(envelope) = message.get("envelope_id").and_then(Value::as_str) else { return Heard::Nothing };
        let mut acknowledgement = json!({ "envelope_id": envelope });
        match asked {
            Some(Ok(asked)) => {
                let typed = kind == "slash_commands";
                if let (Err(busy), Some(fields)) = (self.desk.take(asked), acknowledgement.as_object_mut())
                    && typed
                {
                    fields.insert("payload".to_owned(), json!({ "text": busy.to_string() }));
                }
            }
            // A kind that we did not ask for is nobody's mistake.
            Some(Err(Unreadable::OtherKind)) | None => {}
            Some(Err(error)) => {
                tracing::warn!(%error, "a message of Slack's was not understood");
                self.desk.count_refusal("unreadable");
            }
        }
        Heard::Envelope(acknowledgement.to_string())
    }
}

/// Opens a WebSocket; `client` holds the app-level token.
async fn connect(client: &Client) -> Result<Stream, Closed> {
    let address = client.open_socket().await.map_err(|error| {
        let after = match &error {
            SlackError::RateLimited { after: Some(after), .. } => Duration::try_from(*after).ok(),
            _ => None,
        };
        Closed { reason: error.to_string(), after, refused: Some(error) }
    })?;
    let closed = |reason: String| Closed { reason, after: None, refused: None };
    // `checked` knows https and loopback; a WebSocket's schemes stand for the same two.
    checked(&address.replacen("ws", "http", 1))
        .map_err(|_| closed("Slack gave an address that is no secure WebSocket".to_owned()))?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(SOCKET_MESSAGE))
        .max_frame_size(Some(SOCKET_MESSAGE))
        .read_buffer_size(SOCKET_BUFFER)
        .write_buffer_size(SOCKET_BUFFER)
        .max_write_buffer_size(SOCKET_QUEUE);
    let connecting = connect_async_with_config(&address, Some(config), true);
    match tokio::time::timeout(CALL_LIMIT, connecting).await {
        Ok(Ok((stream, _))) => Ok(stream),
        // The address holds a ticket, so it is not repeated.
        Ok(Err(error)) => Err(closed(format!("the WebSocket could not be opened: {error}"))),
        Err(_) => Err(closed(format!("the WebSocket did not open within {} s", CALL_LIMIT.as_secs()))),
    }
}

/// How many connections of the app are open beside one that is opened for this and closed at once; `None` where Slack does
/// not say. For `doctor`: nothing that Slack may send meanwhile is taken, so that it is sent to another connection.
pub async fn other_connections(client: &Client) -> Result<Option<u64>, SlackError> {
    const METHOD: &str = "apps.connections.open";
    let unreachable = |reason: String| SlackError::Unreachable { method: METHOD, reason };
    let opened = connect(client).await;
    let mut stream = opened.map_err(|closed| closed.refused.unwrap_or_else(|| unreachable(closed.reason)))?;
    let greeting = async {
        while let Some(Ok(frame)) = stream.next().await {
            let Frame::Text(text) = frame else { continue };
            let Ok(message) = serde_json::from_str::<Value>(&text) else { continue };
            if message.get("type").and_then(Value::as_str) == Some("hello") {
                return Ok(connections(&message));
            }
        }
        Err(unreachable("the WebSocket closed without a greeting".to_owned()))
    };
    let greeted = tokio::time::timeout(CALL_LIMIT, greeting).await;
    let greeted = greeted.unwrap_or_else(|_| Err(unreachable("no greeting on the WebSocket".to_owned())));
    drop(tokio::time::timeout(CALL_LIMIT, stream.close(None)).await);
    Ok(greeted?.map(|all| all.saturating_sub(1)))
}

/// Whether a frame went out in time.
async fn sent(stream: &mut Stream, frame: Frame) -> bool {
    tokio::time::timeout(SENT_WITHIN, stream.send(frame)).await.is_ok_and(|sent| sent.is_ok())
}

/// Why there is no connection, and how long Slack asked us to wait.
struct Closed {
    reason: String,
    after: Option<Duration>,
    /// Slack's refusal of the address, where it was that.
    refused: Option<SlackError>,
}

/// Why another connection is wanted.
enum Left {
    /// Slack said that it will close this one soon.
    Announced,
    /// It was good and is closed.
    Closed,
    /// It never was good.
    Failed,
}

/// What a message was.
enum Heard {
    /// The connection is good; so many are open for the app, by Slack's count.
    Hello(Option<u64>),
    /// It will be closed soon.
    Disconnect,
    /// To be answered with this.
    Envelope(String),
    /// Nothing of ours.
    Nothing,
}

/// How many connections of the app are open, as Slack's greeting counts them: this one, and those of every other bot that
/// uses the same app.
fn connections(hello: &Value) -> Option<u64> {
    hello.get("num_connections").and_then(Value::as_u64)
}

/// A wait between half of it and all of it, so that replicas do not come back all at once.
fn jittered(wait: Duration) -> Duration {
    let mut byte = [0_u8; 1];
    // Without randomness the whole wait is as good.
    let share = getrandom::fill(&mut byte).map_or(255, |()| u32::from(byte[0]));
    wait / 2 + wait / 2 * share / 255
}
