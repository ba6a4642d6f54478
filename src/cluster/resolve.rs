//! From a target to its pods, and from a pod to who owns it.

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet},
        core::v1::{ContainerStatus, Pod, Service},
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::{Api, api::ListParams, core::Selector};

use super::{ClusterClient, ClusterError, admin::PROXY, endpoints::pods_behind, transport::is_too_much};
use crate::{
    mesh::{ControllerRef, NodeName, ObjectName, PodRef, PodUid, ServiceAccount, TargetKind, TargetRef},
    triage::{ContainerEnd, ContainerTrouble, POD_TROUBLES_MOST, WhyItWaits},
};

/// A pod as it was found.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of the object, not a state of ours")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPod {
    pub pod: PodRef,
    /// Which life.
    pub uid: PodUid,
    pub node: Option<NodeName>,
    /// As whom.
    pub service_account: Option<ServiceAccount>,
    pub controller: Option<ControllerRef>,
    /// Whether it is Ready.
    pub ready: bool,
    /// Since when it is Ready or not, as its kubelet says.
    pub ready_changed: Option<Timestamp>,
    /// How often its containers restarted.
    pub restarts: i32,
    /// When it started, in seconds since 1970.
    pub started: i64,
    /// Whether a sidecar is among its containers, or its init containers (native sidecars).
    pub sidecar: bool,
    /// Whether it is in ambient mode.
    pub ambient: bool,
    /// Whether it is being deleted.
    pub going: bool,
    /// Whether it has ended for good (phase Succeeded or Failed): pods that a node has put out stay so, for days.
    pub ended: bool,
    /// Its labels, for selectors.
    pub labels: std::collections::BTreeMap<String, String>,
    /// Whether its phase is Pending.
    pub pending: bool,
    /// Its containers that wait, or have ended once.
    pub troubles: Vec<ContainerTrouble>,
    /// The container that holds the certificate files: the one that `kubectl` would take, or the first, but no sidecar.
    pub container: Option<String>,
}

/// The pods of a target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolved {
    /// All of them, worst first.
    pub pods: Vec<FoundPod>,
}

/// The most pods that are listed of one target.
pub(super) const PODS_MOST: u32 = 500;
/// How many are asked for at a time, at first: where they are long, fewer are.
const PODS_AT_A_TIME: u32 = 20;

/// Finds the pods of a target: a Service by its selector, a workload by its own, a pod by name.
pub async fn resolve(reach: &ClusterClient, target: &TargetRef) -> Result<Resolved, ClusterError> {
    let namespace = target.namespace.as_str();
    let name = target.name.as_str();
    let selector = match target.kind {
        TargetKind::Pod => {
            let api: Api<Pod> = Api::namespaced(reach.client.clone(), namespace);
            let pod = get(reach, &api, "pods", target).await?;
            return Ok(Resolved { pods: found(&pod).into_iter().collect() });
        }
        TargetKind::Service => {
            let api: Api<Service> = Api::namespaced(reach.client.clone(), namespace);
            let service = get(reach, &api, "services", target).await?;
            let labels = service.spec.and_then(|spec| spec.selector).unwrap_or_default();
            labels.into_iter().collect::<Selector>().to_string()
        }
        TargetKind::Deployment => {
            let api: Api<Deployment> = Api::namespaced(reach.client.clone(), namespace);
            let object = get(reach, &api, "deployments", target).await?;
            of_selector(object.spec.selector, target)?
        }
        TargetKind::StatefulSet => {
            let api: Api<StatefulSet> = Api::namespaced(reach.client.clone(), namespace);
            let object = get(reach, &api, "statefulsets", target).await?;
            of_selector(object.spec.selector, target)?
        }
        TargetKind::DaemonSet => {
            let api: Api<DaemonSet> = Api::namespaced(reach.client.clone(), namespace);
            let object = get(reach, &api, "daemonsets", target).await?;
            of_selector(object.spec.selector, target)?
        }
    };
    let pods = if selector.is_empty() && target.kind == TargetKind::Service {
        pods_behind(reach, target).await?
    } else {
        Vec::new()
    };
    if selector.is_empty() && pods.is_empty() {
        return Err(ClusterError::Failed {
            what: format!("finding the pods of {name}"),
            why: "it selects nothing: name the workload instead, as deploy/NAME".into(),
        });
    }
    let mut pods = if selector.is_empty() { pods } else { list_pods(reach, namespace, &selector, None).await? };
    pods.retain(|pod| !pod.going && !pod.ended);
    // Worst first: not Ready, then many restarts, then the oldest, which is the likeliest to hold something stale.
    pods.sort_by(|a, b| (a.ready, -a.restarts, a.started, &a.pod).cmp(&(b.ready, -b.restarts, b.started, &b.pod)));
    Ok(Resolved { pods })
}

