//! The endpoints that istiod knows of each Service.
//!
//! Istio 1.31: `endpointSliceController.updateEndpointCacheForSlice`, `endpointHealthStatus`, `getPod`
//! (pilot/pkg/serviceregistry/kube/controller/endpointslice.go).

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    identities::service_identities,
    names::ObjectName,
    objects::Objects,
    policy_objects::Mode,
    server_mode::Policies,
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
    /// In effect on the pod's port, whether a proxy is there to heed it or not.
    pub(super) mode: Mode,
    pub ready: bool,
    /// Istio leaves endpoints out that are going away; they still count for the identities of the Service.
    pub(super) terminating: bool,
}

/// What stands behind a Service; computed once, asked for by every client.
#[derive(Debug)]
pub(super) struct Behind<'o> {
    pub(super) host: String,
    pub(super) endpoints: Vec<Endpoint<'o>>,
    /// What clients demand of it where no rule lists identities.
    pub(super) identities: Vec<String>,
}

/// By namespace and name of the Service.
pub(super) type Services<'o> = HashMap<&'o str, HashMap<&'o str, Behind<'o>>>;

pub(super) fn services<'o>(objects: &'o Objects, policies: &Policies<'o>) -> Services<'o> {
    let mut endpoints = endpoints(objects, policies);
    let mut found = Services::new();
    for service in objects.services.values() {
        let (namespace, name) = (service.metadata.namespace.as_str(), service.metadata.name.as_str());
        let endpoints = endpoints.remove(&(namespace, name)).unwrap_or_default();
        let identities = service_identities(&objects.mesh, service, &endpoints);
        let behind = Behind { host: service.host(), endpoints, identities };
        found.entry(namespace).or_default().insert(name, behind);
    }
    found
}

fn endpoints<'o>(objects: &'o Objects, policies: &Policies<'o>) -> HashMap<(&'o str, &'o str), Vec<Endpoint<'o>>> {
    let mut by_address: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
    for pod in objects.pods.values().filter(|pod| !pod.is_failed()) {
        by_address.entry(&pod.status.pod_ip).or_default().push(pod);
    }
    let mut found: HashMap<_, Vec<_>> = HashMap::new();
    let mut seen = HashSet::new();
    for slice in objects.endpoint_slices.values().filter(|slice| slice.address_type != "FQDN") {
        let Some(service) = slice.service() else { continue };
        let service = (slice.metadata.namespace.as_str(), service);
        let here = found.entry(service).or_default();
        for (endpoint, address) in addresses(slice) {
            let Ok(pod) = pod_behind(objects, &by_address, slice, endpoint, address) else { continue };
            let ready = endpoint.conditions.ready.unwrap_or(true);
            let terminating = !ready && endpoint.conditions.terminating.unwrap_or(true);
            for slice_port in &slice.ports {
                let port = slice_port.port.unwrap_or(0);
                // A pod that moves between slices may stand in two of them for a moment.
                if seen.insert((service, address, port, slice_port.name.as_str())) {
                    let mode = pod.map_or(Mode::Permissive, |pod| policies.port_mode(pod, port));
                    here.push(Endpoint { address, port, port_name: &slice_port.name, pod, mode, ready, terminating });
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
