//! Steps 3.3 and 4: what the proxy logs and counts.

use jiff::SignedDuration;

use super::Rows;
use crate::triage::{
    CheckId, CheckResult, Redacted,
    certificate_sources::{IdentityCopy, missing},
    counters::counted,
    envoy::{CONNECTIONS_ENOUGH, SignCount, TlsReason, count_signs, is_not_understood},
    not_understood::Unclear,
};

impl Rows<'_> {
    /// Step 3.3.
    pub(super) fn proxy_log(&mut self, served: Option<&IdentityCopy<'_>>) -> Vec<SignCount> {
        let seen = (self.pod.proxy_log.source(), self.pod.proxy_log.at());
        let Some(log) = self.pod.proxy_log.value() else {
            let summary = missing(&self.pod.proxy_log).unwrap_or_default();
            self.add(CheckId::ProxyLog, CheckResult::Inconclusive, summary, seen, None);
            return Vec::new();
        };
        let signs = count_signs(log.lines.iter().map(Redacted::as_str));
        let connected = |sign: &SignCount| sign.cluster.as_ref().and_then(|cluster| log.connected_since.get(cluster));
        let (over, signs): (Vec<_>, Vec<_>) =
            signs.into_iter().partition(|sign| connected(sign).is_some_and(|count| *count >= CONNECTIONS_ENOUGH));
        let (refused, signs): (Vec<_>, Vec<_>) = signs.into_iter().partition(|sign| issued_since(sign, served));
        // Istio writes no access log by default, so silence proves nothing; connections that worked do.
        let silent = if over.is_empty() { CheckResult::Inconclusive } else { CheckResult::Pass };
        let (mut result, mut said) = (silent, Vec::new());
        if !signs.is_empty() {
            // An application that does not answer its own proxy is no matter of mTLS: worth saying, and no failed check.
            let about_tls = signs.iter().any(|sign| sign.reason != TlsReason::OwnApplication);
            result = if about_tls { CheckResult::Fail } else { CheckResult::Inconclusive };
            said.push(in_words(&signs));
        }
        if let Some(count) = over.iter().filter_map(connected).min() {
            said.push(format!("over: {}; {count} new connections in a row have worked since then", in_words(&over)));
        }
        if !refused.is_empty() {
            said.push(format!("over: {}; SPIRE has issued the SVID that is served since then", in_words(&refused)));
        }
        if let Some(unclear) =
            Unclear::of(log.lines.iter().map(Redacted::as_str).filter(|line| is_not_understood(line)))
        {
            if result == CheckResult::Pass {
                result = CheckResult::Inconclusive;
            }
            said.push(format!("it {}", unclear.sentence()));
        }
        if said.is_empty() {
            said.push("no TLS error in the proxy's log (which is silent by default)".to_owned());
        }
        self.add(CheckId::ProxyLog, result, said.join("; "), seen, None);
        signs
    }

    /// Step 4.
    pub(super) fn counters(&mut self) {
        let seen = (self.pod.stats.source(), self.pod.stats.at());
        for row in counted(self.pod) {
            self.add(row.id, row.result, row.summary, seen, row.remedy);
        }
    }
}

/// Whether SPIRE refused an identity to the workload and issued the one that is served after that: while its authority
/// changes, an agent has none to give for a moment.
fn issued_since(sign: &SignCount, served: Option<&IdentityCopy<'_>>) -> bool {
    /// Certificates know no parts of a second, lines of a log do.
    const ROUNDED: SignedDuration = SignedDuration::from_secs(1);
    let svid = served.and_then(|served| served.leaf.as_ref().ok());
    let issued = svid.and_then(|svid| svid.issued().checked_add(ROUNDED).ok());
    sign.reason == TlsReason::NotRegistered && sign.last.zip(issued).is_some_and(|(last, issued)| last < issued)
}

/// Each reason with how often it was logged, and between when.
fn in_words(signs: &[SignCount]) -> String {
    let mut reasons: Vec<TlsReason> = signs.iter().map(|sign| sign.reason).collect();
    reasons.sort();
    reasons.dedup();
    let said = reasons.iter().map(|reason| {
        let of_it = || signs.iter().filter(|sign| sign.reason == *reason);
        let times = of_it().map(|sign| sign.count).fold(0, u64::saturating_add);
        let (first, last) = (of_it().filter_map(|sign| sign.first).min(), of_it().filter_map(|sign| sign.last).max());
        let when = first.zip(last).map_or_else(String::new, |(first, last)| {
            let lasted = last.duration_since(first) > SignedDuration::ZERO;
            if lasted { format!(" from {first:.0} to {last:.0}") } else { format!(" at {last:.0}") }
        });
        format!("{} ({times} line(s){when})", reason.words())
    });
    said.collect::<Vec<_>>().join("; ")
}
