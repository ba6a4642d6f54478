//! No rule named a cause. That is "no fault" only where everything that speaks was seen and is fine; else everything that was
//! wrong or not seen is said.
//!
//! Names: no fault found, or inconclusive. Rests on every check.

mod pods;
mod spire;

use std::collections::BTreeSet;

use super::{Conclusion, spire_server_unhealthy::why_no_server};
use crate::triage::{
    Check, CheckId, CheckResult, Confidence, Gathered, Missing, Redacted, Scenario, SharedFact, StatedReason,
    diagnosis_input::DiagnosisInput,
    envoy::{self, TlsReason},
    examine::{
        bundles::{hops::lacks_in_words, spire_bundle_check},
        istio_objects::{ExaminedCall, ExaminedIstio},
        spire_agent::not_understood as by_the_agent,
    },
    not_understood::Unclear,
    server_log::not_understood as by_the_server,
};

pub(super) fn judge(input: &DiagnosisInput<'_>) -> Conclusion {
    let open = open_questions(input);
    if open.is_empty() {
        let fine = "every certificate that was looked at is in date and leads to its bundle, and the agents renew";
        let mut conclusion = Conclusion::new(Scenario::NoFaultFound, vec![SharedFact::AllIsFine.stated(fine)]);
        conclusion.confidence = Confidence::Medium;
        return conclusion;
    }
    let mut conclusion = Conclusion::new(Scenario::Inconclusive, open);
    conclusion.confidence = Confidence::Low;
    conclusion
}

/// What keeps this from being "no fault".
fn open_questions(input: &DiagnosisInput<'_>) -> Vec<StatedReason> {
    let mut open = Vec::new();
    if input.pods.is_empty() {
        open.push("the target has no pod that could be looked at".into());
    }
    if input.times(TlsReason::CutAfterHandshake) > 0 {
        open.push("calls fail after the handshake, and nothing that was checked explains it".into());
    }
    if input.times(TlsReason::OwnRejected) > 0 {
        let next = "nothing that was checked here explains it: look at the proxies of those that it calls";
        open.push(format!("{}; {next}", TlsReason::OwnRejected.words()).into());
    }
    if input.times(TlsReason::OwnExpired) > 0 {
        let maybe = "the peer's clock is wrong, or it was renewed a moment ago";
        open.push(format!("{}, and the copy that was read is in date: {maybe}", TlsReason::OwnExpired.words()).into());
    }
    open.extend(not_understood(input));
    open.extend(input.too_few().into_iter().map(Into::into));
    open.extend(pods::open_questions(input).into_iter().map(Into::into));
    let lags = input.bundles.iter().flat_map(|bundle| lacks_in_words(bundle, bundle.open()));
    open.extend(lags.map(Into::into));
    open.extend(spire::open_questions(input));
    open.extend(incidents_in_waiting(input));
    open.extend(input.istio.iter().flat_map(modes).map(Into::into));
    let said = [CheckId::PodStart, CheckId::SvidDates, CheckId::Chain, CheckId::ServedIsOnDisk, CheckId::BundleEnd];
    let rows = input.pods.iter().flat_map(|(_, found)| &found.checks);
    for row in rows.filter(|row| row.result == CheckResult::Fail && !said.contains(&row.id)) {
        open.push(format!("{} of {} failed, and no cause explains it: {}", row.id, row.subject, row.summary).into());
    }
    let grants = if open.is_empty() { BTreeSet::new() } else { grants(input) };
    let said = |grant: String| {
        let words = format!("not allowed, and so not seen: grant {grant}");
        SharedFact::MissingGrant(grant).stated(words)
    };
    open.extend(grants.into_iter().map(said));
    open
}

/// What the modes of both sides leave open: calls that were seen otherwise than they are computed, and what kept the objects
/// from being read.
fn modes(istio: &ExaminedIstio) -> Vec<String> {
    let calls = istio.in_question.calls.iter().filter_map(ExaminedCall::disagreement);
    let unseen = istio.in_question.not_judged.iter().filter(|gap| gap.unseen);
    let unseen = unseen.map(|gap| format!("{} could not be judged by the modes of both sides: {}", gap.to, gap.why));
    calls.chain(unseen).map(|said| Redacted::new(&said).to_string()).collect()
}

/// Bundles whose last root ends, or has ended, without a successor: nothing fails yet by that alone.
fn incidents_in_waiting(input: &DiagnosisInput<'_>) -> Vec<StatedReason> {
    let rows = input.pods.iter().flat_map(|(_, found)| found.checks.clone()).chain(spire_bundle_check(input.evidence));
    let late = rows.filter(|row| row.id == CheckId::BundleEnd && row.result == CheckResult::Fail);
    let said = |row: Check| {
        let words = format!("an incident in waiting at {} ({}): {}", row.subject, row.source, row.summary);
        SharedFact::BundleEnds(row.subject).stated(words)
    };
    late.map(said).collect()
}

/// The rights that would have shown more.
fn grants(input: &DiagnosisInput<'_>) -> BTreeSet<String> {
    fn grant<T>(gathered: &Gathered<T>) -> Option<String> {
        match gathered {
            Gathered::Missing { reason: Missing::Forbidden { grant }, .. } => Some(grant.clone()),
            _ => None,
        }
    }
    let maps = [grant(&input.evidence.spire_bundle), grant(&input.evidence.istio_root)];
    let pods = input.evidence.pods.iter().flat_map(|pod| {
        let files = [grant(&pod.svid_file), grant(&pod.bundle_file)];
        let beside =
            [pod.ztunnel_log.as_ref().and_then(grant), pod.start.as_ref().and_then(|start| grant(&start.events))];
        files.into_iter().chain([grant(&pod.served), grant(&pod.stats), grant(&pod.proxy_log)]).chain(beside)
    });
    let agents = input.evidence.agents.iter().flat_map(|agent| [grant(&agent.healthcheck), grant(&agent.log)]);
    let servers = input.evidence.servers.iter().map(|server| grant(&server.healthcheck));
    let listing = match &input.evidence.servers_missing {
        Some(Missing::Forbidden { grant }) => Some(grant.clone()),
        _ => None,
    };
    let objects = input.evidence.istio.iter().flat_map(|istio| &istio.not_listed);
    let objects = objects.map(|gap| match &gap.reason {
        Missing::Forbidden { grant } => Some(grant.clone()),
        _ => None,
    });
    pods.chain(agents).chain(servers).chain([listing]).chain(maps).chain(objects).flatten().collect()
}

/// What the proxies, agents and servers wrote of failures that no rule knows.
fn not_understood(input: &DiagnosisInput<'_>) -> Vec<StatedReason> {
    let proxies = input.pods.iter().filter_map(|(pod, _)| {
        let lines = pod.proxy_log.value()?.lines.iter().map(Redacted::as_str);
        let unclear = Unclear::of(lines.filter(|line| envoy::is_not_understood(line)))?;
        Some(format!("the proxy of {} {}", pod.pod, unclear.sentence()).into())
    });
    let agents = input.agents.iter().filter_map(|(agent, _)| {
        let words = format!("the SPIRE agent of {} {}", agent.node, by_the_agent(agent)?.sentence());
        Some(SharedFact::SpireAgent(agent.node.clone()).stated(words))
    });
    let servers = input.evidence.servers.iter().filter_map(|server| {
        let words = format!("the SPIRE server {} {}", server.pod, by_the_server(server)?.sentence());
        Some(SharedFact::SpireServerHealth.stated(words))
    });
    proxies.chain(agents).chain(servers).collect()
}
