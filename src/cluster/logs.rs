//! Logs, bounded in time and bytes; what is kept is their end.

use futures::{AsyncRead, AsyncReadExt};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::LogParams};
use tokio::sync::Semaphore;

use super::{ClusterClient, ClusterError};
use crate::{
    bounds::{LOG, LOG_SLACK, LOGS_CLEARED_AT_ONCE},
    mesh::PodRef,
    triage::RedactedLog,
};

/// The most lines that are read of one log.
const LINES_MOST: i64 = 4000;
/// Each log that is cleared is there three times meanwhile.
static CLEARING: Semaphore = Semaphore::const_new(LOGS_CLEARED_AT_ONCE);
/// How much is read at a time, in bytes.
const CHUNK: usize = 32 * 1024;

impl ClusterClient {
    /// The same of the container that ran before the last restart.
    pub(super) async fn previous_log(
        &self,
        pod: &PodRef,
        container: Option<&str>,
        since_seconds: i64,
    ) -> Result<RedactedLog, ClusterError> {
        self.read_log(pod, container, since_seconds, true).await
    }

    /// The log of a container since so many seconds ago.
    pub(super) async fn log(
        &self,
        pod: &PodRef,
        container: Option<&str>,
        since_seconds: i64,
    ) -> Result<RedactedLog, ClusterError> {
        self.read_log(pod, container, since_seconds, false).await
    }

    async fn read_log(
        &self,
        pod: &PodRef,
        container: Option<&str>,
        since_seconds: i64,
        previous: bool,
    ) -> Result<RedactedLog, ClusterError> {
        let what = format!("log of {pod}");
        let namespace = pod.namespace.as_str();
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        // No `limitBytes`: a kubelet that counts bytes stops at the limit, and what it leaves out are the newest lines.
        let params = LogParams {
            container: container.map(str::to_owned),
            tail_lines: Some(LINES_MOST),
            since_seconds: Some(since_seconds.max(1)),
            previous,
            ..LogParams::default()
        };
        let call = async {
            let stream = api.log_stream(pod.name.as_str(), &params).await;
            let stream = stream.map_err(|error| ClusterError::of(&error, "get", "pods/log", namespace, &what))?;
            let text = newest(stream, LOG)
                .await
                .map_err(|error| ClusterError::Failed { what: what.clone(), why: error.to_string().into() })?;
            // Before anything is picked from it: a key takes several lines, and a line that is cut hides the name of its
            // secret. Beside the threads that answer others: a megabyte takes a good part of a second.
            let turn = CLEARING.acquire().await;
            let cleared = tokio::task::spawn_blocking(move || RedactedLog::new(&text)).await;
            drop(turn);
            cleared.map_err(|error| ClusterError::Failed { what: what.clone(), why: error.to_string().into() })
        };
        self.bounded(&what, call).await
    }
}

/// The last `most` bytes of a stream, from the beginning of a line on. A byte that is no UTF-8 costs one character, not
/// the log. Of a line that is longer than that nothing is kept: the name of a secret may stand before what is left of it.
pub(super) async fn newest(stream: impl AsyncRead, most: usize) -> std::io::Result<String> {
    let mut stream = std::pin::pin!(stream);
    let (mut kept, mut chunk, mut cut) = (Vec::new(), vec![0; CHUNK], false);
    loop {
        let length = stream.read(&mut chunk).await?;
        kept.extend_from_slice(chunk.get(..length).unwrap_or_default());
        // Bytes are moved once for every few chunks that come in, not once a chunk.
        if kept.len() > most.saturating_add(LOG_SLACK) || (length == 0 && kept.len() > most) {
            kept.drain(..kept.len().saturating_sub(most));
            cut = true;
        }
        if length == 0 {
            break;
        }
    }
    if cut {
        let torn = kept.iter().position(|byte| *byte == b'\n').map_or(kept.len(), |place| place.saturating_add(1));
        kept.drain(..torn);
        if kept.is_empty() {
            // Nothing at all would look like a silent log.
            return Err(std::io::Error::other(format!(
                "its newest line is over {most} bytes, and is not read in part"
            )));
        }
    }
    // Where all of it is text, it is not copied.
    Ok(String::from_utf8(kept).unwrap_or_else(|torn| String::from_utf8_lossy(torn.as_bytes()).into_owned()))
}
