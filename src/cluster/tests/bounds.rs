//! What an API server may send, and how much of it is read.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Json, Router, body::Body, extract::Query};
use futures::{SinkExt, StreamExt, stream};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

use super::{Settings, connect_to, forwarding::agree, pod_ref, resolve, target};
use crate::{
    bounds::{CLUSTER_ANSWER, CLUSTER_LONG_ANSWER, CLUSTER_LONG_ANSWERS_AT_ONCE, POD_MESSAGE},
    cluster::{ClusterClient, ClusterError, FoundPod, exec::Tool, long::LongAnswers, resolve::list_pods},
};

/// How much is sent at a time, in bytes.
const PIECE: usize = 64 * 1024;

/// An API server that answers everything with `piece`, again and again, and counts what it has sent.
async fn endless(begin: &'static str, piece: &'static str) -> (ClusterClient, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = sent.clone();
    let piece = piece.repeat(PIECE / piece.len());
    let answer = move || {
        let (counted, piece) = (counted.clone(), piece.clone());
        let pieces = stream::repeat_with(move || {
            counted.fetch_add(piece.len(), Ordering::Relaxed);
            Ok::<_, Infallible>(piece.clone())
        });
        async move { Body::from_stream(stream::iter([Ok(begin.to_owned())]).chain(pieces)) }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, Router::new().fallback(answer)).into_future());
    (connect_to(&url, Settings::default()).unwrap(), sent)
}

#[tokio::test]
async fn an_answer_without_end_is_given_up_and_not_kept() {
    let (reach, sent) = endless("", " ").await;
    let error = resolve(&reach, &target("deploy/frontend")).await.unwrap_err().to_string();
    assert!(error.contains("frontend") && error.contains("length limit"), "{error}");
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent < 2 * CLUSTER_LONG_ANSWER, "{sent} bytes were taken");
}

#[tokio::test]
async fn a_list_of_countless_small_objects_is_given_up_before_it_is_read() {
    let (reach, sent) = endless(r#"{"kind":"PodList","items":["#, "{},").await;
    let error = resolve(&reach, &target("deploy/frontend")).await.unwrap_err().to_string();
    assert!(error.contains("parts"), "{error}");
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent < CLUSTER_LONG_ANSWER, "{sent} bytes were taken");
}

#[tokio::test]
async fn a_pod_with_labels_without_end_is_given_up_before_it_is_read() {
    let (reach, sent) = endless(r#"{"kind":"PodList","items":[{"metadata":{"labels":{"#, r#""0001":"","#).await;
    let error = resolve(&reach, &target("deploy/frontend")).await.unwrap_err().to_string();
    assert!(error.contains("parts"), "{error}");
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent < CLUSTER_LONG_ANSWER, "{sent} bytes were taken");
}

/// Pods that are listed in pages, each pod with so many environment variables; and how many were asked for at a time.
async fn listed(pods: usize, variables: usize) -> (Result<Vec<FoundPod>, ClusterError>, Vec<usize>) {
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = asked.clone();
    let list = async move |Query(query): Query<BTreeMap<String, String>>| {
        let number = |name: &str| query.get(name).map_or(0, |text| text.parse::<usize>().unwrap());
        let (limit, from) = (number("limit"), number("continue"));
        noted.lock().unwrap().push(limit);
        let env: Vec<_> = (0..variables).map(|at| json!({"name": at.to_string(), "value": "x"})).collect();
        let items: Vec<_> = (from..pods.min(from + limit))
            .map(|at| {
                json!({"metadata": {"namespace": "web", "name": format!("p{at}"), "uid": format!("u{at}")},
                    "spec": {"containers": [{"name": "app", "env": env}]}})
            })
            .collect();
        let next = (from + limit < pods).then(|| (from + limit).to_string());
        Json(json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"continue": next}, "items": items}))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, Router::new().fallback(list)).into_future());
    let reach = connect_to(&url, Settings::default()).unwrap();
    let found = list_pods(&reach, "web", "app=frontend", None).await;
    let asked = asked.lock().unwrap().clone();
    (found, asked)
}

#[tokio::test]
async fn many_pods_are_listed_page_by_page_and_long_ones_a_few_at_a_time() {
    let (found, asked) = listed(50, 30).await;
    assert_eq!((found.unwrap().len(), asked.as_slice()), (50, [20, 20, 20].as_slice()));
    let (found, asked) = listed(9, 600).await;
    assert_eq!((found.unwrap().len(), asked.as_slice()), (9, [20, 5, 5].as_slice()));
    let (found, asked) = listed(2, 6_000).await;
    assert!(found.unwrap_err().to_string().contains("parts"));
    assert_eq!(asked, [20, 5, 2, 1]);
}

