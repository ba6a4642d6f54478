//! What a step of a fix came to, once its effect was seen.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::WaitingPod;
use crate::mesh::{NodeName, PodRef, PodUid};

/// What was seen after a write that worked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", tag = "result", rename_all = "snake_case")]
pub enum StepResult {
    /// Another pod took the place of the one that was ended, is Ready, and holds a valid SVID.
    Replaced {
        /// The pod that was ended; records up to 2026-11 do not say it.
        #[serde(default)]
        old: Option<PodRef>,
        /// The new pod.
        pod: PodRef,
        uid: PodUid,
        /// When its SVID ends; records of older versions do not always say it.
        #[serde(default)]
        not_after: Option<Timestamp>,
    },
    /// A new SPIRE agent works on the node.
    AgentRestarted {
        node: NodeName,
        /// The agent's pod that was ended.
        old: PodRef,
        /// The new agent's pod.
        pod: PodRef,
        uid: PodUid,
        /// The pods that waited for it and hold a new SVID now.
        renewed: Vec<PodRef>,
        /// The pods that waited for it and still hold the old one, or none.
        stale: Vec<PodRef>,
        /// Those of them whose file holds a new SVID that their proxy did not take: the new agent did its part.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        not_taken: Vec<PodRef>,
        /// The pods that waited for it and whose SVID could not be read after that.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unread: Vec<PodRef>,
        /// All of them as the plan named them: a plan that is drawn again names only those of the nodes that are left. Empty
        /// in records up to 2026-11.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        waited: Vec<WaitingPod>,
    },
}

impl StepResult {
    /// The pod of the target that the step brought up, by name and UID: its proxy has to prove the fix.
    pub fn brought_up(&self) -> Option<(&PodRef, &PodUid)> {
        match self {
            Self::Replaced { pod, uid, .. } => Some((pod, uid)),
            Self::AgentRestarted { .. } => None,
        }
    }

    /// The pods that lived through the step and whose proxies have to prove the fix, by name and UID.
    pub fn proved_by(&self) -> Vec<(&PodRef, &PodUid)> {
        match self {
            Self::Replaced { .. } => Vec::new(),
            Self::AgentRestarted { waited, .. } => waited.iter().map(|waiting| (&waiting.pod, &waiting.uid)).collect(),
        }
    }

    /// The pod that the step ended, if that is known.
    pub fn ended(&self) -> Option<&PodRef> {
        match self {
            Self::Replaced { old, .. } => old.as_ref(),
            Self::AgentRestarted { old, .. } => Some(old),
        }
    }

    /// The pod that took the place of the one that was ended.
    pub fn in_its_place(&self) -> &PodRef {
        match self {
            Self::Replaced { pod, .. } | Self::AgentRestarted { pod, .. } => pod,
        }
    }

    /// The pods that the step did all it can for, and that need another fix.
    pub fn left_stale(&self) -> &[PodRef] {
        match self {
            Self::Replaced { .. } => &[],
            Self::AgentRestarted { stale, .. } => stale,
        }
    }

    /// Why the pods that the step left stale prove nothing, if it left any. That somebody got a new SVID from the new agent
    /// proves that one can be had; that the agent asks for them does not (domain notes, section 3).
    pub fn why_stale(&self) -> Option<String> {
        match self {
            Self::AgentRestarted { node, renewed, stale, not_taken, .. } if !stale.is_empty() => {
                let names: Vec<String> = stale.iter().map(ToString::to_string).collect();
                let names = names.join(", ");
                Some(if renewed.is_empty() && not_taken.is_empty() {
                    format!("the new agent of {node} asked for SVIDs, and none was seen to arrive at {names}")
                } else {
                    format!("a new SVID can be had on {node} now, and {names} did not pick it up")
                })
            }
            Self::Replaced { .. } | Self::AgentRestarted { .. } => None,
        }
    }

    /// Whether nobody for whom it was done was seen to have what it was done for.
    pub fn helped_nobody(&self) -> bool {
        match self {
            Self::Replaced { .. } => false,
            Self::AgentRestarted { renewed, stale, unread, not_taken, .. } => {
                renewed.is_empty() && not_taken.is_empty() && !(stale.is_empty() && unread.is_empty())
            }
        }
    }

    /// What was seen, for the history.
    pub fn in_short(&self) -> String {
        match self {
            Self::Replaced { pod, .. } => format!("{pod} is Ready with a valid SVID"),
            Self::AgentRestarted { node, renewed, stale, unread, .. } => {
                let of = renewed.len().saturating_add(stale.len()).saturating_add(unread.len());
                let unread =
                    if unread.is_empty() { String::new() } else { format!(", {} could not be read", unread.len()) };
                let renewed = renewed.len();
                format!("the SPIRE agent of {node} works again; {renewed} of {of} pods hold a new SVID{unread}")
            }
        }
    }
}

impl Serialize for StepResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for StepResult {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = lifted(Value::deserialize(deserializer)?);
        Self::deserialize(stored).map_err(serde::de::Error::custom)
    }
}

/// Records up to 2026-11 knew no other result, so they name none: a pod with its UID, as an object or as a pair.
fn lifted(stored: Value) -> Value {
    match stored {
        Value::Array(pair) => match <[Value; 2]>::try_from(pair) {
            Ok([pod, uid]) => json!({"result": "replaced", "pod": pod, "uid": uid}),
            Err(other) => Value::Array(other),
        },
        Value::Object(mut named) if !named.contains_key("result") => {
            named.insert("result".to_owned(), json!("replaced"));
            Value::Object(named)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_that_older_versions_stored_are_still_understood() {
        let replaced = |not_after| StepResult::Replaced {
            old: None,
            pod: serde_json::from_value(json!({"namespace": "web", "name": "frontend-9"})).unwrap(),
            uid: "00000000-0000-4000-8000-000000000009".parse().unwrap(),
            not_after,
        };
        let pair = json!([{"namespace": "web", "name": "frontend-9"}, "00000000-0000-4000-8000-000000000009"]);
        assert_eq!(serde_json::from_value::<StepResult>(pair).unwrap(), replaced(None));
        let at: Timestamp = "2026-11-27T03:00:00Z".parse().unwrap();
        let today = serde_json::to_value(replaced(Some(at))).unwrap();
        assert_eq!(serde_json::from_value::<StepResult>(today.clone()).unwrap(), replaced(Some(at)));
        let Value::Object(mut named) = today else { panic!("{today}") };
        named.remove("result");
        assert_eq!(serde_json::from_value::<StepResult>(Value::Object(named)).unwrap(), replaced(Some(at)));
    }
}
