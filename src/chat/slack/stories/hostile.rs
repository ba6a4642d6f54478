//! What sits at Slack's address and is not Slack: a proxy that is broken, or somebody who means harm.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Query, Request},
    http::StatusCode,
    routing::{get, post},
};
use futures::{SinkExt, StreamExt, stream};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{
    APP_TOKEN, BOT_TOKEN, CHANNEL, SlackStory,
    fake_slack::{SIGNING_SECRET, Signer},
    night,
};
use crate::{
    bounds::{BODIES_OF_STRANGERS, SLACK_ANSWER, SLACK_BODY},
    chat::slack::{Client, Patience, SlackError, Socket, router},
    http::Bodies,
    incident::Fingerprint,
};

/// Longer than any of these takes.
const FOR_EVER: Duration = Duration::from_secs(20);
/// How much is sent at a time, in bytes.
const PIECE: usize = 64 * 1024;

async fn at(routes: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, routes).into_future());
    base
}

fn client(base: &str) -> Client {
    Client::new(base, &BOT_TOKEN.to_owned().into()).unwrap()
}

#[tokio::test]
async fn an_answer_without_end_is_given_up_and_not_kept() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = sent.clone();
    let endless = move || {
        let counted = counted.clone();
        let pieces = stream::repeat_with(move || {
            counted.fetch_add(PIECE, Ordering::Relaxed);
            Ok::<_, Infallible>(vec![b' '; PIECE])
        });
        async move { Body::from_stream(pieces) }
    };
    let base = at(Router::new().fallback(endless)).await;
    let error = client(&base).identity().await.unwrap_err();
    assert_eq!(error, SlackError::TooLong { method: "auth.test" });
    // What lies in the buffers of the sockets was sent as well.
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent < SLACK_ANSWER + 16 * 1024 * 1024, "{sent} bytes were taken");
}

#[tokio::test]
async fn an_answer_of_countless_small_parts_is_given_up_before_it_is_read() {
    let small = format!(r#"{{"ok":true,"messages":[{}0]}}"#, r#"{"":0},"#.repeat(100_000));
    let base = at(Router::new().fallback(async move || small)).await;
    let error = client(&base).thread(CHANNEL, "1.0", |_| Some(())).await.unwrap_err();
    assert_eq!(error, SlackError::TooLong { method: "conversations.replies" });
}

#[tokio::test]
async fn of_a_long_thread_only_what_is_looked_for_is_kept_and_the_newest_of_it() {
    // Each page is as long as one may be, and there is always another.
    let replies = async |Query(asked): Query<Value>| {
        let from: usize = asked["cursor"].as_str().unwrap_or("0").parse().unwrap();
        let message =
            |at: usize| json!({ "ts": at.to_string(), "text": "x".repeat(150_000), "ours": at.is_multiple_of(2) });
        let messages: Vec<Value> = (from..from + 10).map(message).collect();
        Json(
            json!({ "ok": true, "messages": messages, "response_metadata": { "next_cursor": (from + 10).to_string() } }),
        )
    };
    let base = at(Router::new().route("/conversations.replies", get(replies))).await;
    let ours = |message: &Value| message["ours"].as_bool()?.then(|| message["ts"].as_str().unwrap().to_owned());
    let kept = client(&base).thread(CHANNEL, "1.0", ours).await.unwrap();
    assert_eq!(kept, ["88", "90", "92", "94", "96", "98"]);
}

#[tokio::test]
async fn among_long_messages_of_others_ours_is_found_in_smaller_pages() {
    let history = async |Query(asked): Query<Value>| {
        let (limit, from): (usize, usize) = (
            asked["limit"].as_str().unwrap().parse().unwrap(),
            asked["cursor"].as_str().unwrap_or("0").parse().unwrap(),
        );
        let message = |at: usize| {
            let key = if at == 14 { "our-key" } else { "other" };
            json!({ "ts": at.to_string(), "text": "x".repeat(100_000), "metadata": { "event_payload": { "key": key } } })
        };
        let messages: Vec<Value> = (from..from + limit).map(message).collect();
        Json(
            json!({ "ok": true, "messages": messages, "response_metadata": { "next_cursor": (from + limit).to_string() } }),
        )
    };
    let base = at(Router::new().route("/conversations.history", get(history))).await;
    let found = client(&base).find(CHANNEL, None, "0", "our-key").await.unwrap();
    assert_eq!(found.as_deref(), Some("14"));
}

#[tokio::test]
async fn texts_full_of_braces_keep_nothing_from_being_found_and_no_press_or_command_from_being_heard() {
    let braces = "{".repeat(3_000);
    let said: Vec<Value> = (0..4).map(|at| json!({ "ts": at.to_string(), "text": braces })).collect();
    let history = async move || {
        let ours = json!({ "ts": "9", "metadata": { "event_payload": { "key": "our-key" } } });
        let messages = [&said[..], &[ours]].concat();
        Json(json!({ "ok": true, "messages": messages }))
    };
    let base = at(Router::new().route("/conversations.history", get(history))).await;
    let found = client(&base).find(CHANNEL, None, "0", "our-key").await.unwrap();
    assert_eq!(found.as_deref(), Some("9"));

    let mut incident = night::opened();
    let mut alert = incident.alerts.values().next().unwrap().clone();
    for number in 0..8 {
        alert.sighting.summary = Some(format!("{number}{}", "{".repeat(199)));
        incident.alerts.insert(Fingerprint(format!("braces-{number}")), alert.clone());
    }
    let night = SlackStory::of(incident).await;
    night.performs(night.task("card", super::outbound::draw())).await;
    let bot = routes(&night, Bodies::default());
    let signer = Signer::at(crate::clock::Clock::now(&*night.clock).as_second());
    let pressed = night.slack.pressed("U0ONCALL", "Acknowledge");
    assert!(pressed.to_string().matches('{').count() > 1_200, "{pressed}");
    assert_eq!(signer.interaction(&bot, &pressed).await.status(), StatusCode::OK);
    let noted = night.slack.typed("U0ONCALL", &format!("note {braces}"));
    assert_eq!(signer.command(&bot, &noted).await.status(), StatusCode::OK);
}

/// The bot's socket, connected to what greets it and is handed out.
async fn greeted() -> tokio_tungstenite::WebSocketStream<tokio::net::TcpStream> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let open = async move || Json(json!({ "ok": true, "url": url }));
    let base = at(Router::new().route("/apps.connections.open", post(open))).await;
    let client = Client::new(&base, &APP_TOKEN.to_owned().into()).unwrap();
    let night = SlackStory::of(night::opened()).await;
    let patience = Patience { silence: FOR_EVER, waits: vec![FOR_EVER], farewell: FOR_EVER };
    let socket = Socket::new(client, night.desk.clone(), patience);
    tokio::spawn(socket.run(CancellationToken::new()));
    let (stream, _) = listener.accept().await.unwrap();
    let mut stream = tokio_tungstenite::accept_async(stream).await.unwrap();
    stream.send(Frame::text(json!({ "type": "hello" }).to_string())).await.unwrap();
    stream
}

