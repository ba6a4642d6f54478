//! One write to the cluster, and all that the rest of the bot asks about it.

use serde::{Deserialize, Serialize};

use super::{AgentRestart, PodEviction};
use crate::mesh::{PodRef, PodUid};

/// One write to the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "snake_case")]
pub enum Operation {
    /// Evict one life of a pod through the eviction API, wait for its replacement, and check the replacement's SVID.
    EvictPod(PodEviction),
    /// Restart the SPIRE agent of one node, wait until the new one works, and see who got a new SVID.
    RestartAgent(AgentRestart),
}

/// The lock of every restart of an agent: one node at a time in the whole mesh.
const AGENTS: &str = "spire-agents";

impl Operation {
    /// What it changes, as people and the history name it: `web/frontend-7d9c5b6f4-x2b1c`.
    pub fn target(&self) -> String {
        match self {
            Self::EvictPod(eviction) => eviction.pod.to_string(),
            Self::RestartAgent(restart) => restart.agent.pod.to_string(),
        }
    }

    /// The lock that two incidents may not hold at once, as `pod/UID`. It is held from the write until
    /// [`Self::is_locked_until_settled`] says.
    pub fn lock(&self) -> String {
        match self {
            Self::EvictPod(eviction) => format!("pod/{}", eviction.uid),
            Self::RestartAgent(_) => AGENTS.to_owned(),
        }
    }

    /// Whether nobody else may begin before its effect was seen, and not only until the write is done.
    pub fn is_locked_until_settled(&self) -> bool {
        match self {
            Self::EvictPod(_) => false,
            Self::RestartAgent(_) => true,
        }
    }

    /// What it does to its target, as a verb that the target follows.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::EvictPod(_) => "evict",
            Self::RestartAgent(_) => "restart the SPIRE agent",
        }
    }

    /// On which node, which controller replaces it, and why: follows the target.
    pub fn details(&self) -> String {
        match self {
            Self::EvictPod(eviction) => eviction.details(),
            Self::RestartAgent(restart) => restart.details(),
        }
    }

    /// What is waited for once it is done.
    pub fn awaited(&self) -> &'static str {
        match self {
            Self::EvictPod(_) => "the replacement and its SVID",
            Self::RestartAgent(_) => "the new agent to work, and new SVIDs of those who wait for it",
        }
    }

    /// What is wrong when that did not come within its time.
    pub fn not_settled(&self) -> &'static str {
        match self {
            Self::EvictPod(_) => "the pod was evicted, but there is no Ready replacement with a valid SVID",
            Self::RestartAgent(_) => "the agent was restarted, but no new one was seen at work on its node",
        }
    }

    /// The shell line that does the same.
    pub fn kubectl(&self) -> String {
        match self {
            Self::EvictPod(eviction) => eviction.instance().kubectl(),
            Self::RestartAgent(restart) => restart.agent.kubectl(),
        }
    }

    /// How it is undone, or why there is nothing to undo.
    pub fn undo(&self) -> &'static str {
        match self {
            Self::EvictPod(_) => "nothing to undo: the controller brings up a new pod of the same template",
            Self::RestartAgent(_) => "nothing to undo: the DaemonSet brings up a new agent of the same template",
        }
    }

    /// What is asked before it is approved, of so many of them on one target: "2 pod(s) of web svc/frontend are evicted".
    pub(super) fn several(&self, count: usize, target: &crate::mesh::TargetRef) -> String {
        match self {
            Self::EvictPod(_) => format!("{count} pod(s) of {target} are evicted, one after the other"),
            Self::RestartAgent(_) => {
                format!("the SPIRE agents of {count} node(s) are restarted for {target}, one after the other")
            }
        }
    }

    /// What the plan counts as ready.
    pub(super) fn counted(&self) -> &'static str {
        match self {
            Self::EvictPod(_) => "pods",
            Self::RestartAgent(_) => "SPIRE agents",
        }
    }

    /// The pod that it ends, by name and UID.
    pub fn ends(&self) -> Option<(&PodRef, &PodUid)> {
        match self {
            Self::EvictPod(eviction) => Some((&eviction.pod, &eviction.uid)),
            Self::RestartAgent(restart) => Some((&restart.agent.pod, &restart.agent.uid)),
        }
    }

    /// The pods that live through it and whose proxies have to prove it, by name and UID. Empty where the pods that a step
    /// brings up prove it ([`super::StepResult::brought_up`]).
    pub fn proved_by(&self) -> Vec<(&PodRef, &PodUid)> {
        match self {
            Self::EvictPod(_) => Vec::new(),
            Self::RestartAgent(restart) => restart.waiting.iter().map(|waiting| (&waiting.pod, &waiting.uid)).collect(),
        }
    }

    /// What makes it this operation and no other: part of the hash that is approved. Holds no sentence.
    pub(super) fn identity(&self) -> serde_json::Value {
        match self {
            Self::EvictPod(eviction) => serde_json::json!(["evict-pod", eviction.identity()]),
            Self::RestartAgent(restart) => serde_json::json!(["restart-agent", restart.identity()]),
        }
    }
}
