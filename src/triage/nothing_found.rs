//! Rule 9: no rule named a cause. That is "no fault" only where everything that speaks was seen and is fine.

use std::collections::BTreeSet;

use super::{
    Check, CheckId, CheckResult, Confidence, Gathered, Missing, PemFile, PodEvidence, ProxyStats, Scenario,
    ServedSecrets,
    bundles::spire_bundle_check,
    copies::IdentityCopy,
    counters::calls_fail,
    diagnosis::{Conclusion, Scene},
    envoy::TlsReason,
    examine::{Chain, Examined, Holding, Issuer, Stuck, words},
    spire::{AgentState, not_signed, server_check},
};

impl Scene<'_> {
    /// No fault found, or inconclusive with everything that was wrong or not seen.
    pub(super) fn nothing_found(&self) -> Conclusion {
        let open = self.open_questions();
        if open.is_empty() {
            let reasons = vec![
                "every certificate that was looked at is in date and leads to its bundle, and the agents renew"
                    .to_owned(),
            ];
            let mut conclusion = Conclusion::of(Scenario::NoFaultFound, reasons);
            conclusion.confidence = Confidence::Medium;
            return conclusion;
        }
        let mut conclusion = Conclusion::of(Scenario::Inconclusive, open);
        conclusion.confidence = Confidence::Low;
        conclusion
    }

    /// What keeps this from being "no fault".
    fn open_questions(&self) -> Vec<String> {
        let mut open = Vec::new();
        if self.pods.is_empty() {
            open.push("the target has no pod that could be looked at".to_owned());
        }
        if self.times(TlsReason::CutAfterHandshake) > 0 {
            open.push("calls fail after the handshake, and nothing that was checked explains it".to_owned());
        }
        if self.times(TlsReason::OwnRejected) > 0 {
            let next = "nothing that was checked here explains it: look at the proxies of those that it calls";
            open.push(format!("{}; {next}", words(TlsReason::OwnRejected)));
        }
        if self.times(TlsReason::OwnExpired) > 0 {
            let maybe = "the peer's clock is wrong, or it was renewed a moment ago";
            open.push(format!("{}, and the copy that was read is in date: {maybe}", words(TlsReason::OwnExpired)));
        }
        open.extend(self.not_understood());
        open.extend(self.too_few());
        open.extend(self.open_about_pods());
        open.extend(self.open_about_spire());
        open.extend(self.incidents_in_waiting());
        let said = [CheckId::SvidDates, CheckId::Chain, CheckId::ServedIsOnDisk, CheckId::BundleEnd];
        let rows = self.pods.iter().flat_map(|(_, found)| &found.checks);
        for row in rows.filter(|row| row.result == CheckResult::Fail && !said.contains(&row.id)) {
            open.push(format!("{} of {} failed, and no cause explains it: {}", row.id, row.subject, row.summary));
        }
        let grants = if open.is_empty() { BTreeSet::new() } else { self.grants() };
        open.extend(grants.iter().map(|grant| format!("not allowed, and so not seen: grant {grant}")));
        open
    }

    /// Bundles whose last root ends, or has ended, without a successor: nothing fails yet by that alone.
    fn incidents_in_waiting(&self) -> Vec<String> {
        let rows =
            self.pods.iter().flat_map(|(_, found)| found.checks.clone()).chain(spire_bundle_check(self.evidence));
        let late = rows.filter(|row| row.id == CheckId::BundleEnd && row.result == CheckResult::Fail);
        late.map(|row| format!("an incident in waiting at {} ({}): {}", row.subject, row.source, row.summary)).collect()
    }

    /// The rights that would have shown more.
    fn grants(&self) -> BTreeSet<String> {
        fn grant<T>(gathered: &Gathered<T>) -> Option<String> {
            match gathered {
                Gathered::Missing { reason: Missing::Forbidden { grant }, .. } => Some(grant.clone()),
                _ => None,
            }
        }
        let maps = [grant(&self.evidence.spire_bundle), grant(&self.evidence.istio_root)];
        let pods = self.evidence.pods.iter().flat_map(|pod| {
            let files = [grant(&pod.svid_file), grant(&pod.bundle_file)];
            files.into_iter().chain([grant(&pod.served), grant(&pod.stats), grant(&pod.proxy_log)])
        });
        let agents = self.evidence.agents.iter().flat_map(|agent| [grant(&agent.healthcheck), grant(&agent.log)]);
        let servers = self.evidence.servers.iter().map(|server| grant(&server.healthcheck));
        let listing = match &self.evidence.servers_missing {
            Some(Missing::Forbidden { grant }) => Some(grant.clone()),
            _ => None,
        };
        pods.chain(agents).chain(servers).chain([listing]).chain(maps).flatten().collect()
    }

    fn open_about_pods(&self) -> Vec<String> {
        let mut open = Vec::new();
        for (pod, found) in &self.pods {
            match &found.holding {
                Holding::Unseen(why) => open.push(format!("the certificate of {} could not be read: {why}", pod.pod)),
                Holding::Bad(why) => open.push(format!("no copy of {}'s certificate is an SVID: {why}", pod.pod)),
                Holding::Svid { .. } if !found.decided_by_what_peers_see => {
                    open.push(format!("what the proxy of {} serves could not be seen: only its file was", pod.pod));
                }
                Holding::Svid { .. } if found.chain == Chain::Unseen => {
                    let why = found.checks.iter().find(|row| row.id == CheckId::Chain).map(|row| row.summary.as_str());
                    let why = why.unwrap_or("no root was read");
                    open.push(format!("the chain of {} could not be verified: {why}", pod.pod));
                }
                _ => {}
            }
            open.extend(self.unseen_behind(pod, found));
            open.extend(unreadable_files(pod, found));
            open.extend(unseen_handshakes(pod, found));
            if found.stuck == Some(Stuck::File) {
                open.push(format!(
                    "the proxy of {} serves a good SVID, and its file holds an old one: an application that reads the file fails",
                    pod.pod
                ));
            }
            let dates =
                found.checks.iter().filter(|row| row.id == CheckId::SvidDates || row.id == CheckId::ServedIsOnDisk);
            for row in dates.filter(|row| row.result == CheckResult::Fail && found.stuck.is_none()) {
                open.push(format!("{} ({}): {}", pod.pod, row.source, row.summary));
            }
            if self.agent_of(pod.node.as_ref()).is_none() {
                open.push(format!("the SPIRE agent of {}'s node was not looked at", pod.pod));
            }
        }
        open
    }

    /// What a good SVID that is served does not show: who else vouches for it, and whether its proxy can verify anybody.
    fn unseen_behind(&self, pod: &PodEvidence, found: &Examined) -> Vec<String> {
        let mut open = Vec::new();
        if pod.ambient && !pod.sidecar {
            open.push(format!("{} is in ambient mode: ztunnel does its mTLS, and was not looked at", pod.pod));
        }
        let has_no_root = |served: &ServedSecrets| !served.chain.is_empty() && served.roots.values().all(Vec::is_empty);
        if pod.served.value().is_some_and(has_no_root) {
            open.push(format!("the proxy of {} shows no root: it cannot verify any peer", pod.pod));
        }
        if found.chain == Chain::Verified && found.issuer == Issuer::Unknown && self.could_tell_the_issuer() {
            let source = self.evidence.spire_bundle.source();
            open.push(format!(
                "the certificate of {} does not lead to the bundle that SPIRE publishes ({source}): a peer that goes by \
                 that refuses it",
                pod.pod
            ));
        }
        open
    }

    /// Whether SPIRE's bundle was read, and istiod's root as well or there is none.
    fn could_tell_the_issuer(&self) -> bool {
        let spire = self.evidence.spire_bundle.value().is_some_and(|bundle| !bundle.certificates.is_empty());
        let istiod = &self.evidence.istio_root;
        spire && (istiod.value().is_some() || matches!(istiod, Gathered::Missing { reason: Missing::Gone { .. }, .. }))
    }

    fn open_about_spire(&self) -> Vec<String> {
        let mut open = Vec::new();
        for (agent, judged) in &self.agents {
            open.extend(not_signed(agent).map(|what| format!("the SPIRE agent of {} {what}", agent.node)));
            match &judged.state {
                AgentState::Works(_) => {}
                AgentState::Unknown(why) => {
                    let remedy = judged.remedy.iter().fold(String::new(), |_, remedy| format!("; {remedy}"));
                    open.push(format!("the SPIRE agent of {} could not be judged: {why}{remedy}", agent.node));
                }
                AgentState::Broken(why) | AgentState::Silent(why) | AgentState::CannotReachServer(why) => {
                    let yet = "though no SVID shows it yet";
                    open.push(format!("the SPIRE agent of {} does not work, {yet}: {why}", agent.node));
                }
            }
        }
        for server in &self.evidence.servers {
            let says_no = server.healthcheck.value().is_some_and(|check| !check.healthy);
            if says_no || !server.ready {
                let row = server_check(server, self.renews());
                let remedy = row.remedy.map_or_else(String::new, |remedy| format!("; {remedy}"));
                open.push(format!("the SPIRE server {}: {}{remedy}", server.pod, row.summary));
            }
        }
        if self.evidence.servers.is_empty()
            && let Some(why) = self.why_no_server()
        {
            open.push(why);
        }
        open
    }
}

/// Files that could not be read, or hold no SVID, although the copy that decides is fine: the application may go by them.
fn unreadable_files(pod: &PodEvidence, found: &Examined) -> Vec<String> {
    let rows = found.checks.iter().filter(|row| row.id == CheckId::FileUnreadable);
    let mut open: Vec<String> = rows.map(|row| format!("{}: {} ({})", pod.pod, row.summary, row.source)).collect();
    let file = IdentityCopy::on_disk(pod);
    if let Some(Err(error)) = file.as_ref().map(|file| &file.leaf)
        && !matches!(found.holding, Holding::Bad(_))
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
