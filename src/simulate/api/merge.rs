//! Patches: JSON merge patch (RFC 7396), and the part of strategic merge patches that means the same.

use serde_json::{Map, Value};

/// Merges `patch` into `target`; `null` removes.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(fields) = target.as_object_mut() else { return };
    for (name, change) in changes {
        if change.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name.clone()).or_insert(Value::Null), change);
        }
    }
}

/// Whether a strategic merge patch means the same as a merge patch: no lists (they would be merged by key) and no
/// directives such as `$patch`.
pub(super) fn is_plain(patch: &Value) -> bool {
    match patch {
        Value::Array(_) => false,
        Value::Object(fields) => fields.iter().all(|(name, value)| !name.starts_with('$') && is_plain(value)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_merge_patch_adds_changes_and_removes() {
        let mut object = json!({"metadata": {"annotations": {"a": "1", "b": "2"}}});
        merge(&mut object, &json!({"metadata": {"annotations": {"a": null, "b": "3"}, "labels": {"x": {"y": null}}}}));
        assert_eq!(object, json!({"metadata": {"annotations": {"b": "3"}, "labels": {"x": {}}}}));
        assert!(!is_plain(&json!({"spec": {"containers": [{"name": "app"}]}})));
        assert!(!is_plain(&json!({"metadata": {"$patch": "delete"}})));
    }
}