async fn get<K>(
    reach: &ClusterClient,
    api: &Api<K>,
    resource: &'static str,
    target: &TargetRef,
) -> Result<K, ClusterError>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let what = target.to_string();
    let call = async {
        api.get(target.name.as_str())
            .await
            .map_err(|error| ClusterError::of(&error, "get", resource, target.namespace.as_str(), &what))
    };
    reach.bounded(&what, call).await
}

/// Pods by label selector, on one node or anywhere.
pub(super) async fn list_pods(
    reach: &ClusterClient,
    namespace: &str,
    selector: &str,
    node: Option<&NodeName>,
) -> Result<Vec<FoundPod>, ClusterError> {
    let what = format!("listing pods of {namespace}");
    let api: Api<Pod> = Api::namespaced(reach.client.clone(), namespace);
    let mut params = ListParams::default().labels(selector).limit(PODS_AT_A_TIME);
    if let Some(node) = node {
        params = params.fields(&format!("spec.nodeName={node}"));
    }
    let mut pods = Vec::new();
    // A page brings one pod at least.
    for _ in 0..PODS_MOST {
        let page = async {
            let listed = api.list(&params).await;
            Ok::<_, ClusterError>(listed.map(|list| {
                (list.items.iter().filter_map(found).collect::<Vec<_>>(), list.metadata.continue_.unwrap_or_default())
            }))
        };
        match (reach.bounded(&what, page).await?, params.limit) {
            (Ok((page, next)), _) => {
                pods.extend(page);
                if next.is_empty() || pods.len() >= usize::try_from(PODS_MOST).unwrap_or(usize::MAX) {
                    return Ok(pods);
                }
                params = params.continue_token(&next);
            }
            (Err(error), Some(limit @ 2..)) if is_too_much(&error) => params = params.limit(limit.div_ceil(4)),
            (Err(error), _) => return Err(ClusterError::of(&error, "list", "pods", namespace, &what)),
        }
    }
    Err(ClusterError::Failed { what, why: "the list does not end".to_owned().into() })
}

/// A workload's own selector, as the API server reads it. A term that it would not have taken is refused: left out, it would
/// select the pods of others.
fn of_selector(selector: LabelSelector, target: &TargetRef) -> Result<String, ClusterError> {
    let selector = Selector::try_from(selector).map_err(|_| ClusterError::Failed {
        what: format!("reading the selector of {}", target.name),
        why: "it has a term that Kubernetes does not know".into(),
    })?;
    Ok(selector.to_string())
}

/// Reads a pod object; `None` when it has no name, which the API server never sends.
pub(super) fn found(pod: &Pod) -> Option<FoundPod> {
    let meta = &pod.metadata;
    let namespace = meta.namespace.as_deref()?.parse().ok()?;
    let name: ObjectName = meta.name.as_deref()?.parse().ok()?;
    let spec = pod.spec.as_ref();
    let status = pod.status.as_ref();
    let names = |list: &[k8s_openapi::api::core::v1::Container]| -> Vec<String> {
        list.iter().map(|container| container.name.clone()).collect()
    };
    let containers = spec.map(|spec| names(&spec.containers)).unwrap_or_default();
    let init = spec.and_then(|spec| spec.init_containers.as_deref()).map(names).unwrap_or_default();
    let ready = status
        .and_then(|status| status.conditions.as_ref())
        .and_then(|list| list.iter().find(|one| one.type_ == "Ready"));
    // A native sidecar is an init container that goes on running.
    let statuses = status.into_iter().flat_map(|status| [&status.container_statuses, &status.init_container_statuses]);
    let phase = status.and_then(|status| status.phase.as_deref());
    let annotation = |key: &str| meta.annotations.as_ref().and_then(|all| all.get(key)).map(String::as_str);
    let preferred = annotation("kubectl.kubernetes.io/default-container");
    let workers: Vec<&String> = containers.iter().filter(|name| *name != PROXY).collect();
    let container = workers.iter().find(|name| preferred == Some(name.as_str())).or(workers.first());
    let owner = meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    Some(FoundPod {
        pod: PodRef { namespace, name },
        uid: meta.uid.as_deref()?.parse().ok()?,
        node: spec.and_then(|spec| spec.node_name.as_deref()).and_then(|node| node.parse().ok()),
        service_account: spec.and_then(|spec| spec.service_account_name.as_deref()).and_then(|name| name.parse().ok()),
        controller: owner.and_then(|owner| ControllerRef::new(&owner.kind, &owner.name)),
        ready: ready.is_some_and(|one| one.status == "True"),
        ready_changed: ready.and_then(|one| one.last_transition_time.as_ref()).map(|time| time.0),
        restarts: statuses.flatten().flatten().map(|one| one.restart_count).sum(),
        started: meta.creation_timestamp.as_ref().map(|time| time.0.as_second()).unwrap_or_default(),
        sidecar: containers.iter().chain(&init).any(|name| name == PROXY),
        ambient: annotation("ambient.istio.io/redirection") == Some("enabled"),
        going: meta.deletion_timestamp.is_some(),
        ended: matches!(phase, Some("Succeeded" | "Failed")),
        labels: meta.labels.clone().unwrap_or_default(),
        pending: phase == Some("Pending"),
        troubles: troubles(pod),
        container: container.map(|name| (*name).clone()),
    })
}

