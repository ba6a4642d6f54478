use std::{sync::Arc, time::Duration};

use futures::{SinkExt, StreamExt};
use serde_json::json;
use tokio::{io::AsyncReadExt, net::TcpListener};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

use super::{Machines, Mesh, impatient, pod, pod_ref, svid_of_a_healthy_pod, target};
use crate::{
    clock::SystemClock,
    cluster::{ClusterError, connect_to, resolve},
    simulate::{api::ApiFault, store::Kind},
};

/// Longer than any test takes; what waits this long has failed.
const FOR_EVER: Duration = Duration::from_secs(20);

#[expect(clippy::unnecessary_wraps, clippy::result_large_err, reason = "the shape that the handshake asks for")]
pub(super) fn agree(_: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    response.headers_mut().insert("Sec-WebSocket-Protocol", "v4.channel.k8s.io".parse().unwrap());
    Ok(response)
}

/// A kubelet that died: the connection stands, and nobody is at its other end.
#[tokio::test]
async fn a_port_forward_that_runs_out_of_time_leaves_no_connection_behind() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let reach = connect_to(&url, impatient(Duration::from_millis(300), FOR_EVER)).unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_hdr_async(stream, agree).await.unwrap();
        // From here on no frame is answered, not even a Close: only the end of the connection ends this.
        let mut bytes = [0; 256];
        while let Ok(1..) = socket.get_mut().read(&mut bytes).await {}
    });
    let answer = reach.port(&pod_ref("frontend-a"), 15000).get("/stats", "Envoy /stats").await;
    assert!(matches!(answer, Err(ClusterError::TimedOut { .. })), "{answer:?}");
    tokio::time::timeout(FOR_EVER, server).await.expect("the connection has ended").unwrap();
}

fn with_pilot_agent() -> Machines {
    Machines { commands: [(("istio-proxy", "pilot-agent"), (0, "by pilot-agent\n"))].into(), ..Machines::default() }
}

#[tokio::test]
async fn whatever_keeps_a_port_forward_from_working_the_sidecar_is_asked_by_exec() {
    let mesh = Mesh::with(with_pilot_agent()).await;
    let asked = async || mesh.reach.admin(&pod_ref("frontend-a")).get("/stats").await;
    assert_eq!(*asked().await.unwrap(), *b"by pilot-agent\n", "nothing listens on the port");
    for fault in [ApiFault::status(500, "no"), ApiFault::status(403, "no"), ApiFault::cut()] {
        mesh.options.inject("*", "pods/portforward", fault);
        assert_eq!(*asked().await.unwrap(), *b"by pilot-agent\n");
        mesh.options.heal();
    }
}

#[tokio::test]
async fn a_port_forward_that_hangs_costs_its_own_limit_and_not_the_answer() {
    let mesh = Mesh::with(with_pilot_agent()).await;
    mesh.options.inject("*", "pods/portforward", ApiFault::hang());
    let reach = connect_to(&mesh.url, impatient(Duration::from_millis(300), FOR_EVER)).unwrap();
    assert_eq!(*reach.admin(&pod_ref("frontend-a")).get("/stats").await.unwrap(), *b"by pilot-agent\n");
}

fn with_an_admin_interface() -> Machines {
    Machines {
        ports: [((15000, "/stats"), (200, "ssl: 1")), ((15000, "/clusters"), (200, "out: 1"))].into(),
        ..Machines::default()
    }
}

#[tokio::test]
async fn all_that_is_asked_of_a_proxy_at_once_goes_over_one_port_forward() {
    let mesh = Mesh::with(with_an_admin_interface()).await;
    mesh.options.inject("*", "pods/portforward", ApiFault::delay(Duration::ZERO).times(1));
    mesh.options.inject("*", "pods/portforward", ApiFault::status(500, "a second one"));
    let pod = pod_ref("frontend-a");
    let admin = mesh.reach.admin(&pod);
    let (stats, clusters) = tokio::join!(admin.get("/stats"), admin.get("/clusters"));
    assert_eq!((stats.unwrap().to_vec(), clusters.unwrap().to_vec()), (b"ssl: 1".to_vec(), b"out: 1".to_vec()));
    let another = mesh.reach.admin(&pod).get("/stats").await.unwrap_err();
    assert!(another.to_string().contains("/stats"), "{another}");
}

#[tokio::test]
async fn a_port_forward_that_the_proxy_closed_is_opened_again() {
    let mesh = Mesh::with(with_an_admin_interface()).await;
    let pod = pod_ref("frontend-a");
    let admin = mesh.reach.admin(&pod);
    assert!(admin.get("/stats").await.is_ok());
    assert!(admin.get("/quitquitquit").await.is_err(), "the pod's end of the connection is closed");
    assert_eq!(*admin.get("/clusters").await.unwrap(), *b"out: 1");
}

