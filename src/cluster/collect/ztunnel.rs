//! The log of a node's ztunnel, which does the mTLS of pods in ambient mode.

use super::Gathering;
use crate::{
    cluster::{ClusterError, FoundPod, resolve::list_pods},
    triage::{Gathered, LogExcerpt, ZtunnelLogOf, ztunnel_log_excerpt},
};

/// How far back it is read, in seconds: as far as a proxy's.
const LOG_SINCE: i64 = 600;

/// What it says of this pod.
pub(super) async fn log(gathering: &Gathering, found: &FoundPod) -> Gathered<LogExcerpt> {
    let settings = &gathering.reach.settings;
    let call = async {
        let node =
            found.node.as_ref().ok_or_else(|| ClusterError::NotFound { what: "the node of the pod".to_owned() })?;
        let pods =
            list_pods(&gathering.reach, &settings.ztunnel_namespace, &settings.ztunnel_selector, Some(node)).await?;
        let ztunnel = pods.into_iter().find(|pod| !pod.going && !pod.ended).ok_or_else(|| ClusterError::NotFound {
            what: format!("a ztunnel ({} in {}) on {node}", settings.ztunnel_selector, settings.ztunnel_namespace),
        })?;
        let text = gathering.reach.log(&ztunnel.pod, ztunnel.container.as_deref(), LOG_SINCE).await?;
        Ok(ztunnel_log_excerpt(&text, ZtunnelLogOf { pod: &found.pod, account: found.service_account.as_ref() }))
    };
    gathering.check("log of ztunnel".to_owned(), call).await
}
