//! `POST /webhooks/alertmanager`: 2xx only after commit, 5xx when it could not be stored, 4xx when it never can be
//! (invariant 3).

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};

use super::{Authentication, Mapping, Webhook};
use crate::{
    engine::{Inbox, SubmitError},
    http::Metrics,
};

/// The largest body that is read, in bytes: several thousand alerts.
const BODY_MOST: usize = 2 * 1024 * 1024;
/// How long a sender may take for its body.
const BODY_WITHIN: Duration = Duration::from_secs(5);

/// What the route works with.
#[derive(Clone)]
pub struct Intake {
    /// Where alerts go.
    pub inbox: Inbox,
    /// Which alerts are ours.
    pub mapping: Mapping,
    /// Who may send them.
    pub authentication: Authentication,
    /// Where refusals are counted.
    pub metrics: Metrics,
}

/// The route.
pub fn router(intake: Intake) -> Router {
    Router::new().route("/webhooks/alertmanager", post(receive)).with_state(Arc::new(intake))
}

async fn receive(State(intake): State<Arc<Intake>>, request: Request) -> Response {
    let (status, text) = match intake.take(request).await {
        Ok(text) => (StatusCode::OK, text),
        Err(refused) => refused,
    };
    intake.metrics.count("webhook_requests_total", &[("status", status.as_str())], 1);
    if !status.is_success() {
        tracing::warn!(status = status.as_u16(), reason = text, "a webhook was refused");
    }
    (status, text).into_response()
}

type Refused = (StatusCode, String);

impl Intake {
    async fn take(&self, request: Request) -> Result<String, Refused> {
        if !self.authentication.admits(request.headers()) {
            return Err((StatusCode::UNAUTHORIZED, "wrong or missing credentials".to_owned()));
        }
        let body = read_body(request.into_body()).await?;
        let webhook = Webhook::parse(&body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
        let (delivery, unknown) = self.mapping.delivery(webhook);
        if unknown > 0 {
            self.metrics.count("webhook_unknown_alerts_total", &[], u64::try_from(unknown).unwrap_or(u64::MAX));
            tracing::info!(unknown, "alerts of other names were left alone (config: alertmanager.alerts)");
        }
        let accepted = self.inbox.deliver(&delivery).await.map_err(|error| match error {
            SubmitError::Busy => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            other => (StatusCode::INTERNAL_SERVER_ERROR, other.to_string()),
        })?;
        for incident in &accepted.opened {
            tracing::info!(%incident, "an incident opened");
        }
        Ok(format!(
            "{} opened, {} changed, {} repeated, {unknown} not ours\n",
            accepted.opened.len(),
            accepted.changed.len(),
            accepted.repeated
        ))
    }
}

async fn read_body(body: Body) -> Result<axum::body::Bytes, Refused> {
    match tokio::time::timeout(BODY_WITHIN, to_bytes(body, BODY_MOST)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_too_large(&error) => Err((
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is over {BODY_MOST} bytes: set max_alerts in the receiver"),
        )),
        Ok(Err(error)) => Err((StatusCode::BAD_REQUEST, format!("the body broke off: {error}"))),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time".to_owned())),
    }
}

fn is_too_large(error: &axum::Error) -> bool {
    use std::error::Error;
    error.source().is_some_and(<dyn Error>::is::<http_body_util::LengthLimitError>)
}
