//! Envoy's admin interface: over a port-forward through the API server, or, where that does not work, by `pilot-agent`
//! in the sidecar.

use serde::Deserialize;

use super::{ClusterClient, ClusterError, exec::Tool, forward::PodPort, long::Held};
use crate::{
    mesh::PodRef,
    triage::{
        ProxyStats, ServedSecrets,
        envoy::{add_hosts, read_secrets, read_stats},
    },
};

/// The port of Envoy's admin interface in an Istio sidecar.
const ADMIN_PORT: u16 = 15000;
/// The container of the sidecar.
pub(super) const PROXY: &str = "istio-proxy";

/// The admin interface of one proxy.
pub(super) struct Admin<'a> {
    reach: &'a ClusterClient,
    pod: &'a PodRef,
    port: PodPort<'a>,
}

impl ClusterClient {
    /// The admin interface of a pod's proxy. Nothing is asked yet.
    pub(super) fn admin<'a>(&'a self, pod: &'a PodRef) -> Admin<'a> {
        Admin { reach: self, pod, port: self.port(pod, ADMIN_PORT) }
    }
}

impl Admin<'_> {
    /// GETs a path of it.
    pub(super) async fn get(&self, path: &str) -> Result<Held, ClusterError> {
        let what = format!("Envoy {path} of {}", self.pod);
        let first = match self.port.get(path, &what).await {
            Ok(answer) if answer.is_success() => return Ok(answer.body),
            Ok(answer) => ClusterError::Failed { what, why: format!("it answered {}", answer.status).into() },
            // Another way to the same pod leads nowhere either.
            Err(error @ (ClusterError::NotFound { .. } | ClusterError::Unauthenticated { .. })) => return Err(error),
            Err(error) => error,
        };
        match self.reach.exec(self.pod, Some(PROXY), &Tool::PilotAgent(path.to_owned())).await {
            Ok(output) if output.exit_code == 0 => Ok(output.stdout),
            // The first refusal names what is the better one to mend.
            _ => Err(first),
        }
    }

    /// The counters of the proxy.
    pub(super) async fn stats(&self) -> Result<ProxyStats, ClusterError> {
        // One after the other, as one connection asks them anyway: what holds a long answer waits for no other.
        let mut read = read_stats(&String::from_utf8_lossy(&self.get("/stats?filter=ssl").await?));
        add_hosts(&mut read, &String::from_utf8_lossy(&self.get("/clusters").await?));
        Ok(read)
    }

    /// What the proxy presents and trusts.
    pub(super) async fn secrets(&self) -> Result<ServedSecrets, ClusterError> {
        let path = "/config_dump?resource=dynamic_active_secrets";
        let body = self.get(path).await?;
        read_secrets(&body).map_err(|error| ClusterError::Failed {
            what: format!("Envoy {path} of {}", self.pod),
            // Not the error's own words, which quote what they did not expect.
            why: format!("its answer is no such dump (line {}, column {})", error.line(), error.column()).into(),
        })
    }

    /// For how long the proxy has been up, in seconds.
    pub(super) async fn uptime(&self) -> Option<u64> {
        let body = self.get("/server_info").await.ok()?;
        let info: ServerInfo = serde_json::from_slice(&body).ok()?;
        info.uptime_current_epoch?.trim_end_matches('s').parse().ok()
    }
}

#[derive(Deserialize)]
struct ServerInfo {
    uptime_current_epoch: Option<String>,
}
