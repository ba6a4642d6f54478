//! Rotation: agents renew SVIDs at half of their life, and workloads pick them up, or do not.

use jiff::Timestamp;

use super::{
    Fault, Inner,
    authority::SVID_LASTS,
    pod::{COMPLAINS_EVERY, Pod},
    spire,
};

/// When an SVID that was issued at `issued` is renewed.
pub(super) fn due_after(issued: Timestamp) -> Timestamp {
    issued + SVID_LASTS / 2
}

/// Whether the agent of a node can renew anything.
pub(super) fn agent_works(inner: &Inner, node: &str) -> bool {
    let node = || node.to_owned();
    let up = inner.agents.get(&node()).is_some_and(|agent| agent.ready_at.is_none());
    up && !inner.has(&Fault::ServerDown)
        && !inner.has(&Fault::AgentFrozen { node: node() })
        && !inner.has(&Fault::AgentStuckButGreen { node: node() })
}

/// Renews what is due at `now`.
pub(super) fn rotate(inner: &mut Inner, now: Timestamp) {
    for node in inner.agents.keys().cloned().collect::<Vec<_>>() {
        let works = agent_works(inner, &node);
        if !works {
            complain(inner, &node, now);
            continue;
        }
        let due: Vec<_> = inner
            .pods
            .iter()
            .filter(|(_, pod)| pod.node == node && now >= pod.up_at)
            .filter(|(_, pod)| pod.issued_at.is_none_or(|issued| now >= due_after(issued)))
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            renew(inner, &name, &node, now);
        }
    }
}

/// Issues for a pod and tells the agent's log; the first SVID of a pod is always picked up.
pub(super) fn renew(inner: &mut Inner, name: &(String, String), node: &str, now: Timestamp) {
    let Some(pod) = inner.pods.get(name) else { return };
    let spiffe_id = pod.workload.spiffe_id();
    let first = pod.issued_at.is_none();
    let keeps_old = !first && keeps_old_svid(inner, pod);
    let svid = match inner.spire.issue(&spiffe_id, now) {
        Ok(svid) => svid,
        Err(error) => {
            tracing::error!(%error, "the simulated SPIRE server could not issue");
            return;
        }
    };
    if let Some(agent) = inner.agents.get_mut(node) {
        for line in spire::renewal_lines(first, &spiffe_id, svid.not_after, now) {
            agent.log.write(now, line);
        }
    }
    if let Some(pod) = inner.pods.get_mut(name) {
        pod.issued_at = Some(now);
        if !keeps_old {
            pod.svid = Some(svid);
        }
    }
}

/// Only pods that were there when the fault began keep theirs: a new pod starts afresh.
fn keeps_old_svid(inner: &Inner, pod: &Pod) -> bool {
    let (namespace, workload) = (pod.workload.namespace.to_owned(), pod.workload.name.to_owned());
    let fault = Fault::WorkloadKeepsOldSvid { namespace, workload };
    inner.faults.get(&fault).is_some_and(|since| pod.started_at <= *since)
}

fn complain(inner: &mut Inner, node: &str, now: Timestamp) {
    let server_down = inner.has(&Fault::ServerDown);
    let Some(agent) = inner.agents.get_mut(node) else { return };
    if now.duration_since(agent.complained_at) < COMPLAINS_EVERY || agent.ready_at.is_some() {
        return;
    }
    agent.complained_at = now;
    for line in spire::complaint_lines(server_down, now) {
        agent.log.write(now, line);
    }
}
