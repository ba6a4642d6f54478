//! Every bound that costs memory, and their sum: it fits the limit that the chart sets, with room.
//!
//! A hostile or broken neighbour decides how much it sends, and how often; this file decides how much the bot holds of it.
//! `tests/attacks` sends more than all of it to the real `serve` within that limit.

use std::time::{Duration, Instant};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The memory that the chart gives the bot (`resources.limits.memory` of deploy/chart/values.yaml).
pub const MEMORY: usize = 512 * MIB;
/// The bot at work while nobody attacks it: code, journal, incidents under way, the evidence of its triages. Measured
/// (`tests/bench/run`): 20 MiB idle.
const ITSELF: usize = 80 * MIB;

/// Threads that work at once, at most: each brings memory of its own, and what is parsed at once is parsed on one of them.
/// A node may have a hundred cores, and the bot waits for others most of the time.
pub const THREADS: usize = 4;

/// Connections to the bot, those that are kept for probes included.
pub const CONNECTIONS_MOST: usize = 512;
/// Connections of one address: half of all, so that no single neighbour has them all.
pub const CONNECTIONS_OF_ONE_MOST: usize = 256;
/// Of all connections, those in which only `/healthz` and `/readyz` are answered: the kubelet restarts what is silent.
pub const CONNECTIONS_FOR_PROBES: usize = 16;
/// What hyper may buffer of one connection: the head of a request, or a piece of its body.
pub const CONNECTION_BUFFER: usize = 16 * KIB;
/// The state of a connection beside its buffers for reading and writing.
const CONNECTION_STATE: usize = 16 * KIB;

/// Bodies of requests while they arrive, twice their length: the pieces are put together in the end.
pub const BODIES: usize = 12 * MIB;
/// Of those, bodies that may be anybody's: Slack signs the body itself, so it is read before it is believed.
pub const BODIES_OF_STRANGERS: usize = 4 * MIB;
/// What bodies become that arrived whole, until they are stored: see [`weigh`].
pub const WORK: usize = 96 * MIB;
/// The largest body of the webhook: several thousand alerts.
pub const WEBHOOK_BODY: usize = 2 * MIB;
/// The largest request of Slack: an interaction brings its whole message, at most 50 blocks of 3,000 characters.
pub const SLACK_BODY: usize = 512 * KIB;
/// The largest command of Slack: 4,000 characters, each written as twelve at most, and a dozen names beside them.
pub const SLACK_COMMAND_BODY: usize = 64 * KIB;
/// The most that one request or message of Slack may become; of a message full of text and buttons it is half as much.
pub const SLACK_WEIGHT: usize = 768 * KIB;
/// Requests of Slack that the bot works on, or answers with "busy" (`chat/slack/inbound`).
const SLACK_AT_ONCE: usize = 64 + 16;

/// What hyper may buffer of a connection that the bot opened: the head of an answer, or a piece of its body.
pub const OUTGOING_BUFFER: usize = 32 * KIB;
/// What TLS holds of a connection: a record each way, and its state.
const TLS: usize = 40 * KIB;
/// Calls of Slack and of pagers at once: requests that are worked on, four effects of each, and the heartbeat.
const OUTGOING_AT_ONCE: usize = SLACK_AT_ONCE + 4 + 4 + 1;

/// Connections in Socket Mode: the next one is opened before Slack closes the last one.
pub const SOCKETS: usize = 2;
/// The longest message of Slack's socket.
pub const SOCKET_MESSAGE: usize = MIB;
/// The longest message of Discord's gateway, and the largest interaction over HTTP: the message that was pressed comes with it,
/// at most 6,000 characters in its embeds and 2,000 beside them.
pub const DISCORD_MESSAGE: usize = 256 * KIB;
/// The most that one message of Discord's gateway may become.
pub const DISCORD_WEIGHT: usize = 512 * KIB;
/// The largest answer of Discord's HTTP API: 25 messages, each as long as Discord lets them be.
pub const DISCORD_ANSWER: usize = 512 * KIB;
/// How many such answers of Discord are read at once; more wait.
pub const DISCORD_ANSWERS_AT_ONCE: usize = 1;
/// The answer to a message that was sent: the message, and the one that it answers, each character written as six.
pub const DISCORD_SENT: usize = 128 * KIB;
/// How many of those are read at once: one for each message that is on its way.
pub const DISCORD_SENT_AT_ONCE: usize = 4;
/// Why Discord refused, in its words.
pub const DISCORD_REFUSAL: usize = 8 * KIB;
/// The most that one answer of Discord may become.
pub const DISCORD_ANSWER_WEIGHT: usize = MIB;
/// What may wait to be written to a WebSocket whose other end does not read.
pub const SOCKET_QUEUE: usize = 64 * KIB;

