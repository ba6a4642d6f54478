//! Envoy's admin interface: over a port-forward through the API server, or, where that does not work, by `pilot-agent`
//! in the sidecar.

use super::{ClusterError, Reach, exec::Tool};
use crate::mesh::PodRef;

/// The port of Envoy's admin interface in an Istio sidecar.
const ADMIN_PORT: u16 = 15000;
/// The container of the sidecar.
pub(super) const PROXY: &str = "istio-proxy";

impl Reach {
    /// GETs a path of the admin interface.
    pub(super) async fn admin(&self, pod: &PodRef, path: &str) -> Result<Vec<u8>, ClusterError> {
        let what = format!("Envoy {path} of {pod}");
        let first = match self.get_forwarded(pod, ADMIN_PORT, path, &what).await {
            Ok(answer) if answer.is_success() => return Ok(answer.body),
            Ok(answer) => ClusterError::Failed { what, why: format!("it answered {}", answer.status) },
            // Another way to the same pod leads nowhere either.
            Err(error @ (ClusterError::NotFound { .. } | ClusterError::NotKnown { .. })) => return Err(error),
            Err(error) => error,
        };
        match self.exec(pod, Some(PROXY), &Tool::PilotAgent(path.to_owned())).await {
            Ok(output) if output.exit_code == 0 => Ok(output.stdout),
            // The first refusal names what is the better one to mend.
            _ => Err(first),
        }
    }
}
