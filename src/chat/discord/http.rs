//! Discord over signed HTTP requests: one address for every interaction. The first answer is the body of the response; the
//! work comes after.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use jiff::Timestamp;

use super::{
    inbound::DiscordDesk,
    interaction::Asked,
    signature::{NotSigned, PublicKey, SignedClaim},
};
use crate::{
    bounds::{DISCORD_MESSAGE, DISCORD_WEIGHT, weigh},
    clock::Clock,
    http::{AGAIN_AFTER, Bodies, Sender},
};

/// What the route needs.
#[derive(Clone)]
struct Doors {
    desk: Arc<DiscordDesk>,
    key: PublicKey,
    clock: Arc<dyn Clock>,
    bodies: Bodies,
}

/// The route: `POST /discord/interactions`.
pub fn router(desk: Arc<DiscordDesk>, key: PublicKey, clock: Arc<dyn Clock>, bodies: Bodies) -> Router {
    Router::new().route("/discord/interactions", post(interaction)).with_state(Doors { desk, key, clock, bodies })
}

/// Looks at the headers before anything of the body is read, and verifies over the raw body before anything of it is parsed.
async fn interaction(State(doors): State<Doors>, request: Request) -> Response {
    let claim = match claim(request.headers(), doors.clock.now()) {
        Ok(claim) => claim,
        Err(error) => return doors.not_discords(&error),
    };
    let body = match doors.bodies.read(request, Sender::Stranger, DISCORD_MESSAGE).await {
        Ok(body) => body,
        Err(refused) => {
            tracing::warn!(%refused, "a request's body was refused");
            doors.desk.count_refusal(refused.name());
            return (refused.status(), [(header::RETRY_AFTER, AGAIN_AFTER)], refused.to_string()).into_response();
        }
    };
    if let Err(error) = claim.verify(&doors.key, &body) {
        return doors.not_discords(&error);
    }
    if weigh(&body) > DISCORD_WEIGHT {
        tracing::warn!("a request of Discord's was refused: it holds too many parts");
        doors.desk.count_refusal("too_many_parts");
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    }
    let read = str::from_utf8(&body).ok().map(Asked::read);
    drop(body);
    match read {
        Some(Ok(asked)) => Json(doors.desk.first_answer(asked).await.body()).into_response(),
        Some(Err(error)) => doors.unreadable(&error.to_string()),
        None => doors.unreadable("it is no text"),
    }
}

impl Doors {
    fn not_discords(&self, error: &NotSigned) -> Response {
        tracing::warn!(%error, "a request that is not Discord's was refused");
        self.desk.count_refusal("bad_signature");
        StatusCode::UNAUTHORIZED.into_response()
    }

    fn unreadable(&self, error: &str) -> Response {
        tracing::warn!(error, "a request of Discord's was not understood");
        self.desk.count_refusal("unreadable");
        (StatusCode::BAD_REQUEST, error.to_owned()).into_response()
    }
}

fn claim(headers: &HeaderMap, now: Timestamp) -> Result<SignedClaim, NotSigned> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    SignedClaim::of(header("x-signature-timestamp"), header("x-signature-ed25519"), now)
}