/// What is read from a WebSocket, or gathered to be written to it, at a time.
pub const SOCKET_BUFFER: usize = 16 * KIB;
/// Control frames a second that a WebSocket may send: pings come every few seconds.
pub const CONTROL_FRAMES: u32 = 20;
/// Messages a second of Slack's socket: people press and type.
pub const SOCKET_MESSAGES: u32 = 200;

/// The largest answer of Slack's Web API.
pub const SLACK_ANSWER: usize = 2 * MIB;
/// How many answers of Slack are read at once; more wait.
pub const SLACK_ANSWERS_AT_ONCE: usize = 3;
/// The most that one answer of Slack may become.
pub const SLACK_ANSWER_WEIGHT: usize = 4 * MIB;

/// What is kept of a thread, from its end: the posts of the bot that have buttons.
pub const SLACK_THREAD: usize = MIB;
/// Threads that are read at once: one for each message that is on its way.
const SLACK_THREADS_AT_ONCE: usize = 4;

/// Calls of the API server at once: those of triages, and those of fixes.
pub const CLUSTER_CALLS: usize = 32;
/// See [`CLUSTER_CALLS`].
pub const FIXING_CALLS: usize = 8;
/// What every call may read and hold: an object, a page of a list, a certificate.
pub const CLUSTER_ANSWER: usize = 256 * KIB;
/// What a call may read that has one of the few places for long answers.
pub const CLUSTER_LONG_ANSWER: usize = 8 * MIB;
/// How many calls may read long answers at once; more wait.
pub const CLUSTER_LONG_ANSWERS_AT_ONCE: usize = 2;
/// The most that an answer of the API server may become without such a place: a config map, or a small pod.
pub const CLUSTER_WEIGHT: usize = 384 * KIB;
/// The most that one may become with a place: thirty pods, each with a hundred elements of lists and many more fields. While
/// it arrives it is there three times.
pub const CLUSTER_LONG_WEIGHT: usize = 32 * MIB;
/// How much more an element of a list is than other objects: the room for all fields of its kind, whether they are said or
/// not, twice, since a list grows by doubling.
pub const CLUSTER_ELEMENT: usize = 6 * KIB;
/// What hyper may buffer of a connection to the API server, beside what is read of it.
pub const CLUSTER_BUFFER: usize = 64 * KIB;
/// How much of one log is let through, to keep its end ([`LOG`]): 4000 lines of 4 KiB.
pub const CLUSTER_LOG_READ: usize = 16 * MIB;
/// The longest message of a stream into a pod; the API server sends 32 KiB at a time.
pub const POD_MESSAGE: usize = 128 * KIB;
/// What a stream into a pod holds at once: a message, what waits to be sent, and what is carried between its two ends.
const POD_STREAM: usize = POD_MESSAGE + SOCKET_QUEUE + 4 * SOCKET_BUFFER;
/// How much is kept of one log.
pub const LOG: usize = MIB;
/// How much more than that is read before the oldest is let go.
pub const LOG_SLACK: usize = 128 * KIB;
/// Logs of which what may be a secret is dropped at once: each is copied twice for that.
pub const LOGS_CLEARED_AT_ONCE: usize = 2;

