//! Step 3: the modes of both sides, computed from the objects, against what was seen.

mod callers;
mod calls;
mod modes;
mod questions;
mod seen;

use std::collections::BTreeSet;

pub(in crate::triage) use callers::{RefusedCaller, Who};
pub(in crate::triage) use calls::{Calls, CallsInQuestion, ExaminedCall};
pub(crate) use questions::to_read;
pub(in crate::triage) use seen::Seen;

use crate::{
    legible::named,
    mesh::PodRef,
    triage::{
        Check, CheckId, CheckResult, Evidence, IstioEvidence, PodEvidence, Redacted, Subject,
        istio::{Computed, Conclusion, ObjectName},
    },
};
use calls::{Asking, name_of};

/// What the objects say of the target and its peers.
#[derive(Debug, Default)]
pub(in crate::triage) struct ExaminedIstio {
    pub(in crate::triage) modes: Vec<Check>,
    pub(in crate::triage) in_question: CallsInQuestion,
    /// Who called without mTLS.
    pub(in crate::triage) refused: Vec<RefusedCaller>,
}

/// Examines them; `None` where they were not gathered.
pub(in crate::triage) fn examine(evidence: &Evidence) -> Option<ExaminedIstio> {
    let istio = evidence.istio.as_ref()?;
    let computed = Computed::new(&istio.objects);
    let modes = evidence.pods.iter().map(|pod| modes::mode_check(pod, istio, &computed)).collect();
    let refused = RefusedCaller::all(&evidence.pods, istio);
    let in_question = Asking { evidence, istio, computed: &computed, refused: &refused }.all();
    Some(ExaminedIstio { modes, in_question, refused })
}

/// How many calls that are in order are named.
const NAMED_MOST: usize = 3;
/// How many proxies of clients are asked.
const CLIENTS_MOST: usize = 3;

/// The pods whose proxies have to be asked, since their calls of the target cannot work by the objects: one of each kind.
pub(crate) fn clients_to_ask(evidence: &Evidence) -> Vec<PodRef> {
    let found = examine(evidence).unwrap_or_default();
    let fails = found.in_question.calls.iter().filter(|call| {
        call.calls == Calls::TheTarget && call.comes_to == Conclusion::Fails && !matches!(call.seen, Seen::Fails { .. })
    });
    let looked_at: BTreeSet<&PodRef> = evidence.pods.iter().map(|pod| &pod.pod).collect();
    let one_of_each = fails.filter_map(|call| call.clients.iter().find(|pod| !looked_at.contains(pod)));
    let once: BTreeSet<PodRef> = one_of_each.cloned().collect();
    once.into_iter().take(CLIENTS_MOST).collect()
}

/// Leaves in the evidence only what has a say on the calls in question.
pub(crate) fn reduce_to_calls_in_question(evidence: &mut Evidence) {
    /// How many clients that no rule tells apart are kept by name.
    const ALIKE_MOST: usize = 3;
    let Some(istio) = &evidence.istio else { return };
    let computed = Computed::new(&istio.objects);
    let mut services = questions::services_of(&evidence.target, &evidence.pods, &computed);
    services.extend(called_services(&evidence.pods));
    let mut pods: BTreeSet<ObjectName> = evidence.pods.iter().map(|pod| name_of(&pod.pod)).collect();
    pods.extend(istio.clients.iter().map(|client| name_of(&client.pod)));
    pods.extend(istio.callers.iter().flat_map(|caller| caller.pods.value().into_iter().flatten()).cloned());
    for group in computed.client_groups() {
        pods.extend(group.pods.iter().take(ALIKE_MOST).map(|pod| pod.metadata.object_name()));
    }
    drop(computed);
    if let Some(istio) = &mut evidence.istio {
        istio.objects.reduce_to(&services, &pods);
    }
}

fn called_services(pods: &[PodEvidence]) -> BTreeSet<ObjectName> {
    use crate::triage::outbound_cluster::OutboundCluster;

    let failing: BTreeSet<String> = pods.iter().flat_map(questions::failing_clusters).collect();
    failing.iter().filter_map(|name| Some(OutboundCluster::parse(name)?.service)).collect()
}

