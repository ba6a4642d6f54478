//! The endpoints that istiod knows of each Service.
//!
//! Istio 1.31: `endpointSliceController.updateEndpointCacheForSlice`, `endpointHealthStatus`, `getPod`
//! (pilot/pkg/serviceregistry/kube/controller/endpointslice.go).

use std::collections::{BTreeMap, BTreeSet};

use super::{
    names::ObjectName,
    objects::Objects,
    workload_objects::{EndpointSlice, Pod, SliceEndpoint},
};

/// One address and port behind a Service.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint<'o> {
    pub address: &'o str,
    /// On which the workload listens.
    pub port: u16,
    /// The name of the Service's port.
    pub(super) port_name: &'o str,
    /// `None` for addresses that no pod stands behind.
    pub pod: Option<&'o Pod>,
    pub ready: bool,
    /// Istio leaves endpoints out that are going away; they still count for the identities of the Service.
    pub(super) terminating: bool,
}

/// Endpoints by Service.
pub(super) type Endpoints<'o> = BTreeMap<ObjectName, Vec<Endpoint<'o>>>;

pub(super) fn endpoints(objects: &Objects) -> Endpoints<'_> {
    let mut by_address: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
    for pod in objects.pods.values().filter(|pod| !pod.is_failed()) {
        by_address.entry(&pod.status.pod_ip).or_default().push(pod);
    }
    let mut found = Endpoints::new();
    let mut seen = BTreeSet::new();
    for slice in objects.endpoint_slices.values().filter(|slice| slice.address_type != "FQDN") {
        let Some(service) = slice.service() else { continue };
        let service = ObjectName { namespace: slice.metadata.namespace.clone(), name: service.to_owned() };
        let here = found.entry(service.clone()).or_default();
        for (endpoint, address) in addresses(slice) {
            let Ok(pod) = pod_behind(objects, &by_address, slice, endpoint, address) else { continue };
            let ready = endpoint.conditions.ready.unwrap_or(true);
            let terminating = !ready && endpoint.conditions.terminating.unwrap_or(true);
            for slice_port in &slice.ports {
                let port = slice_port.port.unwrap_or(0);
                // A pod that moves between slices may stand in two of them for a moment.
                if seen.insert((service.clone(), address, port, slice_port.name.as_str())) {
                    here.push(Endpoint { address, port, port_name: &slice_port.name, pod, ready, terminating });
                }
            }
        }
    }
    found
}

fn addresses(slice: &EndpointSlice) -> impl Iterator<Item = (&SliceEndpoint, &str)> {
    slice.endpoints.iter().flat_map(|one| one.addresses.iter().map(move |address| (one, address.as_str())))
}

/// It names a pod that is not there (yet): istiod waits for the pod.
struct Awaited;

fn pod_behind<'o>(
    objects: &'o Objects,
    by_address: &BTreeMap<&str, Vec<&'o Pod>>,
    slice: &EndpointSlice,
    endpoint: &SliceEndpoint,
    address: &str,
) -> Result<Option<&'o Pod>, Awaited> {
    match &endpoint.target_ref {
        Some(target) if target.kind == "Pod" => {
            let name = ObjectName { namespace: target.namespace.clone(), name: target.name.clone() };
            let pod = objects.pods.get(&name).filter(|pod| !pod.is_failed());
            pod.map(Some).ok_or(Awaited)
        }
        // Endpoints that somebody wrote by hand: the pod of that address, where one of the namespace has it.
        _ => {
            let there = by_address.get(address).into_iter().flatten();
            Ok(there.copied().find(|pod| pod.metadata.namespace == slice.metadata.namespace))
        }
    }
}
