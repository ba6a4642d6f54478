//! What the bot asks of the Kubernetes API, as one table. `doctor` asks for exactly this, and a test holds the chart's roles
//! to it: a call that is added to the bot gets its row here first.

use serde::Deserialize;

use crate::triage::FixName;

/// What a group of rights is for. Each is a role of its own in the chart, and can be left out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Duty {
    /// Find the pods of a target.
    Targets,
    /// Find SPIRE's server and agents, and read its bundle.
    Spire,
    /// Read logs, and Kubernetes' events about pods.
    Logs,
    /// Read certificates, and ask SPIRE for its health and its bundles, in containers.
    Exec,
    /// Ask Envoy's admin interface and SPIRE's health.
    PortForward,
    /// Read the roots that Istio hands out.
    Bundles,
    /// Read the ConfigMap that is mounted where a bundle cannot be read in the container itself.
    MountedBundles,
    /// Read what decides on mTLS: Istio's policies and rules of all namespaces, its settings, and the Services of those watched.
    Istio,
    /// Draw the plan of `restart-pod`.
    PlanRestartPod,
    /// Carry out `restart-pod`: evict pods of the namespaces that the bot looks after.
    RestartPod,
    /// Draw the plan of `restart-spire-agent`.
    PlanRestartSpireAgent,
    /// Carry out `restart-spire-agent`: evict pods of SPIRE's namespace.
    RestartSpireAgent,
}

impl Duty {
    /// Its name, as in the configuration and in the chart.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether it is needed only where fixes may run.
    pub fn is_of_a_fix(self) -> bool {
        self.fix().is_some()
    }

    /// The fix that it is for.
    pub fn fix(self) -> Option<FixName> {
        match self {
            Self::PlanRestartPod | Self::RestartPod => Some(FixName::RestartPod),
            Self::PlanRestartSpireAgent | Self::RestartSpireAgent => Some(FixName::RestartSpireAgent),
            Self::Targets
            | Self::Spire
            | Self::Logs
            | Self::Exec
            | Self::PortForward
            | Self::Bundles
            | Self::MountedBundles
            | Self::Istio => None,
        }
    }

    /// What is lost without it.
    pub fn without_it(self) -> &'static str {
        match self {
            Self::Targets => "no target can be diagnosed",
            Self::Spire => "nothing is known of SPIRE, and no verdict is certain",
            Self::Logs => "the logs of proxies and agents stay unread, and why a pod does not start",
            Self::Exec => {
                "certificate files stay unread, healthchecks are not run and the SPIRE server is not asked for its bundle; \
                 Envoy and HTTP probes must do"
            }
            Self::PortForward => "Envoy is asked by exec instead, which needs pilot-agent",
            Self::Bundles => "it is not known whether istiod issued a certificate",
            Self::MountedBundles => "a bundle that cannot be read in its container stays unread",
            Self::Istio => {
                "the modes of client and server are not computed, and no Istio configuration is named as the cause"
            }
            Self::PlanRestartPod => "no plan of restart-pod can be drawn",
            Self::RestartPod => "an approved restart-pod fails",
            Self::PlanRestartSpireAgent => "no plan of restart-spire-agent can be drawn",
            Self::RestartSpireAgent => "an approved restart-spire-agent fails",
        }
    }
}

/// Where a right is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RightScope {
    /// In every namespace that the bot looks after.
    Watched,
    /// In SPIRE's namespace.
    Spire,
    /// Objects that are in no namespace, or those of all namespaces.
    Cluster,
}

/// One right: what RBAC calls a rule with one verb, one resource and perhaps one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Right {
    pub duty: Duty,
    pub place: RightScope,
    /// The API group; empty is the core group.
    pub group: &'static str,
    /// The resource, with its subresource, as `pods/exec`.
    pub resource: &'static str,
    /// The one object, where one is enough.
    pub name: Option<&'static str>,
    /// get, list, create.
    pub verb: &'static str,
}

const fn right(
    duty: Duty,
    place: RightScope,
    group: &'static str,
    resource: &'static str,
    name: Option<&'static str>,
    verb: &'static str,
) -> Right {
    Right { duty, place, group, resource, name, verb }
}

