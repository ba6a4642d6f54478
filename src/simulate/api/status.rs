//! Refusals as the API server words them: a `Status` object with code, reason and message.

use axum::{
    body::Body,
    http::{Response, StatusCode, header},
    response::IntoResponse,
};
use serde_json::{Value, json};

use super::path::Target;

/// Why a request was not done. It is answered as a `Status`.
#[derive(Debug, Clone)]
pub struct Failure {
    code: u16,
    reason: &'static str,
    message: String,
    details: Value,
}

impl Failure {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: json!({}) }
    }

    fn about(mut self, target: &Target) -> Self {
        self.details = target_details(target);
        self
    }

    /// The request makes no sense (400).
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// No such object (404).
    pub(super) fn not_found(target: &Target) -> Self {
        let message = format!("{} {:?} not found", qualified(target), target.name.as_deref().unwrap_or_default());
        Self::new(404, "NotFound", message).about(target)
    }

    /// The verb or subresource is not served (405).
    pub(super) fn not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    }

    /// An object of that name exists (409).
    pub(super) fn exists(target: &Target) -> Self {
        let message = format!("{} {:?} already exists", qualified(target), target.name.as_deref().unwrap_or_default());
        Self::new(409, "AlreadyExists", message).about(target)
    }

    /// The object is not the one that was meant (409).
    pub(super) fn conflict(target: &Target, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} {:?}: {why}",
            qualified(target),
            target.name.as_deref().unwrap_or_default()
        );
        Self::new(409, "Conflict", message).about(target)
    }

    /// The version asked for is no longer kept (410).
    pub(super) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// The body has a media type that is not understood (415).
    pub(super) fn media_type(message: impl Into<String>) -> Self {
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// The body is larger than allowed (413).
    pub(super) fn too_large(most: usize) -> Self {
        Self::new(413, "RequestEntityTooLarge", format!("Request entity too large: limit is {most}"))
    }

    /// The object would not be valid (422).
    pub(super) fn invalid(target: &Target, why: &str) -> Self {
        let message =
            format!("{} {:?} is invalid: {why}", target.kind.facts().kind, target.name.as_deref().unwrap_or_default());
        Self::new(422, "Invalid", message).about(target)
    }

    /// A right is missing (403).
    pub(super) fn forbidden(target: &Target, user: &str, verb: &str) -> Self {
        let facts = target.kind.facts();
        let subject = match &target.name {
            Some(name) => format!("{} {name:?}", qualified(target)),
            None => qualified(target),
        };
        let place = match &target.namespace {
            Some(namespace) => format!("in the namespace {namespace:?}"),
            None => "at the cluster scope".to_owned(),
        };
        let message = format!(
            "{subject} is forbidden: User {user:?} cannot {verb} resource {:?} in API group {:?} {place}",
            target.resource(),
            facts.group
        );
        Self::new(403, "Forbidden", message).about(target)
    }

    /// A disruption budget stands against an eviction (429).
    pub(super) fn budget(why: &str) -> Self {
        let message = "Cannot evict pod as it would violate the pod's disruption budget.";
        let mut failure = Self::new(429, "TooManyRequests", message);
        failure.details = json!({"causes": [{"reason": "DisruptionBudget", "message": why}]});
        failure
    }

    /// The server, or the kubelet behind it, failed (500).
    pub(super) fn internal(message: impl std::fmt::Display) -> Self {
        Self::new(500, "InternalError", format!("Internal error occurred: {message}"))
    }

    /// Any code, for injected faults.
    pub(super) fn injected(code: u16, message: &str) -> Self {
        let reason = match code {
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "NotFound",
            409 => "Conflict",
            410 => "Expired",
            429 => "TooManyRequests",
            503 => "ServiceUnavailable",
            504 => "Timeout",
            _ => "InternalError",
        };
        Self::new(code, reason, message)
    }

    /// The client is asked to come again after so many seconds.
    pub(super) fn retry_after(mut self, seconds: Option<u32>) -> Self {
        if let Some(seconds) = seconds {
            self.details = json!({"retryAfterSeconds": seconds});
        }
        self
    }

    /// The `Status` object.
    pub(super) fn to_status(&self) -> Value {
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message,
            "reason": self.reason, "details": self.details, "code": self.code,
        })
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response<Body> {
        let code = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = answer(code, &self.to_status());
        // A real API server gives the header wherever the details have the time (apiserver, `ErrorNegotiated`).
        if let Some(seconds) = self.details.get("retryAfterSeconds").and_then(Value::as_u64) {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// A JSON answer.
pub(super) fn answer(code: StatusCode, body: &Value) -> Response<Body> {
    (code, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// The `Status` of something that was done.
pub(super) fn success(details: &Value) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

/// What a `Status` says of the object it is about.
pub(super) fn target_details(target: &Target) -> Value {
    let facts = target.kind.facts();
    json!({"name": target.name.as_deref().unwrap_or_default(), "group": facts.group, "kind": facts.plural})
}

/// `pods`, or `deployments.apps` for kinds of other groups.
fn qualified(target: &Target) -> String {
    let facts = target.kind.facts();
    if facts.group.is_empty() { facts.plural.to_owned() } else { format!("{}.{}", facts.plural, facts.group) }
}
