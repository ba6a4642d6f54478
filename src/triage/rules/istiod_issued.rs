//! A certificate of istiod's is over, or one of which nobody knows whether it is istiod's. Nothing in SPIRE cures it.
//!
//! Names: istiod's CA, or inconclusive where the issuer is not known. Rests on 1.1 (dates), 1.4 (issuer) and 3.3 (proxy's log).

use super::{
    Conclusion,
    stale::{names, stale_sentence},
    told_by_proxies::told_by_lines,
};
use crate::{
    mesh::PodRef,
    triage::{
        Confidence, FixName, Scenario, SharedFact, StatedReason,
        diagnosis_input::{DiagnosisInput, SeenPod},
        ends::end_of,
        examine::Issuer,
        words::Words,
    },
};

/// Certificates that istiod issued, where no certificate of SPIRE is over.
pub(super) fn alone(input: &DiagnosisInput<'_>) -> Option<Conclusion> {
    let spires = |(_, found): &SeenPod<'_>| found.holding.is_over() && found.issuer.may_be_spire();
    if input.pods.iter().any(spires) { None } else { judge(input, &[]) }
}

/// Certificates that istiod issued, or may have: SPIRE is context, and restarts are refused.
pub(super) fn judge(input: &DiagnosisInput<'_>, explained: &[PodRef]) -> Option<Conclusion> {
    let over = |(pod, found): &&SeenPod<'_>| {
        found.holding.is_over() && !found.issuer.may_be_spire() && !explained.contains(&pod.pod)
    };
    let istiod: Vec<_> = input.pods.iter().filter(over).collect();
    if istiod.is_empty() {
        return None;
    }
    let known = istiod.iter().all(|(_, found)| found.issuer == Issuer::Istiod);
    let who = if known {
        "the certificate is over, and istiod issued it, not SPIRE".to_owned()
    } else {
        let unread: Vec<String> = input.unread_config_maps().map(|map| format!("{}: {}", map.what, map.why)).collect();
        format!("the certificate is over, and whether istiod or SPIRE issued it is not known ({})", unread.join("; "))
    };
    let mut reasons: Vec<StatedReason> = vec![who.into()];
    let told = istiod.iter().filter_map(|(pod, _)| {
        let of_istiod = |(_, _, scenario): &(&str, &Words, Scenario)| *scenario == Scenario::IstiodCa;
        let (line, words, _) = told_by_lines(pod).filter(of_istiod).last()?;
        Some(format!("the proxy of {}: {}: «{}»", pod.pod, words.meaning, end_of(line)))
    });
    reasons.extend(told.map(Into::into));
    reasons.push(SharedFact::IstiodNotChecked.stated("istiod and port 15012 were not checked by this version"));
    reasons.extend(istiod.iter().map(|seen| stale_sentence(seen, input.now()).into()));
    let mut conclusion = Conclusion::new(if known { Scenario::IstiodCa } else { Scenario::Inconclusive }, reasons);
    conclusion.confidence = Confidence::Medium;
    conclusion.pods = names(&istiod);
    conclusion.consequences = input.consequences(false);
    Some(conclusion.advise_against(
        &[FixName::RestartSpireAgent, FixName::SyncTrustBundle, FixName::RestartPod],
        if known {
            "istiod issued this certificate: nothing in SPIRE can cure it, and istiod was not checked"
        } else {
            "who issued this certificate is not known: where it is istiod, nothing in SPIRE can cure it"
        },
    ))
}