#[tokio::test]
async fn a_log_without_end_is_given_up() {
    let (reach, _) = endless("", "a line\n").await;
    let error = reach.log(&pod_ref("frontend-a"), None, 60).await.unwrap_err().to_string();
    assert!(error.contains("length limit"), "{error}");
}

/// A stream into a pod, of which the other end does what it is told. It says how that ended.
async fn stream_that<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    does: impl FnOnce(WebSocketStream<TcpStream>) -> F + Send + 'static,
) -> (ClusterClient, tokio::task::JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let reach = connect_to(&url, Settings::default()).unwrap();
    let other_end = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = tokio_tungstenite::accept_hdr_async(stream, agree).await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(20), does(stream)).await;
        ended.expect("the bot went on listening")
    });
    (reach, other_end)
}

/// Sends without end, and reads nothing.
async fn floods(mut stream: WebSocketStream<TcpStream>, message: Message) -> usize {
    let mut sent = 0;
    while stream.send(message.clone()).await.is_ok() {
        sent += 1;
    }
    sent
}

#[tokio::test]
async fn pings_without_end_are_not_answered_without_end() {
    let pings = |stream| floods(stream, Message::Ping(vec![0; 125].into()));
    let (reach, other_end) = stream_that(pings).await;
    let error = reach.exec(&pod_ref("frontend-a"), None, &Tool::AgentHealthcheck).await.unwrap_err().to_string();
    assert!(error.contains("control frames"), "{error}");
    let sent = other_end.await.unwrap();
    assert!(sent < 100_000, "{sent} pings were taken");

    let (reach, other_end) = stream_that(pings).await;
    let error = reach.port(&pod_ref("frontend-a"), 15000).get("/stats", "/stats").await.unwrap_err().to_string();
    assert!(error.contains("control frames"), "{error}");
    assert!(other_end.await.unwrap() < 100_000);
}

#[tokio::test]
async fn a_command_that_writes_without_end_is_left() {
    let (reach, other_end) = stream_that(|stream| floods(stream, Message::binary(vec![1; 32 * 1024]))).await;
    let error = reach.exec(&pod_ref("frontend-a"), None, &Tool::Cat("svid".to_owned())).await.unwrap_err().to_string();
    assert!(error.contains("it wrote over 524288 bytes"), "{error}");
    other_end.await.unwrap();
}

#[tokio::test]
async fn one_message_of_a_stream_that_is_too_long_is_not_kept() {
    let (reach, other_end) = stream_that(|stream| floods(stream, Message::binary(vec![1; POD_MESSAGE + 1]))).await;
    let error = reach.exec(&pod_ref("frontend-a"), None, &Tool::Cat("svid".to_owned())).await.unwrap_err().to_string();
    assert!(error.contains("without a status"), "{error}");
    other_end.await.unwrap();
}

#[tokio::test]
async fn a_port_that_answers_without_end_is_left() {
    let endless = async |mut stream: WebSocketStream<TcpStream>| {
        for channel in [0, 1] {
            stream.send([vec![channel], 15000_u16.to_le_bytes().to_vec()].concat().into()).await.unwrap();
        }
        while !matches!(stream.next().await, Some(Ok(asked)) if asked.is_binary()) {}
        let head = b"\0HTTP/1.1 200 OK\r\ncontent-length: 9000000000\r\n\r\n".to_vec();
        stream.send(head.into()).await.unwrap();
        floods(stream, Message::binary(vec![0; 32 * 1024])).await
    };
    let (reach, other_end) = stream_that(endless).await;
    let error = reach.port(&pod_ref("frontend-a"), 15000).get("/stats", "/stats").await.unwrap_err().to_string();
    assert!(error.contains("length limit"), "{error}");
    drop(reach);
    other_end.await.unwrap();
}

#[tokio::test]
async fn of_long_answers_a_few_are_held_at_once_and_short_ones_do_not_wait() {
    let long = LongAnswers::default();
    let piece = vec![0; CLUSTER_ANSWER + 1];
    let mut held = Vec::new();
    for _ in 0..CLUSTER_LONG_ANSWERS_AT_ONCE {
        let mut one = long.collect(CLUSTER_LONG_ANSWER);
        one.push(&piece).await.unwrap();
        held.push(one);
    }
    let (mut short, mut next) = (long.collect(CLUSTER_LONG_ANSWER), long.collect(CLUSTER_LONG_ANSWER));
    short.push(&piece[1..]).await.unwrap();
    let mut waiting = Box::pin(next.push(&piece));
    assert!(futures::poll!(&mut waiting).is_pending());
    held.pop();
    waiting.await.unwrap();
}
