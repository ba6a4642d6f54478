//! Health and `/metrics`, for anybody who asks.

use std::{sync::Arc, time::Instant};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use tokio::sync::Mutex;

use super::Readiness;
use crate::{
    engine::{self, Ended, Engine, Window},
    metrics::{ClockDirection, Metric, MetricName, Metrics},
};

/// Where the routes of health look.
struct Health {
    engine: Arc<Engine>,
    metrics: Metrics,
    readiness: Readiness,
    looked: Together<Arc<Result<engine::EngineHealth, String>>>,
    shown: Together<String>,
}

/// An answer that costs the journal a read: all who ask before the read begins share it.
#[derive(Debug)]
struct Together<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for Together<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Together<T> {
    async fn get(&self, found: impl Future<Output = T>) -> T {
        let asked = Instant::now();
        let mut last = self.0.lock().await;
        if let Some((_, same)) = last.as_ref().filter(|(begun, _)| *begun >= asked) {
            return same.clone();
        }
        let begun = Instant::now();
        let found = found.await;
        *last = Some((begun, found.clone()));
        found
    }
}

impl Health {
    async fn look(&self) -> Arc<Result<engine::EngineHealth, String>> {
        self.looked.get(async { Arc::new(self.engine.health().await.map_err(|error| error.to_string())) }).await
    }
}

/// `/healthz`, `/readyz` and `/metrics`.
pub fn health_router(engine: Arc<Engine>, metrics: Metrics, readiness: Readiness) -> Router {
    let health = Health { engine, metrics, readiness, looked: Together::default(), shown: Together::default() };
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(exposition))
        .with_state(Arc::new(health))
}

async fn ready(State(health): State<Arc<Health>>) -> impl IntoResponse {
    let missing = health.readiness.missing();
    if !missing.is_empty() {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", missing.join("; ")));
    }
    match &*health.look().await {
        Ok(state) => match state.overdue_since {
            None => (StatusCode::OK, "ready\n".to_owned()),
            Some(since) => {
                let text = format!("not ready: effects are overdue since {since:.0}: {:?}\n", state.due);
                (StatusCode::SERVICE_UNAVAILABLE, text)
            }
        },
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {error}\n")),
    }
}

async fn exposition(State(health): State<Arc<Health>>) -> String {
    health.shown.get(put_together(&health)).await
}

async fn put_together(health: &Health) -> String {
    let state = health.look().await;
    // A gauge keeps its last value: a journal that cannot be read must not leave "ready" behind.
    let is_readable = state.is_ok();
    let nothing = engine::EngineHealth::default();
    let state = state.as_ref().as_ref().unwrap_or(&nothing);
    health.metrics.clear(MetricName::EffectsDue);
    for (room, due) in &state.due {
        health.metrics.set(Metric::EffectsDue { room }, u64::try_from(*due).unwrap_or(0));
    }
    let is_ready = is_readable && state.overdue_since.is_none() && health.readiness.missing().is_empty();
    health.metrics.set(Metric::Ready, u64::from(is_ready));
    health.metrics.set(Metric::EngineOverdue, u64::from(state.overdue_since.is_some()));
    health.metrics.set(Metric::JournalReadable, u64::from(is_readable));
    escalation(health);
    let jumps = health.engine.clock_jumps();
    health.metrics.raise(Metric::ClockJumpsTotal { direction: ClockDirection::Back }, jumps.back);
    health.metrics.raise(Metric::ClockJumpsTotal { direction: ClockDirection::Forward }, jumps.forward);
    health.metrics.raise(Metric::JournalTransactionsTotal, health.engine.transactions());
    health.metrics.render()
}

/// The windows that ended, by level.
fn escalation(health: &Health) {
    for ((ended_window, ended), count) in health.engine.windows() {
        let (level, window) = match ended_window {
            Window::Answer(level) => (level.to_string(), "answer"),
            Window::AllPaged => ("all".to_owned(), "answer"),
            Window::Idle(level) => (level.to_string(), "idle"),
        };
        let end = match ended {
            Ended::Met => "met",
            Ended::Breached => "breached",
        };
        health.metrics.raise(Metric::EscalationWindowsTotal { level: &level, window, end }, count);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;

    use super::*;

    #[tokio::test]
    async fn hundreds_who_ask_at_once_cost_two_looks_and_nobody_gets_an_answer_from_before_they_asked() {
        let (shared, looks) = (Together::default(), AtomicUsize::new(0));
        let look = || {
            shared.get(async {
                tokio::task::yield_now().await;
                looks.fetch_add(1, Ordering::Relaxed)
            })
        };
        let answers = join_all((0..300).map(|_| look())).await;
        assert_eq!((answers[0], answers[299], looks.load(Ordering::Relaxed)), (0, 1, 2));
        assert_eq!(look().await, 2);
    }
}
