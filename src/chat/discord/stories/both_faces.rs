//! Both faces in one process: there is one TLS, and nobody picks another by accident.

use std::sync::Arc;

use axum::{Json, Router, routing::post};
use serde_json::json;
use tokio::{io::AsyncReadExt, net::TcpListener, sync::mpsc};
use tokio_util::sync::CancellationToken;

use super::gateway::{Listener, Says, quick};
use crate::{
    chat::{
        discord::{Entrance, Gateway},
        slack::{Client, other_connections},
    },
    metrics::Metrics,
};

/// The first byte of a TLS handshake.
const HANDSHAKE: u8 = 0x16;

/// Takes connections, says which byte each began with, and closes them.
async fn first_bytes() -> (String, mpsc::UnboundedReceiver<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("wss://{}", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = sender.send(stream.read_u8().await.unwrap_or_default());
        }
    });
    (address, receiver)
}

async fn slack_that_points_to(address: &str) -> String {
    let answer = json!({ "ok": true, "url": address });
    let routes = Router::new().route("/apps.connections.open", post(move || async move { Json(answer) }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    origin
}

#[tokio::test]
async fn slacks_socket_and_discords_gateway_open_over_the_same_crypto() {
    let (address, mut began_with) = first_bytes().await;
    let slack = Client::new(&slack_that_points_to(&address).await, &"xapp-fake".to_owned().into()).unwrap();
    assert!(other_connections(&slack).await.is_err(), "nobody finishes that handshake");
    assert_eq!(began_with.recv().await, Some(HANDSHAKE));

    let says = Says(Entrance { address, sessions_left: 1_000, renewed_in: quick().slow });
    let (token, metrics) = ("a-token".to_owned().into(), Metrics::default());
    let gateway = Gateway::new(token, Arc::new(says), Arc::new(Listener::default()), metrics, quick());
    let running = tokio::spawn(gateway.run(CancellationToken::new()));
    assert_eq!(began_with.recv().await, Some(HANDSHAKE));
    assert_eq!(began_with.recv().await, Some(HANDSHAKE), "it goes on trying");
    assert!(!running.is_finished());

    let picked = rustls::crypto::CryptoProvider::get_default().unwrap();
    assert_eq!(format!("{:?}", picked.key_provider), "Ring");
}
