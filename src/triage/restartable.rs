//! Which pods no fix restarts, whatever else is seen. The verdict offers no restart that the guards of the fix would refuse, so
//! both ask here, and say it in the same words.

use crate::mesh::Namespace;

/// How many pods one plan restarts at most: more is a rollout, and a rollout is planned.
pub const RESTARTS_MOST: usize = 10;

/// Namespaces whose pods carry everybody else's: no fix restarts pods there by itself. Those that begin with `kube-` are
/// Kubernetes' own by its naming rules.
const PLATFORM_NAMESPACES: [&str; 1] = ["istio-system"];
/// The prefix that Kubernetes keeps for its own namespaces.
const PLATFORM_PREFIX: &str = "kube-";

/// Why a pod is not restarted, in words that follow its name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRestarted {
    /// It carries everybody else's.
    #[error("belongs to the platform itself: the team that runs {0} restarts it by hand")]
    Platform(Namespace),
    /// Nobody would bring it back.
    #[error("has no controller, so nothing brings it back: make it again by hand")]
    Bare,
    /// Its owner does not bring up a fresh pod.
    #[error("belongs to a {kind}: {why}")]
    NotReplaced {
        /// The kind of its controller.
        kind: String,
        /// What would happen instead.
        why: &'static str,
    },
}

/// Everything that stands against the restart of a pod with a controller of this kind. `protected` are the namespaces of
/// the platform that only the configuration knows.
pub fn why_not_restarted(namespace: &Namespace, protected: &[Namespace], kind: Option<&str>) -> Vec<NotRestarted> {
    let name = namespace.as_str();
    let is_platform = name.starts_with(PLATFORM_PREFIX) || PLATFORM_NAMESPACES.contains(&name);
    let platform = is_platform || protected.contains(namespace);
    let platform = platform.then(|| NotRestarted::Platform(namespace.clone()));
    let owner = match kind {
        None => Some(NotRestarted::Bare),
        Some(kind) => not_replaced_by(kind).map(|why| NotRestarted::NotReplaced { kind: kind.to_owned(), why }),
    };
    platform.into_iter().chain(owner).collect()
}

/// What a controller of this kind does instead of bringing up a fresh pod.
fn not_replaced_by(kind: &str) -> Option<&'static str> {
    match kind {
        "Node" => Some("it is a static pod, of which the API server holds only a picture: restart it on its node"),
        "Job" => {
            Some("a pod that is ended counts as a failure of the job and may end it: let it run out, or start it again")
        }
        _ => None,
    }
}

/// Why no plan restarts so many.
pub fn too_many(count: usize) -> String {
    format!("{count} stale pods are more than one plan restarts ({RESTARTS_MOST}): look at the rollout first")
}
