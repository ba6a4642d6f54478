//! Every bound that costs memory, and their sum: it fits the limit that the chart sets, with room.
//!
//! A hostile or broken neighbour decides how much is sent, and how often; what is held of it at once is decided here.
//! `tests/attacks` sends more than all of it to the real `serve` within that limit.

use std::time::{Duration, Instant};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The memory that the chart gives the bot (`resources.limits.memory` of deploy/chart/values.yaml).
pub const MEMORY: usize = 512 * MIB;
/// The bot at work while nobody attacks it: code, journal, incidents under way, the evidence of its triages. Measured
/// (`tests/bench/run`): 20 MiB idle.
const ITSELF: usize = 96 * MIB;

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
pub const BODIES: usize = 16 * MIB;
/// Of those, bodies that may be anybody's: Slack signs the body itself, so it is read before it is believed.
pub const BODIES_OF_STRANGERS: usize = 8 * MIB;
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
/// Requests of Slack that are worked on or told that the bot is busy (`chat/slack/inbound`).
const SLACK_AT_ONCE: usize = 64 + 16;

/// Connections in Socket Mode: the next one is opened before Slack closes the last one.
pub const SOCKETS: usize = 2;
/// The longest message of Slack's socket.
pub const SOCKET_MESSAGE: usize = MIB;
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
pub const SLACK_ANSWERS_AT_ONCE: usize = 4;
/// The most that one answer of Slack may become.
pub const SLACK_ANSWER_WEIGHT: usize = 4 * MIB;

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
/// How many objects and lists an answer of the API server may hold: 500 pods have 130 each. Its length says little of what
/// it becomes: `{}` in a list of pods becomes a thousand times as much.
pub const CLUSTER_PARTS: usize = 80_000;
/// How much of one log is let through, to keep its end ([`LOG`]): 4000 lines of 4 KiB.
pub const CLUSTER_LOG_READ: usize = 16 * MIB;
/// The longest message of a stream into a pod; the API server sends 32 KiB at a time.
pub const POD_MESSAGE: usize = 256 * KIB;
/// How many times its length an answer of the API server costs: pieces, text, and the objects that are made of it.
const CLUSTER_ANSWER_BECOMES: usize = 4;
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
    + SLACK_ANSWERS_AT_ONCE * (2 * SLACK_ANSWER + SLACK_ANSWER_WEIGHT)
    + (CLUSTER_CALLS + FIXING_CALLS) * CLUSTER_ANSWER
    + CLUSTER_CALLS * (LOG + LOG_SLACK)
    + LOGS_CLEARED_AT_ONCE * 2 * LOG
    + CLUSTER_LONG_ANSWERS_AT_ONCE * CLUSTER_LONG_ANSWER * CLUSTER_ANSWER_BECOMES;

/// What stays free: an allocator keeps some of what it was given back.
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
/// times as much. Braces inside of texts count as well, and so do those of a form (`%7B`): too much is safe.
pub fn weigh(json: &[u8]) -> usize {
    /// A map with one entry has room for eleven.
    const OBJECT: usize = 700;
    /// A name and a value, each a small piece of memory of its own.
    const ENTRY: usize = 160;
    let mut weight = json.len();
    let mut rest = json.iter();
    while let Some(byte) = rest.next() {
        let byte = match (byte, rest.as_slice()) {
            (b'%', [b'7', b'b' | b'B', ..]) => b'{',
            (b'%', [b'5', b'b' | b'B', ..]) => b'[',
            (b'%', [b'2', b'c' | b'C', ..]) => b',',
            (byte, _) => *byte,
        };
        weight = weight.saturating_add(match byte {
            b'{' | b'[' => OBJECT,
            b',' => ENTRY,
            _ => 0,
        });
    }
    weight
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
    fn what_becomes_much_weighs_much_in_json_and_in_a_form() {
        let small_objects = br#"[{"":0},{"":0}]"#;
        assert!(weigh(small_objects) > 100 * small_objects.len());
        assert_eq!(weigh(b"text"), 4);
        let form = b"payload=%7B%22a%22%3A%5B1%2C2%5D%7D";
        assert!(weigh(form) > 1400 + 160, "{}", weigh(form));
    }
}