impl ExaminedIstio {
    /// The rows of step 3: the modes, each call that cannot work or was seen otherwise than computed, the others together.
    pub(in crate::triage) fn checks(&self, istio: &IstioEvidence) -> Vec<Check> {
        let row = |subject: Subject, result, summary: &str, remedy: Option<String>| Check {
            id: CheckId::DestinationRule,
            subject,
            result,
            summary: Redacted::new(summary).to_string(),
            source: modes::SOURCE.to_owned(),
            observed_at: istio.at,
            remedy,
        };
        let mut rows = self.modes.clone();
        let (fine, told): (Vec<_>, Vec<_>) = self.in_question.calls.iter().partition(|call| call.is_fine());
        for call in told {
            let Some(client) = call.clients.first() else { continue };
            let result = if call.is_named() { CheckResult::Fail } else { CheckResult::Inconclusive };
            let remedy = call.cause.as_ref().and_then(|cause| cause.command.clone()).filter(|_| call.is_named());
            rows.push(row(Subject::Pod(client.clone()), result, &call.in_words(), remedy));
        }
        if let Some(client) = fine.iter().find_map(|call| call.clients.first()) {
            let names: Vec<String> = fine.iter().map(|call| call.name()).collect();
            let said = format!("the modes of both sides go together: {}", named(&names, NAMED_MOST));
            rows.push(row(Subject::Pod(client.clone()), CheckResult::Pass, &said, None));
        }
        let subject = self.modes.first().map(|row| row.subject.clone());
        for (gap, subject) in self.in_question.not_judged.iter().zip(subject.into_iter().cycle()) {
            let said = format!("{} could not be judged: {}", gap.to, gap.why);
            rows.push(row(subject, CheckResult::Inconclusive, &said, None));
        }
        rows
    }

    /// The calls that cannot work, and that nobody saw working.
    pub(in crate::triage) fn failing(&self) -> impl Iterator<Item = &ExaminedCall> {
        self.in_question.calls.iter().filter(|call| call.is_named())
    }

    /// Whether all that is in question was judged, and can work.
    pub(in crate::triage) fn all_agree(&self) -> bool {
        let agrees = |call: &ExaminedCall| call.is_fine() && call.cautions.is_empty();
        self.in_question.not_judged.is_empty()
            && !self.in_question.calls.is_empty()
            && self.in_question.calls.iter().all(agrees)
    }
}

impl ExaminedCall {
    /// As `web/gateway-1 and 2 more to frontend.web:8443`.
    pub(in crate::triage) fn name(&self) -> String {
        let first = self.clients.first().map_or_else(String::new, ToString::to_string);
        match self.clients.len().saturating_sub(1) {
            0 => format!("{first} to {}", self.to),
            more => format!("{first} and {more} more to {}", self.to),
        }
    }

    /// Whether it cannot work by the objects, and nobody saw that it does.
    pub(in crate::triage) fn is_named(&self) -> bool {
        self.comes_to == Conclusion::Fails && self.cause.is_some() && !matches!(self.seen, Seen::Works { .. })
    }

    /// Whether it can work by the objects, and nothing shows otherwise.
    fn is_fine(&self) -> bool {
        let works = matches!(self.comes_to, Conclusion::Mtls | Conclusion::WithoutMtls);
        works && !matches!(self.seen, Seen::Fails { .. } | Seen::FailsOtherwise { .. })
    }

    /// Both sides, and what was seen of it.
    pub(in crate::triage) fn in_words(&self) -> String {
        let seen = match (&self.seen, self.comes_to) {
            (Seen::Fails { how }, Conclusion::Fails) => format!("; seen: {how}"),
            (Seen::Fails { how } | Seen::FailsOtherwise { how }, _) => {
                format!("; but that is not what was seen: {how}")
            }
            (Seen::Works { calls }, Conclusion::Fails) => format!(
                "; but {calls} calls of it were answered and none failed: the proxy may have older rules than the cluster \
                 (istioctl proxy-status tells)"
            ),
            (Seen::Works { .. } | Seen::Unclear, _) => String::new(),
        };
        let cautions = if self.cautions.is_empty() {
            String::new()
        } else {
            format!("; not computed with: {}", self.cautions.join(", "))
        };
        format!("{}: {}{seen}{cautions}", self.name(), self.sentence)
    }

    /// Where the objects and what was seen disagree, in one sentence.
    pub(in crate::triage) fn disagreement(&self) -> Option<String> {
        match (&self.seen, self.comes_to) {
            (Seen::Works { .. }, Conclusion::Fails) => Some(self.in_words()),
            (Seen::Fails { .. }, Conclusion::Mtls | Conclusion::WithoutMtls) => Some(format!(
                "{}: the modes of both sides agree, and its calls fail all the same: another cause, or a proxy with older \
                 rules than the cluster (istioctl proxy-status tells)",
                self.name()
            )),
            _ => None,
        }
    }
}
