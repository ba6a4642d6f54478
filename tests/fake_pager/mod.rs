//! A pager for tests: a webhook that keeps every call.
#![allow(dead_code, reason = "each test that shares this uses its own part of it")]

use std::sync::{Arc, Mutex};

use axum::{Json, Router, extract::State, routing::post};
use serde_json::Value;

/// The pager.
#[derive(Clone, Default)]
pub struct FakePager {
    calls: Arc<Mutex<Vec<Value>>>,
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

    /// The keys of all calls, by which a pager knows one that it had before.
    pub fn keys(&self) -> Vec<String> {
        self.calls.lock().unwrap().iter().map(|call| call["key"].as_str().unwrap().to_owned()).collect()
    }
}

async fn take(State(pager): State<FakePager>, Json(call): Json<Value>) {
    pager.calls.lock().unwrap().push(call);
}
