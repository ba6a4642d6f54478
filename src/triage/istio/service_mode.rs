//! Whether automatic mTLS is on for a Service at all.
//!
//! Istio 1.31: `PushContext.BestEffortInferServiceMTLSMode` (pilot/pkg/model/push_context.go) and
//! `ClusterBuilder.buildUpstreamTLSSettings` (pilot/pkg/networking/core/cluster_builder.go).

use super::{
    endpoints::Endpoint,
    names::ObjectName,
    policy_objects::{Mode, TrafficPolicy},
    server_mode::Policies,
    workload_objects::{Pod, Service},
};

/// Why clients without a `tls` setting call a Service in plain text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AutoOff {
    /// `enableAutoMtls: false` in the mesh's configuration.
    Mesh,
    /// The Service's namespace, or the mesh, is set to DISABLE; what its workloads are set to does not count.
    Policy(ObjectName),
    /// Calls go to pods directly, and one of them does not speak Istio's mTLS.
    PodWithout(ObjectName),
    /// Calls go to pods directly, and there is an address without a pod, or no pod at all.
    NoPods,
}

/// `None`: it is on. `port_endpoints` are those of the called port.
pub(super) fn auto_off(
    enabled: bool,
    policies: &Policies<'_>,
    service: &Service,
    policy: Option<&TrafficPolicy>,
    port_endpoints: &[Endpoint<'_>],
) -> Option<AutoOff> {
    if !enabled {
        return Some(AutoOff::Mesh);
    }
    let balancer = policy.and_then(|policy| policy.load_balancer.as_ref());
    if service.is_headless() || balancer.is_some_and(super::policy_objects::LoadBalancer::is_passthrough) {
        let label = |one: &Endpoint<'_>| one.pod.map_or("disabled", Pod::tls_mode_label) == "disabled";
        match port_endpoints.iter().find(|one| label(one)) {
            Some(Endpoint { pod: Some(pod), .. }) => return Some(AutoOff::PodWithout(pod.metadata.object_name())),
            Some(_) => return Some(AutoOff::NoPods),
            None if port_endpoints.is_empty() => return Some(AutoOff::NoPods),
            None => {}
        }
    }
    match policies.namespace_mode(&service.metadata.namespace) {
        (Mode::Disable, Some(policy)) => Some(AutoOff::Policy(policy.metadata.object_name())),
        _ => None,
    }
}
