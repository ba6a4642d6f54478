//! SPIRE's server (runbook step 2.1).

use futures::future::join_all;

use super::{Gathering, controllers::of_the_server, healthcheck::healthcheck};
use crate::{
    cluster::{FoundPod, exec::Tool, resolve::list_pods},
    mesh::ScaledController,
    triage::{
        Gathered, LogExcerpt, Missing, ServerEvidence,
        look_further::{LookFurther, after_server_pods},
        server_log_excerpt,
    },
};

/// The server's pods, or why none are listed.
pub(super) async fn gather(gathering: &Gathering) -> Servers {
    let settings = &gathering.reach.settings;
    let call = list_pods(&gathering.reach, &settings.spire_namespace, &settings.server_selector, None);
    let pods: Vec<FoundPod> = match gathering.in_time("pods of the SPIRE server", call).await {
        Ok(pods) => pods.into_iter().filter(|pod| !pod.going && !pod.ended).collect(),
        Err(error) => return Servers { missing: Some(error.missing()), ..Servers::default() },
    };
    if after_server_pods(pods.len()) == Some(LookFurther::ServerControllers) {
        let what = format!("a pod {} in {}", settings.server_selector, settings.spire_namespace);
        let controllers = of_the_server(gathering).await;
        return Servers { missing: Some(Missing::Gone { what }), controllers, ..Servers::default() };
    }
    let one = |found: FoundPod| async move {
        let (healthcheck, log) = futures::join!(
            healthcheck(gathering, &found, Tool::ServerHealthcheck, "spire-server healthcheck"),
            server_log(gathering, &found),
        );
        ServerEvidence { pod: found.pod, ready: found.ready, healthcheck, log: Some(log) }
    };
    let seen = join_all(pods.into_iter().map(one)).await;
    Servers { seen, ..Servers::default() }
}

/// Its log, with that of the container that ran before its last restart: a server that crashes says there why.
async fn server_log(gathering: &Gathering, found: &FoundPod) -> Gathered<LogExcerpt> {
    let (reach, pod, container) = (&gathering.reach, &found.pod, found.container.as_deref());
    let since = i64::try_from(reach.settings.agent_log_since.as_secs()).unwrap_or(i64::MAX);
    let call = async {
        let before =
            async { if found.restarts > 0 { reach.previous_log(pod, container, since).await.ok() } else { None } };
        let (before, now) = futures::join!(before, reach.log(pod, container, since));
        let excerpt = server_log_excerpt(before.as_deref(), now.as_deref().ok());
        match now {
            Err(error) if excerpt.lines.is_empty() => Err(error),
            _ => Ok(excerpt),
        }
    };
    gathering.check("log of spire-server".to_owned(), call).await
}

/// What was found of the SPIRE server.
#[derive(Default)]
pub(super) struct Servers {
    pub(super) seen: Vec<ServerEvidence>,
    pub(super) missing: Option<Missing>,
    pub(super) controllers: Vec<ScaledController>,
}
