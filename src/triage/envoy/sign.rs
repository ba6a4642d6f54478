//! How often, when and in which direction a proxy's log shows each sign: one line proves little, several of now do.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    super::log_hints::RECENT,
    access_log_fields::fields_of_the_proxy,
    log::{TlsReason, cluster_of, reason_of},
};

/// Who began the connection of which a line tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// A peer: the proxy is the server.
    Inbound,
    /// The proxy: it is the client.
    Outbound,
    /// The line does not say.
    Unknown,
}

/// One line that says something about TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign {
    /// What it says.
    pub reason: TlsReason,
    /// Of which side of the proxy.
    pub direction: Direction,
    /// Envoy's cluster, where the line names it.
    pub cluster: Option<String>,
    /// When it was written, where the line begins with that.
    pub at: Option<Timestamp>,
}

/// The lines with one sign of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignCount {
    /// What they say.
    pub reason: TlsReason,
    /// Of which side of the proxy.
    pub direction: Direction,
    /// Envoy's cluster, where they name it.
    pub cluster: Option<String>,
    /// How many there are.
    pub count: u64,
    /// When the oldest was written, where that is known.
    pub first: Option<Timestamp>,
    /// When the newest was.
    pub last: Option<Timestamp>,
}

/// Reads one line.
pub fn sign_of(line: &str) -> Option<Sign> {
    let reason = reason_of(line)?;
    let cluster = cluster_of(&fields_of_the_proxy(line)).map(str::to_owned);
    let failed = |side: &str| line.contains(side) && !line.contains(&format!("{side}\"-\""));
    let direction = match cluster.as_deref() {
        Some(cluster) if cluster.starts_with("outbound|") => Direction::Outbound,
        Some(_) => Direction::Inbound,
        None if failed("upstream_fail=") => Direction::Outbound,
        None if failed("downstream_fail=") || reason == TlsReason::PlaintextToUs => Direction::Inbound,
        None => Direction::Unknown,
    };
    Some(Sign { reason, direction, cluster, at: time_of(line) })
}

/// Counts the signs of a log, the most frequent first.
pub fn count_signs<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<SignCount> {
    let mut counts: BTreeMap<_, SignCount> = BTreeMap::new();
    for sign in lines.into_iter().filter_map(sign_of) {
        let Sign { reason, direction, cluster, at } = sign;
        let count = counts.entry((reason, direction, cluster.clone())).or_insert_with(|| SignCount {
            reason,
            direction,
            cluster,
            count: 0,
            first: None,
            last: None,
        });
        count.count = count.count.saturating_add(1);
        count.first = [count.first, at].into_iter().flatten().min();
        count.last = [count.last, at].into_iter().flatten().max();
    }
    let mut counts: Vec<SignCount> = counts.into_values().collect();
    counts.sort_by_key(|count| std::cmp::Reverse(count.count));
    counts
}

/// Whether a line was written shortly before its log was read; one without a time counts.
pub(in crate::triage) fn is_recent(line: &str, read_at: Timestamp) -> bool {
    time_of(line).is_none_or(|at| read_at.duration_since(at) <= RECENT)
}

/// The time at the beginning of a line: `[2026-11-23T21:22:22.304Z]` in access logs, `[2026-11-23 21:22:22.306]` (UTC in
/// a container) in Envoy's own, `2026-11-23T21:22:22.304Z` and a tab in the sidecar's.
fn time_of(line: &str) -> Option<Timestamp> {
    let line = line.trim_start();
    let text = match line.strip_prefix('[') {
        Some(rest) => rest.split(']').next()?,
        None => line.split_whitespace().next()?,
    };
    let zoned = if text.ends_with('Z') { text.to_owned() } else { format!("{}Z", text.replace(' ', "T")) };
    zoned.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_each_form_of_log() {
        let at: Timestamp = "2026-11-23T21:22:22.304Z".parse().unwrap();
        for line in [
            "[2026-11-23T21:22:22.304Z] \"GET",
            "[2026-11-23 21:22:22.304][31758][debug]",
            "2026-11-23T21:22:22.304Z\tx",
        ] {
            assert_eq!(time_of(line), Some(at), "{line}");
        }
        for line in ["", "[", "[]", "rc=0", "é", "[2026-13-41 99:99:99]"] {
            assert_eq!(time_of(line), None, "{line}");
        }
    }

    #[test]
    fn signs_of_two_clusters_and_directions_are_counted_apart() {
        let call = |second: u32, cluster: &str| {
            format!("[2026-11-23T21:22:{second:02}.000Z] \"GET /a HTTP/1.1\" 503 UC x - \"-\" {cluster} - - -")
        };
        let lines = [
            call(9, "outbound|8443||a.web.svc.cluster.local"),
            call(7, "outbound|8443||a.web.svc.cluster.local"),
            call(8, "outbound|8443||b.web.svc.cluster.local"),
            call(8, "inbound|8443||"),
            "- - NR filter_chain_not_found - \"-\" 0 0 0".to_owned(),
        ];
        let counts = count_signs(lines.iter().map(String::as_str));
        assert_eq!(counts.iter().map(|count| count.count).collect::<Vec<_>>(), [2, 1, 1]);
        let most = counts.first().unwrap();
        assert_eq!(most.cluster.as_deref(), Some("outbound|8443||a.web.svc.cluster.local"));
        let time = |second: u32| format!("2026-11-23T21:22:0{second}Z").parse().ok();
        assert_eq!((most.direction, most.first, most.last), (Direction::Outbound, time(7), time(9)));
        let plaintext = counts.iter().find(|count| count.reason == TlsReason::PlaintextToUs).unwrap();
        assert_eq!((plaintext.direction, plaintext.last), (Direction::Inbound, None));
    }
}
