//! Every question that can be asked of a set of objects: each pod's ports, and each client's destinations. Clients that no
//! rule tells apart have the same answers, so they are asked for once.

use std::{
    collections::{BTreeMap, BTreeSet},
    marker::PhantomData,
};

use super::{
    answers::Question,
    cluster::{Computed, Destination},
    names::ObjectName,
    objects::Objects,
    visibility::is_visible,
    workload_objects::{Namespace, Pod, Service},
};

/// Pods with a sidecar for which every answer is the same, whatever the destination.
#[derive(Debug)]
pub struct ClientGroup<'o> {
    pub pods: Vec<&'o Pod>,
}

impl<'o> ClientGroup<'o> {
    /// One to ask for all of them.
    pub fn any(&self) -> Option<&'o Pod> {
        self.pods.first().copied()
    }
}

impl<'o> Computed<'o> {
    /// Every port that a pod declares, that a Service leads to, or that a policy names to its sidecar.
    pub fn ports_of(&self, pod: &Pod) -> BTreeSet<u16> {
        let led_to = self.ports_led_to();
        self.known_ports(pod, &led_to)
    }

    fn known_ports(&self, pod: &Pod, led_to: &BTreeMap<ObjectName, BTreeSet<u16>>) -> BTreeSet<u16> {
        let mut ports: BTreeSet<u16> = pod.declared_ports().collect();
        ports.extend(led_to.get(&pod.metadata.object_name()).into_iter().flatten());
        if pod.has_sidecar() {
            ports.extend(self.policies.named_ports(pod));
        }
        ports
    }

    /// The mode of every port that a pod declares, that a Service leads to, or that a policy names to its sidecar.
    pub fn all_questions(&self) -> impl Iterator<Item = Question> {
        let led_to = self.ports_led_to();
        self.objects.pods.values().flat_map(move |pod| {
            let ports = self.known_ports(pod, &led_to);
            ports.into_iter().map(move |port| self.question(pod, port))
        })
    }

    fn ports_led_to(&self) -> BTreeMap<ObjectName, BTreeSet<u16>> {
        let mut ports: BTreeMap<ObjectName, BTreeSet<u16>> = BTreeMap::new();
        for endpoint in self.all_endpoints() {
            if let Some(pod) = endpoint.pod {
                ports.entry(pod.metadata.object_name()).or_default().insert(endpoint.port);
            }
        }
        ports
    }

    /// All clients with a sidecar, grouped by namespace and by those labels that a rule of the namespace selects by.
    pub fn client_groups(&self) -> Vec<ClientGroup<'o>> {
        self.grouped(&selected_labels([self.objects]), Pod::has_sidecar)
    }

    pub(super) fn grouped(&self, selected: &SelectedLabels<'_>, of: impl Fn(&Pod) -> bool) -> Vec<ClientGroup<'o>> {
        let mut groups: BTreeMap<_, Vec<&Pod>> = BTreeMap::new();
        for pod in self.objects.pods.values().filter(|pod| of(pod)) {
            let namespace = pod.metadata.namespace.as_str();
            let keys = selected.get(namespace).into_iter().flatten();
            let labels: Vec<_> = keys.map(|key| pod.metadata.labels.get(*key)).collect();
            groups.entry((namespace, labels)).or_default().push(pod);
        }
        groups.into_values().map(|pods| ClientGroup { pods }).collect()
    }

    /// Whether a pod's namespace is one of the mesh: it asks for sidecars, or a pod in it has one.
    pub(super) fn is_in_mesh(&self, pod: &Pod) -> bool {
        let name = &pod.metadata.namespace;
        let asks = self.objects.namespaces.get(name).is_some_and(Namespace::asks_for_sidecars);
        asks || self.objects.pods.values().any(|one| one.metadata.namespace == *name && one.has_sidecar())
    }

    /// Everything that the proxy of a client knows: each Service and port, and each subset of the rule that it follows.
    pub fn destinations<'a>(&'a self, client: &Pod) -> Vec<Destination<'a>> {
        self.services_by_host().into_iter().flat_map(|service| self.destinations_of(client, service)).collect()
    }

    /// All Services in the order of their hosts.
    pub fn services_by_host(&self) -> Vec<&'o Service> {
        let mut services: Vec<_> = self.objects.services.values().collect();
        services.sort_by_cached_key(|service| service.host());
        services
    }

    /// The ports and subsets of one Service that a client's proxy knows.
    pub fn destinations_of<'a>(&'a self, client: &Pod, service: &'a Service) -> Vec<Destination<'a>> {
        // Subsets are the proxy's; without one the application calls the Service.
        let rule = self.rule_in_force(client, service).filter(|_| client.has_sidecar());
        let subsets = || rule.into_iter().flat_map(|rule| &rule.subsets).map(|subset| Some(subset.name.as_str()));
        let ports = service.spec.ports.iter().map(|port| port.port);
        ports
            .flat_map(|port| {
                [None].into_iter().chain(subsets()).map(move |subset| Destination { service, port, subset })
            })
            .collect()
    }

    /// What the answers of a client for a Service hang on: clients with the same have the same answers.
    pub fn answered_by(&self, client: &Pod, service: &Service) -> AnsweredBy<'_> {
        let rule = self.rule_in_force(client, service).map(std::ptr::from_ref).map(<*const _>::cast);
        let visible = is_visible(service, &client.metadata.namespace, &self.objects.mesh);
        AnsweredBy { rule, visible, of: PhantomData }
    }
}

/// See [`Computed::answered_by`]. A rule is known by where it lies in the index, which does not move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AnsweredBy<'i> {
    rule: Option<*const ()>,
    visible: bool,
    of: PhantomData<&'i ()>,
}

/// The labels by which the rules of a namespace tell its workloads apart.
pub(super) type SelectedLabels<'o> = BTreeMap<&'o str, BTreeSet<&'o str>>;

pub(super) fn selected_labels<'o>(sets: impl IntoIterator<Item = &'o Objects>) -> SelectedLabels<'o> {
    let mut selected = SelectedLabels::new();
    for rule in sets.into_iter().flat_map(|objects| objects.destination_rules.values()) {
        let labels = rule.spec.workload_selector.iter().flat_map(|selector| selector.match_labels.keys());
        selected.entry(&rule.metadata.namespace).or_default().extend(labels.map(String::as_str));
    }
    selected
}
