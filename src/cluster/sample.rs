//! Samples of counters, for the verification of a fix.

use jiff::Timestamp;
use serde::Deserialize;

use super::{
    ClusterError, Reach,
    admin::PROXY,
    resolve::{FoundPod, found},
};
use crate::{
    mesh::{PodRef, PodUid},
    remediation::{Counters, Sample},
    triage::{ProxyStats, TlsCounters, envoy::tls_lines},
};

#[derive(Deserialize)]
struct ServerInfo {
    uptime_current_epoch: Option<String>,
}

impl Reach {
    /// Samples one life of one pod. `since_seconds` is how far back its log is read for errors; `None` leaves the log
    /// out.
    pub(super) async fn sample(
        &self,
        pod: &PodRef,
        uid: &PodUid,
        since_seconds: Option<i64>,
        now: Timestamp,
    ) -> Result<Sample, ClusterError> {
        self.same_life(pod, uid).await?;
        let (stats, uptime) = futures::join!(self.proxy_stats(pod), self.uptime(pod));
        let mut counters = counters_of(&stats?);
        if let Some(seconds) = since_seconds
            && let Ok(text) = self.log(pod, Some(PROXY), seconds).await
        {
            let (lines, _) = tls_lines(&text, usize::MAX);
            let errors = lines.iter().filter(|line| crate::triage::envoy::reason_of(line).is_some()).count();
            counters.new_log_errors = Some(u64::try_from(errors).unwrap_or(u64::MAX));
        }
        let not_after = match self.pod(pod).await? {
            Some(found) => self.svid_of(&found).await.ok().map(|svid| svid.not_after),
            None => None,
        };
        Ok(Sample {
            pod: pod.clone(),
            uid: uid.clone(),
            uptime_seconds: uptime,
            at: now,
            counters,
            svid_not_after: not_after,
        })
    }

    async fn pod(&self, pod: &PodRef) -> Result<Option<FoundPod>, ClusterError> {
        let namespace = pod.namespace.as_str();
        let api: kube::Api<k8s_openapi::api::core::v1::Pod> = kube::Api::namespaced(self.client.clone(), namespace);
        let what = format!("pod {pod}");
        let call = async {
            let object = api.get_opt(pod.name.as_str()).await;
            object.map_err(|error| ClusterError::of(&error, "get", "pods", namespace, &what))
        };
        Ok(self.bounded(&what, call).await?.as_ref().and_then(found))
    }

    async fn same_life(&self, pod: &PodRef, uid: &PodUid) -> Result<(), ClusterError> {
        let is_same = self.pod(pod).await?.is_some_and(|found| found.uid == *uid);
        if is_same { Ok(()) } else { Err(ClusterError::NotFound { what: format!("this life of pod {pod}") }) }
    }

    async fn uptime(&self, pod: &PodRef) -> Option<u64> {
        let body = self.admin(pod, "/server_info").await.ok()?;
        let info: ServerInfo = serde_json::from_slice(&body).ok()?;
        info.uptime_current_epoch?.trim_end_matches('s').parse().ok()
    }
}

fn counters_of(stats: &ProxyStats) -> Counters {
    let sum =
        |pick: fn(&TlsCounters) -> Option<u64>| stats.clients.values().filter_map(pick).reduce(u64::saturating_add);
    Counters {
        server_handshakes: stats.server.handshake,
        server_failures: stats.server.failures(),
        client_handshakes: sum(|counters| counters.handshake),
        client_failures: sum(TlsCounters::failures),
        requests_answered: stats.requests_answered,
        requests_failed: stats.requests_failed,
        new_log_errors: None,
    }
}
