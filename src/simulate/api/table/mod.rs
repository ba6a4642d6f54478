//! The `Table` that kubectl prints for people.

mod age;
mod pods;
mod rows;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{discovery::in_version, path::Target, read::partial};
use crate::simulate::store::Kind;

/// A column: its name, and whether only `-o wide` shows it.
type Column = (&'static str, bool);

/// A table with these rows.
pub(super) fn document(kind: Kind, rows: &[Value], version: Option<&Value>) -> Value {
    let columns: Vec<Value> = rows::columns(kind)
        .iter()
        .map(|(name, wide)| {
            let format = if *name == "Name" { "name" } else { "" };
            json!({"name": name, "type": "string", "format": format, "description": "", "priority": i32::from(*wide)})
        })
        .collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": version},
        "columnDefinitions": columns, "rows": rows,
    })
}

/// The row of one object.
pub(super) fn row(target: &Target, object: &Value, now: Timestamp, whole: bool) -> Value {
    let shown = if whole { in_version(target, object) } else { partial(object) };
    json!({"cells": rows::cells(target.kind, object, now), "object": shown})
}
