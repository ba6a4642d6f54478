//! Names and labels as Kubernetes writes them in its objects.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::{
    identities::{CANONICAL_ACCOUNTS, KUBERNETES_ACCOUNTS},
    visibility::EXPORT_TO,
    workload_objects::AMBIENT_REDIRECTION,
};

/// Labels of an object, or those that a selector asks for.
pub type Labels = BTreeMap<String, String>;

/// The label by which Istio knows that a pod's proxy accepts Istio's mTLS; the containers of the pod say nothing to it.
pub(super) const TLS_MODE_LABEL: &str = "security.istio.io/tlsMode";

/// Namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    pub namespace: String,
    pub name: String,
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl Serialize for ObjectName {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// As it is written by [`Display`](fmt::Display).
impl<'de> Deserialize<'de> for ObjectName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let (namespace, name) =
            text.split_once('/').ok_or_else(|| D::Error::custom(format!("{text:?} is no NAMESPACE/NAME")))?;
        Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

/// Whether labels satisfy a selector; the empty selector selects everything.
pub(super) fn selects(selector: &Labels, labels: &Labels) -> bool {
    selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// What every object says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    #[serde(default, skip_serializing_if = "is_default")]
    pub name: String,
    /// Empty where the object has none: the reader puts `default` there for kinds that live in a namespace.
    #[serde(default, skip_serializing_if = "is_default")]
    pub namespace: String,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub labels: Labels,
    /// Only those that decide on a call: others may hold anything.
    #[serde(default, deserialize_with = "deciding_annotations", skip_serializing_if = "is_default")]
    pub annotations: Labels,
    /// Absent in files that were never applied: they would be created now, so they count as the newest.
    #[serde(default, skip_serializing_if = "is_default")]
    pub creation_timestamp: Option<Timestamp>,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub owner_references: Vec<Owner>,
}

/// What made an object and looks after it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Owner {
    #[serde(default, skip_serializing_if = "is_default")]
    pub kind: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub name: String,
}

impl Metadata {
    /// Namespace and name in one.
    pub fn object_name(&self) -> ObjectName {
        ObjectName { namespace: self.namespace.clone(), name: self.name.clone() }
    }

    /// Oldest first, ties by name and namespace: `configCompareByCreationTime` of Istio 1.31 (pilot/pkg/model/config.go).
    pub(super) fn age(&self) -> (bool, Option<Timestamp>, &str, &str) {
        (self.creation_timestamp.is_none(), self.creation_timestamp, &self.name, &self.namespace)
    }
}

/// Annotations that the rules of this room read.
const DECIDING_ANNOTATIONS: [&str; 4] = [AMBIENT_REDIRECTION, CANONICAL_ACCOUNTS, KUBERNETES_ACCOUNTS, EXPORT_TO];

fn deciding_annotations<'de, D: Deserializer<'de>>(from: D) -> Result<Labels, D::Error> {
    let mut all: Labels = null_as_default(from)?;
    all.retain(|name, _| DECIDING_ANNOTATIONS.contains(&name.as_str()));
    Ok(all)
}

/// What an object leaves out, and evidence therefore too.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Go's encoders write `null` for an empty list or map.
pub(super) fn null_as_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
