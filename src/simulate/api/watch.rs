//! Watches: the log of changes played back, then live.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{Response, StatusCode, header},
    response::IntoResponse,
};
use futures::stream;
use serde_json::{Value, json};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    Api,
    discovery::in_version,
    path::Target,
    query::Query,
    read::{Form, partial},
    selector::Selector,
    status::Failure,
    table,
};
use crate::simulate::store::{Store, StoreChange};

/// How long a watch lasts when the client names no time. A real server picks 30 to 60 minutes.
const WATCH_LASTS: Duration = Duration::from_mins(30);
/// How often a quiet watch gets a bookmark, so that the client's version does not age out of the log.
const BOOKMARK_EVERY: Duration = Duration::from_secs(30);
/// Marks the bookmark that ends the initial objects of a streamed list.
const INITIAL_END: &str = "k8s.io/initial-events-end";

/// Starts a watch.
pub(super) fn watch(api: &Api, target: &Target, query: &Query, form: Form) -> Result<Response<Body>, Failure> {
    let selector = Selector::parse(target.kind, query.get("labelSelector"), query.get("fieldSelector"))?;
    let lasts = query.number("timeoutSeconds")?.map_or(WATCH_LASTS, Duration::from_secs);
    // Before the first read, so that no change falls between.
    let changes = api.store.changes();
    let mut watcher = Watcher {
        store: Arc::clone(&api.store),
        target: target.clone(),
        selector,
        form,
        after: 0,
        bookmarks: query.flag("allowWatchBookmarks"),
        changes,
        shutdown: api.shutdown.clone(),
        ends: Instant::now() + lasts.min(WATCH_LASTS),
        ended: false,
    };
    let first = watcher.begin(query)?;
    let body = stream::unfold((watcher, first), |(mut watcher, ready)| async move {
        let lines = if ready.is_empty() { watcher.next().await? } else { ready };
        Some((Ok::<_, std::convert::Infallible>(to_bytes(&lines)), (watcher, VecDeque::new())))
    });
    let headers = [(header::CONTENT_TYPE, "application/json")];
    Ok((StatusCode::OK, headers, Body::from_stream(body)).into_response())
}

struct Watcher {
    store: Arc<Store>,
    target: Target,
    selector: Selector,
    form: Form,
    /// The version up to which everything was sent.
    after: u64,
    bookmarks: bool,
    changes: watch::Receiver<u64>,
    shutdown: CancellationToken,
    ends: Instant,
    ended: bool,
}

impl Watcher {
    /// The events that a watch begins with: the present objects when no version is named or a streamed list is asked for.
    fn begin(&mut self, query: &Query) -> Result<VecDeque<Value>, Failure> {
        let streamed = query.flag("sendInitialEvents");
        let asked = query.number("resourceVersion")?.unwrap_or(0);
        if asked > 0 && !streamed {
            self.after = asked;
            if let Err(error) = self.store.changes_since(self.target.kind, asked) {
                return Err(Failure::expired(error.to_string()));
            }
            return Ok(VecDeque::new());
        }
        let (objects, revision) = self.store.transaction(|objects| {
            (objects.list(self.target.kind, self.target.namespace.as_deref()), objects.revision())
        });
        self.after = revision;
        let chosen = objects.iter().filter(|object| self.selector.matches(object));
        let mut events: VecDeque<Value> = chosen.map(|object| self.event("ADDED", object)).collect();
        if streamed {
            events.push_back(self.bookmark(true));
        }
        Ok(events)
    }

    /// The next events; `None` ends the watch.
    async fn next(&mut self) -> Option<VecDeque<Value>> {
        if self.ended {
            return None;
        }
        let mut bookmark_at = Instant::now() + BOOKMARK_EVERY;
        loop {
            self.changes.mark_unchanged();
            match self.store.catch_up(self.target.kind, &mut self.after) {
                Ok(changes) => {
                    let events: VecDeque<Value> = changes.iter().filter_map(|change| self.seen(change)).collect();
                    if !events.is_empty() {
                        return Some(events);
                    }
                }
                Err(error) => {
                    self.ended = true;
                    let status = Failure::expired(error.to_string()).to_status();
                    return Some(VecDeque::from([json!({"type": "ERROR", "object": status})]));
                }
            }
            tokio::select! {
                () = self.shutdown.cancelled() => return None,
                () = tokio::time::sleep_until(self.ends) => return None,
                changed = self.changes.changed() => changed.ok()?,
                () = tokio::time::sleep_until(bookmark_at) => {
                    bookmark_at = Instant::now() + BOOKMARK_EVERY;
                    if self.bookmarks {
                        return Some(VecDeque::from([self.bookmark(false)]));
                    }
                }
            }
        }
    }

    /// A change as this watcher sees it: an object that stops being selected is gone for it.
    fn seen(&self, change: &StoreChange) -> Option<Value> {
        let here = |object: &Value| {
            let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str);
            let inside = self.target.namespace.is_none() || self.target.namespace.as_deref() == namespace;
            inside && self.selector.matches(object)
        };
        let before = change.before.as_deref().is_some_and(here);
        let after = !change.removed && here(&change.object);
        match (before, after) {
            (false, true) => Some(self.event("ADDED", &change.object)),
            (true, true) => Some(self.event("MODIFIED", &change.object)),
            (true, false) => Some(self.event("DELETED", &change.object)),
            (false, false) => None,
        }
    }

    fn event(&self, what: &str, object: &Value) -> Value {
        let shown = match self.form {
            Form::Whole => in_version(&self.target, object),
            Form::Metadata => partial(object),
            Form::Table { whole } => {
                let row = table::row(&self.target, object, self.store.now(), whole);
                table::document(self.target.kind, &[row], object.pointer("/metadata/resourceVersion"))
            }
        };
        json!({"type": what, "object": shown})
    }

    fn bookmark(&self, initial_end: bool) -> Value {
        let mut metadata = json!({"resourceVersion": self.after.to_string(), "creationTimestamp": null});
        if initial_end && let Some(fields) = metadata.as_object_mut() {
            fields.insert("annotations".to_owned(), json!({INITIAL_END: "true"}));
        }
        let mut object = json!({"kind": self.target.kind.facts().kind, "apiVersion": self.target.api_version(), "metadata": metadata});
        // kube reads bookmarks leniently; kubectl decodes them as the kind, which needs no spec.
        if matches!(self.form, Form::Table { .. }) {
            let whole = object.clone();
            object = table::document(self.target.kind, &[], whole.pointer("/metadata/resourceVersion"));
            if let Some(fields) = object.as_object_mut() {
                fields.insert("rows".to_owned(), json!([{"cells": [], "object": whole}]));
            }
        }
        json!({"type": "BOOKMARK", "object": object})
    }
}

fn to_bytes(events: &VecDeque<Value>) -> Bytes {
    let lines: Vec<String> = events.iter().map(Value::to_string).collect();
    format!("{}\n", lines.join("\n")).into()
}