/// Everything that the bot may ask of the API server.
///
/// `get` and `create` on `pods/exec` and `pods/portforward`: WebSockets need `get`, and from Kubernetes 1.35 on `create`.
pub const RIGHTS: [Right; 39] = {
    use Duty::{
        Bundles, Exec, Istio, Logs, MountedBundles, PlanRestartPod, PlanRestartSpireAgent, PortForward, RestartPod,
        RestartSpireAgent, Spire, Targets,
    };
    [
        right(Targets, RightScope::Watched, "", "pods", None, "get"),
        right(Targets, RightScope::Watched, "", "pods", None, "list"),
        right(Targets, RightScope::Watched, "", "services", None, "get"),
        right(Targets, RightScope::Watched, "apps", "deployments", None, "get"),
        right(Targets, RightScope::Watched, "apps", "statefulsets", None, "get"),
        right(Targets, RightScope::Watched, "apps", "daemonsets", None, "get"),
        right(Targets, RightScope::Watched, "discovery.k8s.io", "endpointslices", None, "list"),
        right(Spire, RightScope::Spire, "", "pods", None, "list"),
        right(Spire, RightScope::Spire, "apps", "deployments", None, "list"),
        right(Spire, RightScope::Spire, "apps", "statefulsets", None, "list"),
        right(Spire, RightScope::Spire, "", "configmaps", Some("spire-bundle"), "get"),
        right(Logs, RightScope::Watched, "", "pods/log", None, "get"),
        right(Logs, RightScope::Spire, "", "pods/log", None, "get"),
        right(Logs, RightScope::Watched, "", "events", None, "list"),
        right(Exec, RightScope::Watched, "", "pods/exec", None, "get"),
        right(Exec, RightScope::Watched, "", "pods/exec", None, "create"),
        right(Exec, RightScope::Spire, "", "pods/exec", None, "get"),
        right(Exec, RightScope::Spire, "", "pods/exec", None, "create"),
        right(PortForward, RightScope::Watched, "", "pods/portforward", None, "get"),
        right(PortForward, RightScope::Watched, "", "pods/portforward", None, "create"),
        right(PortForward, RightScope::Spire, "", "pods/portforward", None, "get"),
        right(PortForward, RightScope::Spire, "", "pods/portforward", None, "create"),
        right(Bundles, RightScope::Watched, "", "configmaps", Some("istio-ca-root-cert"), "get"),
        right(MountedBundles, RightScope::Watched, "", "configmaps", None, "get"),
        right(Istio, RightScope::Cluster, "security.istio.io", "peerauthentications", None, "list"),
        right(Istio, RightScope::Cluster, "networking.istio.io", "destinationrules", None, "list"),
        right(Istio, RightScope::Cluster, "networking.istio.io", "sidecars", None, "list"),
        right(Istio, RightScope::Cluster, "networking.istio.io", "serviceentries", None, "list"),
        right(Istio, RightScope::Cluster, "networking.istio.io", "virtualservices", None, "list"),
        right(Istio, RightScope::Cluster, "networking.istio.io", "envoyfilters", None, "list"),
        right(Istio, RightScope::Cluster, "", "configmaps", Some("istio"), "get"),
        right(Istio, RightScope::Watched, "", "services", None, "list"),
        right(PlanRestartPod, RightScope::Watched, "apps", "replicasets", None, "get"),
        right(PlanRestartPod, RightScope::Watched, "policy", "poddisruptionbudgets", None, "list"),
        right(RestartPod, RightScope::Watched, "", "pods/eviction", None, "create"),
        right(PlanRestartSpireAgent, RightScope::Cluster, "", "nodes", None, "get"),
        right(PlanRestartSpireAgent, RightScope::Spire, "", "pods", None, "get"),
        right(PlanRestartSpireAgent, RightScope::Spire, "policy", "poddisruptionbudgets", None, "list"),
        right(RestartSpireAgent, RightScope::Spire, "", "pods/eviction", None, "create"),
    ]
};

/// The fixes of which a part was left out on purpose: what cannot be carried out to its end is not begun.
pub fn fixes_left_out(without: &[Duty]) -> Vec<FixName> {
    let left_out = |fix: &FixName| without.iter().any(|duty| duty.fix() == Some(*fix));
    FixName::CARRIED_OUT.into_iter().filter(left_out).collect()
}

/// The rights that one configuration needs: those of fixes only where writes are on, and none that was left out on purpose.
pub fn needed(writes: bool, without: &[Duty]) -> impl Iterator<Item = &'static Right> {
    RIGHTS.iter().filter(move |right| (writes || !right.duty.is_of_a_fix()) && !without.contains(&right.duty))
}
