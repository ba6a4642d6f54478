//! One write to the cluster, and all that the rest of the bot asks about it.

use serde::{Deserialize, Serialize};

use super::PodEviction;
use crate::mesh::{PodRef, PodUid};

/// One write to the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "snake_case")]
pub enum Operation {
    /// Evict one life of a pod through the eviction API, wait for its replacement, and check the replacement's SVID.
    EvictPod(PodEviction),
}

impl Operation {
    /// What it changes, as people and the history name it: `web/frontend-7d9c5b6f4-x2b1c`.
    pub fn target(&self) -> String {
        match self {
            Self::EvictPod(eviction) => eviction.pod.to_string(),
        }
    }

    /// The lock that two incidents may not hold at once, as `pod/UID`.
    pub fn lock(&self) -> String {
        match self {
            Self::EvictPod(eviction) => format!("pod/{}", eviction.uid),
        }
    }

    /// What it does to its target, as a verb that the target follows.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::EvictPod(_) => "evict",
        }
    }

    /// On which node, which controller replaces it, and why: follows the target.
    pub fn details(&self) -> String {
        match self {
            Self::EvictPod(eviction) => eviction.details(),
        }
    }

    /// What is waited for once it is done.
    pub fn awaited(&self) -> &'static str {
        match self {
            Self::EvictPod(_) => "the replacement and its SVID",
        }
    }

    /// What is wrong when that did not come within its time.
    pub fn not_settled(&self) -> &'static str {
        match self {
            Self::EvictPod(_) => "the pod was evicted, but there is no Ready replacement with a valid SVID",
        }
    }

    /// The shell line that does the same.
    pub fn kubectl(&self) -> String {
        match self {
            Self::EvictPod(eviction) => eviction.kubectl(),
        }
    }

    /// How it is undone, or why there is nothing to undo.
    pub fn undo(&self) -> &'static str {
        match self {
            Self::EvictPod(_) => "nothing to undo: the controller brings up a new pod of the same template",
        }
    }

    /// What is asked before it is approved, of so many of them on one target: "2 pod(s) of web svc/frontend are evicted".
    pub(super) fn several(&self, count: usize, target: &crate::mesh::TargetRef) -> String {
        match self {
            Self::EvictPod(_) => format!("{count} pod(s) of {target} are evicted, one after the other"),
        }
    }

    /// The pod that it ends, by name and UID.
    pub fn ends(&self) -> Option<(&PodRef, &PodUid)> {
        match self {
            Self::EvictPod(eviction) => Some((&eviction.pod, &eviction.uid)),
        }
    }

    /// What makes it this operation and no other: part of the hash that is approved. Holds no sentence.
    pub(super) fn identity(&self) -> serde_json::Value {
        match self {
            Self::EvictPod(eviction) => serde_json::json!(["evict-pod", eviction.identity()]),
        }
    }
}
