//! Which objects can have a say on some calls: a cluster holds thousands, and evidence keeps these.

use std::collections::BTreeSet;

use super::{
    names::ObjectName, objects::Objects, rule_index::full_host, touched::names_host, workload_objects::Service,
};

fn covers(rule_host: &str, host: &str) -> bool {
    match rule_host.strip_prefix('*') {
        Some(end) => host.ends_with(end),
        None => rule_host == host,
    }
}

impl Objects {
    /// The namespaces whose own rules decide how their workloads call a Service of `namespace`.
    pub fn namespaces_with_rules_for(&self, namespace: &str) -> BTreeSet<String> {
        let domain = format!(".{namespace}.svc.cluster.local");
        let names_one = |host: &str| match host.strip_prefix('*') {
            Some(end) => domain.ends_with(end) || end.ends_with(&domain),
            None => host.ends_with(&domain),
        };
        let rules = self.destination_rules.values().filter(|rule| names_one(&full_host(rule)));
        rules.map(|rule| rule.metadata.namespace.clone()).collect()
    }

    /// Leaves out what has no say on the calls of these pods to these Services.
    pub fn reduce_to(&mut self, services: &BTreeSet<ObjectName>, clients: &BTreeSet<ObjectName>) {
        self.services.retain(|name, _| services.contains(name));
        self.endpoint_slices.retain(|name, slice| {
            let service = slice.service().map(str::to_owned);
            let service = service.map(|service| ObjectName { namespace: name.namespace.clone(), name: service });
            service.is_some_and(|service| services.contains(&service))
        });
        let (mut named, mut addresses) = (BTreeSet::new(), BTreeSet::new());
        for endpoint in self.endpoint_slices.values().flat_map(|slice| &slice.endpoints) {
            let target = endpoint.target_ref.as_ref();
            named.extend(target.map(|to| ObjectName { namespace: to.namespace.clone(), name: to.name.clone() }));
            addresses.extend(endpoint.addresses.iter().cloned());
        }
        self.pods.retain(|name, pod| {
            named.contains(name) || clients.contains(name) || addresses.contains(&pod.status.pod_ip)
        });
        let hosts: Vec<String> = self.services.values().map(Service::host).collect();
        self.destination_rules.retain(|_, rule| {
            let of_rule = full_host(rule);
            hosts.iter().any(|host| covers(&of_rule, host))
        });
        let root = self.mesh.root_namespace.clone();
        let mut namespaces: BTreeSet<&str> = self.pods.keys().map(|name| name.namespace.as_str()).collect();
        namespaces.extend(self.services.keys().map(|name| name.namespace.as_str()));
        namespaces.insert(&root);
        self.peer_authentications.retain(|name, _| namespaces.contains(name.namespace.as_str()));
        self.beyond.retain(|object| match object.kind.as_str() {
            "VirtualService" | "ServiceEntry" => hosts.iter().any(|host| names_host(object, host)),
            _ => namespaces.contains(object.metadata.namespace.as_str()),
        });
    }
}
