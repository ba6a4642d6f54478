//! `POST /webhooks/alertmanager`: 2xx only after commit, 5xx when it could not be stored, 4xx when it never can be
//! (invariant 3).

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use tokio::sync::Semaphore;

use super::{Authentication, BodyError, Mapping, Webhook};
use crate::{
    bounds::{WEBHOOK_BODY, weigh},
    engine::{Accepted, Inbox, SubmitError},
    http::{AGAIN_AFTER, Bodies, BodyRefused, Sender, WorkRoom},
    incident::AlertDelivery,
    metrics::{Metric, Metrics},
};

/// How long the journal may take for one body. Nothing is answered 2xx before commit, so this is answered 503, and what was
/// stored all the same is recognised when it is sent again.
const STORED_WITHIN: Duration = Duration::from_secs(5);

/// How many alerts may be on their way to the journal, those of senders who gave up included. A body holds less than half
/// of it, and more small bodies than the journal lets wait.
const STORING_MOST: usize = 50_000;

/// How many times what a body weighs it costs until it is stored: alerts, incidents and their events beside it.
const STORED_BECOMES: usize = 2;

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
    /// The room for bodies.
    pub bodies: Bodies,
}

/// The route.
pub fn router(intake: Intake) -> Router {
    let desk = WebhookState { intake, places: Arc::new(Semaphore::new(STORING_MOST)) };
    Router::new().route("/webhooks/alertmanager", post(receive)).with_state(Arc::new(desk))
}

/// Where bodies are taken in.
struct WebhookState {
    intake: Intake,
    /// One for each alert that is being stored.
    places: Arc<Semaphore>,
}

async fn receive(State(desk): State<Arc<WebhookState>>, request: Request) -> Response {
    let metrics = &desk.intake.metrics;
    let (status, text) = match desk.take(request).await {
        Ok(text) => (StatusCode::OK, text),
        Err(refused) => {
            let status = refused.status();
            metrics.count(Metric::WebhookRefusalsTotal { reason: refused.name() }, 1);
            tracing::warn!(status = status.as_u16(), reason = %refused, "a webhook was refused");
            (status, refused.to_string())
        }
    };
    metrics.count(Metric::WebhookRequestsTotal { status: status.as_str() }, 1);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        return (status, [(header::RETRY_AFTER, AGAIN_AFTER)], text).into_response();
    }
    (status, text).into_response()
}

/// Why a webhook is refused. 4xx says that it can never be accepted: Alertmanager does not send it again.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("wrong or missing credentials")]
    Credentials,
    #[error("{}", with_advice(.0))]
    Body(#[from] BodyRefused),
    #[error(transparent)]
    NotUnderstood(#[from] BodyError),
    #[error(transparent)]
    NotTaken(SubmitError),
    #[error("the journal did not store it within {} s: send it again", STORED_WITHIN.as_secs())]
    NotStoredInTime,
}

/// Adds, for a body that never fits, how its sender makes it smaller.
fn with_advice(refused: &BodyRefused) -> String {
    if refused.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return format!("{refused}: set max_alerts in the receiver");
    }
    refused.to_string()
}

impl Refused {
    fn status(&self) -> StatusCode {
        match self {
            Self::Credentials => StatusCode::UNAUTHORIZED,
            Self::Body(refused) => refused.status(),
            Self::NotUnderstood(_) => StatusCode::BAD_REQUEST,
            Self::NotStoredInTime | Self::NotTaken(SubmitError::Busy) => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotTaken(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Its name in the metric.
    fn name(&self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::Body(refused) => refused.name(),
            Self::NotUnderstood(_) => "not_understood",
            Self::NotTaken(SubmitError::Busy) => "queue_full",
            Self::NotTaken(_) => "not_stored",
            Self::NotStoredInTime => "not_stored_in_time",
        }
    }
}

impl WebhookState {
    async fn take(&self, request: Request) -> Result<String, Refused> {
        let Intake { mapping, authentication, metrics, bodies, .. } = &self.intake;
        if !authentication.admits(request.headers()) {
            return Err(Refused::Credentials);
        }
        let body = bodies.read(request, Sender::Known, WEBHOOK_BODY).await?;
        let room = bodies.room_for(weigh(&body).saturating_mul(STORED_BECOMES)).await?;
        let mut webhook = Webhook::parse(&body)?;
        drop(body);
        let unreadable = webhook.alerts.unreadable;
        if let Some(fault) = &webhook.alerts.first_fault {
            metrics.count(Metric::WebhookUnreadableAlertsTotal, unreadable);
            tracing::warn!(unreadable, fault, "alerts of a webhook could not be read; the others of it count");
        }
        let fields = std::mem::take(&mut webhook.unread).into_iter().collect::<Vec<_>>().join(", ");
        if !fields.is_empty() {
            tracing::warn!(fields, "fields of a webhook could not be read and count as left out; its alerts count");
        }
        let (delivery, unknown) = mapping.delivery(&webhook);
        drop(webhook);
        if unknown > 0 {
            metrics.count(Metric::WebhookUnknownAlertsTotal, u64::try_from(unknown).unwrap_or(u64::MAX));
            tracing::info!(unknown, "alerts of other names were left alone (config: alertmanager.alerts)");
        }
        let accepted = self.store(delivery, room).await?;
        let mut not_read = if unreadable > 0 { format!(", {unreadable} unreadable") } else { String::new() };
        if !fields.is_empty() {
            not_read.push_str(", left out since it could not be read: ");
            not_read.push_str(&fields);
        }
        Ok(format!(
            "{} opened, {} changed, {} repeated, {unknown} not ours{not_read}\n",
            accepted.opened.len(),
            accepted.changed.len(),
            accepted.repeated
        ))
    }

    /// Stores a body in a task of its own: one that takes longer than its sender waits is stored all the same, since the
    /// next attempt would take as long.
    async fn store(&self, delivery: AlertDelivery, room: WorkRoom) -> Result<Accepted, Refused> {
        let wanted = u32::try_from(delivery.alerts.len()).unwrap_or(u32::MAX).max(1);
        let places = self.places.clone().try_acquire_many_owned(wanted);
        let places = places.map_err(|_| Refused::NotTaken(SubmitError::Busy))?;
        let inbox = self.intake.inbox.clone();
        let storing = tokio::spawn(async move {
            let accepted = inbox.deliver(&delivery).await;
            for incident in accepted.iter().flat_map(|accepted| &accepted.opened) {
                tracing::info!(%incident, "an incident opened");
            }
            drop((places, room));
            accepted
        });
        let ended = tokio::time::timeout(STORED_WITHIN, storing).await.map_err(|_| Refused::NotStoredInTime)?;
        let accepted = ended.map_err(|error| Refused::NotTaken(SubmitError::NotStored(error.to_string())))?;
        accepted.map_err(Refused::NotTaken)
    }
}
