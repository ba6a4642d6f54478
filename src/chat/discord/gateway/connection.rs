//! One connection: greeted, identified or resumed, kept alive by heartbeats, and listened to.

use std::{borrow::Cow, sync::Arc, time::Duration};

use futures::{SinkExt, StreamExt};
use secrecy::ExposeSecret;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json, value::RawValue};
use serenity::{
    constants::{GATEWAY_VERSION, Opcode},
    model::gateway::GatewayIntents,
};
use tokio::{
    net::TcpStream,
    time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{
        Message as Frame,
        protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode},
    },
};
use tokio_util::sync::CancellationToken;

use super::{Gateway, GatewayPatience, Left, Pace, Session};
use crate::{
    bounds::{
        CONTROL_FRAMES, DISCORD_MESSAGE, DISCORD_WEIGHT, Frames, SOCKET_BUFFER, SOCKET_MESSAGES, SOCKET_QUEUE, weigh,
    },
    chat::{
        discord::jitter::part_of,
        outgoing::{CALL_LIMIT, checked},
    },
    metrics::Metric,
};

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How long Discord may take to read what is sent to it: a heartbeat of a few bytes.
pub(super) const SENT_WITHIN: Duration = Duration::from_secs(5);
/// A close with this code leaves the session to be resumed; 1000 and 1001 end it.
const TO_BE_RESUMED: u16 = 4000;

/// A connection that Discord has greeted.
pub(super) struct Greeted {
    stream: Stream,
    /// The time between two heartbeats.
    beat: Duration,
}

/// Connects, and waits for the greeting.
pub(super) async fn greeted(address: &str, patience: &GatewayPatience) -> Result<Greeted, String> {
    let mut stream = connect(address).await?;
    let hello = timeout(patience.greeting, hello(&mut stream)).await;
    let hello = hello.ok().flatten().ok_or("it did not greet")?;
    Ok(Greeted { stream, beat: patience.beat.min(Duration::from_millis(hello.heartbeat_interval)) })
}

async fn hello(stream: &mut Stream) -> Option<Hello> {
    loop {
        let text = match stream.next().await? {
            Ok(Frame::Text(text)) => text,
            Ok(Frame::Ping(_) | Frame::Pong(_)) => continue,
            _ => return None,
        };
        let payload = serde_json::from_str::<Payload<'_>>(&text).ok()?;
        if payload.op == Opcode::Hello {
            return payload.data().filter(|hello: &Hello| hello.heartbeat_interval > 0);
        }
    }
}

/// A connection in which a session is resumed or begun.
pub(super) struct Connection<'a> {
    gateway: &'a Gateway,
    pace: &'a mut Pace,
    stream: Stream,
    beat: Duration,
    opened_at: Option<Instant>,
    /// Whether the last heartbeat is not acknowledged yet.
    unanswered: bool,
    control: Frames,
    messages: Frames,
}

/// A message of the gateway.
#[derive(Deserialize)]
struct Payload<'a> {
    op: Opcode,
    #[serde(borrow, default)]
    d: Option<&'a RawValue>,
    #[serde(default)]
    s: Option<u64>,
    #[serde(borrow, default)]
    t: Option<Cow<'a, str>>,
}

impl Payload<'_> {
    fn data<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(self.d?.get()).ok()
    }
}

#[derive(Deserialize)]
struct Hello {
    /// Milliseconds.
    heartbeat_interval: u64,
}

#[derive(Deserialize)]
struct Ready {
    session_id: String,
    resume_gateway_url: String,
}

/// What comes after a message.
enum Next {
    Listen,
    Beat,
    Leave(Left),
}

impl<'a> Connection<'a> {
    /// Goes on with a connection whose gateway has said hello.
    pub fn over(greeted: Greeted, gateway: &'a Gateway, pace: &'a mut Pace) -> Self {
        let Greeted { stream, beat } = greeted;
        let now = std::time::Instant::now();
        let (control, messages) = (Frames::new(CONTROL_FRAMES, now), Frames::new(SOCKET_MESSAGES, now));
        Self { gateway, pace, stream, beat, opened_at: None, unanswered: false, control, messages }
    }

