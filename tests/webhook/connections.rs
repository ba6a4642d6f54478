//! Who connects to the webhook and does not send as it should keeps nobody else out.

use super::*;

#[tokio::test]
async fn a_body_that_does_not_come_whole_is_sent_again_and_not_waited_for() {
    let (bot, _, metrics, _folder) = bot().await;
    let broken = Body::from_stream(futures::stream::iter([Err::<Vec<u8>, _>(std::io::Error::other("cut"))]));
    assert_eq!(answers(&bot, "Bearer right", broken).await, 503);
    // From here on the clock runs by itself when nothing else can.
    tokio::time::pause();
    let never = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    assert_eq!(answers(&bot, "Bearer right", never).await, 503);
    for reason in ["broke_off", "slow"] {
        let line = format!("webhook_refusals_total{{reason=\"{reason}\"}} 1");
        assert!(metrics.render().contains(&line), "{line} in {}", metrics.render());
    }
}

#[tokio::test]
async fn connections_that_say_nothing_do_not_keep_a_webhook_out() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (bot, _, _, _folder) = bot().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(mtls_medic::http::serve(listener, bot, tokio_util::sync::CancellationToken::new()));
    let mut idle = Vec::new();
    for _ in 0..512 {
        idle.push(tokio::net::TcpStream::connect(address).await.unwrap());
    }
    let mut alertmanager = tokio::net::TcpStream::connect(address).await.unwrap();
    let body = r#"{"version":"4","alerts":[]}"#;
    let head = format!(
        "POST /webhooks/alertmanager HTTP/1.1\r\nhost: x\r\nauthorization: Bearer right\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    alertmanager.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0_u8; 15];
    // Alertmanager itself waits for ten seconds.
    let read = tokio::time::timeout(std::time::Duration::from_secs(10), alertmanager.read_exact(&mut answer));
    read.await.expect("the idle connections keep the webhook out").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
}

/// The bot on a port of its own.
async fn on_a_port(bot: Router) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = bot.route("/long", axum::routing::get(async || axum::body::Bytes::from_static(&LONG)));
    tokio::spawn(mtls_medic::http::serve(listener, routes, tokio_util::sync::CancellationToken::new()));
    address
}

/// What is answered to one request over a connection of its own, within the time that a probe has.
async fn asks(address: std::net::SocketAddr, request: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let asked = async {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0_u8; 12];
        stream.read_exact(&mut answer).await.unwrap();
        String::from_utf8(answer.to_vec()).unwrap()
    };
    tokio::time::timeout(PROBE_WAITS, asked).await.expect("no answer in the time of a probe")
}

#[tokio::test]
async fn who_asks_and_never_reads_the_answer_keeps_nobody_out() {
    use tokio::io::AsyncWriteExt;
    let (bot, _, _, _folder) = bot().await;
    let address = on_a_port(bot).await;
    let mut deaf = Vec::new();
    for _ in 0..600 {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 * 1024).unwrap();
        let mut stream = socket.connect(address).await.unwrap();
        stream.write_all(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        deaf.push(stream);
    }
    assert_eq!(asks(address, PROBE).await, "HTTP/1.1 200");
    assert_eq!(asks(address, WEBHOOK).await, "HTTP/1.1 200");
}

#[tokio::test]
async fn who_never_ends_a_head_or_a_body_keeps_nobody_out() {
    use tokio::io::AsyncWriteExt;
    let (bot, _, _, _folder) = bot().await;
    let address = on_a_port(bot).await;
    let mut slow = Vec::new();
    for at in 0..600 {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let begun: &str = if at % 2 == 0 { "GET /hea" } else { WEBHOOK };
        stream.write_all(&begun.as_bytes()[..begun.len() - 1]).await.unwrap();
        slow.push(stream);
    }
    assert_eq!(asks(address, PROBE).await, "HTTP/1.1 200");
    assert_eq!(asks(address, WEBHOOK).await, "HTTP/1.1 200");
}

#[tokio::test]
async fn of_a_body_that_is_refused_by_its_headers_no_byte_is_read() {
    let (bot, _, _, _folder) = bot().await;
    for (authorization, length, status) in [("Bearer wrong", 10, 401), ("Bearer right", 2 * 1024 * 1024 + 1, 413)] {
        let unread = Body::from_stream(futures::stream::poll_fn(
            |_| -> std::task::Poll<Option<Result<Vec<u8>, std::io::Error>>> { panic!("it was read") },
        ));
        let request = Request::post("/webhooks/alertmanager")
            .header("authorization", authorization)
            .header("content-length", length.to_string());
        let answer = bot.clone().oneshot(request.body(unread).unwrap()).await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
    }
}

#[tokio::test]
async fn bodies_that_do_not_fit_at_once_are_told_to_come_again_and_small_ones_get_through_afterwards() {
    let (bot, _, metrics, _folder) = bot().await;
    tokio::time::pause();
    let never = || {
        let request = Request::post("/webhooks/alertmanager").header("authorization", "Bearer right");
        let body = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
        bot.clone().oneshot(request.body(body).unwrap())
    };
    let told = futures::future::join_all((0..32).map(|_| never())).await;
    for answer in told.into_iter().map(Result::unwrap) {
        assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].as_bytes()), (503, &b"5"[..]));
    }
    assert!(metrics.render().contains("webhook_refusals_total{reason=\"no_room\"} 30"), "{}", metrics.render());
    tokio::time::resume();
    assert_eq!(answers(&bot, "Bearer right", r#"{"version":"4","alerts":[]}"#).await, 200);
}
