//! Whether a port speaks HTTP in Istio's eyes: such a port takes no TLS but Istio's own.
//!
//! Istio 1.31: `ConvertProtocol` (pkg/config/kube/conversion.go); `appProtocol` counts before the name.

use super::workload_objects::ServicePort;

const HTTP: [&str; 6] = ["http", "http2", "grpc", "grpc-web", "kubernetes.io/h2c", "kubernetes.io/ws"];

pub(super) fn is_http(port: &ServicePort) -> bool {
    if let Some(protocol) = &port.app_protocol {
        return HTTP.contains(&protocol.to_lowercase().as_str());
    }
    let name = port.name.to_lowercase();
    name == "grpc-web" || name.starts_with("grpc-web-") || HTTP.contains(&name.split('-').next().unwrap_or_default())
}
