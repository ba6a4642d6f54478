//! A watcher on loopback that hears a heart, or does not.

use std::sync::{
    Mutex,
    atomic::{AtomicU32, Ordering},
};

use axum::{Router, extract::State, http::StatusCode, routing::post};

use super::*;
use crate::{chat::connector, engine::tests::TestBot};

#[derive(Default)]
struct FakeWatcher {
    heard: AtomicU32,
    refuses: Mutex<bool>,
}

async fn hear(State(watcher): State<Arc<FakeWatcher>>) -> StatusCode {
    watcher.heard.fetch_add(1, Ordering::SeqCst);
    if *watcher.refuses.lock().unwrap() { StatusCode::NOT_FOUND } else { StatusCode::OK }
}

/// A bot that is watched.
struct WatchedBot {
    _bot: TestBot,
    engine: Engine,
    heart: Heartbeat,
    watcher: Arc<FakeWatcher>,
    metrics: Metrics,
}

async fn night() -> WatchedBot {
    let bot = TestBot::new();
    let engine = bot.built().await;
    let watcher = Arc::new(FakeWatcher::default());
    let router = Router::new().route("/s3cret", post(hear)).with_state(watcher.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/s3cret", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let metrics = Metrics::default();
    let http = Outgoing::new(connector().unwrap());
    let heart = Heartbeat::new(http, url.into(), Duration::from_mins(1), metrics.clone()).unwrap();
    WatchedBot { _bot: bot, engine, heart, watcher, metrics }
}

#[tokio::test]
async fn a_bot_that_lives_is_heard_and_one_whose_dispatch_stands_still_is_not() {
    let night = night().await;
    // What stands still is not waited for as long as what works.
    let impatient = Heartbeat { alive_within: Duration::from_millis(50), ..night.heart.clone() };
    assert_eq!(impatient.beat(&night.engine).await, Beat::Withheld, "nothing is dispatched yet");
    night.engine.start();
    for _ in 0..3 {
        assert_eq!(night.heart.beat(&night.engine).await, Beat::Sent);
    }
    assert_eq!(night.watcher.heard.load(Ordering::SeqCst), 3);
    night.engine.stop(Duration::from_secs(5)).await;
    assert_eq!(
        impatient.beat(&night.engine).await,
        Beat::Withheld,
        "its loops have ended, though it still has an answer"
    );
    assert_eq!(night.watcher.heard.load(Ordering::SeqCst), 3);
    let shown = night.metrics.render();
    assert!(shown.contains("mtls_medic_heartbeats_total{result=\"sent\"} 3"), "{shown}");
    assert!(shown.contains("mtls_medic_heartbeats_total{result=\"withheld\"} 2"), "{shown}");
}

#[tokio::test]
async fn a_watcher_that_refuses_is_a_figure_and_a_line_and_the_address_is_shown_nowhere() {
    let night = night().await;
    night.engine.start();
    *night.watcher.refuses.lock().unwrap() = true;
    assert_eq!(night.heart.beat(&night.engine).await, Beat::Failed);
    assert!(!format!("{:?}", night.heart).contains("s3cret"));
    let http = Outgoing::new(connector().unwrap());
    let refused = Heartbeat::new(http, "http://example.org/s3cret".into(), Duration::from_mins(1), Metrics::default());
    let why = refused.unwrap_err();
    assert!(why.contains("heartbeat.url") && !why.contains("s3cret"), "{why}");
    night.engine.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_watcher_whose_answer_never_ends_has_heard_the_heart_and_does_not_hold_it() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let night = night().await;
    night.engine.start();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/s3cret", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        drop(connection.read(&mut [0; 1024]).await);
        drop(connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await);
        while connection.write_all(&[b'x'; 16 * 1024]).await.is_ok() {}
    });
    let http = Outgoing::new(connector().unwrap());
    let heart = Heartbeat::new(http, url.into(), Duration::from_mins(1), night.metrics.clone()).unwrap();
    let began = std::time::Instant::now();
    assert_eq!(heart.beat(&night.engine).await, Beat::Sent);
    assert!(began.elapsed() < Duration::from_secs(10));
    night.engine.stop(Duration::from_secs(5)).await;
}
