//! SelfSubjectAccessReview: may I do this?

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, Response, StatusCode, header},
};
use serde_json::{Value, json};

use super::{
    options::Options,
    protobuf::{MEDIA_TYPE, ReviewedAccess, question},
    status::{Failure, answer},
    write::parse,
};

/// Answers from the rules that requests meet.
pub(super) fn review(options: &Options, headers: &HeaderMap, body: &Bytes) -> Result<Response<Body>, Failure> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let asked = if media.starts_with(MEDIA_TYPE) {
        question(body).ok_or_else(|| Failure::bad_request("the body is no SelfSubjectAccessReview in protobuf"))?
    } else {
        of_json(&parse(body)?)?
    };
    let resource = match asked.subresource.as_str() {
        "" => asked.resource.clone(),
        part => format!("{}/{part}", asked.resource),
    };
    let allowed = options.may(&asked.verb, &resource);
    let reason = if allowed { "the simulated mesh allows what is not denied" } else { "" };
    let body = json!({
        "kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": {},
        "spec": {"resourceAttributes": {
            "namespace": asked.namespace, "verb": asked.verb, "group": asked.group, "version": asked.version,
            "resource": asked.resource, "subresource": asked.subresource, "name": asked.name,
        }},
        "status": {"allowed": allowed, "reason": reason},
    });
    Ok(answer(StatusCode::CREATED, &body))
}

fn of_json(review: &Value) -> Result<ReviewedAccess, Failure> {
    let attributes = review.pointer("/spec/resourceAttributes");
    let attributes = attributes.ok_or_else(|| Failure::bad_request("spec.resourceAttributes: Required value"))?;
    let text = |name: &str| attributes.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(ReviewedAccess {
        namespace: text("namespace"),
        verb: text("verb"),
        group: text("group"),
        version: text("version"),
        resource: text("resource"),
        subresource: text("subresource"),
        name: text("name"),
    })
}