/// How many frames are sent until the bot has enough; nothing is read meanwhile.
async fn taken(frame: Frame) -> usize {
    let mut stream = greeted().await;
    let flood = async {
        let mut sent = 0;
        while stream.send(frame.clone()).await.is_ok() {
            sent += 1;
        }
        sent
    };
    tokio::time::timeout(FOR_EVER, flood).await.expect("the bot went on listening")
}

#[tokio::test]
async fn a_socket_that_pings_without_end_and_reads_nothing_is_closed() {
    let sent = taken(Frame::Ping(vec![0; 125].into())).await;
    assert!(sent < 100_000, "{sent} pings were taken");
}

#[tokio::test]
async fn a_socket_that_sends_envelopes_without_end_and_reads_nothing_is_closed() {
    let sent = taken(Frame::text(json!({ "type": "events_api", "envelope_id": "e" }).to_string())).await;
    assert!(sent < 300_000, "{sent} envelopes were taken");
}

#[tokio::test]
async fn a_message_of_countless_parts_is_left_alone() {
    let many = format!(r#"{{"type":"interactive","envelope_id":"e","payload":[{}0]}}"#, r#"{"":0},"#.repeat(50_000));
    let mut stream = greeted().await;
    stream.send(Frame::text(many)).await.unwrap();
    stream.send(Frame::text(json!({ "type": "events_api", "envelope_id": "next" }).to_string())).await.unwrap();
    let heard = tokio::time::timeout(FOR_EVER, stream.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(heard.into_text().unwrap(), r#"{"envelope_id":"next"}"#, "the first is not acknowledged");
}

fn routes(night: &SlackStory, bodies: Bodies) -> Router {
    router(night.desk.clone(), SIGNING_SECRET.to_owned().into(), night.clock.clone(), bodies)
}

/// A body of which it is known whether anybody asked for it.
fn watched(length: usize) -> (Body, Arc<AtomicUsize>) {
    let read = Arc::new(AtomicUsize::new(0));
    let counted = read.clone();
    let pieces = stream::repeat_with(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok::<_, Infallible>(vec![b' '; 1024])
    });
    (Body::from_stream(pieces.take(length.div_ceil(1024))), read)
}

#[tokio::test]
async fn of_what_is_surely_not_slacks_no_byte_is_read() {
    let night = SlackStory::of(night::opened()).await;
    let now = crate::clock::Clock::now(&*night.clock).as_second();
    let long_ago = now - 3600;
    let signature = format!("v0={}", "0".repeat(64));
    let of = |signed: &[(&str, String)], length: usize| {
        let (body, read) = watched(length);
        let mut request = Request::post("/slack/commands").header("content-length", length.to_string());
        for (name, value) in signed {
            request = request.header(*name, value);
        }
        (request.body(body).unwrap(), read)
    };
    let (time, sign) = ("x-slack-request-timestamp", "x-slack-signature");
    for (signed, length, status) in [
        (vec![], 1024, StatusCode::UNAUTHORIZED),
        (vec![(time, now.to_string())], 1024, StatusCode::UNAUTHORIZED),
        (vec![(time, long_ago.to_string()), (sign, signature.clone())], 1024, StatusCode::UNAUTHORIZED),
        (vec![(time, now.to_string()), (sign, "v0=short".to_owned())], 1024, StatusCode::UNAUTHORIZED),
        (vec![(time, now.to_string()), (sign, signature.clone())], SLACK_BODY + 1, StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let (request, read) = of(&signed, length);
        let answer = routes(&night, Bodies::default()).oneshot(request).await.unwrap();
        assert_eq!((answer.status(), read.load(Ordering::Relaxed)), (status, 0), "{signed:?}");
    }
}

/// How much of all bodies is held now, and was at most.
#[derive(Default)]
struct Kept {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// What of one body is held, until it is dropped.
struct KeptOfOne(Arc<Kept>, usize);

impl KeptOfOne {
    fn add(&mut self, bytes: usize) {
        self.1 += bytes;
        let now = self.0.now.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.0.most.fetch_max(now, Ordering::Relaxed);
    }
}

impl Drop for KeptOfOne {
    fn drop(&mut self) {
        self.0.now.fetch_sub(self.1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_crowd_that_signs_wrongly_is_held_to_its_room_and_who_signs_rightly_is_heard_meanwhile() {
    let night = SlackStory::of(night::opened()).await;
    let signed_at = crate::clock::Clock::now(&*night.clock).as_second();
    let (bodies, kept) = (Bodies::default(), Arc::new(Kept::default()));
    // A part of each body, and then nothing.
    let one = |path: &str, pieces: usize| {
        let mut kept = KeptOfOne(kept.clone(), 0);
        let begun = stream::repeat_with(move || {
            kept.add(1024);
            Ok::<_, Infallible>(vec![b' '; 1024])
        });
        let body = Body::from_stream(begun.take(pieces).chain(stream::pending()));
        let request = Request::post(path)
            .header("x-slack-request-timestamp", signed_at.to_string())
            .header("x-slack-signature", format!("v0={}", "0".repeat(64)))
            .header("content-length", (pieces + 1).saturating_mul(1024).to_string());
        routes(&night, bodies.clone()).oneshot(request.body(body).unwrap())
    };
    let silent = (0..64).map(|_| one("/slack/interactivity", 0));
    let slow = (0..512).map(|at| match at % 2 {
        0 => one("/slack/interactivity", 510),
        _ => one("/slack/commands", 62),
    });
    let mut crowd = Box::pin(futures::future::join_all(silent.chain(slow)));
    for _ in 0..1000 {
        assert!(futures::poll!(&mut crowd).is_pending());
    }
    let heard = async {
        let asked = night.slack.typed("U0ONCALL", "help");
        Signer::at(signed_at).command(&routes(&night, bodies.clone()), &asked).await
    };
    let (answers, heard) = tokio::join!(crowd, heard);
    assert_eq!(heard.status(), StatusCode::OK);
    for answer in answers.into_iter().map(Result::unwrap) {
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers().contains_key("retry-after"));
    }
    let most = kept.most.load(Ordering::Relaxed);
    assert!(most <= BODIES_OF_STRANGERS, "{most} bytes were held");
}

#[tokio::test]
async fn a_command_is_no_longer_than_slack_lets_anybody_type() {
    let night = SlackStory::of(night::opened()).await;
    let signer = Signer::at(crate::clock::Clock::now(&*night.clock).as_second());
    for (characters, status) in [(4_000, StatusCode::OK), (6_000, StatusCode::PAYLOAD_TOO_LARGE)] {
        let asked = night.slack.typed("U0ONCALL", &format!("note {}", "\u{1f512}".repeat(characters)));
        let answer = signer.command(&routes(&night, Bodies::default()), &asked).await;
        assert_eq!(answer.status(), status);
    }
}