/// All of it at once.
pub const ALL: usize = ITSELF
    + CONNECTIONS_MOST * (2 * CONNECTION_BUFFER + CONNECTION_STATE)
    + BODIES
    + WORK
    + SLACK_AT_ONCE * SLACK_WEIGHT
    + SOCKETS * (2 * SOCKET_MESSAGE + SLACK_WEIGHT + SOCKET_BUFFER + SOCKET_QUEUE)
    + 2 * DISCORD_MESSAGE
    + DISCORD_WEIGHT
    + SOCKET_BUFFER
    + SOCKET_QUEUE
    + DISCORD_SENT_AT_ONCE * 2 * DISCORD_SENT
    + OUTGOING_AT_ONCE * DISCORD_REFUSAL
    + DISCORD_ANSWERS_AT_ONCE * (2 * DISCORD_ANSWER + DISCORD_ANSWER_WEIGHT)
    + SLACK_ANSWERS_AT_ONCE * (2 * SLACK_ANSWER + SLACK_ANSWER_WEIGHT)
    + SLACK_THREADS_AT_ONCE * SLACK_THREAD
    + OUTGOING_AT_ONCE * (OUTGOING_BUFFER + TLS)
    + (CLUSTER_CALLS + FIXING_CALLS) * (CLUSTER_WEIGHT + CLUSTER_BUFFER + TLS)
    + CLUSTER_CALLS * POD_STREAM
    + CLUSTER_CALLS * (LOG + LOG_SLACK)
    + LOGS_CLEARED_AT_ONCE * 2 * LOG
    + CLUSTER_LONG_ANSWERS_AT_ONCE * CLUSTER_LONG_WEIGHT;

/// Stays free: an allocator keeps some of the memory that it got back.
const ROOM: usize = MEMORY / 8;
const _: () = assert!(ALL + ROOM <= MEMORY, "the bounds do not fit the memory that the chart gives");

/// Counts frames of a WebSocket: an end that sends more than `most` a second is no friend.
#[derive(Debug)]
pub struct Frames {
    most: u32,
    second: Instant,
    seen: u32,
}

impl Frames {
    /// From now on.
    pub fn new(most: u32, now: Instant) -> Self {
        Self { most, second: now, seen: 0 }
    }

    /// Whether one more may come.
    pub fn allow(&mut self, now: Instant) -> bool {
        if now.duration_since(self.second) >= Duration::from_secs(1) {
            (self.second, self.seen) = (now, 0);
        }
        self.seen = self.seen.saturating_add(1);
        self.seen <= self.most
    }
}

/// What a JSON text may become in memory, in bytes. Its length says little: a small object (`{"":0}`) becomes a hundred
/// times as much. What stands in texts becomes no more than it is long, or people could make a message weigh what they like.
pub fn weigh(json: &[u8]) -> usize {
    let mut weight = Weight::default();
    weight.add(json);
    weight.bytes
}

/// What a form may become: each field, and of Slack's `payload` the JSON in it too.
pub fn weigh_form(form: &[u8]) -> usize {
    url::form_urlencoded::parse(form).fold(form.len(), |weight, (name, value)| {
        let json = if name == "payload" { weigh(value.as_bytes()) } else { value.len() };
        weight.saturating_add(ENTRY).saturating_add(json)
    })
}

/// What a map of JSON becomes: with one entry it has room for eleven.
pub const OBJECT: usize = 700;
/// What a name and a value become, each a small piece of memory of its own.
const ENTRY: usize = 160;

/// The weight of a text that comes in pieces: see [`weigh`].
#[derive(Debug, Default)]
pub struct Weight {
    /// Of all that has come.
    pub bytes: usize,
    /// How much more an object is that is an element of a list.
    element: usize,
    /// Whether an object that begins now would be one.
    in_list: bool,
    text: Text,
}

/// Whether a text is under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Text {
    #[default]
    Outside,
    Inside,
    /// The next byte is taken as it is.
    Escaped,
}

impl Text {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Outside, b'"') | (Self::Escaped, _) => Self::Inside,
            (Self::Inside, b'"') => Self::Outside,
            (Self::Inside, b'\\') => Self::Escaped,
            _ => self,
        }
    }
}

impl Weight {
    /// Of an answer of the API server, of which typed objects are made.
    pub fn of_the_cluster() -> Self {
        Self { element: CLUSTER_ELEMENT, ..Self::default() }
    }

