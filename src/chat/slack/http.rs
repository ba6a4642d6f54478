//! Slack over signed HTTP requests: slash commands and buttons. Acknowledged at once; the work comes after.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequest, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use secrecy::SecretString;
use serde_json::json;

use super::{
    asked::{Asked, Unreadable},
    inbound::{BusyDesk, Desk},
    signature::verify,
};
use crate::clock::Clock;

/// The largest body that is read: an interaction brings the whole message with it, at most 50 blocks of 3,000 characters.
const BODY_MOST: usize = 512 * 1024;
/// How long a sender may take for its body: Slack gives up after 3 s itself.
const BODY_WITHIN: Duration = Duration::from_secs(5);

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

async fn command(State(doors): State<Doors>, request: Request) -> Response {
    let busy = |busy: BusyDesk| Json(json!({ "response_type": "ephemeral", "text": busy.to_string() })).into_response();
    doors.let_in(request, Asked::command_form, busy).await
}

async fn interaction(State(doors): State<Doors>, request: Request) -> Response {
    // Of the answer to a press Slack shows nothing but that it failed.
    let busy = |busy: BusyDesk| (StatusCode::SERVICE_UNAVAILABLE, busy.to_string()).into_response();
    doors.let_in(request, Asked::interaction_form, busy).await
}

impl Doors {
    /// Verifies over the raw body, before anything of it is parsed.
    async fn let_in(
        &self,
        request: Request,
        read: fn(&[u8]) -> Result<Asked, Unreadable>,
        busy: impl FnOnce(BusyDesk) -> Response,
    ) -> Response {
        let headers = request.headers().clone();
        let body = match tokio::time::timeout(BODY_WITHIN, Bytes::from_request(request, &())).await {
            Ok(Ok(body)) => body,
            Ok(Err(refused)) => {
                tracing::warn!(%refused, "a request's body was refused");
                self.desk.count_refusal("body");
                return refused.into_response();
            }
            Err(_) => {
                tracing::warn!("a request's body did not arrive in time");
                self.desk.count_refusal("slow");
                return StatusCode::REQUEST_TIMEOUT.into_response();
            }
        };
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let (timestamp, signature) = (header("x-slack-request-timestamp"), header("x-slack-signature"));
        if let Err(error) = verify(&self.secret, timestamp, signature, &body, self.clock.now()) {
            tracing::warn!(%error, "a request that is not Slack's was refused");
            self.desk.count_refusal("bad_signature");
            return StatusCode::UNAUTHORIZED.into_response();
        }
        match read(&body) {
            Ok(asked) => match self.desk.take(asked) {
                Ok(()) => StatusCode::OK.into_response(),
                Err(full) => busy(full),
            },
            // Slack shows an error to the person for anything but 200, and this is not theirs.
            Err(Unreadable::OtherKind) => StatusCode::OK.into_response(),
            Err(error) => {
                tracing::warn!(%error, "a request of Slack's was not understood");
                self.desk.count_refusal("unreadable");
                (StatusCode::BAD_REQUEST, error.to_string()).into_response()
            }
        }
    }
}
