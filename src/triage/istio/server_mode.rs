//! What a server's proxy accepts on a port: the PeerAuthentication that is in effect, and what a namespace is set to.
//!
//! Istio 1.31: `AuthenticationPolicies.addPeerAuthentication` (pilot/pkg/model/authentication.go) and
//! `ComposePeerAuthentication` (pilot/pkg/security/authn/policy_applier.go).

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    names::{Labels, ObjectName, selects},
    objects::Objects,
    policy_objects::{Mode, PeerAuthentication},
    workload_objects::Pod,
};

/// Where a policy stands. The nearest to the port that is set decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Mesh,
    Namespace,
    Workload,
}

/// The mode in effect of one port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerMode {
    /// Never `UNSET`.
    pub mode: Mode,
    /// The policy that counts at each level, also where it is `UNSET` there.
    pub policies: BTreeMap<Level, ObjectName>,
    /// The policy that the mode is of; `None` where no policy says anything, which means PERMISSIVE.
    pub decided_by: Option<Decision>,
}

/// The policy that decided, and how near to the port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub level: Level,
    pub policy: ObjectName,
    /// Whether the policy says it of this port alone.
    pub for_this_port: bool,
}

/// All policies, the oldest of each place first.
#[derive(Debug)]
pub(super) struct Policies<'o> {
    root: &'o str,
    by_namespace: BTreeMap<&'o str, NamespacePolicies<'o>>,
}

#[derive(Debug, Default)]
struct NamespacePolicies<'o> {
    /// The oldest without a selector; younger ones are ignored.
    whole: Option<&'o PeerAuthentication>,
    selecting: Vec<&'o PeerAuthentication>,
}

impl<'o> Policies<'o> {
    pub(super) fn new(objects: &'o Objects) -> Self {
        let mut oldest_first: Vec<_> = objects.peer_authentications.values().collect();
        oldest_first.sort_by(|a, b| a.metadata.age().cmp(&b.metadata.age()));
        let mut by_namespace: BTreeMap<&str, NamespacePolicies<'_>> = BTreeMap::new();
        for policy in oldest_first {
            let here = by_namespace.entry(&policy.metadata.namespace).or_default();
            if policy.spec.selector.match_labels.is_empty() {
                here.whole.get_or_insert(policy);
            } else {
                here.selecting.push(policy);
            }
        }
        Self { root: &objects.mesh.root_namespace, by_namespace }
    }

    fn of_namespace(&self, namespace: &str) -> Option<&'o PeerAuthentication> {
        self.by_namespace.get(namespace).and_then(|here| here.whole)
    }

    /// The oldest policy that selects the workload. In the root namespace those with a selector are ignored.
    fn of_workload(&self, namespace: &str, labels: &Labels) -> Option<&'o PeerAuthentication> {
        if namespace == self.root {
            return None;
        }
        let here = self.by_namespace.get(namespace)?;
        here.selecting.iter().find(|policy| selects(&policy.spec.selector.match_labels, labels)).copied()
    }

    /// What a namespace is set to as a whole, and by which policy: the mesh's where its own says nothing.
    pub(super) fn namespace_mode(&self, namespace: &str) -> (Mode, Option<&'o PeerAuthentication>) {
        let of_namespace = if namespace == self.root { None } else { self.of_namespace(namespace) };
        let set = [of_namespace, self.of_namespace(self.root)].into_iter().flatten();
        set.map(|policy| (policy.spec.mtls.mode, Some(policy)))
            .find(|(mode, _)| *mode != Mode::Unset)
            .unwrap_or((Mode::Permissive, None))
    }

    /// The mode of one port, without the names: what clients ask for each endpoint.
    pub(super) fn port_mode(&self, pod: &Pod, port: u16) -> Mode {
        let workload = self.of_workload(&pod.metadata.namespace, &pod.metadata.labels);
        let of_port = workload.and_then(|policy| Some(policy.spec.port_level_mtls.get(&port)?.mode));
        let of_workload = workload.map(|policy| policy.spec.mtls.mode);
        let nearest = of_port.into_iter().chain(of_workload).find(|mode| *mode != Mode::Unset);
        nearest.unwrap_or_else(|| self.namespace_mode(&pod.metadata.namespace).0)
    }

    pub(super) fn server_mode(&self, pod: &Pod, port: u16) -> ServerMode {
        let namespace = pod.metadata.namespace.as_str();
        let mesh = self.of_namespace(self.root);
        let of_namespace = if namespace == self.root { None } else { self.of_namespace(namespace) };
        let workload = self.of_workload(namespace, &pod.metadata.labels);
        let levels = [(Level::Workload, workload), (Level::Namespace, of_namespace), (Level::Mesh, mesh)];

        let of_port = workload.and_then(|policy| Some((policy, policy.spec.port_level_mtls.get(&port)?.mode)));
        let decision = |level, policy: &PeerAuthentication, for_this_port| Decision {
            level,
            policy: policy.metadata.object_name(),
            for_this_port,
        };
        let nearest = of_port.filter(|(_, mode)| *mode != Mode::Unset);
        let decided = match nearest {
            Some((policy, mode)) => Some((mode, decision(Level::Workload, policy, true))),
            None => levels.iter().find_map(|(level, policy)| {
                let policy = (*policy)?;
                let mode = policy.spec.mtls.mode;
                (mode != Mode::Unset).then(|| (mode, decision(*level, policy, false)))
            }),
        };
        let policies =
            levels.into_iter().filter_map(|(level, policy)| Some((level, policy?.metadata.object_name()))).collect();
        match decided {
            Some((mode, decision)) => ServerMode { mode, policies, decided_by: Some(decision) },
            None => ServerMode { mode: Mode::Permissive, policies, decided_by: None },
        }
    }

    /// The ports that the policy in effect for a workload names.
    pub(super) fn named_ports(&self, pod: &Pod) -> impl Iterator<Item = u16> {
        let policy = self.of_workload(&pod.metadata.namespace, &pod.metadata.labels);
        policy.into_iter().flat_map(|policy| policy.spec.port_level_mtls.keys().copied())
    }
}
