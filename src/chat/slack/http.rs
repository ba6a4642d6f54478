//! Slack over signed HTTP requests: slash commands and buttons. Acknowledged at once; the work comes after.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use secrecy::SecretString;
use serde_json::json;

use super::{
    asked::{Asked, Unreadable},
    inbound::Desk,
    signature::verify,
};
use crate::clock::Clock;

/// The largest body that is read: an interaction brings the whole message with it, at most 50 blocks of 3,000 characters.
const BODY_MOST: usize = 512 * 1024;

/// What the routes need.
#[derive(Clone)]
struct Doors {
    desk: Arc<Desk>,
    secret: Arc<SecretString>,
    clock: Arc<dyn Clock>,
}

/// The routes: `POST /slack/commands` and `POST /slack/interactivity`.
pub fn router(desk: Arc<Desk>, signing_secret: SecretString, clock: Arc<dyn Clock>) -> Router {
    Router::new()
        .route("/slack/commands", post(command))
        .route("/slack/interactivity", post(interaction))
        .layer(DefaultBodyLimit::max(BODY_MOST))
        .with_state(Doors { desk, secret: Arc::new(signing_secret), clock })
}

async fn command(State(doors): State<Doors>, headers: HeaderMap, body: Bytes) -> Response {
    doors.let_in(&headers, &body, Asked::command_form)
}

async fn interaction(State(doors): State<Doors>, headers: HeaderMap, body: Bytes) -> Response {
    doors.let_in(&headers, &body, Asked::interaction_form)
}

impl Doors {
    /// Verifies over the raw body, before anything of it is parsed.
    fn let_in(&self, headers: &HeaderMap, body: &[u8], read: fn(&[u8]) -> Result<Asked, Unreadable>) -> Response {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let (timestamp, signature) = (header("x-slack-request-timestamp"), header("x-slack-signature"));
        if let Err(error) = verify(&self.secret, timestamp, signature, body, self.clock.now()) {
            tracing::warn!(%error, "a request that is not Slack's was refused");
            return StatusCode::UNAUTHORIZED.into_response();
        }
        match read(body) {
            Ok(asked) => match self.desk.take(asked) {
                Ok(()) => StatusCode::OK.into_response(),
                Err(busy) => Json(json!({ "response_type": "ephemeral", "text": busy.to_string() })).into_response(),
            },
            // Slack shows an error to the person for anything but 200, and this is not theirs.
            Err(Unreadable::OtherKind) => StatusCode::OK.into_response(),
            Err(error) => {
                tracing::warn!(%error, "a request of Slack's was not understood");
                (StatusCode::BAD_REQUEST, error.to_string()).into_response()
            }
        }
    }
}
