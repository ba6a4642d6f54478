//! Create, update, patch and delete.

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, Response, StatusCode, header},
};
use serde_json::{Value, json};

use super::{
    Api,
    discovery::in_version,
    merge,
    path::Target,
    protobuf,
    query::Query,
    status::{Failure, answer, success, target_details},
};
use crate::simulate::store::{Kind, Transaction, field, rfc3339};

/// What an object must still be for a write to happen.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Preconditions {
    uid: Option<String>,
    version: Option<String>,
}

impl Preconditions {
    /// Reads `preconditions` of DeleteOptions; kube 5 writes its fields in snake case inside an eviction.
    pub(super) fn of_options(options: &Value) -> Self {
        let text = |names: [&str; 2]| {
            let found = names.iter().find_map(|name| options.get("preconditions")?.get(name)?.as_str());
            found.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        Self { uid: text(["uid", "uid"]), version: text(["resourceVersion", "resource_version"]) }
    }

    /// What a written object itself demands: its own `uid` and `resourceVersion`, when it names them.
    fn of_object(object: &Value) -> Self {
        let text = |name: &str| Some(field(object, name).to_owned()).filter(|text| !text.is_empty());
        Self { uid: text("uid"), version: text("resourceVersion") }
    }

    /// As [`Self::hold`], for a change: an old version is refused in the words that people search for.
    fn still_current(&self, target: &Target, object: &Value) -> Result<(), Failure> {
        let newer = "the object has been modified; please apply your changes to the latest version and try again";
        let uid = Self { uid: self.uid.clone(), version: None };
        uid.hold(target, object)?;
        self.hold(target, object).map_err(|_| Failure::conflict(target, newer))
    }

    /// Compares with the object as it is.
    pub(super) fn hold(&self, target: &Target, object: &Value) -> Result<(), Failure> {
        let check = |what: &str, wanted: Option<&String>, actual: &str| match wanted {
            Some(wanted) if wanted != actual => Err(Failure::conflict(
                target,
                &format!("Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {actual}"),
            )),
            _ => Ok(()),
        };
        check("UID", self.uid.as_ref(), field(object, "uid"))?;
        check("ResourceVersion", self.version.as_ref(), field(object, "resourceVersion"))
    }
}

/// Reads a body in JSON, or in protobuf where a kind of body has a reader for it.
pub(super) fn read(headers: &HeaderMap, body: &Bytes, protobuf: fn(&[u8]) -> Option<Value>) -> Result<Value, Failure> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !media.starts_with(protobuf::MEDIA_TYPE) {
        return if body.is_empty() { Ok(Value::Null) } else { parse(body) };
    }
    protobuf(body).ok_or_else(|| Failure::bad_request("the object provided is unrecognized (protobuf)"))
}

/// Reads a JSON body.
pub(super) fn parse(body: &Bytes) -> Result<Value, Failure> {
    serde_json::from_slice(body).map_err(|error| {
        Failure::bad_request(format!("the object provided is unrecognized (must be of type JSON): {error}"))
    })
}

/// Whether DeleteOptions ask for a dry run.
pub(super) fn options_dry_run(options: &Value) -> bool {
    let dry_run = options.get("dryRun").or_else(|| options.get("dry_run")).and_then(Value::as_array);
    dry_run.is_some_and(|modes| modes.iter().any(|mode| mode == "All"))
}

/// POST: a new object.
pub(super) fn create(api: &Api, target: &Target, query: &Query, body: &Bytes) -> Result<Response<Body>, Failure> {
    let mut object = parse(body)?;
    let (target, dry) = (named(target, &mut object, api)?, query.dry_run()?);
    let name = target.name.as_deref().unwrap_or_default();
    let stored = api.store.transaction(|objects| {
        if objects.get(target.kind, target.namespace.as_deref(), name).is_some() {
            return Err(Failure::exists(&target));
        }
        let namespace = target.namespace.as_deref().unwrap_or_default();
        if target.kind.facts().namespaced && objects.get(Kind::Namespace, None, namespace).is_none() {
            let missing =
                Target { kind: Kind::Namespace, namespace: None, name: target.namespace.clone(), ..target.clone() };
            return Err(Failure::not_found(&missing));
        }
        Ok(keep(objects, target.kind, object, dry))
    })?;
    Ok(answer(StatusCode::CREATED, &in_version(&target, &stored)))
}

/// The target of a new object with its name; fills in namespace and a generated name.
fn named(target: &Target, object: &mut Value, api: &Api) -> Result<Target, Failure> {
    let (mut name, namespace) = (field(object, "name").to_owned(), field(object, "namespace"));
    if target.kind.facts().namespaced && target.namespace.is_none() {
        return Err(Failure::not_allowed());
    }
    if !namespace.is_empty() && target.namespace.as_deref() != Some(namespace) {
        let why = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(Failure::bad_request(why));
    }
    let prefix = field(object, "generateName");
    if name.is_empty() && !prefix.is_empty() {
        // The version is unique, so the name is.
        name = format!("{prefix}{:05x}", *api.store.changes().borrow());
    }
    let target = Target { name: Some(name.clone()), ..target.clone() };
    if crate::mesh::ObjectName::parse(&name).is_err() {
        let why = "metadata.name: Required value: name or generateName is required, as an RFC 1123 subdomain";
        return Err(Failure::invalid(&target, why));
    }
    let Some(fields) = object.as_object_mut() else { return Err(Failure::bad_request("the body is no object")) };
    let meta = fields.entry("metadata").or_insert_with(|| json!({}));
    if let Some(meta) = meta.as_object_mut() {
        for server_set in ["uid", "resourceVersion", "creationTimestamp", "generation"] {
            meta.remove(server_set);
        }
        meta.insert("name".to_owned(), json!(name));
        if let Some(namespace) = &target.namespace {
            meta.insert("namespace".to_owned(), json!(namespace));
        }
    }
    Ok(target)
}

