//! The pod of a SPIRE agent, and how stored evidence writes it.

use serde::{Deserialize, Serialize};

use crate::mesh::{Namespace, PodRef};

/// The pod of an agent, as far as the pods of its node could be listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Option<PodRef>", into = "Option<PodRef>")]
pub enum AgentPod {
    /// No agent runs on the node.
    #[default]
    Absent,
    /// This one runs there.
    Found(PodRef),
    /// The bot could not list the pods of this namespace, so there may be one.
    NotListed(Namespace),
}

impl AgentPod {
    /// The name that stands in stored evidence for a pod that could not be listed.
    const NOT_LISTED: &str = "not-listed";

    /// Whether one runs there, or may.
    pub fn may_run(&self) -> bool {
        *self != Self::Absent
    }
}

impl From<Option<PodRef>> for AgentPod {
    fn from(stored: Option<PodRef>) -> Self {
        match stored {
            None => Self::Absent,
            Some(pod) if pod.name.as_str() == Self::NOT_LISTED => Self::NotListed(pod.namespace),
            Some(pod) => Self::Found(pod),
        }
    }
}

impl From<AgentPod> for Option<PodRef> {
    fn from(pod: AgentPod) -> Self {
        match pod {
            AgentPod::Absent => None,
            AgentPod::Found(pod) => Some(pod),
            AgentPod::NotListed(namespace) => AgentPod::NOT_LISTED.parse().ok().map(|name| PodRef { namespace, name }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pod_of_an_agent_is_stored_as_it_always_was() {
        let namespace: Namespace = "spire-system".parse().unwrap();
        let pod = PodRef { namespace: namespace.clone(), name: "spire-agent-x".parse().unwrap() };
        for (pod, stored) in [
            (AgentPod::Absent, "null"),
            (AgentPod::Found(pod), r#"{"namespace":"spire-system","name":"spire-agent-x"}"#),
            (AgentPod::NotListed(namespace), r#"{"namespace":"spire-system","name":"not-listed"}"#),
        ] {
            assert_eq!(serde_json::to_string(&pod).unwrap(), stored);
            assert_eq!(serde_json::from_str::<AgentPod>(stored).unwrap(), pod);
        }
    }
}
