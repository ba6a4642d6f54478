//! What strangers and broken neighbours do to the real `serve`, within the memory that the chart gives it: it lives, it
//! answers its probes meanwhile, and its peak is a line of `tests/bench/attacks`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail, and measures"
)]

mod cgroup;
mod neighbours;
mod victim;

use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use victim::{TOKEN, Victim};

/// One after the other: each is measured, and the machine is small.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A request with a body of zeros, of which so many do not come.
async fn unfinished(stream: &mut TcpStream, head: &str, length: usize, missing: usize) {
    let head = format!("POST {head}\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
    // The bot may close it, or stop to read: both are well.
    let sent = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&vec![b'0'; length - missing]).await
    };
    drop(tokio::time::timeout(Duration::from_secs(3), sent).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_requests_that_slack_never_signed() {
    let _alone = ALONE.lock().await;
    let victim = Victim::with(json!({})).await;
    let sign = "0".repeat(64);
    let now = Timestamp::now().as_second();
    let head = |path: &str| {
        format!("/slack/{path} HTTP/1.1\r\nx-slack-request-timestamp: {now}\r\nx-slack-signature: v0={sign}")
    };
    let mut streams = Vec::new();
    for _ in 0..512 {
        streams.push(victim.connect().await);
    }
    let sent = streams.iter_mut().enumerate().map(async |(at, stream)| match at % 4 {
        0 => unfinished(stream, &head("commands"), 63 * 1024, 1).await,
        1 => unfinished(stream, &head("interactivity"), 511 * 1024, 511 * 1024).await,
        _ => unfinished(stream, &head("interactivity"), 511 * 1024, 1).await,
    });
    join_all(sent).await;
    // The streams are open, and their last bytes are missing.
    victim.hears_slack().await;
    victim.is_well().await;
    victim.hears_slack().await;
    victim.lives("unsigned_slack_requests").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_bodies_of_four_thousand_five_hundred_alerts_with_the_right_token() {
    let _alone = ALONE.lock().await;
    let victim = Victim::with(json!({})).await;
    let sent = (0..12).map(|body| {
        let alerts: Vec<_> = (0..4_500)
            .map(|alert| {
                let service = format!("s{body}-{alert}");
                json!({
                    "status": "firing", "startsAt": "2026-01-01T00:00:00Z", "endsAt": "0001-01-01T00:00:00Z",
                    "fingerprint": service, "generatorURL": "http://prometheus/graph",
                    "labels": {"alertname": "MTLSHandshakeFailureRateHigh", "namespace": "web", "service": service,
                        "pod": format!("{service}-1"), "severity": "page"},
                    "annotations": {"summary": "mTLS handshakes fail"},
                })
            })
            .collect();
        let body = json!({"version": "4", "groupKey": format!("g{body}"), "status": "firing", "alerts": alerts});
        victim.webhook(body.to_string())
    });
    let answers = join_all(sent).await;
    assert!(answers.iter().all(|status| [200, 503].contains(status)), "{answers:?}");
    victim.answers("/healthz").await;
    // What could not be stored in time is sent again, and stored. A build for tests takes minutes for so many.
    if !cfg!(debug_assertions) {
        victim.takes_alerts_again().await;
    }
    victim.lives("bodies_of_4500_alerts").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_countless_small_parts_with_the_right_token() {
    let _alone = ALONE.lock().await;
    let victim = Victim::with(json!({})).await;
    let alert = r#"{"status":"firing","startsAt":"2026-01-01T00:00:00Z","labels":{"alertname":"MTLSHandshakeFailureRateHigh"}},"#;
    let many = |piece: &str, bytes: usize| {
        format!(r#"{{"version":"4","alerts":[{}{}]}}"#, piece.repeat(bytes / piece.len()), piece.trim_end_matches(','))
    };
    let bodies = (0..16).map(|at| match at % 3 {
        0 => many(alert, 2_000_000),
        1 => many("{},", 2_000_000),
        _ => many(alert, 1_000_000),
    });
    let answers = join_all(bodies.map(|body| victim.webhook(body))).await;
    assert!(answers.iter().all(|status| [200, 400, 413, 503].contains(status)), "{answers:?}");
    victim.is_well().await;
    victim.lives("bodies_of_countless_parts").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn six_hundred_who_ask_on_and_on_and_read_nothing() {
    let _alone = ALONE.lock().await;
    let victim = Victim::with(json!({})).await;
    let many =
        ["/metrics", "/readyz"].map(|path| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).concat().repeat(100);
    let mut deaf = Vec::new();
    for _ in 0..600 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut stream = socket.connect(victim.address).await.unwrap();
        drop(tokio::time::timeout(Duration::from_millis(50), stream.write_all(many.as_bytes())).await);
        deaf.push(stream);
    }
    victim.is_well().await;
    victim.lives("readers_of_nothing").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_whose_lists_never_end() {
    let _alone = ALONE.lock().await;
    for (name, begin, piece) in [
        ("an_endless_answer_of_the_api_server", "", "          "),
        ("an_endless_list_of_the_api_server", r#"{"kind":"PodList","items":["#, "{},"),
    ] {
        let neighbour = neighbours::endless(begin, piece).await;
        let victim = Victim::with(victim::api_server(&neighbour.url)).await;
        for service in 0..20 {
            victim.fires(&format!("s{service}")).await;
        }
        neighbour.was_left(8).await;
        victim.is_well().await;
        victim.lives(name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubelet_that_pings_and_reads_nothing() {
    let _alone = ALONE.lock().await;
    let neighbour = neighbours::mesh_whose_streams_flood().await;
    let victim = Victim::with(victim::api_server(&neighbour.url)).await;
    victim.fires("frontend").await;
    neighbour.was_left(3).await;
    victim.is_well().await;
    victim.lives("a_ping_flood_of_a_kubelet").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slack_whose_answers_never_end() {
    let _alone = ALONE.lock().await;
    let neighbour = neighbours::endless("", "          ").await;
    let victim = Victim::with(json!({"slack": victim::slack(&neighbour.url)})).await;
    for service in 0..20 {
        victim.fires(&format!("s{service}")).await;
    }
    neighbour.was_left(8).await;
    victim.is_well().await;
    victim.lives("an_endless_answer_of_slack").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_of_slacks_that_pings_and_reads_nothing() {
    let _alone = ALONE.lock().await;
    let neighbour = neighbours::socket_that_floods().await;
    let mut slack = victim::slack(&neighbour.url);
    slack["mode"] = json!("socket");
    let victim = Victim::with(json!({"slack": slack})).await;
    neighbour.was_left(1).await;
    victim.answers("/healthz").await;
    victim.lives("a_ping_flood_of_slack").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_nobody_attacks() {
    let _alone = ALONE.lock().await;
    let victim = Victim::with(json!({})).await;
    victim.is_well().await;
    let mut stream = victim.connect().await;
    stream
        .write_all(format!("GET /incidents HTTP/1.1\r\nauthorization: Bearer {TOKEN}\r\nhost: x\r\n\r\n").as_bytes())
        .await
        .unwrap();
    assert!(stream.read_u8().await.is_ok());
    victim.lives("nobody").await;
}
