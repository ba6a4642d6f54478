use http_body_util::{BodyExt, Empty};
use kube::api::{AttachParams, AttachedProcess, LogParams};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

async fn finish(mut process: AttachedProcess) -> (String, String, Option<String>) {
    let (mut out, mut errors) = (String::new(), String::new());
    let (mut stdout, mut stderr) = (process.stdout().unwrap(), process.stderr().unwrap());
    let status = process.take_status().unwrap();
    let _ = tokio::join!(stdout.read_to_string(&mut out), stderr.read_to_string(&mut errors));
    let exit = status.await.and_then(|status| {
        let causes = status.details?.causes;
        causes?.first()?.message.clone()
    });
    (out, errors, exit)
}

#[tokio::test]
async fn a_command_gives_both_outputs_and_its_exit_code() {
    let mesh = Mesh::start().await;
    let proxy = AttachParams::default().container("istio-proxy");
    let (out, errors, exit) = finish(mesh.pods().exec("frontend-a", ["hostname"], &proxy).await.unwrap()).await;
    assert_eq!((out.as_str(), errors.as_str(), exit), ("web/frontend-a istio-proxy\n", "to stderr\n", None));
    let (_, errors, exit) = finish(mesh.pods().exec("frontend-a", ["false"], &proxy).await.unwrap()).await;
    assert_eq!((errors.as_str(), exit.as_deref()), ("no\n", Some("3")));
    let (out, ..) = finish(mesh.pods().exec("frontend-a", ["big"], &proxy).await.unwrap()).await;
    assert_eq!(out.len(), 100_000);
}

#[tokio::test]
async fn a_command_reads_its_input_to_the_end() {
    let mesh = Mesh::start().await;
    let with_input = AttachParams::default().container("app").stdin(true);
    let mut process = mesh.pods().exec("frontend-a", ["cat"], &with_input).await.unwrap();
    let mut stdin = process.stdin().unwrap();
    stdin.write_all(b"one, ").await.unwrap();
    stdin.write_all(b"two").await.unwrap();
    stdin.shutdown().await.unwrap();
    drop(stdin);
    assert_eq!(finish(process).await.0, "one, two");
}

#[tokio::test]
async fn a_command_on_a_terminal_does_not_wait_for_typing_and_has_one_output() {
    let mesh = Mesh::start().await;
    let terminal = AttachParams::default().container("app").stdin(true).tty(true).stderr(false);
    let mut process = mesh.pods().exec("frontend-a", ["hostname"], &terminal).await.unwrap();
    let mut out = String::new();
    process.stdout().unwrap().read_to_string(&mut out).await.unwrap();
    assert_eq!(out, "web/frontend-a app\nto stderr\n");
}

#[tokio::test]
async fn what_cannot_be_run_says_why() {
    let mesh = Mesh::start().await;
    let app = AttachParams::default().container("app");
    let mut process = mesh.pods().exec("frontend-a", ["openssl", "x509"], &app).await.unwrap();
    let status = process.take_status().unwrap().await.unwrap();
    assert_eq!(status.reason.as_deref(), Some("InternalError"));
    assert!(status.message.unwrap().ends_with("exec: \"openssl\": executable file not found in $PATH"));
    let path = "/api/v1/namespaces/web/pods/frontend-a/exec?command=cat";
    let (code, status) = mesh.raw("GET", path, &[], b"").await;
    assert_eq!(code, 400);
    assert_eq!(
        status["message"],
        "a container name must be specified for pod frontend-a, choose one of: [app istio-proxy]"
    );
    let (code, status) = mesh.raw("POST", &format!("{path}&container=app"), &[("upgrade", "SPDY/3.1")], b"").await;
    assert!(code == 400 && status["message"].as_str().unwrap().contains("WebSocket only"), "{status}");
}

#[tokio::test]
async fn a_log_is_cut_as_asked_on_the_worlds_clock() {
    let mesh = Mesh::start().await;
    let app = || LogParams { container: Some("app".to_owned()), ..LogParams::default() };
    let logs = async |params: LogParams| mesh.pods().logs("frontend-a", &params).await;
    assert_eq!(logs(app()).await.unwrap(), "starting\nSVID rotated\nerror: handshake\n");
    assert_eq!(
        logs(LogParams { since_seconds: Some(120), ..app() }).await.unwrap(),
        "SVID rotated\nerror: handshake\n"
    );
    let stamped = LogParams { tail_lines: Some(1), timestamps: true, ..app() };
    assert_eq!(logs(stamped).await.unwrap(), "2026-03-01T02:04:00.000000000Z error: handshake\n");
    assert_eq!(logs(LogParams { limit_bytes: Some(5), ..app() }).await.unwrap(), "start");
    let (code, message) = refused(logs(LogParams { previous: true, ..app() }).await);
    assert!(code == 400 && message.contains("previous terminated container"), "{message}");
    assert_eq!(refused(logs(LogParams::default()).await).0, 400);
}

#[tokio::test]
async fn a_followed_log_ends_with_the_life_of_its_pod() {
    let mesh = Mesh::start().await;
    let params = LogParams { container: Some("app".to_owned()), follow: true, ..LogParams::default() };
    let mut log = Box::pin(mesh.pods().log_stream("frontend-a", &params).await.unwrap());
    let mut text = vec![0; "starting\nSVID rotated\nerror: handshake\n".len()];
    futures::AsyncReadExt::read_exact(&mut log, &mut text).await.unwrap();
    mesh.store.remove(Kind::Pod, Some("web"), "frontend-a").unwrap();
    let mut rest = Vec::new();
    futures::AsyncReadExt::read_to_end(&mut log, &mut rest).await.unwrap();
    assert!(rest.is_empty());
}

#[tokio::test]
async fn envoys_admin_answers_over_a_forwarded_port_again_and_again() {
    let mesh = Mesh::start().await;
    let mut forwarder = mesh.pods().portforward("frontend-a", &[15_000]).await.unwrap();
    let stream = hyper_util::rt::TokioIo::new(forwarder.take_stream(15_000).unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    for path in ["/stats?filter=ssl", "/clusters"] {
        let request = hyper::Request::get(path).header("host", "localhost").body(Empty::<&[u8]>::new()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/plain; charset=UTF-8");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, format!("GET {path}").as_bytes());
    }
}

#[tokio::test]
async fn a_client_that_asks_to_close_sees_the_end_of_the_stream() {
    let mesh = Mesh::start().await;
    let mut forwarder = mesh.pods().portforward("frontend-a", &[15_000, 15_021]).await.unwrap();
    let mut stream = forwarder.take_stream(15_000).unwrap();
    stream.write_all(b"GET /certs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\nGET /certs"), "{text}");
}

#[tokio::test]
async fn a_port_on_which_nobody_listens_is_an_error_and_not_an_empty_answer() {
    let mesh = Mesh::start().await;
    let mut forwarder = mesh.pods().portforward("frontend-a", &[9_999]).await.unwrap();
    let error = forwarder.take_error(9_999).unwrap();
    let mut stream = forwarder.take_stream(9_999).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(error.await.unwrap().contains("connection refused on port 9999"));
    let spdy = [("upgrade", "SPDY/3.1"), ("connection", "Upgrade")];
    let path = "/api/v1/namespaces/web/pods/frontend-a/portforward";
    let (code, status) = mesh.raw("POST", path, &spdy, b"").await;
    assert!(code == 400 && status["message"].as_str().unwrap().contains("over SPDY"), "{status}");
}
