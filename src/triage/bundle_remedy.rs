//! What a person does where a bundle lags, as a line to paste: this version carries out neither fix of runbook scenario 3.

use super::{Evidence, PodEvidence, bundle_hops::Hop};
use crate::mesh::{ControllerRef, Namespace, PodRef, TrustDomain};

/// What brings the root to a hop.
pub(super) fn remedy(hop: &Hop, evidence: &Evidence) -> String {
    match hop {
        Hop::PodFile(pod) | Hop::Proxy(pod) => restart(evidence, pod),
        Hop::SpireBundle => {
            let namespace = spire_namespace(evidence).map_or_else(String::new, |namespace| format!(" -n {namespace}"));
            format!(
                "bring the ConfigMap up to date: `kubectl annotate configmap spire-bundle{namespace} \
                 force-sync=$(date +%s) --overwrite`, and look again: where nobody watches that annotation nothing \
                 changes, and SPIRE writes the map when its server starts again"
            )
        }
        Hop::SpireServer(_) => {
            "see why the pods of the SPIRE server differ: each reads the bundle from the database that all of them share"
                .to_owned()
        }
        Hop::IstioRoot => "see why istiod has not written its root to the namespaces: its log says so".to_owned(),
    }
}

/// A new pod begins with the bundle of today.
pub(super) fn restart(evidence: &Evidence, pod: &PodRef) -> String {
    let found = evidence.pods.iter().find(|found| found.pod == *pod);
    match found.and_then(restart_line) {
        Some(line) => format!("restart what holds the old bundle: `{line}`"),
        None => format!("have {pod} made anew by who made it: it has no controller that would"),
    }
}

/// What refreshes the bundle of another mesh.
pub(super) fn refresh_federation(domain: &TrustDomain) -> String {
    format!(
        "see whether SPIRE federates with it and fetches its bundle: `spire-server federation list`, and `spire-server \
         federation refresh -id {domain}`; the registration entries name it in federatesWith"
    )
}

fn restart_line(pod: &PodEvidence) -> Option<String> {
    let (kind, name) = workload(pod.controller.as_ref()?)?;
    Some(format!("kubectl rollout restart {kind}/{name} -n {}", pod.pod.namespace))
}

/// The workload behind a controller: a ReplicaSet is named after its Deployment and the hash of its template.
fn workload(controller: &ControllerRef) -> Option<(&'static str, &str)> {
    match controller.kind() {
        "ReplicaSet" => controller.name().rsplit_once('-').map(|(name, _)| ("deployment", name)),
        "StatefulSet" => Some(("statefulset", controller.name())),
        "DaemonSet" => Some(("daemonset", controller.name())),
        _ => None,
    }
}

fn spire_namespace(evidence: &Evidence) -> Option<&Namespace> {
    let server = evidence.servers.first().map(|server| &server.pod.namespace);
    server.or_else(|| evidence.expectations.protected.first())
}
