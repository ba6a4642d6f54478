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
        let found = self.pod(pod).await?.filter(|found| found.uid == *uid);
        let found = found.ok_or_else(|| ClusterError::NotFound { what: format!("this life of pod {pod}") })?;
        let (stats, uptime, errors, svid) = futures::join!(
            self.proxy_stats(pod),
            self.uptime(pod),
            self.tls_errors(pod, since_seconds),
            self.svid_of(&found),
        );
        Ok(Sample {
            pod: pod.clone(),
            uid: uid.clone(),
            uptime_seconds: uptime,
            at: now,
            counters: Counters { new_log_errors: errors, ..counters_of(&stats?) },
            svid_not_after: svid.ok().map(|svid| svid.not_after),
        })
    }

    /// How many TLS errors the proxy has logged since then; `None` when that was not asked for or cannot be read.
    async fn tls_errors(&self, pod: &PodRef, since_seconds: Option<i64>) -> Option<u64> {
        let text = self.log(pod, Some(PROXY), since_seconds?).await.ok()?;
        let (lines, _) = tls_lines(&text, usize::MAX);
        let errors = lines.iter().filter(|line| crate::triage::envoy::reason_of(line).is_some()).count();
        Some(u64::try_from(errors).unwrap_or(u64::MAX))
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

    async fn uptime(&self, pod: &PodRef) -> Option<u64> {
        let body = self.admin(pod, "/server_info").await.ok()?;
        let info: ServerInfo = serde_json::from_slice(&body).ok()?;
        info.uptime_current_epoch?.trim_end_matches('s').parse().ok()
    }
}

/// A sample of a pod that should have been read and could not be: without figures, so that it proves nothing. Left out,
/// it would let another pod's success speak for it.
pub(super) fn without_figures(pod: &PodRef, uid: &PodUid, now: Timestamp) -> Sample {
    Sample {
        pod: pod.clone(),
        uid: uid.clone(),
        uptime_seconds: None,
        at: now,
        counters: Counters::default(),
        svid_not_after: None,
    }
}

/// Seconds by which a whole-second uptime and the time of a sample may disagree.
const ROUNDING: i64 = 2;

/// Whether the proxy of `last` began only after `first` was taken: it is up for less time than lies between them. An
/// uptime that has merely not fallen hides a restart early in a long window.
pub(super) fn began_after(first: &Sample, last: &Sample) -> bool {
    let between = last.at.duration_since(first.at).as_secs();
    let up = last.uptime_seconds.and_then(|seconds| i64::try_from(seconds).ok());
    up.is_some_and(|up| up.saturating_add(ROUNDING) < between)
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
