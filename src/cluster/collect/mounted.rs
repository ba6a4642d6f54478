//! The ConfigMap that is mounted as a file of a workload: what the file would show, where it cannot be read itself.

use k8s_openapi::api::core::v1::{ConfigMapProjection, ConfigMapVolumeSource, KeyToPath, Pod, Volume};
use kube::Api;

use super::Gathering;
use crate::{
    cluster::{ClusterError, FoundPod},
    triage::{Gathered, PemFile},
};

/// The certificates of a file from the ConfigMap that is mounted there; `None` when none is.
pub(super) async fn mounted(gathering: &Gathering, found: &FoundPod, path: &str) -> Option<Gathered<PemFile>> {
    let namespace = found.pod.namespace.as_str();
    let api: Api<Pod> = Api::namespaced(gathering.reach.client.clone(), namespace);
    let what = format!("pod {}", found.pod);
    let call = async {
        api.get(found.pod.name.as_str())
            .await
            .map_err(|error| ClusterError::of(&error, "get", "pods", namespace, &what))
    };
    let pod = gathering.in_time(&what, gathering.reach.bounded(&what, call)).await.ok()?;
    let (name, key) = mounted_at(&pod, found.container.as_deref()?, path)?;
    Some(match gathering.config_map(namespace, &name, &[&key]).await {
        Gathered::Seen { value, source, at } => {
            Gathered::Seen { value, source: format!("{source} (mounted as {path})"), at }
        }
        missing @ Gathered::Missing { .. } => missing,
    })
}

/// The ConfigMap and its key that a container sees under a path. A `subPath` is left out: such a file stays as it was
/// when the pod started, whatever the ConfigMap says since.
pub(in crate::cluster) fn mounted_at(pod: &Pod, container: &str, path: &str) -> Option<(String, String)> {
    let spec = pod.spec.as_ref()?;
    let container = spec.containers.iter().find(|one| one.name == container)?;
    let within = |mount: &str| {
        let rest = path.strip_prefix(mount.trim_end_matches('/'))?;
        rest.strip_prefix('/').map(str::to_owned)
    };
    let mounts = container.volume_mounts.iter().flatten();
    // The innermost mount is the one that is seen.
    let (mount, file) = mounts
        .filter_map(|mount| Some((mount, within(&mount.mount_path)?)))
        .max_by_key(|(mount, _)| mount.mount_path.len())?;
    if mount.sub_path.is_some() || mount.sub_path_expr.is_some() {
        return None;
    }
    let volume = spec.volumes.iter().flatten().find(|volume| volume.name == mount.name)?;
    config_maps(volume).into_iter().find_map(|(name, items)| Some((name, key_of(items.as_deref(), &file)?)))
}

fn config_maps(volume: &Volume) -> Vec<(String, Option<Vec<KeyToPath>>)> {
    let alone = volume.config_map.iter().map(|ConfigMapVolumeSource { name, items, .. }| (name.clone(), items.clone()));
    let projected = volume.projected.iter().flat_map(|volume| volume.sources.iter().flatten());
    let projected = projected
        .filter_map(|source| source.config_map.as_ref())
        .map(|ConfigMapProjection { name, items, .. }| (name.clone(), items.clone()));
    alone.chain(projected).collect()
}

fn key_of(items: Option<&[KeyToPath]>, file: &str) -> Option<String> {
    match items {
        Some(items) => items.iter().find(|item| item.path == file).map(|item| item.key.clone()),
        None => (!file.contains('/')).then(|| file.to_owned()),
    }
}
