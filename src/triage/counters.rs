//! Runbook step 4: the proxy's TLS counters, one sample. They count since the proxy started, so that a few failures
//! among many handshakes may be long past; a share of them is not.

use super::{CheckId, CheckResult, PodEvidence, ProxyStats, TlsCounters, certificate_sources::missing};

/// From this share of failures on, a proxy fails, in thousandths: below it they may be days old.
const FAILING_PER_MILLE: u64 = 10;
/// From this share of connections that could not be opened on, it is no clean bill, in thousandths: the alert's own 5 %. A
/// proxy that starts before those that it calls has a few.
const UNOPENED_PER_MILLE: u64 = 50;
/// What to do where the counters are absent.
const INCLUDE: &str = "include `ssl` in the pod annotation `proxy.istio.io/config` under `proxyStatsMatcher` \
                       (inclusionRegexps): Istio leaves these counters out by default";

/// What a side's counters say.
pub(super) struct Counted {
    pub(super) id: CheckId,
    pub(super) result: CheckResult,
    pub(super) summary: String,
    pub(super) remedy: Option<&'static str>,
}

/// The rows of the counters of one pod, the server's side first.
pub(super) fn counted(pod: &PodEvidence) -> Vec<Counted> {
    let Some(stats) = pod.stats.value() else {
        let summary = missing(&pod.stats).unwrap_or_default();
        return vec![Counted { id: CheckId::ServerCounters, result: CheckResult::Inconclusive, summary, remedy: None }];
    };
    let sides = [
        judged(CheckId::ServerCounters, "as a server", &stats.server),
        judged(CheckId::ClientCounters, "as a client", &client_side(stats)),
    ];
    sides.into_iter().chain(unopened(stats)).collect()
}

/// Connections that never came to a handshake, where they are too many to be those of a start.
fn unopened(stats: &ProxyStats) -> Option<Counted> {
    let failed = stats.connects_failed?;
    let attempts = stats.requests_answered.unwrap_or(0).saturating_add(failed);
    let many = failed > 0 && failed.saturating_mul(1000) >= attempts.saturating_mul(UNOPENED_PER_MILLE);
    many.then(|| Counted {
        id: CheckId::Connections,
        result: CheckResult::Fail,
        summary: format!(
            "{failed} connections could not be opened, beside {} answered calls",
            stats.requests_answered.unwrap_or(0)
        ),
        remedy: None,
    })
}

/// Whether so many calls fail, with or without a connection, that it is no clean bill; counters of connections may be absent.
pub(super) fn calls_fail(stats: &ProxyStats) -> bool {
    let failed = stats.requests_failed.unwrap_or(0).saturating_add(stats.connects_failed.unwrap_or(0));
    let calls = stats.requests_answered.unwrap_or(0).saturating_add(failed);
    failed > 0 && failed.saturating_mul(1000) >= calls.saturating_mul(UNOPENED_PER_MILLE)
}

fn client_side(stats: &ProxyStats) -> TlsCounters {
    let sum = |of: fn(&TlsCounters) -> Option<u64>| stats.clients.values().filter_map(of).reduce(u64::saturating_add);
    TlsCounters {
        handshake: sum(|counters| counters.handshake),
        connection_error: sum(|counters| counters.connection_error),
        fail_verify_error: sum(|counters| counters.fail_verify_error),
        fail_verify_san: sum(|counters| counters.fail_verify_san),
        fail_verify_other: sum(|counters| counters.fail_verify_other),
    }
}

fn judged(id: CheckId, side: &str, counters: &TlsCounters) -> Counted {
    let Some(failures) = counters.failures() else {
        let summary = format!("the TLS counters {side} are absent, which is not zero");
        return Counted { id, result: CheckResult::Inconclusive, summary, remedy: Some(INCLUDE) };
    };
    let handshakes = counters.handshake.unwrap_or(0);
    let attempts = handshakes.saturating_add(failures);
    let (result, summary) = if attempts == 0 {
        (CheckResult::Inconclusive, format!("no handshake {side} yet: without traffic nothing is proven"))
    } else if failures == 0 {
        (CheckResult::Pass, format!("{handshakes} handshakes {side} and no failure since the proxy started"))
    } else if failures.saturating_mul(1000) >= attempts.saturating_mul(FAILING_PER_MILLE) {
        (CheckResult::Fail, format!("{failures} of {attempts} handshakes {side} failed since the proxy started"))
    } else {
        let old = "they may be long past; a second sample tells";
        (CheckResult::Inconclusive, format!("{failures} of {attempts} handshakes {side} failed: {old}"))
    };
    Counted { id, result, summary, remedy: None }
}
