//! Is the replacement of an evicted pod there, Ready, and with a valid SVID?

use jiff::Timestamp;

use super::{ClusterError, FoundPod, Reach, exec::Tool, resolve};
use crate::{
    incident::Fix,
    mesh::TargetRef,
    remediation::{Plan, PlannedPod},
    triage::{
        certificate::{Life, Svid, ders, read_pem},
        envoy::read_secrets,
    },
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
fn scope(target: &TargetRef, planned: &PlannedPod) -> TargetRef {
    let owner = |text: &str| {
        let (kind, name) = text.split_once('/')?;
        TargetRef::parse(planned.pod.namespace.clone(), &format!("{}/{name}", kind.to_lowercase())).ok()
    };
    owner(&planned.workload).unwrap_or_else(|| target.clone())
}

impl Reach {
    /// Whether the replacement of an evicted pod is there, Ready, and holds a valid SVID.
    pub(super) async fn replacement(
        &self,
        target: &TargetRef,
        fix: &Fix,
        planned: &PlannedPod,
        now: Timestamp,
    ) -> Result<Replacement, ClusterError> {
        let resolved = resolve(self, &scope(target, planned)).await?;
        let drawn_at = fix.plan.as_ref().map_or(0, |plan| plan.drawn_at.as_second());
        let planned_before = |pod: &FoundPod| fix.plan.iter().flat_map(Plan::pods).any(|old| old.uid == pod.uid);
        let taken = |pod: &FoundPod| fix.replacements.iter().any(|(_, uid)| *uid == pod.uid);
        let of_the_same = |pod: &&FoundPod| {
            pod.controller.as_ref().map(|(kind, name)| format!("{kind}/{name}")).as_ref() == Some(&planned.controller)
        };
        let new = resolved
            .pods
            .into_iter()
            .rev()
            .find(|pod| of_the_same(&pod) && !planned_before(pod) && !taken(pod) && pod.started > drawn_at);
        let Some(new) = new else {
            return Ok(Replacement::Awaited(format!("{} has not started a new pod yet", planned.controller)));
        };
        if !new.ready {
            return Ok(Replacement::Awaited(format!("{} is not Ready yet", new.pod)));
        }
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

    /// The SVID of a pod: its file, or what its proxy serves.
    pub(super) async fn svid_of(&self, pod: &FoundPod) -> Result<Svid, String> {
        let tool = Tool::Cat(self.settings.svid_path.clone());
        let from_file = match self.exec(&pod.pod, pod.container.as_deref(), &tool).await {
            Ok(output) if output.exit_code == 0 => read_pem(&output.stdout).certificates,
            _ => Vec::new(),
        };
        let chain = if from_file.is_empty() {
            let body = self.admin(&pod.pod, "/config_dump?resource=dynamic_active_secrets").await;
            read_secrets(&body.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?.chain
        } else {
            from_file
        };
        let leaf = ders(&chain).into_iter().next().ok_or("there is none")?;
        Svid::read(&leaf).map_err(|error| error.to_string())
    }
}
