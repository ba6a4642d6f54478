//! A proxy that has an SVID is told again and again that SPIRE has no registration entry for it: a new pod would have none either.
//!
//! Names: registration. Rests on 1.1 (dates), 3.3 (proxy's log) and 2.2 (an agent that is not at fault).

use super::{Conclusion, stale::stale_sentence, wrong_identity::about_identity};
use crate::{
    mesh::PodRef,
    triage::{
        CallAtOnce, Confidence, FixName, PodEvidence, Scenario, SharedFact,
        diagnosis_input::{DiagnosisInput, SeenPod},
        envoy::TlsReason,
        examine::{Examined, Holding, spire_agent::AgentState},
    },
};

/// Where somebody looks for a registration entry.
pub(super) const LOOK_FOR_ENTRY: &str =
    "look for its registration entry: `spire-server entry show -spiffeID …`, its selectors and parent";

pub(super) fn judge(input: &DiagnosisInput<'_>, explained: &[PodRef]) -> Option<Conclusion> {
    let times = input.several(TlsReason::NotRegistered)?;
    let told = |found: &Examined| found.holding != Holding::NoSecret && found.recently(TlsReason::NotRegistered) > 0;
    let faulty = |pod: &PodEvidence| input.agent_of(pod.node.as_ref()).is_some_and(AgentState::is_faulty);
    let told: Vec<&SeenPod<'_>> =
        input.pods.iter().filter(|(pod, found)| told(found) && !faulty(pod) && !explained.contains(&pod.pod)).collect();
    if told.is_empty() {
        return None;
    }
    let mut reasons = vec![about_identity(TlsReason::NotRegistered, times)];
    let over = told.iter().filter(|(_, found)| found.holding.is_over());
    reasons.extend(over.map(|seen| stale_sentence(seen, input.now())));
    let mut conclusion = Conclusion::new(Scenario::Registration, reasons);
    conclusion.reasons.push(SharedFact::LookForEntry.stated(LOOK_FOR_ENTRY));
    conclusion.confidence = Confidence::Medium;
    conclusion.pods = told.iter().map(|(pod, _)| pod.pod.clone()).collect();
    conclusion.consequences = input.consequences(false);
    conclusion.call_at_once = Some(CallAtOnce::L2);
    Some(conclusion.advise_against(
        &[FixName::RestartPod, FixName::RestartSpireAgent],
        "SPIRE has no registration entry for this workload: a restart would get no SVID either",
    ))
}
