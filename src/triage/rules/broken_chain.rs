//! A chain does not lead to the bundle, or one side does not trust the other's authority.
//!
//! Names: trust bundle mismatch. Rests on 1.2 (chain) and 3.3 (proxy's log).

use super::{Conclusion, bundle_lacks_root::distrust};
use crate::{
    mesh::PodRef,
    triage::{
        Confidence, FixName, Scenario, SharedFact, StatedReason,
        bundle_matrix::BundleMatrix,
        diagnosis_input::DiagnosisInput,
        envoy::TlsReason,
        examine::{
            Chain, Examined,
            bundles::hops::{lacks_in_words, unread_in_words},
        },
    },
};

pub(super) fn judge(input: &DiagnosisInput<'_>, explained: &[PodRef]) -> Option<Conclusion> {
    let why = |pod: &PodRef, found: &Examined| match &found.chain {
        Chain::Broken(why) => Some(format!("the chain of {pod} {why}")),
        Chain::Foreign(why) if found.lacks_federation() => Some(format!("{pod}: {why}")),
        _ => None,
    };
    let broken: Vec<_> = input
        .pods
        .iter()
        .filter(|(pod, _)| !explained.contains(&pod.pod))
        .filter_map(|(pod, found)| Some((&pod.pod, found, why(&pod.pod, found)?)))
        .collect();
    let logged = input.hints(Scenario::TrustBundleMismatch);
    if broken.is_empty() && logged.is_empty() {
        return None;
    }
    let mut reasons: Vec<String> = broken.iter().map(|(_, _, why)| why.clone()).collect();
    let times = |reason| logged.get(&reason).copied().unwrap_or(0);
    let distrust = distrust(input);
    reasons.extend(distrust.clone());
    let no_bundle = times(TlsReason::NoBundleForDomain);
    if no_bundle > 0 {
        let (words, maybe) = (TlsReason::NoBundleForDomain.words(), "a federation that is missing, or a wrong peer");
        reasons.push(format!("{words}, in {no_bundle} line(s) of the proxy's log: {maybe}"));
    }
    let authority = times(TlsReason::AuthorityExpired);
    if authority > 0 {
        let words = TlsReason::AuthorityExpired.words();
        let next = "compare the roots here and the chain that the peer sends with what is in date";
        reasons.push(format!("{words}, in {authority} line(s) of the proxy's log: {next}"));
    }
    let mut conclusion = Conclusion::new(Scenario::TrustBundleMismatch, reasons);
    if broken.is_empty() || !broken.iter().all(|(_, found, _)| found.lacks_federation()) {
        conclusion.reasons.extend(compared(input));
    }
    conclusion.pods = broken.iter().map(|(pod, _, _)| (*pod).clone()).collect();
    conclusion.confidence = Confidence::Medium;
    let only_a_domain =
        broken.iter().all(|(_, found, _)| found.lacks_federation()) && distrust.is_none() && authority == 0;
    let sync: &[FixName] = if only_a_domain { &[FixName::SyncTrustBundle] } else { &[] };
    Some(
        conclusion
            .advise_against(sync, "a sync brings the roots of our own trust domain, and that of a peer is missing"),
    )
}

/// What the comparison of the bundles adds, where it names no hop that lags.
fn compared(input: &DiagnosisInput<'_>) -> Vec<StatedReason> {
    let on_the_way = input
        .bundles
        .iter()
        .flat_map(|matrix| lacks_in_words(matrix, matrix.lacks.iter().filter(|lack| lack.may_come_until.is_some())));
    let mut reasons: Vec<StatedReason> = on_the_way.map(Into::into).collect();
    let unread: Vec<String> = input.bundles.iter().filter_map(unread_in_words).collect();
    if !input.bundles.iter().any(BundleMatrix::was_compared) || !unread.is_empty() {
        let unread = if unread.is_empty() { "too few of them were there".to_owned() } else { unread.join(", ") };
        let text = format!("which hop lacks which root could not be seen at every hop (1.7): {unread}");
        reasons.push(SharedFact::BundlesNotCompared.stated(text));
    } else if reasons.is_empty() {
        let text =
            "no hop of a bundle lacks a root that the SPIRE server has (1.7): look at the peer's roots and chain";
        reasons.push(text.into());
    }
    reasons
}
