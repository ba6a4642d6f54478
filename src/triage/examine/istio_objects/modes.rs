//! Step 3.1: the mode in effect of each port of the target's pods, with the policy that decided.

use std::collections::{BTreeMap, BTreeSet};

use super::calls::name_of;
use crate::triage::{
    Check, CheckId, CheckResult, IstioEvidence, ObjectKind, PodEvidence, Redacted, Subject,
    istio::{Computed, Mode},
};

/// Where the rows of step 3 look.
pub(super) const SOURCE: &str = "PeerAuthentications, DestinationRules and the objects around them";

/// The row of one pod.
pub(super) fn mode_check(pod: &PodEvidence, istio: &IstioEvidence, computed: &Computed<'_>) -> Check {
    let (result, summary, remedy) = judged(pod, istio, computed);
    Check {
        id: CheckId::ModeInEffect,
        subject: Subject::Pod(pod.pod.clone()),
        result,
        summary: Redacted::new(&summary).to_string(),
        source: SOURCE.to_owned(),
        observed_at: istio.at,
        remedy: remedy.map(str::to_owned),
    }
}

type Row = (CheckResult, String, Option<&'static str>);

fn judged(pod: &PodEvidence, istio: &IstioEvidence, computed: &Computed<'_>) -> Row {
    let unseen = |why: String| (CheckResult::Inconclusive, why, None);
    if let Some(gap) = istio.not_listed(ObjectKind::PeerAuthentication, None) {
        return unseen(format!("{gap} were not read: {}", gap.reason.sentence()));
    }
    if pod.ambient {
        return unseen("it is in ambient mode: ztunnel does its mTLS, and DISABLE is not supported there".to_owned());
    }
    if !pod.sidecar {
        return unseen("it has no sidecar, so no PeerAuthentication takes effect on it".to_owned());
    }
    let Some(object) = istio.objects.pods.get(&name_of(&pod.pod)) else {
        let gap = istio.not_listed(ObjectKind::Pod, Some(pod.pod.namespace.as_str()));
        return unseen(gap.map_or_else(
            || "the pod was gone when the objects were read".to_owned(),
            |gap| format!("{gap} were not read: {}", gap.reason.sentence()),
        ));
    };
    let ports: BTreeSet<u16> = computed.ports_of(object);
    let mut by_mode: BTreeMap<String, (Mode, Vec<u16>)> = BTreeMap::new();
    for port in ports {
        let mode = computed.server_mode(object, port);
        by_mode.entry(mode.to_string()).or_insert((mode.mode, Vec::new())).1.push(port);
    }
    if by_mode.is_empty() {
        return unseen("no port of it is known: it declares none, and no Service leads to it".to_owned());
    }
    let said = by_mode.iter().map(|(mode, (_, ports))| {
        let list: Vec<String> = ports.iter().map(ToString::to_string).collect();
        format!("port {}: {mode}", list.join(", "))
    });
    let disabled = by_mode.values().any(|(mode, _)| *mode == Mode::Disable);
    let remedy = disabled.then_some("see whether DISABLE is meant: these ports take no mTLS at all");
    (CheckResult::Pass, said.collect::<Vec<_>>().join("; "), remedy)
}
