//! The write of `restart-pod`: one life of a pod is evicted, and its controller brings up the next one.

use serde::{Deserialize, Serialize};

use crate::mesh::{ControllerRef, NodeName, PodRef, PodUid, controller_in_words, empty_for_none};

/// One life of a pod that a plan will end, and who brings up the next one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodEviction {
    pub pod: PodRef,
    /// Which life of it.
    pub uid: PodUid,
    /// Where it runs.
    pub node: Option<NodeName>,
    /// The controller that replaces it.
    #[serde(with = "empty_for_none")]
    pub controller: Option<ControllerRef>,
    /// The workload that owns it.
    #[serde(with = "empty_for_none")]
    pub workload: Option<ControllerRef>,
    /// What is wrong with it, in one sentence. Not part of what is approved.
    pub because: String,
}

/// A PodDisruptionBudget that covers pods of the plan, as it stood when the plan was drawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    pub name: String,
    /// How many pods may be evicted now. It moves all the time, so it is shown but not part of the plan's hash: the API
    /// server checks it again at each eviction.
    pub allowed: i32,
}

/// One life of a pod, and who brings up the next one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodInstance {
    pub pod: PodRef,
    /// Which life of it.
    pub uid: PodUid,
    /// The controller that replaces it.
    #[serde(with = "empty_for_none")]
    pub controller: Option<ControllerRef>,
}

impl PodInstance {
    /// The same as the bot does, for a terminal. `kubectl delete` would ask no disruption budget and end whatever life
    /// the name has by then. Names and UIDs hold no character of a shell's.
    pub(super) fn kubectl(&self) -> String {
        let (namespace, name) = (&self.pod.namespace, &self.pod.name);
        let body = serde_json::json!({
            "apiVersion": "policy/v1", "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
            "deleteOptions": {"preconditions": {"uid": self.uid}},
        });
        format!("echo '{body}' | kubectl create --raw /api/v1/namespaces/{namespace}/pods/{name}/eviction -f -")
    }
}

impl PodEviction {
    /// The life that it ends.
    pub fn instance(&self) -> PodInstance {
        PodInstance { pod: self.pod.clone(), uid: self.uid.clone(), controller: self.controller.clone() }
    }

    pub(super) fn identity(&self) -> serde_json::Value {
        let (controller, workload) = (self.controller.as_ref(), self.workload.as_ref());
        let (controller, workload) = (empty_for_none::text(controller), empty_for_none::text(workload));
        serde_json::json!([self.pod, self.uid, self.node, controller, workload])
    }

    pub(super) fn details(&self) -> String {
        let node = self.node.as_ref().map_or_else(String::new, |node| format!(" on {node}"));
        format!("{node}, replaced by {}: {}", controller_in_words(self.controller.as_ref()), self.because)
    }
}
