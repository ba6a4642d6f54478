//! What SPIRE says of itself, by its command or its HTTP probes.

use super::Gathering;
use crate::{
    cluster::{ClusterClient, FoundPod, exec::Tool},
    mesh::PodRef,
    triage::{
        Gathered, Healthcheck,
        look_further::{LookFurther, after_healthcheck},
        read_healthcheck,
    },
};

pub(super) async fn healthcheck(
    gathering: &Gathering,
    found: &FoundPod,
    tool: Tool,
    source: &str,
) -> Gathered<Healthcheck> {
    let call = async {
        match gathering.reach.exec(&found.pod, found.container.as_deref(), &tool).await {
            Ok(output) => {
                Ok(read_healthcheck(output.exit_code, &String::from_utf8_lossy(&output.stdout), &output.stderr))
            }
            Err(error) => match after_healthcheck(&error.missing()) {
                // The first refusal names what is the better one to mend.
                Some(LookFurther::HttpHealth) => gathering.reach.http_health(&found.pod).await.ok_or(error),
                _ => Err(error),
            },
        }
    };
    gathering.check(source.to_owned(), call).await
}

impl ClusterClient {
    /// What SPIRE's HTTP probes say, for images and rights without its command; `None` when they are not answered.
    async fn http_health(&self, pod: &PodRef) -> Option<Healthcheck> {
        let what = format!("HTTP health of {pod}");
        let port = self.port(pod, self.settings.health_port);
        let (live, ready) = futures::join!(port.get("/live", &what), port.get("/ready", &what));
        let (live, ready) = (live.ok()?, ready.ok()?);
        let healthy = live.is_success() && ready.is_success();
        let output = format!("asked over HTTP: /live answers {}, /ready answers {}", live.status, ready.status);
        Some(Healthcheck { healthy, output: output.into() })
    }
}
