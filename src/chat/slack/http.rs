//! Slack over signed HTTP requests: slash commands and buttons. Acknowledged at once; the work comes after.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::json;

use super::{
    asked::{Asked, Unreadable},
    inbound::SlackDesk,
    signature::{NotSigned, SignedClaim},
};
use crate::{
    bounds::{SLACK_BODY, SLACK_COMMAND_BODY, SLACK_WEIGHT, weigh_form},
    chat::BusyDesk,
    clock::Clock,
    http::{AGAIN_AFTER, Bodies, Sender},
};

/// What the routes need.
#[derive(Clone)]
struct Doors {
    desk: Arc<SlackDesk>,
    secret: Arc<SecretString>,
    clock: Arc<dyn Clock>,
    bodies: Bodies,
}

/// The routes: `POST /slack/commands` and `POST /slack/interactivity`.
pub fn router(desk: Arc<SlackDesk>, signing_secret: SecretString, clock: Arc<dyn Clock>, bodies: Bodies) -> Router {
    Router::new()
        .route("/slack/commands", post(command))
        .route("/slack/interactivity", post(interaction))
        .with_state(Doors { desk, secret: Arc::new(signing_secret), clock, bodies })
}

async fn command(State(doors): State<Doors>, request: Request) -> Response {
    let busy = |busy: BusyDesk| Json(json!({ "response_type": "ephemeral", "text": busy.to_string() })).into_response();
    doors.let_in(request, SLACK_COMMAND_BODY, Asked::command_form, busy).await
}

async fn interaction(State(doors): State<Doors>, request: Request) -> Response {
    // Slack shows only that a press failed, and not the answer.
    let busy = |busy: BusyDesk| (StatusCode::SERVICE_UNAVAILABLE, busy.to_string()).into_response();
    doors.let_in(request, SLACK_BODY, Asked::interaction_form, busy).await
}

impl Doors {
    /// Looks at the headers before anything of the body is read, and verifies over the raw body before anything of it is
    /// parsed.
    async fn let_in(
        &self,
        request: Request,
        most: usize,
        read: fn(&[u8]) -> Result<Asked, Unreadable>,
        busy: impl FnOnce(BusyDesk) -> Response,
    ) -> Response {
        let claim = match claim(request.headers(), self.clock.now()) {
            Ok(claim) => claim,
            Err(error) => return self.not_slacks(&error),
        };
        let body = match self.bodies.read(request, Sender::Stranger, most).await {
            Ok(body) => body,
            Err(refused) => {
                tracing::warn!(%refused, "a request's body was refused");
                self.desk.count_refusal(refused.name());
                return (refused.status(), [(header::RETRY_AFTER, AGAIN_AFTER)], refused.to_string()).into_response();
            }
        };
        if let Err(error) = claim.verify(&self.secret, &body) {
            return self.not_slacks(&error);
        }
        if weigh_form(&body) > SLACK_WEIGHT {
            tracing::warn!("a request of Slack's was refused: it holds too many parts");
            self.desk.count_refusal("too_many_parts");
            return StatusCode::PAYLOAD_TOO_LARGE.into_response();
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

    fn not_slacks(&self, error: &NotSigned) -> Response {
        tracing::warn!(%error, "a request that is not Slack's was refused");
        self.desk.count_refusal("bad_signature");
        StatusCode::UNAUTHORIZED.into_response()
    }
}

fn claim(headers: &HeaderMap, now: Timestamp) -> Result<SignedClaim, NotSigned> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    SignedClaim::of(header("x-slack-request-timestamp"), header("x-slack-signature"), now)
}