    /// Resumes the session, or asks for a new one.
    async fn introduce(&mut self) -> bool {
        let token = self.gateway.token.expose_secret();
        let introduction = if let Some(session) = &self.pace.session {
            let data = json!({ "token": token, "session_id": session.id, "seq": session.sequence });
            message(Opcode::Resume, &data)
        } else {
            self.pace.session_began = Some(Instant::now());
            message(
                Opcode::Identify,
                &json!({
                    "token": token,
                    // Interactions come without any.
                    "intents": GatewayIntents::empty().bits(),
                    "compress": false,
                    "properties": { "os": std::env::consts::OS, "browser": "mtls-medic", "device": "mtls-medic" },
                }),
            )
        };
        self.sent(Frame::Text(introduction.into())).await
    }

    /// Resumes or begins the session, and listens until the connection ends.
    pub async fn listen(mut self, stop: &CancellationToken) -> Left {
        let (left, code) = if self.introduce().await {
            self.until_it_ends(stop).await
        } else {
            (Left::failed(), CloseCode::from(TO_BE_RESUMED))
        };
        self.gateway.set_open(false);
        let frame = CloseFrame { code, reason: "".into() };
        let _ = timeout(SENT_WITHIN, self.stream.close(Some(frame))).await;
        Left { open_for: self.opened_at.map(|at| at.elapsed()), ..left }
    }

