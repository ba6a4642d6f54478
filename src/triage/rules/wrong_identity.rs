//! The identity is not the one that the service account stands for, the certificate breaks a rule of X509-SVID, or is of a trust domain that nobody here trusts; or the proxies
//! say so of their peers.
//!
//! Names: identity mismatch. Rests on 1.3 (SPIFFE ID), 1.2 (chain) and 3.3 (proxy's log).

use super::Conclusion;
use crate::{
    mesh::PodRef,
    triage::{
        CallAtOnce, Confidence, FixName, Scenario, Side,
        diagnosis_input::DiagnosisInput,
        envoy::TlsReason,
        examine::{Chain, Examined},
    },
};

pub(super) fn judge(input: &DiagnosisInput<'_>, explained: &[PodRef]) -> Option<Conclusion> {
    let foreign = |found: &Examined| matches!(found.chain, Chain::Foreign(_)) && !found.lacks_federation();
    let own: Vec<_> = input
        .pods
        .iter()
        .filter(|(_, found)| {
            found.expected_instead.is_some() || foreign(found) || found.holding.broken_rule().is_some()
        })
        .filter(|(pod, _)| !explained.contains(&pod.pod))
        .collect();
    let logged = input.hints(Scenario::IdentityMismatch);
    if own.is_empty() && logged.is_empty() {
        return None;
    }
    let mut reasons = Vec::new();
    for (pod, found) in &own {
        if let Some(expected) = &found.expected_instead {
            let what = "that its service account stands for";
            reasons.push(format!("{} does not hold the identity {expected} {what}", pod.pod));
        }
        if let Some(rule) = found.holding.broken_rule() {
            let refused = "so peers that verify SPIFFE IDs refuse it";
            reasons.push(format!("the certificate of {} is no X.509-SVID, {refused}: {rule}", pod.pod));
        }
        if let Chain::Foreign(why) = &found.chain {
            reasons.push(format!("{}: {why}", pod.pod));
        }
    }
    reasons.extend(logged.iter().map(|(reason, times)| about_identity(*reason, *times)));
    let mut conclusion = Conclusion::new(Scenario::IdentityMismatch, reasons);
    conclusion.pods = own.iter().map(|(pod, _)| pod.pod.clone()).collect();
    let of_peers = [TlsReason::PeerIdentity, TlsReason::PeerNotAnSvid];
    let peers_only = own.is_empty() && logged.keys().all(|reason| of_peers.contains(reason));
    conclusion.side = if peers_only { Side::Peer } else { Side::Unknown };
    conclusion.call_at_once = Some(CallAtOnce::L2);
    if own.is_empty() {
        conclusion.confidence = Confidence::Medium;
    }
    let reason = "the certificate is in date; a new one would carry the same identity";
    let conclusion = conclusion.advise_against(&[FixName::RestartPod, FixName::RestartSpireAgent], reason);
    Some(conclusion.advise_against(&[FixName::SyncTrustBundle], "no bundle makes this identity the expected one"))
}

pub(super) fn about_identity(reason: TlsReason, times: u64) -> String {
    let what = match reason {
        TlsReason::PeerIdentity => "a peer's chain is fine, but its identity is not the expected one (SAN)",
        other => other.words(),
    };
    format!("{what}, in {times} line(s) of the log")
}