    /// Adds the next piece.
    pub fn add(&mut self, piece: &[u8]) {
        self.bytes = self.bytes.saturating_add(piece.len());
        for byte in piece {
            let before = self.text;
            self.text = before.after(*byte);
            if (before, self.text) != (Text::Outside, Text::Outside) {
                self.in_list = false;
                continue;
            }
            let part = match *byte {
                b'{' if self.in_list => OBJECT.saturating_add(self.element),
                b'{' | b'[' => OBJECT,
                b',' => ENTRY,
                _ => 0,
            };
            self.bytes = self.bytes.saturating_add(part);
            self.in_list = matches!(*byte, b'[' | b',') || (self.in_list && byte.is_ascii_whitespace());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `kubectl` writes it: `512Mi`.
    fn bytes(quantity: &str) -> usize {
        quantity.strip_suffix("Mi").and_then(|number| number.parse::<usize>().ok()).unwrap() * MIB
    }

    #[test]
    fn all_that_is_held_at_once_fits_the_memory_that_the_chart_gives() {
        let values = include_str!("../deploy/chart/values.yaml");
        let values: serde_json::Value = serde_saphyr::from_str(values).unwrap();
        let limit = bytes(values["resources"]["limits"]["memory"].as_str().unwrap());
        assert_eq!(limit, MEMORY, "the bounds are made for another limit");
        assert!(ALL + ROOM <= limit, "{} MiB are promised", ALL / MIB);
    }

    #[test]
    fn a_second_of_frames_is_counted_for_itself() {
        let now = Instant::now();
        let mut frames = Frames::new(2, now);
        assert!(frames.allow(now) && frames.allow(now) && !frames.allow(now));
        assert!(frames.allow(now + Duration::from_secs(1)));
    }

    #[test]
    fn an_element_of_a_list_of_the_api_server_weighs_what_the_largest_of_its_kind_takes() {
        use k8s_openapi::api::{
            apps::v1::{DaemonSet, Deployment, StatefulSet},
            core::v1::{ConfigMap, Container, Pod, Service, Volume},
            discovery::v1::{Endpoint, EndpointSlice},
            policy::v1::PodDisruptionBudget,
        };
        let sizes = [
            size_of::<Pod>(),
            size_of::<Container>(),
            size_of::<Volume>(),
            size_of::<Service>(),
            size_of::<Deployment>(),
            size_of::<StatefulSet>(),
            size_of::<DaemonSet>(),
            size_of::<ConfigMap>(),
            size_of::<EndpointSlice>(),
            size_of::<Endpoint>(),
            size_of::<PodDisruptionBudget>(),
        ];
        assert!(sizes.iter().all(|size| 2 * size <= OBJECT + CLUSTER_ELEMENT), "{sizes:?}");
    }

    #[test]
    fn a_text_weighs_the_same_however_it_is_cut() {
        let text = br#"{"items": [{"a":"\",[{}"}, {"b":{}},
            {"c":[]}]}"#;
        let weight = |pieces: &[&[u8]]| {
            let mut weight = Weight::of_the_cluster();
            for piece in pieces {
                weight.add(piece);
            }
            weight.bytes
        };
        let whole = weight(&[text]);
        assert_eq!(whole, text.len() + 3 * (OBJECT + CLUSTER_ELEMENT) + 4 * OBJECT + 2 * ENTRY);
        for at in 0..text.len() {
            let (begin, end) = text.split_at(at);
            assert_eq!(weight(&[begin, end]), whole);
        }
    }

    #[test]
    fn what_becomes_much_weighs_much_in_json_and_in_a_form() {
        let small_objects = br#"[{"":0},{"":0}]"#;
        assert!(weigh(small_objects) > 100 * small_objects.len());
        assert_eq!(weigh(b"text"), 4);
        let form = b"payload=%7B%22a%22%3A%5B1%2C2%5D%7D";
        assert!(weigh_form(form) > 1400 + 160, "{}", weigh_form(form));
    }

    #[test]
    fn what_people_write_weighs_what_it_is_long_whatever_it_is_full_of() {
        let braces = "{[,".repeat(1_000);
        let text = serde_json::json!({ "a": braces, r#"b"{"#: format!("\"{braces}\\") }).to_string();
        assert_eq!(weigh(text.as_bytes()), text.len() + OBJECT + ENTRY);
        let form: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("text", braces.as_str()), ("payload", text.as_str())])
            .finish();
        assert!(
            weigh_form(form.as_bytes()) < form.len() + braces.len() + text.len() + 3 * (OBJECT + ENTRY),
            "{}",
            weigh_form(form.as_bytes())
        );
    }
}
