//! Get and list, as objects or as a table for people.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderMap, Response, StatusCode, header},
};
use serde_json::{Value, json};

use super::{
    Api,
    discovery::in_version,
    path::Target,
    query::Query,
    selector::Selector,
    status::{Failure, answer},
    table,
};

/// In what form the caller wants objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The objects.
    Whole,
    /// Only their metadata.
    Metadata,
    /// Columns for people.
    Table {
        /// Whether each row carries its whole object.
        whole: bool,
    },
}

impl Form {
    /// Reads the Accept header: the first form in it that is known; JSON when nothing is said. kubectl prefers protobuf
    /// for its typed calls and takes JSON as well.
    pub(super) fn of(headers: &HeaderMap, query: &Query) -> Self {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        accept
            .split(',')
            .find_map(|one| {
                let parameter = |name: &str| one.split(';').map(str::trim).any(|part| part == name);
                if parameter("as=Table") {
                    return Some(Self::Table { whole: query.get("includeObject") == Some("Object") });
                }
                if parameter("as=PartialObjectMetadata") || parameter("as=PartialObjectMetadataList") {
                    return Some(Self::Metadata);
                }
                parameter("application/json").then_some(Self::Whole)
            })
            .unwrap_or(Self::Whole)
    }
}

/// One object.
pub(super) fn get(api: &Api, target: &Target, form: Form) -> Result<Response<Body>, Failure> {
    let name = target.name.as_deref().unwrap_or_default();
    let (object, now) =
        api.store.transaction(|objects| (objects.get(target.kind, target.namespace.as_deref(), name), objects.now()));
    let object = object.ok_or_else(|| Failure::not_found(target))?;
    let shown = match form {
        Form::Whole => in_version(target, &object),
        Form::Metadata => partial(&object),
        Form::Table { whole } => {
            let row = table::row(target, &object, now, whole);
            table::document(target.kind, &[row], object.pointer("/metadata/resourceVersion"))
        }
    };
    Ok(answer(StatusCode::OK, &shown))
}

/// Many objects. `limit` is tolerated: the answer is always complete.
pub(super) fn list(api: &Api, target: &Target, query: &Query, form: Form) -> Result<Response<Body>, Failure> {
    let selector = Selector::parse(target.kind, query.get("labelSelector"), query.get("fieldSelector"))?;
    let (objects, revision, now) = api.store.transaction(|objects| {
        (objects.list(target.kind, target.namespace.as_deref()), objects.revision(), objects.now())
    });
    let chosen: Vec<Arc<Value>> = objects.into_iter().filter(|object| selector.matches(object)).collect();
    let version = json!(revision.to_string());
    if let Form::Table { whole } = form {
        let rows: Vec<Value> = chosen.iter().map(|object| table::row(target, object, now, whole)).collect();
        return Ok(answer(StatusCode::OK, &table::document(target.kind, &rows, Some(&version))));
    }
    let (list_kind, list_version) = match form {
        Form::Metadata => ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned()),
        _ => (format!("{}List", target.kind.facts().kind), target.api_version()),
    };
    let items: Vec<Value> = chosen
        .iter()
        .map(|object| if form == Form::Metadata { partial(object) } else { in_version(target, object) })
        .collect();
    let body = json!({
        "kind": list_kind, "apiVersion": list_version, "metadata": {"resourceVersion": version}, "items": items,
    });
    Ok(answer(StatusCode::OK, &body))
}

/// Only the metadata of an object.
pub(super) fn partial(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object.get("metadata")})
}