/// PUT: an existing object replaced.
pub(super) fn update(api: &Api, target: &Target, query: &Query, body: &Bytes) -> Result<Response<Body>, Failure> {
    let new = parse(body)?;
    change(api, target, query, &Preconditions::of_object(&new), |object| {
        *object = new;
    })
}

/// PATCH: an existing object changed.
pub(super) fn patch(
    api: &Api,
    target: &Target,
    query: &Query,
    media: &str,
    body: &Bytes,
) -> Result<Response<Body>, Failure> {
    let media = media.split(';').next().unwrap_or_default().trim();
    let served = ["application/merge-patch+json", "application/strategic-merge-patch+json"];
    if !served.contains(&media) {
        let message = format!("the simulated mesh takes patches of these types: {}; not {media:?}", served.join(", "));
        return Err(Failure::media_type(message));
    }
    let patch = parse(body)?;
    if media.contains("strategic") && !merge::is_plain(&patch) {
        let message = "the simulated mesh takes no lists or directives in strategic merge patches; send a merge patch";
        return Err(Failure::media_type(message));
    }
    change(api, target, query, &Preconditions::of_object(&patch), |object| merge::merge(object, &patch))
}

/// Changes an object under its preconditions; what only the server may set stays.
fn change(
    api: &Api,
    target: &Target,
    query: &Query,
    preconditions: &Preconditions,
    work: impl FnOnce(&mut Value),
) -> Result<Response<Body>, Failure> {
    let dry = query.dry_run()?;
    let name = target.name.as_deref().unwrap_or_default();
    let stored = api.store.transaction(|objects| {
        let old =
            objects.get(target.kind, target.namespace.as_deref(), name).ok_or_else(|| Failure::not_found(target))?;
        preconditions.still_current(target, &old)?;
        let mut new = old.as_ref().clone();
        work(&mut new);
        settle(target, &old, &mut new)?;
        Ok(keep(objects, target.kind, new, dry))
    })?;
    Ok(answer(StatusCode::OK, &in_version(target, &stored)))
}

/// Puts back what this request must not change: identity always; the status, or for `/status` everything else.
fn settle(target: &Target, old: &Value, new: &mut Value) -> Result<(), Failure> {
    if target.subresource.is_some() {
        let status = new.get("status").cloned();
        *new = old.clone();
        put_back(new, "status", status);
        return Ok(());
    }
    let pod_spec_changed = target.kind == Kind::Pod && old.get("spec") != new.get("spec");
    if pod_spec_changed {
        return Err(Failure::invalid(target, "spec: Forbidden: pod updates may not change fields of the spec"));
    }
    for name in ["apiVersion", "kind", "status"] {
        put_back(new, name, old.get(name).cloned());
    }
    let Some(meta) = new.get_mut("metadata").filter(|meta| meta.is_object()) else {
        return Err(Failure::bad_request("the object has no metadata"));
    };
    for name in ["name", "namespace", "uid", "creationTimestamp", "generation", "resourceVersion"] {
        put_back(meta, name, old.pointer("/metadata").and_then(|meta| meta.get(name)).cloned());
    }
    Ok(())
}

fn put_back(object: &mut Value, name: &str, value: Option<Value>) {
    let Some(fields) = object.as_object_mut() else { return };
    match value {
        Some(value) => fields.insert(name.to_owned(), value),
        None => fields.remove(name),
    };
}

/// Writes, or in a dry run only says what would be written.
fn keep(objects: &mut Transaction<'_>, kind: Kind, object: Value, dry: bool) -> Value {
    if dry { object } else { objects.put(kind, object).as_ref().clone() }
}

/// DELETE: the object disappears at once; who runs it learns of it from the store.
pub(super) fn delete(
    api: &Api,
    target: &Target,
    query: &Query,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Response<Body>, Failure> {
    let Some(name) = target.name.as_deref() else { return Err(Failure::not_allowed()) };
    let options = read(headers, body, protobuf::delete_options)?;
    let dry = query.dry_run()? || options_dry_run(&options);
    let preconditions = Preconditions::of_options(&options);
    let namespace = target.namespace.as_deref();
    let last = api.store.transaction(|objects| {
        let object = objects.get(target.kind, namespace, name).ok_or_else(|| Failure::not_found(target))?;
        preconditions.hold(target, &object)?;
        Ok(if dry { object } else { objects.remove(target.kind, namespace, name).unwrap_or(object) })
    })?;
    if target.kind != Kind::Pod {
        let mut details = target_details(target);
        put_back(&mut details, "uid", Some(json!(field(&last, "uid"))));
        return Ok(answer(StatusCode::OK, &success(&details)));
    }
    // A real server answers the pod, marked as terminating, since pods get time to stop.
    let mut shown = in_version(target, &last);
    if let Some(meta) = shown.get_mut("metadata") {
        let grace = last.pointer("/spec/terminationGracePeriodSeconds").cloned().unwrap_or(json!(30));
        put_back(meta, "deletionTimestamp", Some(json!(rfc3339(api.store.now()))));
        put_back(meta, "deletionGracePeriodSeconds", Some(grace));
    }
    Ok(answer(StatusCode::OK, &shown))
}
