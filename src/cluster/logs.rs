//! Logs, bounded in time and bytes.

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::LogParams};

use super::{ClusterError, Reach};
use crate::mesh::PodRef;

/// The most bytes that are read of one log.
const LOG_MOST: i64 = 1024 * 1024;
/// The most lines that are read of one log.
const LINES_MOST: i64 = 4000;

impl Reach {
    /// The same of the container that ran before the last restart.
    pub(super) async fn previous_log(
        &self,
        pod: &PodRef,
        container: Option<&str>,
        since_seconds: i64,
    ) -> Result<String, ClusterError> {
        self.read_log(pod, container, since_seconds, true).await
    }

    /// The log of a container since so many seconds ago.
    pub(super) async fn log(
        &self,
        pod: &PodRef,
        container: Option<&str>,
        since_seconds: i64,
    ) -> Result<String, ClusterError> {
        self.read_log(pod, container, since_seconds, false).await
    }

    async fn read_log(
        &self,
        pod: &PodRef,
        container: Option<&str>,
        since_seconds: i64,
        previous: bool,
    ) -> Result<String, ClusterError> {
        let what = format!("log of {pod}");
        let namespace = pod.namespace.as_str();
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let params = LogParams {
            container: container.map(str::to_owned),
            tail_lines: Some(LINES_MOST),
            limit_bytes: Some(LOG_MOST),
            since_seconds: Some(since_seconds.max(1)),
            previous,
            ..LogParams::default()
        };
        let call = async {
            api.logs(pod.name.as_str(), &params)
                .await
                .map_err(|error| ClusterError::of(&error, "get", "pods/log", namespace, &what))
        };
        self.bounded(&what, call).await
    }
}
