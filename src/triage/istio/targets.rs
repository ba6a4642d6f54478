//! Clients and destinations as people type them.

use super::{
    cluster::Computed,
    everything::{ClientGroup, selected_labels},
    names::ObjectName,
    objects::Objects,
    workload_objects::{Pod, Service},
};

/// Nothing among the objects is called like this.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongTarget {
    #[error("{0:?} names no client: write pod/NAME, deploy/NAME, statefulset/NAME, daemonset/NAME or svc/NAME")]
    Client(String),
    #[error("no pod of {name} is among the objects in namespace {namespace}")]
    NoPods { name: String, namespace: String },
    #[error("{0:?} is no destination: write SERVICE[.NAMESPACE][:PORT][/SUBSET]")]
    Destination(String),
    #[error("no Service {0} is among the objects")]
    NoService(ObjectName),
}

/// Who is called.
#[derive(Debug, PartialEq, Eq)]
pub struct Target<'t> {
    pub service: ObjectName,
    /// All of the Service where it is not named.
    pub port: Option<u16>,
    pub subset: Option<&'t str>,
}

impl<'t> Target<'t> {
    /// Reads `SERVICE[.NAMESPACE][:PORT][/SUBSET]`; the namespace may be followed by `svc` and the cluster's domain.
    pub fn parse(text: &'t str, client_namespace: &str) -> Result<Self, WrongTarget> {
        let wrong = || WrongTarget::Destination(text.to_owned());
        let (address, subset) = match text.split_once('/') {
            Some((address, subset)) if !subset.is_empty() => (address, Some(subset)),
            Some(_) => return Err(wrong()),
            None => (text, None),
        };
        let (host, port) = match address.split_once(':') {
            Some((host, port)) => (host, Some(port.parse().map_err(|_| wrong())?)),
            None => (address, None),
        };
        let host = host.strip_suffix(".svc.cluster.local").or_else(|| host.strip_suffix(".svc")).unwrap_or(host);
        let (name, namespace) = host.split_once('.').unwrap_or((host, client_namespace));
        if name.is_empty() || namespace.is_empty() || namespace.contains('.') {
            return Err(wrong());
        }
        Ok(Self { service: ObjectName { namespace: namespace.to_owned(), name: name.to_owned() }, port, subset })
    }

    /// The Service of that name.
    pub fn service<'o>(&self, objects: &'o Objects) -> Result<&'o Service, WrongTarget> {
        objects.services.get(&self.service).ok_or_else(|| WrongTarget::NoService(self.service.clone()))
    }
}

/// The pods that a client's name stands for.
pub fn clients_named<'o>(computed: &Computed<'o>, namespace: &str, text: &str) -> Result<Vec<&'o Pod>, WrongTarget> {
    let (kind, name) = text.split_once('/').unwrap_or(("pod", text));
    let is_it: Box<dyn Fn(&Pod) -> bool> = match kind {
        "pod" | "pods" | "po" => Box::new(|pod| pod.metadata.name == name),
        "deploy" | "deployment" | "deployments" => Box::new(|pod| {
            owner(pod, "ReplicaSet").and_then(|owner| owner.rsplit_once('-')).is_some_and(|(base, _)| base == name)
        }),
        "statefulset" | "statefulsets" | "sts" => Box::new(|pod| owner(pod, "StatefulSet") == Some(name)),
        "daemonset" | "daemonsets" | "ds" => Box::new(|pod| owner(pod, "DaemonSet") == Some(name)),
        "svc" | "service" | "services" => {
            let service = ObjectName { namespace: namespace.to_owned(), name: name.to_owned() };
            let service = computed.objects.services.get(&service).ok_or(WrongTarget::NoService(service))?;
            let behind = computed.endpoints_of(service).iter().filter_map(|one| one.pod);
            let behind: Vec<ObjectName> = behind.map(|pod| pod.metadata.object_name()).collect();
            Box::new(move |pod| behind.contains(&pod.metadata.object_name()))
        }
        _ => return Err(WrongTarget::Client(text.to_owned())),
    };
    let pods = computed.objects.pods.values();
    let found: Vec<&Pod> = pods.filter(|pod| pod.metadata.namespace == namespace && is_it(pod)).collect();
    if found.is_empty() {
        return Err(WrongTarget::NoPods { name: text.to_owned(), namespace: namespace.to_owned() });
    }
    Ok(found)
}

fn owner<'p>(pod: &'p Pod, kind: &str) -> Option<&'p str> {
    pod.metadata.owner_references.iter().find(|owner| owner.kind == kind).map(|owner| owner.name.as_str())
}

impl<'o> Computed<'o> {
    /// These pods, those that no rule tells apart together.
    pub fn alike(&self, pods: &[&'o Pod]) -> Vec<ClientGroup<'o>> {
        let selected = selected_labels([self.objects]);
        let named: Vec<ObjectName> = pods.iter().map(|pod| pod.metadata.object_name()).collect();
        let is_named = |pod: &Pod| named.contains(&pod.metadata.object_name());
        let mut groups = self.grouped(&selected, |pod| is_named(pod) && pod.has_sidecar());
        groups.extend(self.grouped(&selected, |pod| is_named(pod) && !pod.has_sidecar()));
        groups
    }
}
