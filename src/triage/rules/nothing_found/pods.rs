//! What keeps the pods from being in order.

use crate::triage::{
    Check, CheckId, CheckResult, Gathered, Missing, PemFile, PodEvidence, ProxyStats, ServedSecrets,
    certificate_sources::IdentityCopy,
    counters::calls_fail,
    diagnosis_input::DiagnosisInput,
    examine::{Chain, Examined, Holding, Issuer, Stuck},
};

pub(super) fn open_questions(input: &DiagnosisInput<'_>) -> Vec<String> {
    let mut open = Vec::new();
    for (pod, found) in &input.pods {
        open.extend(found.checks.iter().filter(|row| row.id == CheckId::PodStart).map(|row| {
            let remedy = row.remedy.iter().fold(String::new(), |_, remedy| format!("; {remedy}"));
            format!("{}: {}{remedy}", pod.pod, row.summary)
        }));
        match &found.holding {
            Holding::Unseen(why) => open.push(format!("the certificate of {} could not be read: {why}", pod.pod)),
            Holding::Bad { why, .. } => open.push(format!("no copy of {}'s certificate is an SVID: {why}", pod.pod)),
            Holding::Svid { .. } if !found.served_certificate_seen => {
                open.push(format!("what the proxy of {} serves could not be seen: only its file was", pod.pod));
            }
            Holding::Svid { .. } => {
                if let Chain::Unseen(why) = &found.chain {
                    open.push(format!("the chain of {} could not be verified: {why}", pod.pod));
                }
            }
            Holding::NoSecret => {}
        }
        open.extend(unseen_behind(input, pod, found));
        open.extend(unreadable_files(pod, found));
        open.extend(unseen_handshakes(pod, found));
        if found.stuck == Some(Stuck::File) {
            open.push(format!(
                "the proxy of {} serves a good SVID, and its file holds an old one: an application that reads the file fails",
                pod.pod
            ));
        }
        let dates = found.checks.iter().filter(|row| row.id == CheckId::SvidDates || row.id == CheckId::ServedIsOnDisk);
        for row in dates.filter(|row| row.result == CheckResult::Fail && found.stuck.is_none()) {
            open.push(format!("{} ({}): {}", pod.pod, row.source, row.summary));
        }
        if input.agent_of(pod.node.as_ref()).is_none() {
            open.push(format!("the SPIRE agent of {}'s node was not looked at", pod.pod));
        }
    }
    open
}

/// What a good SVID that is served does not show: who else vouches for it, and whether its proxy can verify anybody.
fn unseen_behind(input: &DiagnosisInput<'_>, pod: &PodEvidence, found: &Examined) -> Vec<String> {
    let mut open = Vec::new();
    if pod.ambient && !pod.sidecar {
        open.push(format!(
            "{} is in ambient mode: ztunnel does its mTLS, and {}",
            pod.pod,
            seen_of_ztunnel(pod, found)
        ));
    }
    let has_no_root = |served: &ServedSecrets| !served.chain.is_empty() && served.roots.values().all(Vec::is_empty);
    if pod.served.value().is_some_and(has_no_root) {
        open.push(format!("the proxy of {} shows no root: it cannot verify any peer", pod.pod));
    }
    if found.chain == Chain::Verified && found.issuer == Issuer::Unknown && could_tell_the_issuer(input) {
        let source = input.evidence.spire_bundle.source();
        open.push(format!(
            "the certificate of {} does not lead to the bundle that SPIRE publishes ({source}): a peer that goes by \
             that refuses it",
            pod.pod
        ));
    }
    open
}

/// What was seen of the ztunnel of a pod's node, and what was not.
fn seen_of_ztunnel(pod: &PodEvidence, found: &Examined) -> String {
    let row = found.checks.iter().find(|row| row.id == CheckId::ZtunnelLog).filter(|_| pod.ztunnel_log.is_some());
    match row {
        Some(row) => {
            format!(
                "of that only the log was looked at ({}), and not the certificate that it holds for this pod",
                row.summary
            )
        }
        None => "was not looked at".to_owned(),
    }
}

/// Whether SPIRE's bundle was read, and istiod's root as well or there is none.
fn could_tell_the_issuer(input: &DiagnosisInput<'_>) -> bool {
    let spire = input.evidence.spire_bundle.value().is_some_and(|bundle| !bundle.certificates.is_empty());
    let istiod = &input.evidence.istio_root;
    spire && (istiod.value().is_some() || matches!(istiod, Gathered::Missing { reason: Missing::Gone { .. }, .. }))
}

/// Files that could not be read, or hold no SVID, although the copy that decides is fine: the application may go by them.
fn unreadable_files(pod: &PodEvidence, found: &Examined) -> Vec<String> {
    let rows = found.checks.iter().filter(|row| row.id == CheckId::FileUnreadable);
    let mut open: Vec<String> = rows.map(|row| format!("{}: {} ({})", pod.pod, row.summary, row.source)).collect();
    let file = IdentityCopy::on_disk(pod);
    if let Some(Err(error)) = file.as_ref().map(|file| &file.leaf)
        && !matches!(found.holding, Holding::Bad { .. })
    {
        open.push(format!("the certificate file of {} holds no SVID: {error} ({})", pod.pod, pod.svid_file.source()));
    }
    let nothing_in_it = |file: &PemFile| file.certificates.is_empty();
    if pod.svid_file.value().is_some_and(nothing_in_it) && !matches!(found.holding, Holding::Unseen(_)) {
        open.push(format!("the certificate file of {} holds no certificate ({})", pod.pod, pod.svid_file.source()));
    }
    open
}

/// Whether handshakes work shows in counters, or in a log by calls that were answered where handshakes had failed before:
/// other calls may have gone without TLS. Where neither is visible, certificates in date are no clean bill: an alert may be
/// right all the same.
fn unseen_handshakes(pod: &PodEvidence, found: &Examined) -> Option<String> {
    if !pod.sidecar {
        return None;
    }
    let told = |row: &Check| row.id == CheckId::ProxyLog && row.result == CheckResult::Pass;
    let stats = pod.stats.value();
    let counted = stats.is_some_and(|stats| stats.counts_as_server() || stats.counts_as_client());
    // Calls fail at those that the proxy calls: what it counts as a server does not explain them.
    let unexplained = stats.is_some_and(|stats| calls_fail(stats) && !stats.counts_as_client());
    if counted && !unexplained || found.checks.iter().any(told) {
        return None;
    }
    let why = match &pod.stats {
        Gathered::Missing { reason, .. } => reason.sentence(),
        Gathered::Seen { value, .. } => {
            let (side, row) =
                if counted { (" as a client", CheckId::ClientCounters) } else { ("", CheckId::ServerCounters) };
            format!(
                "its TLS counters{side} are absent{} (see row {} on how to include them), and its log does not tell \
                 which calls went over TLS",
                failed_calls(value),
                row.step()
            )
        }
    };
    Some(format!("whether handshakes of {} work could not be seen: {why}", pod.pod))
}

fn failed_calls(stats: &ProxyStats) -> String {
    let failed = stats.requests_failed.unwrap_or(0).saturating_add(stats.connects_failed.unwrap_or(0));
    let calls = stats.requests_answered.unwrap_or(0).saturating_add(failed);
    if failed == 0 { String::new() } else { format!(", {failed} of {calls} calls failed since it started") }
}
