//! The whole computed: modes of servers and calls of clients, over one set of objects.

use std::collections::HashMap;

use super::{
    client_tls::{Because, Call, ClientTls, ClusterTls, ClusterType, EndpointRule, Missing},
    endpoints::{Behind, Endpoint, Services, services},
    objects::Objects,
    policy_objects::LoadBalancer,
    rule_in_force::Caller,
    rule_index::RuleIndex,
    rule_merge::MergedRule,
    server_mode::{Policies, ServerMode},
    service_mode::auto_off,
    traffic_policy::{of_rule, of_subset},
    visibility::is_visible,
    workload_objects::{Pod, Service},
};

/// Everything that istiod would derive from the objects before it is asked.
#[derive(Debug)]
pub struct Computed<'o> {
    pub(super) objects: &'o Objects,
    pub(super) policies: Policies<'o>,
    rules: RuleIndex<'o>,
    services: Services<'o>,
}

/// Where a call goes.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'d> {
    pub service: &'d Service,
    /// Of the Service.
    pub port: u16,
    pub subset: Option<&'d str>,
}

impl<'o> Computed<'o> {
    /// Sorts and merges what the answers are looked up in.
    pub fn new(objects: &'o Objects) -> Self {
        let policies = Policies::new(objects);
        let services = services(objects, &policies);
        Self { objects, policies, rules: RuleIndex::new(objects), services }
    }

    /// The mode in effect of a port on which the pod listens.
    pub fn server_mode(&self, pod: &Pod, port: u16) -> ServerMode {
        self.policies.server_mode(pod, port)
    }

    /// The endpoints of a Service, of all its ports.
    pub fn endpoints_of(&self, service: &Service) -> &[Endpoint<'o>] {
        self.behind(service).map_or(&[], |behind| behind.endpoints.as_slice())
    }

    fn behind(&self, service: &Service) -> Option<&Behind<'o>> {
        self.services.get(service.metadata.namespace.as_str())?.get(service.metadata.name.as_str())
    }

    pub(super) fn all_endpoints(&self) -> impl Iterator<Item = &Endpoint<'o>> {
        self.services.values().flat_map(HashMap::values).flat_map(|behind| &behind.endpoints)
    }

    /// The rule that a client follows for a Service.
    pub fn rule_in_force(&self, client: &Pod, service: &Service) -> Option<&MergedRule<'o>> {
        let caller = Caller { namespace: &client.metadata.namespace, labels: &client.metadata.labels };
        let root = &self.objects.mesh.root_namespace;
        let host = &self.behind(service)?.host;
        self.rules.in_force(caller, host, &service.metadata.namespace, root)
    }

    /// What the proxy of a client does for a destination. Whether it has a proxy is not asked here.
    pub fn call(&self, client: &Pod, to: Destination<'_>) -> Call<'_, 'o> {
        let rule = self.rule_in_force(client, to.service);
        let subset = to.subset.map(|name| rule.and_then(|rule| rule.subset(name)));
        let missing = |what| Call {
            client_tls: ClientTls::NoCluster,
            because: Because::Missing(what),
            expected_sans: Vec::new(),
            auto_san_validation: false,
            sni: None,
            cluster_type: None,
            rule,
            endpoints: Vec::new(),
        };
        if !is_visible(to.service, &client.metadata.namespace, &self.objects.mesh) {
            return missing(Missing::NotVisible);
        }
        let Some(port) = to.service.port(to.port) else { return missing(Missing::Port) };
        let subset = match subset {
            Some(None) => {
                let in_force = rule.and_then(|rule| rule.names().into_iter().next());
                return missing(Missing::Subset(in_force));
            }
            Some(found) => found,
            None => None,
        };

        let all = self.endpoints_of(to.service);
        let of_port: Vec<_> = all.iter().filter(|one| one.port_name == port.name).copied().collect();
        let settings = rule.map(|rule| of_subset(rule, subset, to.port)).unwrap_or_default();
        let of_rule = rule.map(|rule| of_rule(rule, to.port)).unwrap_or_default();
        // What automatic mTLS looks at is the policy as it is written, not the one merged for the port.
        let written = match subset {
            Some(subset) => subset.traffic_policy.as_ref(),
            None => rule.and_then(|rule| rule.policy),
        };
        let subset_is_passthrough = subset.is_some()
            && written.and_then(|policy| policy.load_balancer.as_ref()).is_some_and(LoadBalancer::is_passthrough);
        let by_application =
            to.service.is_headless() || of_rule.is_passthrough() || settings.is_passthrough() || subset_is_passthrough;
        let cluster_type = if by_application { ClusterType::OriginalDst } else { ClusterType::Eds };

        let mesh = &self.objects.mesh;
        let identities = || self.behind(to.service).map(|behind| behind.identities.clone()).unwrap_or_default();
        let cluster = if let Some((tls, place)) = settings.tls {
            let has_selector = rule.is_some_and(|rule| rule.selector.is_some());
            ClusterTls::by_rule(tls, place, has_selector, identities)
        } else {
            let off = auto_off(mesh.auto_mtls(), &self.policies, to.service, written, &of_port);
            ClusterTls::automatic(off, cluster_type, identities)
        };
        let endpoint_rule = EndpointRule {
            cluster: cluster.client_tls,
            rule,
            subset,
            service_port: to.port,
            ready_only: settings.keeps_ready_only(),
        };
        let endpoints = endpoint_rule.calls(of_port.into_iter());
        Call {
            client_tls: cluster.client_tls,
            because: cluster.because,
            expected_sans: cluster.expected_sans,
            auto_san_validation: cluster.auto_san_validation,
            sni: cluster.sni,
            cluster_type: Some(cluster_type),
            rule,
            endpoints,
        }
    }
}
