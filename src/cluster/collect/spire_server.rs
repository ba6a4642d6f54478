//! SPIRE's server (runbook step 2.1).

use futures::future::join_all;

use super::{
    Gathering, bundles, controllers::of_the_server, healthcheck::healthcheck, recent_changes, spire_log::spire_log,
};
use crate::{
    cluster::{FoundPod, exec::Tool, resolve::list_pods},
    mesh::ScaledController,
    triage::{
        Missing, RecentChange, ServerEvidence,
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
    let since = settings.agent_log_since;
    let changes = recent_changes::of_spire(pods.iter(), gathering.clock.now());
    let one = |found: FoundPod| async move {
        let (healthcheck, log, bundles) = futures::join!(
            healthcheck(gathering, &found, Tool::ServerHealthcheck, "spire-server healthcheck"),
            spire_log(gathering, &found, "log of spire-server", since, server_log_excerpt),
            bundles::of_server(gathering, &found),
        );
        ServerEvidence { pod: found.pod, ready: found.ready, healthcheck, log: Some(log), bundles: Some(bundles) }
    };
    let seen = join_all(pods.into_iter().map(one)).await;
    Servers { seen, changes, ..Servers::default() }
}

/// What was found of the SPIRE server.
#[derive(Default)]
pub(super) struct Servers {
    pub(super) seen: Vec<ServerEvidence>,
    pub(super) missing: Option<Missing>,
    pub(super) controllers: Vec<ScaledController>,
    /// What changed of late.
    pub(super) changes: Vec<RecentChange>,
}
