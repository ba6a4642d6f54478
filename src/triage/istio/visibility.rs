//! Whether a client's proxy knows a Service at all.
//!
//! Istio 1.31: `ConvertService` (pilot/pkg/serviceregistry/kube/conversion.go) and `PushContext.IsServiceVisible`
//! (pilot/pkg/model/push_context.go).

use super::{mesh_config::MeshConfig, workload_objects::Service};

/// Names the namespaces that may see a Service: `*`, `.`, `~` for none, or their names.
pub(super) const EXPORT_TO: &str = "networking.istio.io/exportTo";

pub(super) fn is_visible(service: &Service, to_namespace: &str, mesh: &MeshConfig) -> bool {
    let annotated = service.metadata.annotations.get(EXPORT_TO).filter(|value| !value.is_empty());
    if annotated.is_none() && mesh.default_service_export_to.is_empty() {
        return true;
    }
    let namespaces: Vec<&str> = match annotated {
        Some(value) => value.split(',').map(str::trim).collect(),
        None => mesh.default_service_export_to.iter().map(String::as_str).collect(),
    };
    let same = service.metadata.namespace == to_namespace;
    if namespaces.contains(&"~") {
        return false;
    }
    namespaces.iter().any(|one| *one == "*" || *one == to_namespace || (*one == "." && same))
}
