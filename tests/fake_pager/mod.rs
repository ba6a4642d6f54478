//! A pager for tests: a webhook that keeps every call.
#![allow(dead_code, reason = "each test that shares this uses its own part of it")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use serde_json::Value;
use tokio::sync::watch;

/// The pager.
#[derive(Clone, Default)]
pub struct FakePager {
    calls: Arc<Mutex<Vec<Value>>>,
    /// It takes calls, and then says that it failed.
    fails: Arc<AtomicBool>,
    changed: watch::Sender<()>,
    origin: String,
}

impl FakePager {
    /// Opens it on a port of its own.
    pub async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pager = Self { origin: format!("http://{}", listener.local_addr().unwrap()), ..Self::default() };
        let router = Router::new().route("/page", post(take)).with_state(pager.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        pager
    }

    /// Where it is called.
    pub fn url(&self) -> String {
        format!("{}/page", self.origin)
    }

    /// All that it was told.
    pub fn said(&self) -> String {
        self.calls.lock().unwrap().iter().map(ToString::to_string).collect()
    }

    /// The keys of all calls, by which a pager knows one that it had before.
    pub fn keys(&self) -> Vec<String> {
        self.calls.lock().unwrap().iter().map(|call| call["key"].as_str().unwrap().to_owned()).collect()
    }

    /// The keys of the calls that rang, and not of those that ended or completed one.
    pub fn rung(&self) -> Vec<String> {
        let calls = self.calls.lock().unwrap();
        let rung = calls.iter().filter(|call| call["action"] == "trigger");
        rung.map(|call| call["key"].as_str().unwrap().to_owned()).collect()
    }

    /// From now on it rings, and answers 503; or no longer.
    pub fn fails(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    /// The first call that is like this, when it has come.
    pub async fn until(&self, what: &str, like: impl Fn(&Value) -> bool) -> Value {
        let mut changed = self.changed.subscribe();
        let comes = async {
            loop {
                let found = self.calls.lock().unwrap().iter().find(|call| like(call)).cloned();
                if let Some(found) = found {
                    return found;
                }
                changed.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(45), comes).await.unwrap_or_else(|_| panic!("{what} never came"))
    }
}

async fn take(State(pager): State<FakePager>, Json(call): Json<Value>) -> StatusCode {
    pager.calls.lock().unwrap().push(call);
    pager.changed.send_replace(());
    if pager.fails.load(Ordering::SeqCst) { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
}
