//! Which container of a pod a request means.

use serde_json::Value;

use super::{Api, path::Target, query::Query, status::Failure};
use crate::{
    mesh::{Namespace, ObjectName, PodRef},
    simulate::store::Kind,
};

/// A container that exists, and the pod as it is.
pub(super) struct Container {
    pub(super) pod: PodRef,
    pub(super) object: Value,
    pub(super) name: String,
}

/// The pod of a request.
pub(super) fn pod_of(api: &Api, target: &Target) -> Result<(PodRef, Value), Failure> {
    let (Kind::Pod, Some(namespace), Some(name)) = (target.kind, &target.namespace, &target.name) else {
        return Err(Failure::not_allowed());
    };
    let object = api.store.get(Kind::Pod, Some(namespace), name).ok_or_else(|| Failure::not_found(target))?;
    let invalid = |error: crate::mesh::NameError| Failure::bad_request(error.to_string());
    let pod = PodRef {
        namespace: Namespace::parse(namespace).map_err(invalid)?,
        name: ObjectName::parse(name).map_err(invalid)?,
    };
    Ok((pod, object))
}

/// The container that a request names, or the only one.
pub(super) fn choose(api: &Api, target: &Target, query: &Query) -> Result<Container, Failure> {
    let (pod, object) = pod_of(api, target)?;
    let names = names(&object);
    let name = match (query.get("container"), names.as_slice()) {
        (Some(wanted), names) if names.iter().any(|name| name == wanted) => wanted.to_owned(),
        (Some(wanted), _) => {
            return Err(Failure::bad_request(format!("container {wanted} is not valid for pod {}", pod.name)));
        }
        (None, [only]) => only.clone(),
        (None, names) => {
            let choices = names.join(" ");
            let message =
                format!("a container name must be specified for pod {}, choose one of: [{choices}]", pod.name);
            return Err(Failure::bad_request(message));
        }
    };
    Ok(Container { pod, object, name })
}

fn names(pod: &Value) -> Vec<String> {
    let of = |path: &str| pod.pointer(path).and_then(Value::as_array).into_iter().flatten();
    let all = of("/spec/containers").chain(of("/spec/initContainers"));
    all.filter_map(|one| one.get("name")?.as_str()).map(str::to_owned).collect()
}
