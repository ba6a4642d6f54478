//! Rotation: agents renew SVIDs at half of their life, and workloads pick them up, or do not.

use jiff::{SignedDuration, Timestamp};

use super::{
    Fault, WorldState,
    authority::SVID_LASTS,
    pod::COMPLAINS_EVERY,
    spire::{self, Complaint},
    topology::{TRUST_DOMAIN, Workload},
};

/// When an SVID that was issued at `issued` is renewed.
pub(super) fn due_after(issued: Timestamp) -> Timestamp {
    issued + SVID_LASTS / 2
}

/// Whether the agent of a node can renew anything.
pub(super) fn agent_works(inner: &WorldState, node: &str) -> bool {
    let node = || node.to_owned();
    let up = inner.agents.get(&node()).is_some_and(|agent| agent.ready_at.is_none());
    up && !inner.has(&Fault::ServerDown)
        && !inner.has(&Fault::ServerPortBlocked)
        && !inner.has(&Fault::AgentFrozen { node: node() })
        && !inner.has(&Fault::AgentStuckButGreen { node: node() })
}

/// Renews what is due at `now`.
pub(super) fn rotate(inner: &mut WorldState, now: Timestamp) {
    for node in inner.agents.keys().cloned().collect::<Vec<_>>() {
        let works = agent_works(inner, &node);
        if !works {
            if let Some(complaint) = complaint_of(inner, &node) {
                complain(inner, &node, complaint, now);
            }
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

/// How far the SPIRE server's clock is ahead when it is: more than the half of a life after which SVIDs are renewed, so
/// that none of them ever begins.
const CLOCK_AHEAD: SignedDuration = SignedDuration::from_mins(45);

/// Issues for a pod and tells the agent's log; the first SVID of a pod is always picked up.
pub(super) fn renew(inner: &mut WorldState, name: &(String, String), node: &str, now: Timestamp) {
    let Some(pod) = inner.pods.get(name) else { return };
    let workload = pod.workload;
    let broken = |fault: fn(String, String) -> Fault| since(inner, fault, workload);
    if broken(no_entry).is_some() {
        complain(inner, node, Complaint::NoIdentity, now);
        return;
    }
    let from_istiod = broken(istiod_issued).is_some();
    let spiffe_id = if broken(wrong_identity).is_some() {
        format!("spiffe://{TRUST_DOMAIN}/ns/{}/sa/default", workload.namespace)
    } else {
        workload.spiffe_id()
    };
    let first = pod.issued_at.is_none();
    // Only pods that were there when a fault began keep theirs: a new pod starts afresh.
    let keeps = |fault| !first && broken(fault).is_some_and(|since| pod.started_at <= since);
    let (keeps_file, keeps_served) = (keeps(keeps_old), keeps(keeps_old) || keeps(proxy_keeps_old));
    let ahead = if inner.has(&Fault::ServerClockAhead) { CLOCK_AHEAD } else { SignedDuration::ZERO };
    let issued =
        if from_istiod { inner.istio.issue(&spiffe_id, now) } else { inner.signer(now).issue(&spiffe_id, now + ahead) };
    let svid = match issued {
        Ok(svid) => svid,
        Err(error) => {
            tracing::error!(%error, "the simulated authority could not issue");
            return;
        }
    };
    if let Some(agent) = inner.agents.get_mut(node).filter(|_| !from_istiod) {
        for line in spire::renewal_lines(first, &spiffe_id, svid.not_after, now) {
            agent.log.write(now, line);
        }
    }
    let Some(pod) = inner.pods.get_mut(name) else { return };
    pod.issued_at = Some(now);
    if !keeps_served {
        pod.served = Some(svid.clone());
    }
    if !keeps_file {
        // istiod gives its certificates to the proxy alone.
        pod.svid = Some(svid).filter(|_| !from_istiod);
    }
}

fn keeps_old(namespace: String, workload: String) -> Fault {
    Fault::WorkloadKeepsOldSvid { namespace, workload }
}

fn proxy_keeps_old(namespace: String, workload: String) -> Fault {
    Fault::ProxyKeepsOldSvid { namespace, workload }
}

fn wrong_identity(namespace: String, workload: String) -> Fault {
    Fault::WrongIdentity { namespace, workload }
}

pub(super) fn istiod_issued(namespace: String, workload: String) -> Fault {
    Fault::IstiodIssued { namespace, workload }
}

pub(super) fn no_entry(namespace: String, workload: String) -> Fault {
    Fault::NoRegistrationEntry { namespace, workload }
}

/// Since when a workload has a fault, if it has it.
pub(super) fn since(inner: &WorldState, fault: fn(String, String) -> Fault, workload: &Workload) -> Option<Timestamp> {
    inner.faults.get(&fault(workload.namespace.to_owned(), workload.name.to_owned())).copied()
}

/// What an agent that cannot renew says; one that is stuck says nothing.
fn complaint_of(inner: &WorldState, node: &str) -> Option<Complaint> {
    if inner.has(&Fault::ServerDown) {
        Some(Complaint::ServerRefuses)
    } else if inner.has(&Fault::ServerPortBlocked) {
        Some(Complaint::ServerSilent)
    } else {
        inner.has(&Fault::AgentFrozen { node: node.to_owned() }).then_some(Complaint::OwnSvid)
    }
}

fn complain(inner: &mut WorldState, node: &str, complaint: Complaint, now: Timestamp) {
    let Some(agent) = inner.agents.get_mut(node) else { return };
    if now.duration_since(agent.complained_at) < COMPLAINS_EVERY || agent.ready_at.is_some() {
        return;
    }
    agent.complained_at = now;
    agent.log.write(now, spire::complaint_line(complaint, now));
}
