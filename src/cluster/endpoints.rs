//! The pods behind a Service that selects none: somebody writes its EndpointSlices, which may name pods all the same.

use std::collections::BTreeSet;

use futures::future::join_all;
use k8s_openapi::api::{core::v1::Pod, discovery::v1::EndpointSlice};
use kube::{Api, api::ListParams};

use super::{
    ClusterClient, ClusterError, FoundPod,
    resolve::{PODS_MOST, found},
};
use crate::mesh::{ObjectName, TargetRef};

/// The most pods that are read one by one: Services without a selector are few and small.
const NAMED_MOST: usize = 50;

/// The pods that the EndpointSlices of a Service name.
pub(super) async fn pods_behind(reach: &ClusterClient, service: &TargetRef) -> Result<Vec<FoundPod>, ClusterError> {
    let namespace = service.namespace.as_str();
    let what = format!("EndpointSlices of {service}");
    let api: Api<EndpointSlice> = Api::namespaced(reach.client.clone(), namespace);
    let params = ListParams::default().labels(&format!("kubernetes.io/service-name={}", service.name)).limit(PODS_MOST);
    let call = async {
        let listed = api.list(&params).await;
        listed.map_err(|error| ClusterError::of(&error, "list", "endpointslices", namespace, &what))
    };
    let slices = reach.bounded(&what, call).await?;
    let targets = slices
        .items
        .iter()
        .flat_map(|slice| slice.endpoints.iter().flatten())
        .filter_map(|end| end.target_ref.as_ref());
    // One pod may be in several slices: one for each address family and port.
    let names: BTreeSet<ObjectName> = targets
        .filter(|target| target.kind.as_deref() == Some("Pod"))
        .filter_map(|target| target.name.as_deref()?.parse().ok())
        .collect();
    let read = names.iter().take(NAMED_MOST).map(|name| pod(reach, namespace, name));
    let mut pods = Vec::new();
    for one in join_all(read).await {
        pods.extend(one?);
    }
    Ok(pods)
}

/// One pod by name; `None` when it is gone, as a slice may lag behind.
async fn pod(reach: &ClusterClient, namespace: &str, name: &ObjectName) -> Result<Option<FoundPod>, ClusterError> {
    let what = format!("pod {namespace}/{name}");
    let api: Api<Pod> = Api::namespaced(reach.client.clone(), namespace);
    let call = async {
        let read = api.get_opt(name.as_str()).await;
        read.map_err(|error| ClusterError::of(&error, "get", "pods", namespace, &what))
    };
    Ok(reach.bounded(&what, call).await?.as_ref().and_then(found))
}
