//! The routes of the page.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{StatusCode, header},
    middleware,
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{DemoChannel, guard::own_page_only};
use crate::{
    chat::{
        Answering, Ask, Heard, Place, Says, Whose,
        card::{COMMAND, Press, plain},
        grammar::ByName,
    },
    legible,
    people::{Actor, Platform},
};

/// The largest request that is read, in bytes: a command.
const BODY_MOST: usize = 64 * 1024;

/// What stands behind the page: the demo's people, clock and faults.
pub trait Backstage: Send + Sync + 'static {
    /// The person of that name, with rights as of now; `None` when there is no such person.
    fn person(&self, name: &str) -> Option<Actor>;
    /// How the world stands: clock rate, failure rate, faults.
    fn world(&self) -> Value;
    /// Changes the clock's rate.
    fn set_rate(&self, rate: f64);
    /// Breaks or mends something by name.
    fn toggle(&self, fault: &str);
}

struct RouteState {
    page: Arc<DemoChannel>,
    answering: Answering,
    backstage: Arc<dyn Backstage>,
    presses: AtomicU64,
}

/// The page and what it asks.
pub fn router(page: Arc<DemoChannel>, ask: Arc<dyn Ask>, backstage: Arc<dyn Backstage>) -> Router {
    let answering = Answering::new(ask, Whose::default(), page.clock());
    let desk = Arc::new(RouteState { page, answering, backstage, presses: AtomicU64::new(0) });
    Router::new()
        .route("/", get(async || Html(include_str!("page.html"))))
        .route("/page.js", get(script))
        .route("/state", get(state))
        .route("/command", post(command))
        .route("/press", post(press))
        .route("/rate", post(rate))
        .route("/fault", post(fault))
        .layer(DefaultBodyLimit::max(BODY_MOST))
        .layer(middleware::from_fn(own_page_only))
        .with_state(desk)
}

async fn script() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("page.js"))
}

async fn state(State(desk): State<Arc<RouteState>>) -> Json<Value> {
    Json(json!({"now": desk.page.now(), "world": desk.backstage.world(), "incidents": desk.page.shown()}))
}

#[derive(Deserialize)]
struct Typed {
    person: String,
    text: String,
}

#[derive(Deserialize)]
struct PressedOnPage {
    person: String,
    label: String,
    press: Press,
}

#[derive(Deserialize)]
struct NewRate {
    rate: f64,
}

#[derive(Deserialize)]
struct Toggled {
    fault: String,
}

fn told(text: impl Into<String>) -> Response {
    Json(legible::document(json!({"told": text.into()}))).into_response()
}

async fn command(State(desk): State<Arc<RouteState>>, Json(typed): Json<Typed>) -> Response {
    let Some(actor) = desk.backstage.person(&typed.person) else { return StatusCode::BAD_REQUEST.into_response() };
    let text = typed.text.trim().strip_prefix(COMMAND).unwrap_or(&typed.text).trim();
    desk.answer(&Heard::Typed(text.to_owned()), actor, &format!("{COMMAND} {text}")).await
}

async fn press(State(desk): State<Arc<RouteState>>, Json(pressed): Json<PressedOnPage>) -> Response {
    let Some(actor) = desk.backstage.person(&pressed.person) else { return StatusCode::BAD_REQUEST.into_response() };
    let label: String = pressed.label.chars().take(80).collect();
    desk.answer(&Heard::Press(Some(pressed.press)), actor, &format!("(presses {label})")).await
}

async fn rate(State(desk): State<Arc<RouteState>>, Json(new): Json<NewRate>) -> StatusCode {
    if new.rate.is_finite() {
        desk.backstage.set_rate(new.rate);
        return StatusCode::NO_CONTENT;
    }
    StatusCode::BAD_REQUEST
}

async fn fault(State(desk): State<Arc<RouteState>>, Json(toggled): Json<Toggled>) -> StatusCode {
    desk.backstage.toggle(&toggled.fault);
    StatusCode::NO_CONTENT
}

impl RouteState {
    fn fresh_key(&self) -> String {
        format!("page-{}", self.presses.fetch_add(1, Ordering::Relaxed))
    }

    /// Answers; what was said about an incident is shown in its thread, as `shown`, before what follows from it.
    async fn answer(&self, heard: &Heard, actor: Actor, shown: &str) -> Response {
        let place = Place { platform: Platform::Page, workspace: "demo", notation: &ByName, groups: &[] };
        if let Some(id) = self.answering.about(heard, &place).await {
            self.page.said(id, &actor.id.user, shown);
        }
        match self.answering.answer(heard, actor, &self.fresh_key(), &place).await.says {
            Says::Lines(lines) => told(lines.iter().map(|line| plain(line)).collect::<Vec<_>>().join("\n")),
            Says::Card(card) => told(card.summary()),
        }
    }
}
