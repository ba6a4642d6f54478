//! Is the replacement of an evicted pod there, Ready, and with a valid SVID?

use jiff::Timestamp;

use super::{ClusterError, FoundPod, Reach, admin::Admin, exec::Tool, resolve};
use crate::{
    incident::Fix,
    mesh::TargetRef,
    remediation::PodEviction,
    triage::certificate::{Life, Svid, ders, read_pem},
};

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Replacement {
    /// It is there, and its SVID ends then.
    Ready(Box<FoundPod>, Timestamp),
    /// Not yet, and why.
    Awaited(String),
}

/// Where a replacement appears: among the pods of the workload that owned the evicted one. A target that is a pod would
/// name the evicted one for ever, and a Service may select several workloads.
pub(super) fn scope(target: &TargetRef, workload: &str) -> TargetRef {
    let owner = || {
        let (kind, name) = workload.split_once('/')?;
        TargetRef::parse(target.namespace.clone(), &format!("{}/{name}", kind.to_lowercase())).ok()
    };
    owner().unwrap_or_else(|| target.clone())
}

/// Whether a pod was there before the plan was carried out.
fn was_there(fix: &Fix, pod: &FoundPod) -> bool {
    let Some(plan) = &fix.plan else { return false };
    if plan.pods_before.is_empty() {
        // A plan from before these were kept: the clocks of the bot and of the API server are all that is left.
        return pod.started <= plan.drawn_at.as_second();
    }
    plan.pods_before.contains(&pod.uid)
}

impl Reach {
    /// Whether the replacement of an evicted pod is there, Ready, and holds a valid SVID.
    pub(super) async fn replacement(
        &self,
        target: &TargetRef,
        fix: &Fix,
        planned: &PodEviction,
        now: Timestamp,
    ) -> Result<Replacement, ClusterError> {
        let resolved = resolve(self, &scope(target, &planned.workload)).await?;
        let planned_before =
            |pod: &FoundPod| fix.plan.iter().flat_map(|plan| &plan.operations).any(|old| *old.ends().1 == pod.uid);
        let taken = |pod: &FoundPod| fix.results.iter().any(|result| *result.brought_up().1 == pod.uid);
        let of_the_same = |pod: &&FoundPod| {
            pod.controller.as_ref().map(|(kind, name)| format!("{kind}/{name}")).as_ref() == Some(&planned.controller)
        };
        let new = resolved
            .pods
            .into_iter()
            .rev()
            .find(|pod| of_the_same(&pod) && !planned_before(pod) && !taken(pod) && !was_there(fix, pod));
        let Some(new) = new else {
            return Ok(Replacement::Awaited(format!("{} has not started a new pod yet", planned.controller)));
        };
        if !new.ready {
            return Ok(Replacement::Awaited(format!("{} is not Ready yet", new.pod)));
        }
        // Its proxy's copy decides: a valid file beside a proxy that serves the old SVID mends nothing.
        let svid = match self.svid_of(&new).await {
            Ok(svid) => svid,
            Err(why) => return Ok(Replacement::Awaited(format!("the SVID of {} could not be read: {why}", new.pod))),
        };
        match svid.life(now) {
            Life::Left { until, .. } => Ok(Replacement::Ready(Box::new(new), until)),
            Life::Over { since } => {
                Ok(Replacement::Awaited(format!("{} still holds an SVID that ended at {since:.0}", new.pod)))
            }
            Life::NotYet { starts } => {
                Ok(Replacement::Awaited(format!("the SVID of {} begins only at {starts:.0}", new.pod)))
            }
        }
    }

    /// The SVID that a pod presents: what its proxy serves; its file where there is no proxy, or it cannot be asked. A
    /// proxy that serves none has none, whatever lies on disk.
    pub(super) async fn svid_of(&self, pod: &FoundPod) -> Result<Svid, String> {
        self.svid_from(pod, &self.admin(&pod.pod)).await
    }

    /// The same, by an admin interface that is asked for more.
    pub(super) async fn svid_from(&self, pod: &FoundPod, admin: &Admin<'_>) -> Result<Svid, String> {
        let (served, file) = futures::join!(served_chain(pod, admin), self.chain_of_file(pod));
        let chain = match served {
            Some(Ok(chain)) => chain,
            Some(Err(why)) if file.is_empty() => return Err(why),
            Some(Err(_)) | None => file,
        };
        let leaf = ders(&chain).into_iter().next().ok_or("there is none")?;
        Svid::read(&leaf).map_err(|error| error.to_string())
    }

    async fn chain_of_file(&self, pod: &FoundPod) -> Vec<String> {
        let tool = Tool::Cat(self.settings.svid_path.clone());
        match self.exec(&pod.pod, pod.container.as_deref(), &tool).await {
            Ok(output) if output.exit_code == 0 => read_pem(&output.stdout).certificates,
            _ => Vec::new(),
        }
    }
}

async fn served_chain(pod: &FoundPod, admin: &Admin<'_>) -> Option<Result<Vec<String>, String>> {
    if !pod.sidecar {
        return None;
    }
    Some(admin.secrets().await.map(|served| served.chain).map_err(|error| error.to_string()))
}