    async fn until_it_ends(&mut self, stop: &CancellationToken) -> (Left, CloseCode) {
        let to_be_resumed = CloseCode::from(TO_BE_RESUMED);
        let taken_by = Instant::now() + self.gateway.patience.greeting;
        let mut beats = interval_at(Instant::now() + part_of(self.beat), self.beat);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // What has arrived is read before the next heartbeat: after a pause of this process the answer lies there.
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => return (Left::failed(), CloseCode::Normal),
                frame = self.stream.next() => self.take(frame),
                () = sleep_until(taken_by), if self.opened_at.is_none() => {
                    tracing::warn!("Discord's gateway did not take the session; connecting anew");
                    Next::Leave(Left::failed())
                }
                _ = beats.tick() => {
                    if self.unanswered {
                        tracing::warn!("Discord's gateway did not answer a heartbeat; connecting anew");
                        Next::Leave(Left::failed())
                    } else {
                        // Discord may ask for a heartbeat between two of ours: that one is waited for by nobody.
                        self.unanswered = true;
                        Next::Beat
                    }
                }
            };
            match next {
                Next::Listen => {}
                Next::Beat if self.heartbeat().await => {}
                Next::Beat => return (Left::failed(), to_be_resumed),
                Next::Leave(left) => return (left, to_be_resumed),
            }
        }
    }

    fn take(&mut self, frame: Option<Result<Frame, tokio_tungstenite::tungstenite::Error>>) -> Next {
        let now = std::time::Instant::now();
        match frame {
            Some(Ok(Frame::Text(text))) if self.messages.allow(now) => self.handle(&text),
            Some(Ok(Frame::Ping(_) | Frame::Pong(_))) if self.control.allow(now) => Next::Listen,
            Some(Ok(Frame::Close(close))) => {
                let code = close.map(|close| u16::from(close.code));
                tracing::info!(code, "Discord closed its gateway's connection");
                Next::Leave(Left::by_code(code))
            }
            Some(Ok(_)) => {
                tracing::warn!("Discord's gateway was left: it sent too many frames, or some that are no text");
                Next::Leave(Left::failed())
            }
            Some(Err(error)) => {
                tracing::info!(%error, "the connection to Discord's gateway broke");
                Next::Leave(Left::failed())
            }
            None => Next::Leave(Left::failed()),
        }
    }

    /// Takes one message. One that is not understood costs nothing but itself.
    fn handle(&mut self, text: &str) -> Next {
        if weigh(text.as_bytes()) > DISCORD_WEIGHT {
            tracing::warn!("a message of Discord's was not read: it holds too many parts");
            self.gateway.hear.count_refusal("too_many_parts");
            return Next::Listen;
        }
        let Ok(payload) = serde_json::from_str::<Payload<'_>>(text) else {
            tracing::warn!("a message of Discord's gateway was not understood");
            self.gateway.hear.count_refusal("unreadable");
            return Next::Listen;
        };
        match payload.op {
            Opcode::Dispatch => self.dispatched(&payload),
            Opcode::Heartbeat => return Next::Beat,
            Opcode::HeartbeatAck => self.unanswered = false,
            Opcode::Reconnect => return Next::Leave(Left::by_code(None)),
            Opcode::InvalidSession => {
                let resumable = payload.data::<bool>().unwrap_or(false);
                return Next::Leave(Left { forgets_session: !resumable, ..Left::failed() });
            }
            _ => {}
        }
        Next::Listen
    }

    fn dispatched(&mut self, payload: &Payload<'_>) {
        match payload.t.as_deref() {
            Some("READY") => {
                let Some(ready) = payload.data::<Ready>() else { return };
                let (id, address) = (ready.session_id, ready.resume_gateway_url);
                self.pace.session = Some(Session { id, address, sequence: 0 });
                self.opened();
            }
            Some("RESUMED") => self.opened(),
            Some("INTERACTION_CREATE") => {
                if let Some(interaction) = payload.d {
                    Arc::clone(&self.gateway.hear).interaction(interaction.get());
                }
            }
            _ => {}
        }
        if let (Some(session), Some(sequence)) = (&mut self.pace.session, payload.s) {
            session.sequence = sequence;
        }
    }

    fn opened(&mut self) {
        if self.opened_at.is_none() {
            self.opened_at = Some(Instant::now());
            self.gateway.metrics.count(Metric::DiscordGatewayOpenedTotal, 1);
            self.gateway.set_open(true);
        }
    }

    async fn heartbeat(&mut self) -> bool {
        let sequence = self.pace.session.as_ref().map(|session| session.sequence);
        self.sent(Frame::Text(message(Opcode::Heartbeat, &json!(sequence)).into())).await
    }

    /// Whether a frame went out in time.
    async fn sent(&mut self, frame: Frame) -> bool {
        timeout(SENT_WITHIN, self.stream.send(frame)).await.is_ok_and(|sent| sent.is_ok())
    }
}

fn message(op: Opcode, data: &Value) -> String {
    json!({ "op": u8::from(op), "d": data }).to_string()
}

/// Opens a WebSocket.
async fn connect(address: &str) -> Result<Stream, String> {
    // `checked` knows https and loopback; a WebSocket's schemes stand for the same two.
    checked(&address.replacen("ws", "http", 1))
        .map_err(|_| "Discord gave an address that is no secure WebSocket".to_owned())?;
    let address = format!("{}/?v={GATEWAY_VERSION}&encoding=json", address.trim_end_matches('/'));
    let config = WebSocketConfig::default()
        .max_message_size(Some(DISCORD_MESSAGE))
        .max_frame_size(Some(DISCORD_MESSAGE))
        .read_buffer_size(SOCKET_BUFFER)
        .write_buffer_size(SOCKET_BUFFER)
        .max_write_buffer_size(SOCKET_QUEUE);
    match timeout(CALL_LIMIT, connect_async_with_config(&address, Some(config), true)).await {
        Ok(Ok((stream, _))) => Ok(stream),
        Ok(Err(error)) => Err(format!("the WebSocket could not be opened: {error}")),
        Err(_) => Err(format!("the WebSocket did not open within {} s", CALL_LIMIT.as_secs())),
    }
}
