//! What the proxies show of a call, beside what the objects say of it.

use std::collections::BTreeMap;

use super::questions::many_fail;
use crate::triage::{
    ClientEvidence, LogExcerpt, Redacted,
    envoy::{CONNECTIONS_ENOUGH, Direction, SignCount, TlsReason, count_signs},
    istio::{ObjectName, WhyNot},
    log_hints::RECENT,
    outbound_cluster::OutboundCluster,
    proxy_stats::ClusterCalls,
};

/// What was seen of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::triage) enum Seen {
    /// So many calls were answered, and none failed.
    Works { calls: u64 },
    /// Calls fail as they must where the objects say that they cannot work, or they fail though those say that they can.
    Fails { how: String },
    /// Calls fail in a way that the objects do not explain.
    FailsOtherwise { how: String },
    /// Nothing tells: no call was made, some failed among many, or the proxy was not looked at.
    Unclear,
}

/// The destination of a call.
pub(super) struct Callee<'a> {
    pub(super) service: &'a ObjectName,
    pub(super) port: u16,
    pub(super) subset: Option<&'a str>,
}

impl Callee<'_> {
    fn is(&self, cluster: &str) -> bool {
        OutboundCluster::parse(cluster).is_some_and(|cluster| {
            cluster.service == *self.service && cluster.port == self.port && cluster.subset == self.subset
        })
    }
}

/// What one proxy shows of its calls to one destination.
#[derive(Default)]
struct Shown {
    calls: ClusterCalls,
    reasons: BTreeMap<TlsReason, u64>,
    /// Failures that a hundred new connections have outlived.
    over: bool,
}

/// What the proxies of some clients show of their calls. `why`: why they cannot work by the objects.
pub(super) fn seen_by(clients: &[ClientEvidence], to: &Callee<'_>, why: Option<&WhyNot>) -> Seen {
    let shown: Vec<(&ClientEvidence, Shown)> = clients.iter().map(|client| (client, shown(client, to))).collect();
    let of_each = shown.iter().map(|(client, shown)| shown.says(&client.pod.to_string(), why));
    let rank = |seen: &Seen| match seen {
        Seen::Fails { .. } => 3,
        Seen::FailsOtherwise { .. } => 2,
        Seen::Works { .. } => 1,
        Seen::Unclear => 0,
    };
    of_each.max_by_key(rank).unwrap_or(Seen::Unclear)
}

fn shown(client: &ClientEvidence, to: &Callee<'_>) -> Shown {
    let mut found = Shown::default();
    for (_, calls) in client.stats.value().into_iter().flat_map(|stats| &stats.calls).filter(|(name, _)| to.is(name)) {
        found.calls = *calls;
    }
    let Some(log) = client.proxy_log.value() else { return found };
    for sign in count_signs(log.lines.iter().map(Redacted::as_str)) {
        let is_it = sign.direction == Direction::Outbound && sign.cluster.as_deref().is_some_and(|name| to.is(name));
        let is_recent = |last| client.proxy_log.at().duration_since(last) <= RECENT;
        if !is_it {
            continue;
        }
        if is_over(log, &sign) {
            found.over = true;
        } else if sign.last.is_none_or(is_recent) {
            let count = found.reasons.entry(sign.reason).or_default();
            *count = count.saturating_add(sign.count);
        }
    }
    found
}

fn is_over(log: &LogExcerpt, sign: &SignCount) -> bool {
    let since = sign.cluster.as_ref().and_then(|cluster| log.connected_since.get(cluster));
    since.is_some_and(|count| *count >= CONNECTIONS_ENOUGH)
}

impl Shown {
    fn says(&self, pod: &str, why: Option<&WhyNot>) -> Seen {
        let ClusterCalls { answered, failed, connects_failed } = self.calls;
        let all_failed = failed.saturating_add(connects_failed);
        if self.reasons.is_empty() && !many_fail(&self.calls) {
            let works = answered > 0 && (all_failed == 0 || self.over);
            return if works { Seen::Works { calls: answered } } else { Seen::Unclear };
        }
        let how = if let Some((reason, count)) = self.reasons.iter().max_by_key(|(_, count)| **count) {
            format!("the proxy of {pod} logged it {count} time(s) of late: {}", reason.words())
        } else {
            let all = answered.saturating_add(all_failed);
            format!("the proxy of {pod} counts {all_failed} of {all} calls that failed since it started")
        };
        if why.is_none_or(|why| self.fits(why)) { Seen::Fails { how } } else { Seen::FailsOtherwise { how } }
    }

    /// Whether calls fail as they did with real sidecars (tests/data/istio-pairs/envoy-words.txt).
    fn fits(&self, why: &WhyNot) -> bool {
        let has = |reasons: &[TlsReason]| reasons.iter().any(|reason| self.reasons.contains_key(reason));
        let no_reason = self.reasons.is_empty();
        let connected = no_reason && self.calls.failed > 0 && self.calls.connects_failed == 0;
        match why {
            WhyNot::PlaintextIntoStrict => connected || has(&[TlsReason::CutAfterHandshake]),
            WhyNot::OwnTlsIntoStrict => {
                let refused = [TlsReason::PeerUnknownAuthority, TlsReason::AuthorityExpired, TlsReason::PeerRefused];
                let cut = [TlsReason::CutAfterHandshake, TlsReason::OwnCertificateWanted];
                no_reason || has(&cut) || has(&refused)
            }
            // The server's proxy closes the connection in the middle of the client's handshake.
            WhyNot::OwnTlsIntoHttp => no_reason || has(&[TlsReason::Unreachable, TlsReason::CutAfterHandshake]),
            WhyNot::MutualIntoDisabled | WhyNot::MutualIntoNoSidecar => {
                no_reason || has(&[TlsReason::PeerSpeaksPlaintext])
            }
            WhyNot::WrongIdentity { .. } => no_reason || has(&[TlsReason::PeerIdentity, TlsReason::PeerRefused]),
        }
    }
}
