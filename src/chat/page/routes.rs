//! The routes of the page.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
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
    chat::Whose,
    chat::{
        Ask,
        card::{Card, Press},
        grammar::{self, ParseContext, Said},
    },
    incident::{Act, Command, IncidentId, SwitchRequest, TakeAll},
    legible,
    people::{Actor, Platform, Role},
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
    ask: Arc<dyn Ask>,
    backstage: Arc<dyn Backstage>,
    presses: AtomicU64,
}

/// The page and what it asks.
pub fn router(page: Arc<DemoChannel>, ask: Arc<dyn Ask>, backstage: Arc<dyn Backstage>) -> Router {
    let desk = Arc::new(RouteState { page, ask, backstage, presses: AtomicU64::new(0) });
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
    let live = match desk.ask.live().await {
        Ok(live) => live,
        Err(error) => return told(error.to_string()),
    };
    let ids: Vec<IncidentId> = live.iter().map(|incident| incident.id).collect();
    let place = ParseContext {
        platform: Platform::Page,
        workspace: "demo",
        thread: None,
        live: &ids,
        whose: Whose::default(),
        groups: &[],
    };
    let text = typed.text.trim().strip_prefix("/mtls").unwrap_or(&typed.text).trim();
    match grammar::parse(text, &place) {
        Err(error) => told(error.to_string()),
        Ok(Said::Help) => told(help(&actor.roles)),
        Ok(Said::Incidents) => {
            let lines: Vec<String> = live.iter().map(|incident| Card::of(incident).summary()).collect();
            told(if lines.is_empty() { "No incident is open.".to_owned() } else { lines.join("\n") })
        }
        Ok(Said::Status(id)) => match desk.ask.incident(id).await {
            Ok(Some(incident)) => told(Card::of(&incident).summary()),
            Ok(None) => told(format!("There is no {id}.")),
            Err(error) => told(error.to_string()),
        },
        Ok(Said::Writes { on, reason }) => {
            let request = SwitchRequest { key: desk.fresh_key(), actor, on, reason };
            told(desk.ask.switch_writes(request).await.map_or_else(|error| error.to_string(), |answer| answer.text))
        }
        Ok(Said::AckAll) => {
            let request = TakeAll { key: desk.fresh_key(), actor };
            told(desk.ask.take_all(request).await.map_or_else(|error| error.to_string(), |answer| answer.text))
        }
        Ok(Said::Act(id, act)) => {
            desk.page.said(id, &actor.id.user, &format!("/mtls {text}"));
            desk.submit(id, act, actor).await
        }
    }
}

fn help(roles: &BTreeSet<Role>) -> String {
    grammar::help(roles).into_iter().map(|(usage, does)| format!("{usage}  {does}")).collect::<Vec<_>>().join("\n")
}

async fn press(State(desk): State<Arc<RouteState>>, Json(pressed): Json<PressedOnPage>) -> Response {
    let Some(actor) = desk.backstage.person(&pressed.person) else { return StatusCode::BAD_REQUEST.into_response() };
    let id = pressed.press.incident;
    let label: String = pressed.label.chars().take(80).collect();
    desk.page.said(id, &actor.id.user, &format!("(presses {label})"));
    desk.submit(id, pressed.press.act, actor).await
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

    async fn submit(&self, incident: IncidentId, act: Act, actor: Actor) -> Response {
        let command = Command { incident, actor, key: self.fresh_key(), act };
        match self.ask.submit(command).await {
            Ok(answer) => told(answer.text),
            Err(error) => told(error.to_string()),
        }
    }
}
