//! The API as the crate kube sees it, over a loopback listener, with a small fake kubelet.

mod objects;
mod rights;
mod streams;
mod watches;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api as KubeApi, Client, Config};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Options, serve};
use crate::{
    clock::VirtualClock,
    mesh::PodRef,
    simulate::{
        CommandOutput, HttpAnswer, Kubelet, LogLine, Unreachable,
        store::{Kind, Store},
    },
};

/// A running API with two frontend pods, one of them ready, a budget of one, and a node.
struct Mesh {
    url: String,
    store: Arc<Store>,
    options: Options,
    client: Client,
    _stop: DropGuard,
}

fn start_time() -> Timestamp {
    "2026-03-01T02:00:00Z".parse().unwrap()
}

fn pod(name: &str, node: &str, ready: bool) -> Value {
    json!({
        "metadata": {"namespace": "web", "name": name, "labels": {"app": "frontend"}},
        "spec": {"nodeName": node, "containers": [{"name": "app"}, {"name": "istio-proxy"}]},
        "status": {
            "phase": "Running", "podIP": "10.0.0.7",
            "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}],
            "containerStatuses": [
                {"name": "app", "ready": ready, "restartCount": 0},
                {"name": "istio-proxy", "ready": true, "restartCount": 2},
            ],
        },
    })
}

impl Mesh {
    async fn start() -> Self {
        let clock = Arc::new(VirtualClock::starting_at(start_time()));
        let store = Store::new(clock.clone());
        store.apply(Kind::Namespace, json!({"metadata": {"name": "web"}}));
        store.apply(Kind::Node, json!({"metadata": {"name": "node-1"}}));
        store.apply(Kind::Pod, pod("frontend-a", "node-1", true));
        store.apply(Kind::Pod, pod("frontend-b", "node-2", true));
        store.apply(
            Kind::PodDisruptionBudget,
            json!({
                "metadata": {"namespace": "web", "name": "frontend"},
                "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "frontend"}}},
            }),
        );
        clock.advance(SignedDuration::from_mins(5));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (options, stop) = (Options::default(), CancellationToken::new());
        tokio::spawn(serve(listener, store.clone(), Arc::new(FakeKubelet), options.clone(), stop.clone()));
        let mut config = Config::new(url.parse().unwrap());
        config.default_retry = false;
        let client = Client::try_from(config).unwrap();
        Self { url, store, options, client, _stop: stop.drop_guard() }
    }

    fn pods(&self) -> KubeApi<Pod> {
        KubeApi::namespaced(self.client.clone(), "web")
    }

    /// One request with an Accept or Content-Type header of its own.
    async fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, Value) {
        let mut request = axum::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.client.send(request.body(kube::client::Body::from(body.to_vec())).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let bytes = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::String(text)))
    }
}

/// The code and message of a refusal.
fn refused<T: std::fmt::Debug>(result: kube::Result<T>) -> (u16, String) {
    match result.unwrap_err() {
        kube::Error::Api(status) => (status.code, status.message.clone()),
        other => panic!("{other:?}"),
    }
}

/// Knows `cat` (which repeats its input), `false`, three log lines and one port.
struct FakeKubelet;

impl Kubelet for FakeKubelet {
    fn exec(&self, pod: &PodRef, container: &str, argv: &[String], stdin: &[u8]) -> Result<CommandOutput, Unreachable> {
        match argv.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["cat"] => Ok(CommandOutput { stdout: stdin.to_vec(), stderr: Vec::new(), exit_code: 0 }),
            ["hostname"] => {
                let stdout = format!("{pod} {container}\n").into_bytes();
                Ok(CommandOutput { stdout, stderr: b"to stderr\n".to_vec(), exit_code: 0 })
            }
            ["big"] => Ok(CommandOutput { stdout: vec![b'x'; 100_000], stderr: Vec::new(), exit_code: 0 }),
            ["false"] => Ok(CommandOutput { stdout: Vec::new(), stderr: b"no\n".to_vec(), exit_code: 3 }),
            [other, ..] => Err(Unreachable::NoExecutable((*other).to_owned())),
            [] => panic!("no command"),
        }
    }

    fn logs(&self, _: &PodRef, _: &str, previous: bool) -> Result<Vec<LogLine>, Unreachable> {
        if previous {
            return Err(Unreachable::NotRunning("app".to_owned()));
        }
        let line = |minute: i64, text: &str| LogLine {
            at: start_time() + SignedDuration::from_mins(minute),
            text: text.to_owned(),
        };
        Ok(vec![line(0, "starting"), line(3, "SVID rotated"), line(4, "error: handshake")])
    }

    fn http(&self, _: &PodRef, port: u16, method: &str, path: &str) -> Result<HttpAnswer, Unreachable> {
        if port != 15_000 {
            return Err(Unreachable::Refused(port));
        }
        let body = format!("{method} {path}").into_bytes();
        Ok(HttpAnswer { status: 200, content_type: "text/plain; charset=UTF-8", body })
    }
}