/// What a pod's containers wait for, and how they ended last: those that wait first.
fn troubles(pod: &Pod) -> Vec<ContainerTrouble> {
    let statuses = pod.status.iter().flat_map(|status| [&status.init_container_statuses, &status.container_statuses]);
    let trouble = |one: &ContainerStatus| {
        let state = one.state.as_ref();
        let waiting = state.and_then(|state| state.waiting.as_ref()).map(|waiting| WhyItWaits {
            reason: waiting.reason.as_deref().unwrap_or_default().into(),
            message: waiting.message.as_deref().unwrap_or_default().into(),
        });
        let ended = state.and_then(|state| state.terminated.as_ref()).filter(|ended| ended.exit_code != 0);
        let ended = ended.or_else(|| one.last_state.as_ref().and_then(|last| last.terminated.as_ref()));
        let ended = ended.map(|ended| ContainerEnd {
            exit_code: ended.exit_code,
            reason: ended.reason.as_deref().unwrap_or_default().into(),
            at: ended.finished_at.as_ref().map(|time| time.0),
        });
        let restarts = u32::try_from(one.restart_count).unwrap_or(0);
        let has_some = waiting.is_some() || ended.is_some();
        has_some.then(|| ContainerTrouble { name: one.name.as_str().into(), waiting, ended, restarts })
    };
    let mut troubles: Vec<ContainerTrouble> = statuses.flatten().flatten().filter_map(trouble).collect();
    troubles.sort_by_key(|one| one.waiting.is_none());
    troubles.truncate(POD_TROUBLES_MOST);
    troubles
}

/// The workload behind a controller: a ReplicaSet belongs to a Deployment.
pub(super) async fn workload_of(
    reach: &ClusterClient,
    namespace: &str,
    controller: &ControllerRef,
) -> Result<ControllerRef, ClusterError> {
    if controller.kind() != "ReplicaSet" {
        return Ok(controller.clone());
    }
    let name = controller.name();
    let what = format!("ReplicaSet {namespace}/{name}");
    let api: Api<ReplicaSet> = Api::namespaced(reach.client.clone(), namespace);
    let call =
        async { api.get(name).await.map_err(|error| ClusterError::of(&error, "get", "replicasets", namespace, &what)) };
    let set = reach.bounded(&what, call).await?;
    let owner =
        set.metadata.owner_references.unwrap_or_default().into_iter().find(|owner| owner.controller == Some(true));
    let owner = owner.and_then(|owner| ControllerRef::new(owner.kind, owner.name));
    Ok(owner.unwrap_or_else(|| controller.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(selector: serde_json::Value) -> Result<String, ClusterError> {
        let target = TargetRef {
            namespace: "web".parse().unwrap(),
            kind: TargetKind::Deployment,
            name: "frontend".parse().unwrap(),
        };
        of_selector(serde_json::from_value(selector).unwrap(), &target)
    }

    #[test]
    fn a_workloads_selector_is_asked_for_as_it_stands_and_one_with_an_unknown_term_selects_nothing() {
        let selector = serde_json::json!({
            "matchLabels": {"app": "frontend", "tier": "web"},
            "matchExpressions": [
                {"key": "track", "operator": "In", "values": ["stable", "canary"]},
                {"key": "track", "operator": "NotIn", "values": ["old"]},
                {"key": "team", "operator": "Exists"},
                {"key": "gone", "operator": "DoesNotExist"},
            ],
        });
        let asked = "app=frontend,tier=web,track in (canary,stable),track notin (old),team,!gone";
        assert_eq!(written(selector).unwrap(), asked);
        assert_eq!(written(serde_json::json!({})).unwrap(), "");
        let unknown = serde_json::json!({"matchExpressions": [{"key": "cpus", "operator": "Gt", "values": ["2"]}]});
        let refused = "reading the selector of frontend failed: it has a term that Kubernetes does not know";
        assert_eq!(written(unknown).unwrap_err().to_string(), refused);
    }
}
