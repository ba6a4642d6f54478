//! Every question that can be asked of a set of objects: each pod's ports, and each client's destinations. Clients that no
//! rule tells apart have the same answers, so they are asked for once.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    answers::Question,
    cluster::{Computed, Destination},
    names::ObjectName,
    workload_objects::{Pod, Service},
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
    /// The mode of every port that a pod declares, that a Service leads to, or that a policy names.
    pub fn all_questions(&self) -> impl Iterator<Item = Question> {
        let led_to = self.ports_led_to();
        self.objects.pods.iter().flat_map(move |(name, pod)| {
            let mut ports: BTreeSet<u16> = pod.declared_ports().collect();
            ports.extend(led_to.get(name).into_iter().flatten());
            ports.extend(self.policies.named_ports(pod));
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
        let mut selected_by: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for rule in self.objects.destination_rules.values() {
            let labels = rule.spec.workload_selector.iter().flat_map(|selector| selector.match_labels.keys());
            selected_by.entry(&rule.metadata.namespace).or_default().extend(labels.map(String::as_str));
        }
        let mut groups: BTreeMap<_, Vec<&Pod>> = BTreeMap::new();
        for pod in self.objects.pods.values().filter(|pod| pod.has_sidecar()) {
            let namespace = pod.metadata.namespace.as_str();
            let keys = selected_by.get(namespace).into_iter().flatten();
            let labels: Vec<_> = keys.map(|key| pod.metadata.labels.get(*key)).collect();
            groups.entry((namespace, labels)).or_default().push(pod);
        }
        groups.into_values().map(|pods| ClientGroup { pods }).collect()
    }

    /// Everything that the proxy of a client knows: each Service and port, and each subset of the rule that it follows.
    pub fn destinations<'a>(&'a self, client: &Pod) -> Vec<Destination<'a>> {
        let mut services: Vec<&Service> = self.objects.services.values().collect();
        services.sort_by_cached_key(|service| service.host());
        let mut found = Vec::new();
        for service in services {
            let rule = self.rule_in_force(client, service);
            for port in service.spec.ports.iter().map(|port| port.port) {
                found.push(Destination { service, port, subset: None });
                let subsets = rule.into_iter().flat_map(|rule| &rule.subsets);
                found.extend(subsets.map(|subset| Destination { service, port, subset: Some(&subset.name) }));
            }
        }
        found
    }
}
