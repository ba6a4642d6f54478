//! The log of an agent or a server of SPIRE.

use std::time::Duration;

use super::Gathering;
use crate::{
    cluster::FoundPod,
    triage::{Gathered, LogExcerpt},
};

/// What `excerpt` keeps of the log of the container that ran before the last restart, and of the one that runs now: one that
/// crashed says in the one before why.
pub(super) async fn spire_log(
    gathering: &Gathering,
    found: &FoundPod,
    what: &str,
    since: Duration,
    excerpt: fn(Option<&str>, Option<&str>) -> LogExcerpt,
) -> Gathered<LogExcerpt> {
    let (reach, pod, container) = (&gathering.reach, &found.pod, found.container.as_deref());
    let since = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    let call = async {
        let before = async {
            // Kubelets keep it only for a while; that there were restarts is in the evidence in any case.
            if found.restarts > 0 { reach.previous_log(pod, container, since).await.ok() } else { None }
        };
        let (before, now) = futures::join!(before, reach.log(pod, container, since));
        let excerpt = excerpt(before.as_deref(), now.as_deref().ok());
        match now {
            // A container that waits to be started again has no log yet, and why it waits stands in the one before.
            Err(error) if excerpt.lines.is_empty() => Err(error),
            _ => Ok(excerpt),
        }
    };
    gathering.check(what.to_owned(), call).await
}
