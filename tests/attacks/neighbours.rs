//! Neighbours that are broken, or mean harm.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    extract::{
        FromRequestParts, Request, WebSocketUpgrade,
        ws::{Message, WebSocket},
    },
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures::stream;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use mtls_medic::{
    clock::SystemClock,
    simulate::{Simulation, world::Scenario},
};
use serde_json::json;
use tokio::{net::TcpListener, sync::watch};

/// How long the bot may take until it asks.
const PATIENCE: Duration = Duration::from_mins(1);

/// A neighbour.
pub struct Neighbour {
    pub url: String,
    /// How often the bot had enough of it.
    left: watch::Sender<usize>,
    _mesh: Option<Simulation>,
}

impl Neighbour {
    /// Waits until the bot has had enough of it so often.
    pub async fn was_left(&self, times: usize) {
        let mut left = self.left.subscribe();
        let was_left = tokio::time::timeout(PATIENCE, left.wait_for(|left| *left >= times)).await;
        assert!(was_left.is_ok(), "it was left {} times", *self.left.borrow());
    }
}

/// Counts when it is dropped, as a body is that is not read on.
struct Left(watch::Sender<usize>);

impl Drop for Left {
    fn drop(&mut self) {
        self.0.send_modify(|left| *left += 1);
    }
}

async fn at(routes: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, routes).into_future());
    url
}

/// An address where nobody listens.
pub async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// Answers everything without end.
pub async fn endless(begin: &'static str, piece: &'static str) -> Neighbour {
    let left = watch::Sender::new(0);
    let counted = left.clone();
    let piece = piece.repeat(64 * 1024 / piece.len());
    let answer = move || {
        let (piece, left) = (piece.clone(), Left(counted.clone()));
        let begin = stream::iter([Ok::<_, Infallible>(begin.to_owned())]);
        let pieces = stream::repeat_with(move || {
            let _ = &left;
            Ok(piece.clone())
        });
        let body = Body::from_stream(futures::StreamExt::chain(begin, pieces));
        async move { ([("content-type", "application/json")], body) }
    };
    Neighbour { url: at(Router::new().fallback(answer)).await, left, _mesh: None }
}

/// Pings as fast as it can, and reads nothing.
async fn flood(mut socket: WebSocket, left: watch::Sender<usize>) {
    while socket.send(Message::Ping(vec![0; 125].into())).await.is_ok() {}
    left.send_modify(|left| *left += 1);
}

/// The simulated mesh, whose streams into pods do nothing but ping.
pub async fn mesh_whose_streams_flood() -> Neighbour {
    let listen = "127.0.0.1:0".parse().unwrap();
    let mesh = Simulation::start(Arc::new(SystemClock), Scenario::ExpiredCertificate, listen).await.unwrap();
    let (left, real) = (watch::Sender::new(0), mesh.url());
    let counted = left.clone();
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
    let answer = async move |request: Request| -> Response {
        let (mut parts, body) = request.into_parts();
        if let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
            return upgrade.protocols(["v4.channel.k8s.io"]).on_upgrade(move |socket| flood(socket, counted));
        }
        parts.uri = format!("{real}{}", parts.uri).parse().unwrap();
        client.request(Request::from_parts(parts, body)).await.unwrap().map(Body::new).into_response()
    };
    Neighbour { url: at(Router::new().fallback(answer)).await, left, _mesh: Some(mesh) }
}

/// A workspace whose socket greets, and then does nothing but ping.
pub async fn socket_that_floods() -> Neighbour {
    let left = watch::Sender::new(0);
    let counted = left.clone();
    let link = async move |upgrade: WebSocketUpgrade| {
        upgrade.on_upgrade(async move |mut socket| {
            drop(socket.send(Message::text(json!({"type": "hello"}).to_string())).await);
            flood(socket, counted).await;
        })
    };
    let sockets = at(Router::new().route("/link", get(link))).await.replacen("http", "ws", 1);
    let open = async move || Json(json!({"ok": true, "url": format!("{sockets}/link")}));
    Neighbour { url: at(Router::new().route("/apps.connections.open", post(open))).await, left, _mesh: None }
}
