//! The objects of a running cluster, as `pair` and `whatif` compute from them.

use std::collections::BTreeSet;

use futures::future::{join, join_all};

use super::{ClusterClient, ClusterError, objects::Wanted};
use crate::triage::{NotListed, ObjectKind, istio::Objects};

/// Without these no answer can be given.
const DECIDING: [ObjectKind; 2] = [ObjectKind::PeerAuthentication, ObjectKind::DestinationRule];
/// Those that are named where they touch a call, and the labels by which namespaces ask for sidecars.
const BESIDE: [ObjectKind; 5] = [
    ObjectKind::Sidecar,
    ObjectKind::ServiceEntry,
    ObjectKind::VirtualService,
    ObjectKind::EnvoyFilter,
    ObjectKind::Namespace,
];
/// Without these a namespace has no workload and no Service.
const OF_NAMESPACES: [ObjectKind; 3] = [ObjectKind::Service, ObjectKind::EndpointSlice, ObjectKind::Pod];

/// What a cluster has.
#[derive(Debug)]
pub struct LiveObjects {
    pub objects: Objects,
    /// What has a say and could not be read: the answer is less certain for it.
    pub not_read: Vec<NotListed>,
}

impl ClusterClient {
    /// Reads what decides on the calls between these namespaces, or between all.
    pub async fn live_objects(&self, namespaces: Option<&BTreeSet<String>>) -> Result<LiveObjects, ClusterError> {
        let everywhere = DECIDING.into_iter().chain(BESIDE).map(|kind| (kind, None));
        let places: Vec<Option<&str>> = match namespaces {
            Some(some) => some.iter().map(|one| Some(one.as_str())).collect(),
            None => vec![None],
        };
        let within = OF_NAMESPACES.into_iter().flat_map(|kind| places.iter().map(move |place| (kind, *place)));
        let lists = everywhere.chain(within).map(|(kind, namespace)| async move {
            (kind, namespace, self.objects(Wanted { kind, namespace, fields: None }).await)
        });
        let (settings, lists) = join(self.mesh_config(&self.settings.istio_namespace), join_all(lists)).await;
        let mut found = LiveObjects { objects: Objects::default(), not_read: Vec::new() };
        for (kind, namespace, listed) in lists {
            match listed {
                Ok(objects) => found.objects.join(objects),
                Err(error) => {
                    let namespace = namespace.map(str::to_owned);
                    let gap = NotListed { kind, namespace, reason: error.missing() };
                    if gap.is_not_served() {
                        continue;
                    }
                    if !BESIDE.contains(&kind) {
                        return Err(error);
                    }
                    found.not_read.push(gap);
                }
            }
        }
        match settings {
            Ok(settings) => found.objects.mesh = settings.mesh,
            Err(error) => found.not_read.push(NotListed {
                kind: ObjectKind::MeshConfig,
                namespace: None,
                reason: error.missing(),
            }),
        }
        Ok(found)
    }
}
