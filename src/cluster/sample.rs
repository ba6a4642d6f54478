//! Samples of counters, for the verification of a fix.

use jiff::Timestamp;

use super::{
    ClusterClient, ClusterError,
    admin::PROXY,
    resolve::{FoundPod, found},
};
use crate::{
    mesh::{PodRef, PodUid},
    remediation::{Counters, Sample},
    triage::{
        ProxyStats, RedactedLog, TlsCounters,
        envoy::{TlsReason, reason_of},
    },
};

impl ClusterClient {
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
        let admin = self.admin(pod);
        let (stats, uptime, log, svid) = futures::join!(
            admin.stats(),
            admin.uptime(),
            self.log_since(pod, since_seconds),
            self.svid_from(&found, &admin),
        );
        let counters = counters_of(&stats?);
        let hidden = counters.hides_tls();
        Ok(Sample {
            pod: pod.clone(),
            uid: uid.clone(),
            uptime_seconds: uptime,
            at: now,
            counters: Counters {
                new_log_errors: log.as_deref().map(|text| count(text, |line| is_tls_error(line, hidden))),
                access_lines: log.as_deref().map(|text| count(text, is_access_line)),
                ..counters
            },
            svid_not_after: svid.ok().flatten().map(|svid| svid.not_after),
        })
    }

    /// What the proxy has logged since then; `None` when that was not asked for or cannot be read.
    async fn log_since(&self, pod: &PodRef, since_seconds: Option<i64>) -> Option<RedactedLog> {
        self.log(pod, Some(PROXY), since_seconds?).await.ok()
    }

    pub(super) async fn pod(&self, pod: &PodRef) -> Result<Option<FoundPod>, ClusterError> {
        let namespace = pod.namespace.as_str();
        let api: kube::Api<k8s_openapi::api::core::v1::Pod> = kube::Api::namespaced(self.client.clone(), namespace);
        let what = format!("pod {pod}");
        let call = async {
            let object = api.get_opt(pod.name.as_str()).await;
            object.map_err(|error| ClusterError::of(&error, "get", "pods", namespace, &what))
        };
        Ok(self.bounded(&what, call).await?.as_ref().and_then(found))
    }
}

fn count(text: &str, pick: impl Fn(&str) -> bool) -> u64 {
    u64::try_from(text.lines().filter(|line| pick(line)).count()).unwrap_or(u64::MAX)
}

/// Whether a line is a failure of TLS. Nobody answering is none; and a connection that was cut without a word is one
/// only where the counters cannot tell it from an application that hung up.
pub(super) fn is_tls_error(line: &str, hidden: bool) -> bool {
    match reason_of(line) {
        None | Some(TlsReason::Unreachable) => false,
        Some(TlsReason::CutAfterHandshake) => hidden,
        Some(_) => true,
    }
}

/// Whether a line is one of an access log, in Istio's text or JSON format.
fn is_access_line(line: &str) -> bool {
    (line.starts_with('[') && line.contains(" HTTP/")) || (line.starts_with('{') && line.contains("\"response_code\""))
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
        access_lines: None,
    }
}
