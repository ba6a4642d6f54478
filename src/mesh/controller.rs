//! Who brings a pod up: its controller, or the workload behind that.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// An object that brings up pods, written as `ReplicaSet/frontend-7d9c5b6f4`. Kind and name are what the API server says of
/// the owner: people's own controllers have kinds of their own, so neither is held to a rule of ours.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ControllerRef {
    kind: String,
    name: String,
}

/// Why a text names no controller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControllerError {
    /// A half of it is missing.
    #[error("a controller is written as KIND/NAME, and this is «{0}»")]
    NotKindAndName(String),
    /// It does not end with a count.
    #[error("a controller with its replicas is written as KIND/NAME (COUNT replicas), and this is «{0}»")]
    NoReplicas(String),
}

impl ControllerRef {
    /// `None` where a half of it is empty.
    pub fn new(kind: impl Into<String>, name: impl Into<String>) -> Option<Self> {
        let (kind, name) = (kind.into(), name.into());
        (!kind.is_empty() && !name.is_empty() && !kind.contains('/')).then_some(Self { kind, name })
    }

    /// As `ReplicaSet`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// As `frontend-7d9c5b6f4`.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for ControllerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

impl FromStr for ControllerRef {
    type Err = ControllerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let controller = text.split_once('/').and_then(|(kind, name)| Self::new(kind, name));
        controller.ok_or_else(|| ControllerError::NotKindAndName(text.to_owned()))
    }
}

impl TryFrom<String> for ControllerRef {
    type Error = ControllerError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ControllerRef> for String {
    fn from(controller: ControllerRef) -> Self {
        controller.to_string()
    }
}

/// A controller, and how many pods it shall have; written as `StatefulSet/spire-server (1 replicas)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScaledController {
    pub controller: ControllerRef,
    pub replicas: i32,
}

impl fmt::Display for ScaledController {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} replicas)", self.controller, self.replicas)
    }
}

impl TryFrom<String> for ScaledController {
    type Error = ControllerError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let counted = text.strip_suffix(" replicas)").and_then(|counted| counted.rsplit_once(" ("));
        let counted = counted.and_then(|(controller, replicas)| Some((controller, replicas.parse().ok()?)));
        let (controller, replicas) = counted.ok_or_else(|| ControllerError::NoReplicas(text.clone()))?;
        Ok(Self { controller: controller.parse()?, replicas })
    }
}

impl From<ScaledController> for String {
    fn from(scaled: ScaledController) -> Self {
        scaled.to_string()
    }
}

/// In a sentence.
pub fn controller_in_words(controller: Option<&ControllerRef>) -> String {
    controller.map_or_else(|| "no controller".to_owned(), ToString::to_string)
}

/// For `#[serde(with = …)]`: records write the controller that is not there as an empty text.
pub mod empty_for_none {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::ControllerRef;

    /// The stored text.
    pub fn text(controller: Option<&ControllerRef>) -> String {
        controller.map(ToString::to_string).unwrap_or_default()
    }

    /// Writes it.
    pub fn serialize<S: Serializer>(controller: &Option<ControllerRef>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&text(controller.as_ref()))
    }

    /// Reads it.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<ControllerRef>, D::Error> {
        let text = String::deserialize(from)?;
        if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(D::Error::custom) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Stored {
        #[serde(with = "empty_for_none")]
        controller: Option<ControllerRef>,
        server: Vec<ScaledController>,
    }

    #[test]
    fn a_stored_controller_is_read_and_written_as_the_text_that_it_always_was() {
        for text in [
            r#"{"controller":"ReplicaSet/frontend-7d9c5b6f4","server":["StatefulSet/spire-server (0 replicas)"]}"#,
            r#"{"controller":"","server":["Deployment/spire (3 replicas)","Deployment/spire (-1 replicas)"]}"#,
            r#"{"controller":"CloneSet/a/b","server":[]}"#,
        ] {
            let stored: Stored = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&stored).unwrap(), text);
        }
        let stored = ScaledController::try_from("StatefulSet/spire-server (0 replicas)".to_owned()).unwrap();
        assert_eq!((stored.controller.kind(), stored.controller.name()), ("StatefulSet", "spire-server"));
        assert_eq!(stored.replicas, 0);
    }

    #[test]
    fn half_a_controller_is_none() {
        for text in ["frontend", "/frontend", "ReplicaSet/", ""] {
            assert!(text.parse::<ControllerRef>().is_err(), "{text}");
            assert!(ScaledController::try_from(format!("{text} (1 replicas)")).is_err(), "{text}");
        }
        assert!(ScaledController::try_from("StatefulSet/spire-server".to_owned()).is_err());
    }
}
