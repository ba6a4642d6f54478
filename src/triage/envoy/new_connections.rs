//! What a log shows to be over: new connections that worked, one after the other, since the last one that failed.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    access_log_fields::{endpoint_of, fields_of_the_proxy},
    log::{answer_of, cluster_of},
    sign::sign_of,
};

/// So many new connections to a cluster, all of which worked, end what its signs told of. A fault that fails 5 % of the
/// handshakes, which is where the alert begins, lets a hundred pass in a row once in 170 times.
pub const CONNECTIONS_ENOUGH: u64 = 100;

/// The calls of a log to one cluster.
#[derive(Default)]
struct Calls {
    /// Over connections that were not seen before in the log.
    first: u64,
    /// Over others.
    again: u64,
    /// Of the first, those that were answered since the newest failure.
    since: u64,
    /// Endpoints that have failed, and have not worked again since. One may be set aside (Istio's outlier detection) while
    /// all others work, and is taken back later.
    failed: BTreeSet<String>,
}

impl Calls {
    /// Where most calls go over connections that are kept, one that is first seen may have stood before the log begins: a
    /// busy proxy fills what is read of it in seconds, and has hundreds of them. Then none counts as new.
    fn connected(&self) -> u64 {
        if self.again > self.first || !self.failed.is_empty() { 0 } else { self.since }
    }
}

/// For each cluster that one of `kept` says something bad of: over how many new connections its calls were answered since
/// the newest such line of `text`. A connection that stood before proves nothing: certificates are looked at when one opens.
/// A log without answered calls (Istio writes no access log by default) shows none, and then nothing counts as over.
pub fn connected_since(text: &str, kept: &[String]) -> BTreeMap<String, u64> {
    let of_signs = kept.iter().filter_map(|line| sign_of(line)?.cluster.map(|cluster| (cluster, Calls::default())));
    let mut clusters: BTreeMap<String, Calls> = of_signs.collect();
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        let own = fields_of_the_proxy(line);
        let Some(cluster) = cluster_of(&own) else { continue };
        let Some(calls) = clusters.get_mut(cluster) else { continue };
        let is_first = local_address(&own, cluster).map(|address| seen.insert(format!("{cluster} {address}")));
        match is_first {
            Some(true) => calls.first = calls.first.saturating_add(1),
            Some(false) => calls.again = calls.again.saturating_add(1),
            None => {}
        }
        if sign_of(line).is_some() {
            calls.since = 0;
            calls.failed.extend(endpoint_of(line));
        } else if is_first == Some(true) && is_answered(&own) {
            calls.since = calls.since.saturating_add(1);
            if let Some(endpoint) = endpoint_of(line) {
                calls.failed.remove(&endpoint);
            }
        }
    }
    clusters.into_iter().map(|(cluster, calls)| (cluster, calls.connected())).collect()
}

/// Whether somebody behind the proxy answered, whatever the answer was.
fn is_answered(fields_of_the_proxy: &str) -> bool {
    answer_of(fields_of_the_proxy).is_some_and(|(code, flags)| flags == "-" && code.len() == 3)
}

/// Where the proxy's own end of the connection was: it stands behind the cluster, and tells one connection from the next.
fn local_address<'a>(fields_of_the_proxy: &'a str, cluster: &str) -> Option<&'a str> {
    let (_, behind) = fields_of_the_proxy.rsplit_once(cluster)?;
    behind.split_whitespace().next().filter(|address| address.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(answer: &str, cluster: &str, port: u32) -> String {
        format!(
            "[2026-11-23T21:22:22.304Z] \"GET /a HTTP/1.1\" {answer} - \"-\" 0 9 2 - \"-\" \"curl\" \"id\" \"a\" \
             \"10.0.0.9:8443\" outbound|8443||{cluster} 10.0.0.2:{port} 10.0.0.3:2 10.0.0.2:3 sni default"
        )
    }

    const GOOD: &str = "200 - via_upstream";
    const BAD: &str = "503 UC x";

    fn connected(lines: &[String]) -> Vec<u64> {
        connected_since(&lines.join("\n"), lines).into_values().collect()
    }

    #[test]
    fn new_connections_are_counted_by_cluster_since_its_newest_failure() {
        let lines = [
            call(GOOD, "a", 1),
            call(BAD, "a", 2),
            call(GOOD, "a", 3),
            call(BAD, "a", 4),
            call(GOOD, "a", 5),
            call("404 - via_upstream", "a", 6),
            call("0 DC downstream", "a", 7),
            call("504 UT x", "a", 8),
            call(GOOD, "b", 9),
            call(GOOD, "c", 10),
            call(BAD, "c", 11),
        ];
        assert_eq!(connected(&lines), [2, 0]);
    }

    #[test]
    fn calls_over_a_connection_that_stood_before_say_nothing_of_handshakes() {
        let pooled = [call(GOOD, "a", 1), call(BAD, "a", 2), call(GOOD, "a", 1), call(GOOD, "a", 1)];
        assert_eq!(connected(&pooled), [0]);
        let one_new = [call(BAD, "a", 2), call(GOOD, "a", 3), call(GOOD, "a", 3)];
        assert_eq!(connected(&one_new), [1]);
        let unknown = [call(BAD, "a", 2), call(GOOD, "a", 3).replace(" 10.0.0.2:3 10.0.0.3:2", " - 10.0.0.3:2")];
        assert_eq!(connected(&unknown), [0]);
    }

    /// Envoy sets an endpoint aside that fails several times in a row (Istio's outlier detection), and takes it back later:
    /// until then all go to the others.
    #[test]
    fn an_endpoint_that_is_set_aside_is_not_over_because_others_work() {
        let bad = (1..=5).map(|port| call("503 UC x", "a", port));
        let others = (6..=5 + 200).map(|port| call(GOOD, "a", port).replace("10.0.0.9", "10.0.0.8"));
        let lines: Vec<String> = bad.chain(others).collect();
        assert_eq!(connected(&lines), [0]);
        let back = lines.into_iter().chain([call(GOOD, "a", 999)]).collect::<Vec<_>>();
        assert_eq!(connected(&back), [201], "it works again itself");
    }

    #[test]
    fn connections_that_are_kept_may_have_stood_before_the_log_begins() {
        let turn = |_| (1..=150).map(|port| call(GOOD, "a", port));
        let lines = |turns| [call(BAD, "a", 999)].into_iter().chain((0..turns).flat_map(turn)).collect::<Vec<_>>();
        assert_eq!(connected(&lines(3)), [0], "each is used three times");
        assert_eq!(connected(&lines(1)), [150], "each is used once");
    }

    #[test]
    fn calls_that_are_logged_as_json_count_as_well() {
        let call = |code: u16, flags: &str, port: u16| {
            serde_json::json!({
                "start_time": "2026-11-23T21:22:22.304Z", "response_code": code, "response_flags": flags,
                "upstream_cluster": "outbound|1||a", "upstream_local_address": format!("10.0.0.2:{port}"),
            })
            .to_string()
        };
        assert_eq!(connected(&[call(503, "UC", 1), call(200, "-", 2), call(200, "-", 3)]), [2]);
    }
}
