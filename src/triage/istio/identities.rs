//! The SPIFFE IDs that a client demands of a Service when no rule lists them.
//!
//! Istio 1.31: `PushContext.addServiceAccounts` (pilot/pkg/model/push_context.go), `ExpandWithTrustDomains`
//! (pkg/spiffe/spiffe.go) and `ConvertService` (pilot/pkg/serviceregistry/kube/conversion.go).

use std::collections::BTreeSet;

use super::{
    endpoints::Endpoint,
    mesh_config::MeshConfig,
    workload_objects::{Pod, Service},
};

/// Full identities that a Service's certificates may carry beside those of its pods.
pub(super) const CANONICAL_ACCOUNTS: &str = "alpha.istio.io/canonical-serviceaccounts";
/// The same by names of service accounts.
pub(super) const KUBERNETES_ACCOUNTS: &str = "alpha.istio.io/kubernetes-serviceaccounts";

/// What the pod's own certificate says, where the mesh's usual template is in use.
pub(super) fn identity_of(mesh: &MeshConfig, pod: &Pod) -> String {
    mesh.identity(&pod.metadata.namespace, pod.service_account())
}

/// The service accounts of the whole Service: all ports and subsets, pods that are not ready and pods without a sidecar, each
/// in the mesh's trust domain and its aliases. Without endpoints there are none, and any identity of the mesh passes.
pub(super) fn service_identities(mesh: &MeshConfig, service: &Service, endpoints: &[Endpoint<'_>]) -> Vec<String> {
    let mut found: BTreeSet<String> = endpoints.iter().filter_map(|one| Some(identity_of(mesh, one.pod?))).collect();
    let listed = |annotation| {
        let value = service.metadata.annotations.get(annotation).filter(|value| !value.is_empty());
        value.into_iter().flat_map(|value: &String| value.split(','))
    };
    found.extend(listed(CANONICAL_ACCOUNTS).map(str::to_owned));
    found.extend(listed(KUBERNETES_ACCOUNTS).map(|account| mesh.identity(&service.metadata.namespace, account)));
    let aliases: Vec<String> = found.iter().flat_map(|identity| in_aliases(mesh, identity)).collect();
    found.extend(aliases);
    found.into_iter().collect()
}

fn in_aliases(mesh: &MeshConfig, identity: &str) -> Vec<String> {
    let path = identity.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/')).map(|(_, path)| path);
    let path = path.filter(|path| path.starts_with("ns/"));
    path.map_or_else(Vec::new, |path| {
        mesh.trust_domain_aliases.iter().map(|domain| format!("spiffe://{domain}/{path}")).collect()
    })
}
