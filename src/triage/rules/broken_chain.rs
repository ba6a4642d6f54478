//! A chain does not lead to the bundle, or one side does not trust the other's authority.
//!
//! Names: trust bundle mismatch. Rests on 1.2 (chain) and 3.3 (proxy's log).

use super::Conclusion;
use crate::{
    mesh::PodRef,
    triage::{
        Confidence, FixName, Scenario, SharedFact, diagnosis_input::DiagnosisInput, envoy::TlsReason, examine::Chain,
    },
};

pub(super) fn judge(input: &DiagnosisInput<'_>, explained: &[PodRef]) -> Option<Conclusion> {
    let why = |chain: &Chain| match chain {
        Chain::Broken(why) => Some(why.clone()),
        _ => None,
    };
    let broken: Vec<_> = input
        .pods
        .iter()
        .filter(|(pod, _)| !explained.contains(&pod.pod))
        .filter_map(|(pod, found)| Some((pod, why(&found.chain)?)))
        .collect();
    let logged = input.hints(Scenario::TrustBundleMismatch);
    if broken.is_empty() && logged.is_empty() {
        return None;
    }
    let mut reasons: Vec<String> = broken.iter().map(|(pod, why)| format!("the chain of {} {why}", pod.pod)).collect();
    let times = |reason| logged.get(&reason).copied().unwrap_or(0);
    let distrust = times(TlsReason::PeerUnknownAuthority).saturating_add(times(TlsReason::OwnUnknownAuthority));
    if distrust > 0 {
        reasons
            .push(format!("one side does not trust the other's authority, in {distrust} line(s) of the proxy's log"));
    }
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
    let not_compared = "which hop lacks which root is not compared by this version, so no fix is offered";
    conclusion.reasons.push(SharedFact::BundlesNotCompared.stated(not_compared));
    conclusion.pods = broken.iter().map(|(pod, _)| pod.pod.clone()).collect();
    conclusion.confidence = Confidence::Medium;
    let only_a_domain = broken.is_empty() && distrust == 0 && authority == 0;
    let sync: &[FixName] = if only_a_domain { &[FixName::SyncTrustBundle] } else { &[] };
    Some(
        conclusion
            .advise_against(sync, "a sync brings the roots of our own trust domain, and that of a peer is missing"),
    )
}
