//! The modes of client and server do not go together: computed from the objects, and held against what was seen.
//!
//! Names: Istio configuration, with the one object that causes it. Rests on 3.1 (modes), 3.2 (rules), 3.3 (proxies' logs) and 4.2
//! (calls that were answered).

use super::Conclusion;
use crate::{
    legible::named,
    mesh::PodRef,
    triage::{
        Confidence, FixName, Redacted, Scenario, Side,
        diagnosis_input::DiagnosisInput,
        examine::istio_objects::{Calls, ExaminedCall, Seen},
        istio::WhyNot,
    },
};

/// How many calls beside the first are named.
const BESIDE_MOST: usize = 4;

/// Calls for which a rule has the client demand the wrong thing: another identity, or a certificate that is not the mesh's. The
/// client's proxy then words it as a fault of the peer's certificate, which it is not.
pub(super) fn wrong_demand(input: &DiagnosisInput<'_>) -> Option<Conclusion> {
    let is_wrong = |call: &&ExaminedCall| {
        matches!(call.why, Some(WhyNot::WrongIdentity { .. } | WhyNot::OwnTlsIntoStrict | WhyNot::OwnTlsIntoHttp))
    };
    conclude(input, |call| is_wrong(&call) && is_seen(call), Confidence::High)
}

/// Calls that cannot work by the objects, and were seen to fail just so.
pub(super) fn judge(input: &DiagnosisInput<'_>) -> Option<Conclusion> {
    conclude(input, is_seen, Confidence::High)
}

/// Calls that cannot work by the objects, of which nothing was seen: the one cause that is left.
pub(super) fn computed_alone(input: &DiagnosisInput<'_>) -> Option<Conclusion> {
    conclude(input, |call| call.seen == Seen::Unclear, Confidence::Medium)
}

fn is_seen(call: &ExaminedCall) -> bool {
    matches!(call.seen, Seen::Fails { .. })
}

fn conclude(
    input: &DiagnosisInput<'_>,
    pick: impl Fn(&ExaminedCall) -> bool,
    at_best: Confidence,
) -> Option<Conclusion> {
    let calls: Vec<&ExaminedCall> = input.istio.as_ref()?.failing().filter(|call| pick(call)).collect();
    let first = calls.first()?;
    let cause = first.cause.as_ref()?;
    let mut reasons = vec![
        format!("{cause} keeps these calls from working: {}", first.in_words()),
        format!("it works once {}", cause.once),
    ];
    if let Some(command) = &cause.command {
        reasons.push(format!("to paste, after a look at who else it changes (mtls-medic whatif): {command}"));
    }
    let others = calls.iter().skip(1).filter(|call| call.cause.is_some());
    let (same, other): (Vec<&&ExaminedCall>, Vec<_>) = others.partition(|call| call.cause.as_ref() == Some(cause));
    if !same.is_empty() {
        let names: Vec<String> = same.iter().map(|call| call.name()).collect();
        reasons.push(format!("it keeps others from working as well: {}", named(&names, BESIDE_MOST)));
    }
    reasons.extend(other.iter().take(BESIDE_MOST).map(|call| format!("another one beside it: {}", call.in_words())));
    let of_rule = cause.kind == "DestinationRule";
    let mut conclusion = Conclusion::new(
        Scenario::IstioConfiguration,
        reasons.iter().map(|text| Redacted::new(text).to_string()).collect(),
    );
    conclusion.side = match (first.calls, of_rule) {
        (Calls::TheTarget, false) => Side::Server,
        (Calls::AsClient, true) => Side::Client,
        (Calls::TheTarget, true) | (Calls::AsClient, false) => Side::Peer,
    };
    conclusion.pods = own_pods(input, &calls);
    conclusion.confidence = if first.cautions.is_empty() { at_best } else { lower(at_best) };
    Some(conclusion.advise_against(
        &[FixName::RestartPod, FixName::RestartSpireAgent, FixName::SyncTrustBundle],
        "the modes of the two sides disagree: no certificate is at fault",
    ))
}

/// The pods of the target that take part.
fn own_pods(input: &DiagnosisInput<'_>, calls: &[&ExaminedCall]) -> Vec<PodRef> {
    let takes_part = |pod: &PodRef| {
        calls.iter().any(|call| match call.calls {
            Calls::TheTarget => call.servers.contains(pod),
            Calls::AsClient => call.clients.contains(pod),
        })
    };
    input.pods.iter().map(|(pod, _)| pod.pod.clone()).filter(takes_part).collect()
}

fn lower(confidence: Confidence) -> Confidence {
    match confidence {
        Confidence::High => Confidence::Medium,
        Confidence::Medium | Confidence::Low => Confidence::Low,
    }
}
