//! Label and field selectors.

use std::collections::{BTreeMap, BTreeSet};

use kube::core::{Expression, SelectorExt};
use serde_json::Value;

use super::status::Failure;
use crate::simulate::store::Kind;

/// Which objects are meant.
#[derive(Debug, Clone, Default)]
pub(super) struct Selector {
    labels: kube::core::Selector,
    fields: Vec<(String, bool, String)>,
}

impl Selector {
    /// Reads the `labelSelector` and the `fieldSelector` of a query.
    pub(super) fn parse(kind: Kind, labels: Option<&str>, fields: Option<&str>) -> Result<Self, Failure> {
        let labels = split(labels.unwrap_or_default()).into_iter().map(requirement).collect::<Result<_, _>>()?;
        let fields = split(fields.unwrap_or_default())
            .into_iter()
            .map(|term| field_term(kind, term))
            .collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    /// Reads a `LabelSelector` object (`matchLabels`, `matchExpressions`). An empty one selects everything; terms with
    /// an unknown operator select nothing.
    pub(super) fn of_object(selector: &Value) -> Self {
        let mut labels = kube::core::Selector::default();
        for (name, value) in selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten() {
            labels.extend(Expression::Equal(name.clone(), value.as_str().unwrap_or_default().to_owned()));
        }
        for term in selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
            let text = |name: &str| term.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let values = term.get("values").and_then(Value::as_array).into_iter().flatten();
            let values: BTreeSet<String> = values.filter_map(Value::as_str).map(str::to_owned).collect();
            labels.extend(match text("operator").as_str() {
                "NotIn" => Expression::NotIn(text("key"), values),
                "Exists" => Expression::Exists(text("key")),
                "DoesNotExist" => Expression::DoesNotExist(text("key")),
                "In" => Expression::In(text("key"), values),
                _ => Expression::In(text("key"), BTreeSet::new()),
            });
        }
        Self { labels, fields: Vec::new() }
    }

    /// Whether an object is meant.
    pub(super) fn matches(&self, object: &Value) -> bool {
        let labels = object.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
        let labels = labels.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        let labels = self.labels.matches(&labels.collect::<BTreeMap<_, _>>());
        labels && self.fields.iter().all(|(path, equal, wanted)| (field_of(object, path) == *wanted) == *equal)
    }
}

/// Splits at commas outside of parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    text.split(|letter| {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|term| !term.is_empty())
    .collect()
}

fn requirement(term: &str) -> Result<Expression, Failure> {
    if let Some((name, value)) = term.split_once("!=") {
        return Ok(Expression::NotEqual(label_name(name)?, value.trim().to_owned()));
    }
    if let Some((name, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        return Ok(Expression::Equal(label_name(name)?, value.trim().to_owned()));
    }
    if let Some((head, values)) = term.split_once('(') {
        let values = values.trim_end_matches(')').split(',').map(|value| value.trim().to_owned()).collect();
        return match head.split_whitespace().collect::<Vec<_>>().as_slice() {
            [name, "in"] => Ok(Expression::In(label_name(name)?, values)),
            [name, "notin"] => Ok(Expression::NotIn(label_name(name)?, values)),
            _ => Err(unreadable(term)),
        };
    }
    match term.strip_prefix('!') {
        Some(name) => Ok(Expression::DoesNotExist(label_name(name)?)),
        None => Ok(Expression::Exists(label_name(term)?)),
    }
}

fn label_name(text: &str) -> Result<String, Failure> {
    let text = text.trim();
    let fine = |letter: char| letter.is_ascii_alphanumeric() || "-_./".contains(letter);
    if text.is_empty() || !text.chars().all(fine) { Err(unreadable(text)) } else { Ok(text.to_owned()) }
}

fn unreadable(term: &str) -> Failure {
    Failure::bad_request(format!("unable to parse requirement: <nil>: Invalid value: {term:?}: not a label selector"))
}

fn field_term(kind: Kind, term: &str) -> Result<(String, bool, String), Failure> {
    let parts = term.split_once("!=").map(|(path, value)| (path, false, value));
    let equal = || {
        let parts = term.split_once("==").or_else(|| term.split_once('='));
        parts.map(|(path, value)| (path, true, value))
    };
    let Some((path, equal, value)) = parts.or_else(equal) else {
        return Err(Failure::bad_request(format!("invalid field selector: {term:?}; can't understand it")));
    };
    let (path, value) = (path.trim(), value.trim());
    if selectable(kind).contains(&path) || ["metadata.name", "metadata.namespace"].contains(&path) {
        Ok((path.to_owned(), equal, value.to_owned()))
    } else {
        Err(Failure::bad_request(format!("field label not supported: {path}")))
    }
}

/// The fields that a real server indexes beside name and namespace.
fn selectable(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Pod => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        Kind::Event => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "type",
        ],
        Kind::Node => &["spec.unschedulable"],
        Kind::Namespace => &["status.phase"],
        Kind::ReplicaSet => &["status.replicas"],
        _ => &[],
    }
}

fn field_of(object: &Value, path: &str) -> String {
    match path.split('.').try_fold(object, |value, name| value.get(name)) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None if matches!(path, "spec.hostNetwork" | "spec.unschedulable") => "false".to_owned(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn picks(labels: &str, fields: &str) -> bool {
        let pod = json!({
            "metadata": {"name": "a", "labels": {"app": "frontend", "tier": "web"}},
            "spec": {"nodeName": "node-1"}, "status": {"phase": "Running"},
        });
        Selector::parse(Kind::Pod, Some(labels), Some(fields)).unwrap().matches(&pod)
    }

    #[test]
    fn selectors_pick_what_kubectl_users_expect() {
        for labels in ["", "app=frontend", "app==frontend,tier", "app in (backend, frontend),!gone", "app!=backend"] {
            assert!(picks(labels, "spec.nodeName=node-1,status.phase!=Failed"), "{labels}");
        }
        for labels in ["app=backend", "app notin (frontend)", "gone", "!app", "app!=frontend"] {
            assert!(!picks(labels, ""), "{labels}");
        }
        assert!(!picks("", "metadata.name=b"));
        assert!(picks("", "spec.hostNetwork=false"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_fall_over(text in "[a-z=!,() ]{0,20}|.*") {
            let _ = Selector::parse(Kind::Pod, Some(&text), Some(&text));
        }
    }

    #[test]
    fn a_selector_that_cannot_be_read_is_refused_and_never_selects_everything() {
        assert!(Selector::parse(Kind::Pod, Some("app in frontend"), None).is_err());
        assert!(Selector::parse(Kind::Pod, Some("=x"), None).is_err());
        assert!(Selector::parse(Kind::Pod, None, Some("spec.nodeName")).is_err());
        assert!(Selector::parse(Kind::Service, None, Some("spec.nodeName=node-1")).is_err());
    }
}
