//! What the API server itself writes into an object: identity, version, age and generation.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::Kind;

/// A time as Kubernetes writes it: whole seconds, UTC.
pub fn rfc3339(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A field of the metadata as text; empty when it is absent.
pub fn field<'a>(object: &'a Value, name: &str) -> &'a str {
    object.get("metadata").and_then(|meta| meta.get(name)).and_then(Value::as_str).unwrap_or_default()
}

/// The metadata, made when it is absent. `None` when the object is no JSON object at all.
pub(super) fn metadata_mut(object: &mut Value) -> Option<&mut Map<String, Value>> {
    let fields = object.as_object_mut()?;
    let meta = fields.entry("metadata").or_insert_with(|| json!({}));
    if !meta.is_object() {
        *meta = json!({});
    }
    meta.as_object_mut()
}

/// Fills in what a new object lacks.
pub(super) fn complete(kind: Kind, object: &mut Value, old: Option<&Value>, now: Timestamp, revision: u64) {
    if let Some(fields) = object.as_object_mut() {
        fields.entry("apiVersion").or_insert_with(|| json!(kind.api_version()));
        fields.entry("kind").or_insert_with(|| json!(kind.facts().kind));
    }
    let generation = generation(kind, object, old);
    let key = format!("{}/{}/{}", kind.facts().plural, field(object, "namespace"), field(object, "name"));
    let Some(meta) = metadata_mut(object) else { return };
    for name in ["uid", "creationTimestamp"] {
        let kept = old.map(|old| field(old, name)).filter(|text| !text.is_empty());
        let missing = meta.get(name).is_none_or(Value::is_null);
        if let Some(kept) = kept
            && missing
        {
            meta.insert(name.to_owned(), json!(kept));
        }
    }
    meta.entry("uid").or_insert_with(|| json!(uid(&key, now, revision)));
    meta.entry("creationTimestamp").or_insert_with(|| json!(rfc3339(now)));
    if let Some(generation) = generation {
        meta.insert("generation".to_owned(), json!(generation));
    }
}

/// The generation counts changes of the spec; kinds without a desired state have none.
fn generation(kind: Kind, object: &Value, old: Option<&Value>) -> Option<i64> {
    if matches!(kind, Kind::Namespace | Kind::ConfigMap | Kind::Event | Kind::ServiceAccount | Kind::Node) {
        return None;
    }
    let counted = |object: &Value| object.pointer("/metadata/generation").and_then(Value::as_i64);
    Some(match old {
        None => counted(object).unwrap_or(1),
        Some(old) => counted(old).unwrap_or(1) + i64::from(old.get("spec") != object.get("spec")),
    })
}

pub(super) fn set_revision(object: &mut Value, revision: u64) {
    if let Some(meta) = metadata_mut(object) {
        meta.insert("resourceVersion".to_owned(), json!(revision.to_string()));
    }
}

/// Whether two states of an object differ in more than their version.
pub(super) fn same_content(old: &Value, new: &Value) -> bool {
    let stripped = |object: &Value| {
        let mut object = object.clone();
        if let Some(meta) = metadata_mut(&mut object) {
            meta.remove("resourceVersion");
        }
        object
    };
    stripped(old) == stripped(new)
}

/// A UID in the form of a version 4 UUID. It is made from what it identifies, so that a night can be played twice with
/// the same identities; the revision keeps two lives of one name apart.
fn uid(key: &str, now: Timestamp, revision: u64) -> String {
    let digest = Sha256::digest(format!("{key} {} {revision}", now.as_nanosecond()));
    let number = digest.iter().take(16).fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    let hex = format!("{number:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-4{}-a{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}
