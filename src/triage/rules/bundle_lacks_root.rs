//! A hop of a trust bundle lacks a root that the SVIDs of others need, or an SVID has outlived the root that signed it.
//!
//! Names: trust bundle mismatch, with the hops that lag. Rests on 1.7 (bundles), 1.2 (chain) and 3.3 (proxy's log).

use std::collections::BTreeSet;

use super::Conclusion;
use crate::{
    mesh::PodRef,
    triage::{
        Confidence, FixName, Scenario,
        bundle_hops::{Hop, IssuedBy},
        bundle_matrix::{BundleMatrix, Lack},
        diagnosis_input::DiagnosisInput,
        envoy::TlsReason,
        examine::bundles::hops::{lacks_in_words, outlived_in_words},
    },
};

/// Where a pod cannot verify SVIDs of today by the bundle that it goes by, or is refused; or any hop lags and the proxies'
/// logs speak of unknown authorities.
pub(super) fn judge(input: &DiagnosisInput<'_>, explained: &[PodRef]) -> Option<Conclusion> {
    let distrusted = distrust(input).is_some();
    let counts = |lack: &Lack| distrusted || (!lack.signs_for.is_empty() && goes_by(input, &lack.hop));
    let names = |matrix: &BundleMatrix| {
        let lacks = matrix.stale().filter(|lack| is_left(&lack.hop, explained)).any(counts);
        lacks || matrix.outlived.iter().any(|(pod, _)| !explained.contains(pod))
    };
    if !input.bundles.iter().any(names) {
        return None;
    }
    let needed = |matrix: &BundleMatrix| {
        let lacks = matrix.stale().filter(|lack| is_left(&lack.hop, explained));
        lacks.into_iter().any(|lack| !lack.signs_for.is_empty()) || !matrix.outlived.is_empty()
    };
    let mut conclusion = conclude(input, explained);
    if input.bundles.iter().any(needed) && (distrusted || input.handshakes_fail()) {
        conclusion.confidence = Confidence::High;
    }
    conclusion.reasons.extend(distrust(input).map(Into::into));
    Some(conclusion)
}

/// Any hop that lags, where handshakes fail and nothing else explains it. Where none is seen to fail, it is one of the open
/// questions.
pub(super) fn behind_failing_handshakes(input: &DiagnosisInput<'_>) -> Option<Conclusion> {
    let lags = input.bundles.iter().any(|matrix| matrix.stale().next().is_some());
    (lags && input.handshakes_fail()).then(|| {
        let mut conclusion = conclude(input, &[]);
        conclusion.reasons.push("handshakes fail, and nothing else that was seen explains it".into());
        conclusion
    })
}

fn is_left(hop: &Hop, explained: &[PodRef]) -> bool {
    hop.pod().is_none_or(|pod| !explained.contains(pod))
}

/// Whether a pod verifies its peers by this hop: its proxy does, or without one its application.
fn goes_by(input: &DiagnosisInput<'_>, hop: &Hop) -> bool {
    match hop {
        Hop::Proxy(_) => true,
        Hop::PodFile(pod) => input.evidence.pods.iter().any(|found| found.pod == *pod && !found.sidecar),
        Hop::SpireBundle | Hop::SpireServer(_) | Hop::IstioRoot => false,
    }
}

/// What the proxies log of authorities that one side does not know.
pub(super) fn distrust(input: &DiagnosisInput<'_>) -> Option<String> {
    let logged = input.hints(Scenario::TrustBundleMismatch);
    let times = |reason| logged.get(&reason).copied().unwrap_or(0);
    let distrust = times(TlsReason::PeerUnknownAuthority).saturating_add(times(TlsReason::OwnUnknownAuthority));
    (distrust > 0)
        .then(|| format!("one side does not trust the other's authority, in {distrust} line(s) of the proxy's log"))
}

fn conclude(input: &DiagnosisInput<'_>, explained: &[PodRef]) -> Conclusion {
    let (mut reasons, mut pods, mut fixes) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for matrix in &input.bundles {
        let lacks: Vec<&Lack> = matrix.stale().filter(|lack| is_left(&lack.hop, explained)).collect();
        reasons.extend(lacks_in_words(matrix, lacks.iter().copied()));
        for lack in lacks {
            pods.extend(lack.hop.pod().cloned());
            fixes.extend(fix_of(matrix, &lack.hop));
        }
        for (pod, root) in matrix.outlived.iter().filter(|(pod, _)| !explained.contains(pod)) {
            reasons.push(format!("{pod}: {}", outlived_in_words(matrix, *root)));
            pods.insert(pod.clone());
            fixes.insert(FixName::RolloutRestart);
        }
    }
    let mut conclusion = Conclusion::new(Scenario::TrustBundleMismatch, reasons);
    conclusion.confidence = Confidence::Medium;
    conclusion.pods = pods.into_iter().collect();
    conclusion.fixes = fixes.into_iter().collect();
    let peers = "the peers hold what is issued today: nothing of theirs is old";
    let conclusion = conclusion.advise_against(&[FixName::RestartPodOfPeer], peers);
    if conclusion.fixes.contains(&FixName::SyncTrustBundle) {
        return conclusion;
    }
    let map = input.bundles.iter().find(|matrix| matrix.authority == IssuedBy::Spire);
    let in_order = map.is_some_and(|matrix| {
        matrix.held.contains_key(&Hop::SpireBundle) && !matrix.lacks.iter().any(|lack| lack.hop == Hop::SpireBundle)
    });
    let why = if in_order {
        "the ConfigMap holds what it should: a sync changes nothing"
    } else {
        "the ConfigMap is not what lags here"
    };
    conclusion.advise_against(&[FixName::SyncTrustBundle], why)
}

/// The fix of the runbook that brings a root to a hop. That of another mesh comes by federation.
fn fix_of(matrix: &BundleMatrix, hop: &Hop) -> Option<FixName> {
    match (matrix.authority, hop) {
        (IssuedBy::Federation, _) | (_, Hop::SpireServer(_) | Hop::IstioRoot) => None,
        (_, Hop::SpireBundle) => Some(FixName::SyncTrustBundle),
        (_, Hop::PodFile(_) | Hop::Proxy(_)) => Some(FixName::RolloutRestart),
    }
}