/// A server that closes after each answer, as some do, while a client believes that the connection lasts.
#[tokio::test]
async fn a_connection_that_lasts_for_one_answer_is_not_taken_for_a_port_that_is_silent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let reach = connect_to(&url, impatient(FOR_EVER, FOR_EVER)).unwrap();
    let server = tokio::spawn(async move {
        let mut forwards = 0;
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut socket = tokio_tungstenite::accept_hdr_async(stream, agree).await.unwrap();
            forwards += 1;
            for channel in [0, 1] {
                let opened = [vec![channel], 15000_u16.to_le_bytes().to_vec()].concat();
                socket.send(opened.into()).await.unwrap();
            }
            while !matches!(socket.next().await, Some(Ok(message)) if message.is_binary()) {}
            let answer = b"\0HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec();
            socket.send(answer.into()).await.unwrap();
            socket.close(None).await.unwrap();
            if forwards == 2 {
                return;
            }
        }
    });
    let pod = pod_ref("frontend-a");
    let port = reach.port(&pod, 15000);
    for _ in 0..2 {
        assert_eq!(port.get("/stats", "Envoy /stats").await.unwrap().body.to_vec(), b"ok");
    }
    server.await.unwrap();
}

/// A pod's end of a port-forward, which answers one request with these messages and closes.
async fn answered_with(messages: &'static [(u8, &'static [u8])]) -> Result<Vec<u8>, ClusterError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let reach = connect_to(&url, impatient(FOR_EVER, FOR_EVER)).unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_hdr_async(stream, agree).await.unwrap();
        for channel in [0, 1] {
            let opened = [vec![channel], 15000_u16.to_le_bytes().to_vec()].concat();
            socket.send(opened.into()).await.unwrap();
        }
        while !matches!(socket.next().await, Some(Ok(message)) if message.is_binary()) {}
        for (channel, bytes) in messages {
            socket.send([&[*channel], *bytes].concat().into()).await.unwrap();
        }
        drop(socket.close(None).await);
    });
    let answer = reach.port(&pod_ref("frontend-a"), 15000).get("/stats", "Envoy /stats").await;
    server.await.unwrap();
    answer.map(|answer| answer.body.to_vec())
}

#[tokio::test]
async fn an_answer_that_may_have_been_cut_is_never_taken_for_a_whole_one() {
    for whole in [
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".as_slice(),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ] {
        let message: &'static [(u8, &'static [u8])] = vec![(0, whole)].leak();
        assert_eq!(answered_with(message).await.unwrap(), b"ok");
    }
    for cut in [
        b"HTTP/1.1 200 OK\r\n\r\nok".as_slice(),
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
    ] {
        let message: &'static [(u8, &'static [u8])] = vec![(0, cut)].leak();
        let error = answered_with(message).await.unwrap_err();
        assert!(matches!(error, ClusterError::Failed { .. }), "{error}");
    }
}

#[tokio::test]
async fn what_a_kubelet_says_is_cleared_before_it_is_cut() {
    // The end of the token lies behind the cut.
    let said = format!("{} password=hunter2hunter2hunter2", "x".repeat(480)).leak();
    let message: &'static [(u8, &'static [u8])] = vec![(1, said.as_bytes())].leak();
    let told = answered_with(message).await.unwrap_err().to_string();
    assert!(told.contains("xxx") && !told.contains("hunter"), "{told}");
}

#[tokio::test]
async fn a_refused_port_says_so_in_the_kubelets_words_when_there_is_no_other_way() {
    let mesh = Mesh::start().await;
    let refused = mesh.reach.admin(&pod_ref("frontend-a")).get("/stats").await.unwrap_err();
    assert!(refused.to_string().contains("connection refused on port 15000"), "{refused}");
}

#[tokio::test]
async fn what_the_proxy_serves_decides_and_not_the_file_beside_it() {
    let svid = svid_of_a_healthy_pod(Arc::new(SystemClock)).await;
    let mesh = Mesh::with(Machines {
        commands: [(("app", "cat"), (0, svid))].into(),
        ports: [((15000, "/config_dump?resource=dynamic_active_secrets"), (200, r#"{"configs": []}"#))].into(),
        ..Machines::default()
    })
    .await;
    let mut alone = pod("frontend-c");
    alone["spec"]["containers"] = json!([{"name": "app"}]);
    mesh.store.apply(Kind::Pod, alone);
    let svid_of = async |name: &str| {
        let found = resolve(&mesh.reach, &target(name)).await.unwrap().pods.remove(0);
        mesh.reach.svid_of(&found).await
    };
    assert_eq!(svid_of("pod/frontend-a").await, Ok(None), "a proxy without an SVID has none");
    assert!(svid_of("pod/frontend-c").await.unwrap().is_some(), "without a proxy the file is all there is");
}
