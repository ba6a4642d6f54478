//! What decides on mTLS between the target and its peers (runbook step 3): first what holds for the whole mesh, then the Services
//! and pods in question, then the proxies of clients whose calls cannot work. Each list that cannot be read is a gap by itself.

use futures::future::{join, join_all};

use super::{Gathering, pod};
use crate::{
    cluster::{ClusterError, objects::Wanted},
    mesh::TargetRef,
    triage::{
        CallerEvidence, Evidence, Gathered, IstioEvidence, NotListed, ObjectKind, PodEvidence,
        istio::{ObjectName, Objects},
        look_further::{clients_to_ask, reduce_to_calls_in_question, to_read},
    },
};

/// The kinds of which every namespace counts.
const OF_THE_MESH: [ObjectKind; 6] = [
    ObjectKind::PeerAuthentication,
    ObjectKind::DestinationRule,
    ObjectKind::Sidecar,
    ObjectKind::ServiceEntry,
    ObjectKind::VirtualService,
    ObjectKind::EnvoyFilter,
];
/// Those that say what stands behind a Service.
const BEHIND_SERVICES: [ObjectKind; 3] = [ObjectKind::Service, ObjectKind::EndpointSlice, ObjectKind::Pod];

/// Policies and rules of all namespaces, and the settings of the mesh.
pub(super) async fn of_the_mesh(gathering: &Gathering) -> IstioEvidence {
    let lists = OF_THE_MESH.map(|kind| (kind, None));
    let istiod = &gathering.reach.settings.istio_namespace;
    let settings = gathering.in_time("the mesh's settings", gathering.reach.mesh_config(istiod));
    let (mesh, mut found) = join(settings, listed(gathering, &lists)).await;
    (gathering.progress)("settings of the mesh");
    match mesh {
        Ok(mesh) => found.objects.mesh = mesh.mesh,
        Err(error) => {
            let (kind, namespace) = (ObjectKind::MeshConfig, None);
            found.not_listed.push(NotListed { kind, namespace, reason: error.missing() });
        }
    }
    found
}

/// The same with the Services, endpoints and pods in question, and with those who called without mTLS.
pub(super) async fn around(
    gathering: &Gathering,
    mut mesh: IstioEvidence,
    target: &TargetRef,
    pods: &[PodEvidence],
) -> IstioEvidence {
    let to_read = to_read(target, pods, &mesh.objects);
    let called = to_read.called.iter();
    let mut lists: Vec<(ObjectKind, Option<&str>)> =
        called.flat_map(|namespace| BEHIND_SERVICES.map(|kind| (kind, Some(namespace.as_str())))).collect();
    lists.extend(to_read.calling.iter().map(|namespace| (ObjectKind::Pod, Some(namespace.as_str()))));
    let callers = join_all(to_read.addresses.iter().map(|address| caller(gathering, address)));
    let (found, callers) = join(listed(gathering, &lists), callers).await;
    mesh.objects.join(found.objects);
    mesh.not_listed.extend(found.not_listed);
    for (caller, pods) in callers {
        mesh.objects.join(pods);
        mesh.callers.push(caller);
    }
    mesh.at = gathering.clock.now();
    mesh
}

/// The same with what those clients' proxies say whose calls cannot work, reduced to what has a say.
pub(super) async fn with_clients(gathering: &Gathering, mut evidence: Evidence) -> Evidence {
    let clients = join_all(clients_to_ask(&evidence).into_iter().map(|pod| pod::client(gathering, pod))).await;
    if let Some(istio) = &mut evidence.istio {
        istio.clients = clients;
    }
    reduce_to_calls_in_question(&mut evidence);
    evidence.gathered_at = gathering.clock.now();
    evidence
}

/// Reads lists at once: a gap for each that could not be read.
async fn listed(gathering: &Gathering, lists: &[(ObjectKind, Option<&str>)]) -> IstioEvidence {
    let read = lists.iter().map(|(kind, namespace)| async move {
        let what = format!("{} objects of {}", kind.name(), namespace.unwrap_or("all namespaces"));
        let wanted = Wanted { kind: *kind, namespace: *namespace, fields: None };
        let listed = gathering.in_time(&what, gathering.reach.objects(wanted)).await;
        (gathering.progress)(&what);
        (*kind, *namespace, listed)
    });
    let mut found = IstioEvidence { at: gathering.clock.now(), ..IstioEvidence::default() };
    for (kind, namespace, listed) in join_all(read).await {
        match listed {
            Ok(objects) => found.objects.join(objects),
            Err(error) => {
                let namespace = namespace.map(str::to_owned);
                found.not_listed.push(NotListed { kind, namespace, reason: error.missing() });
            }
        }
    }
    found
}

/// The pods that have an address.
async fn caller(gathering: &Gathering, address: &str) -> (CallerEvidence, Objects) {
    let source = format!("pods of the address {address}");
    let selector = format!("status.podIP={address}");
    let wanted = Wanted { kind: ObjectKind::Pod, namespace: None, fields: Some(&selector) };
    let mut found = Objects::default();
    let call = async {
        found = gathering.reach.objects(wanted).await?;
        Ok::<Vec<ObjectName>, ClusterError>(found.pods.keys().cloned().collect())
    };
    let pods: Gathered<Vec<ObjectName>> = gathering.check(source, call).await;
    (CallerEvidence { address: address.to_owned(), pods }, found)
}
