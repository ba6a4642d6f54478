//! What an API server may send, and how much of it is read.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Router, body::Body};
use futures::stream;
use tokio::net::TcpListener;

use super::{Settings, connect_to, resolve, target};
use crate::cluster::transport::BODY_MOST;

/// How much is sent at a time, in bytes.
const PIECE: usize = 64 * 1024;

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
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(axum::serve(listener, Router::new().fallback(endless)).into_future());
    let reach = connect_to(&url, Settings::default()).unwrap();
    let error = resolve(&reach, &target("deploy/frontend")).await.unwrap_err().to_string();
    assert!(error.contains("frontend") && error.contains("length limit"), "{error}");
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent < 2 * BODY_MOST, "{sent} bytes were taken");
    serving.abort();
}
