//! Who called the target without mTLS: what its proxy's log says of refused callers, and whose their addresses are.

use std::{collections::BTreeSet, fmt};

use crate::triage::{
    Gathered, IstioEvidence, PodEvidence, Redacted,
    envoy::{TlsReason, caller_of, is_recent, reason_of},
    istio::ObjectName,
};

/// The addresses from which a pod's proxy was called lately in a way that an mTLS port does not take: plain text, or TLS that is
/// not Istio's.
pub(in crate::triage) fn refused_callers(pod: &PodEvidence) -> BTreeSet<String> {
    let lines = pod.proxy_log.value().map(|log| log.lines.as_slice()).unwrap_or_default();
    let lines = lines.iter().map(Redacted::as_str).filter(|line| is_recent(line, pod.proxy_log.at()));
    lines.filter(|line| reason_of(line) == Some(TlsReason::PlaintextToUs)).filter_map(caller_of).collect()
}

/// Who has an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::triage) enum Who {
    /// A pod of the mesh.
    InMesh(ObjectName),
    /// A pod without a sidecar.
    WithoutSidecar(ObjectName),
    /// No pod has it.
    NoPod,
    /// That was not seen, and why.
    NotSeen(String),
}

/// One caller that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::triage) struct RefusedCaller {
    pub(in crate::triage) address: String,
    pub(in crate::triage) who: Who,
}

impl RefusedCaller {
    /// Those of all the target's pods.
    pub(super) fn all(pods: &[PodEvidence], istio: &IstioEvidence) -> Vec<Self> {
        let addresses: BTreeSet<String> = pods.iter().flat_map(refused_callers).collect();
        addresses.into_iter().map(|address| Self { who: who(&address, istio), address }).collect()
    }
}

fn who(address: &str, istio: &IstioEvidence) -> Who {
    let of_address = istio.callers.iter().find(|caller| caller.address == address);
    let named = match of_address.map(|caller| &caller.pods) {
        Some(Gathered::Seen { value, .. }) => value.as_slice(),
        Some(Gathered::Missing { reason, .. }) => return Who::NotSeen(reason.sentence()),
        None => return Who::NotSeen("only some callers are looked for".to_owned()),
    };
    let pods: Vec<_> = named.iter().filter_map(|name| istio.objects.pods.get(name)).collect();
    // Pods on their node's network share an address: which of them called is not known, and none of them has a sidecar.
    match pods.iter().find(|pod| pod.has_sidecar()).or(pods.first()) {
        Some(pod) if pod.has_sidecar() || pod.is_ambient() => Who::InMesh(pod.metadata.object_name()),
        Some(pod) => Who::WithoutSidecar(pod.metadata.object_name()),
        None => Who::NoPod,
    }
}

impl fmt::Display for RefusedCaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = &self.address;
        match &self.who {
            Who::InMesh(pod) => write!(f, "{pod} ({address}) has a sidecar"),
            Who::WithoutSidecar(pod) => write!(f, "{pod} ({address}) has no sidecar: it is outside of the mesh"),
            Who::NoPod => {
                write!(f, "{address} is no pod's: it is outside of the mesh, or a node's (a health checker?)")
            }
            Who::NotSeen(why) => write!(f, "{address} ({why})"),
        }
    }
}
