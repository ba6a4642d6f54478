//! Whether a pod that is evicted comes back, as far as its evidence tells. The verdict offers no restart that the guards of
//! the fix would refuse, so both ask here.

use super::PodEvidence;
use crate::mesh::Namespace;

/// How many pods one plan restarts at most: more is a rollout, and a rollout is planned.
pub const EVICTIONS_MOST: usize = 10;

/// Namespaces whose pods carry everybody else's: no fix restarts pods there by itself. Those that begin with `kube-` are
/// Kubernetes' own by its naming rules.
const PLATFORM_NAMESPACES: [&str; 1] = ["istio-system"];
/// The prefix that Kubernetes keeps for its own namespaces.
const PLATFORM_PREFIX: &str = "kube-";

/// Whether the pods of a namespace carry everybody else's.
pub fn is_platform(namespace: &Namespace) -> bool {
    let name = namespace.as_str();
    name.starts_with(PLATFORM_PREFIX) || PLATFORM_NAMESPACES.contains(&name)
}

/// What a controller of this kind does instead of bringing up a fresh pod.
pub fn not_replaced_by(kind: &str) -> Option<&'static str> {
    match kind {
        "Node" => Some("it is a static pod, of which the API server holds only a picture: restart it on its node"),
        "Job" => Some("an eviction counts as a failure of the job and may end it: let it end, or start it again"),
        _ => None,
    }
}

/// Why this pod is not evicted whatever else is seen, in words that follow its name.
pub(super) fn why_not_evicted(pod: &PodEvidence) -> Option<String> {
    if is_platform(&pod.pod.namespace) {
        let namespace = &pod.pod.namespace;
        return Some(format!("belongs to the platform itself: whoever runs {namespace} restarts it by hand"));
    }
    let Some(controller) = &pod.controller else {
        return Some("has no controller, so nothing brings it back: whoever made it makes it again".to_owned());
    };
    let kind = controller.split('/').next().unwrap_or_default();
    not_replaced_by(kind).map(|why| format!("belongs to a {kind}: {why}"))
}
