//! `/stats` and `/clusters` in Envoy's text form.

use crate::triage::{ProxyStats, TlsCounters};

/// Reads the TLS counters of `/stats`. A counter that is not listed stays `None`: absent is not zero.
pub fn read_stats(text: &str) -> ProxyStats {
    let mut stats = ProxyStats::default();
    for line in text.lines() {
        let Some((name, figure)) = line.rsplit_once(": ") else { continue };
        let Ok(figure) = figure.trim().parse::<u64>() else { continue };
        let Some((owner, counter)) = name.rsplit_once(".ssl.") else { continue };
        if let Some(cluster) = owner.strip_prefix("cluster.").filter(|cluster| cluster.starts_with("outbound|")) {
            add(stats.clients.entry(cluster.to_owned()).or_default(), counter, figure);
        } else if owner.starts_with("listener.") && !owner.contains(".worker_") && !owner.contains(".admin") {
            add(&mut stats.server, counter, figure);
        }
    }
    stats
}

fn add(counters: &mut TlsCounters, counter: &str, figure: u64) {
    let slot = match counter {
        "handshake" => &mut counters.handshake,
        "connection_error" => &mut counters.connection_error,
        "fail_verify_error" => &mut counters.fail_verify_error,
        "fail_verify_san" => &mut counters.fail_verify_san,
        "fail_verify_no_cert" | "fail_verify_cert_hash" => &mut counters.fail_verify_other,
        _ => return,
    };
    *slot = Some(slot.unwrap_or(0).saturating_add(figure));
}

/// Adds the per-host counters of requests and connections of `/clusters`, for outbound clusters.
pub fn add_hosts(stats: &mut ProxyStats, text: &str) {
    for line in text.lines().filter(|line| line.starts_with("outbound|")) {
        let mut parts = line.rsplitn(3, "::");
        let (Some(figure), Some(counter), Some(host)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let Ok(figure) = figure.trim().parse::<u64>() else { continue };
        add_call(stats, host.split("::").next().unwrap_or(host), counter, figure);
        let slot = match counter {
            "rq_success" => &mut stats.requests_answered,
            "rq_error" => &mut stats.requests_failed,
            "cx_connect_fail" => &mut stats.connects_failed,
            _ => continue,
        };
        *slot = Some(slot.unwrap_or(0).saturating_add(figure));
    }
}

/// Adds a figure of one host to its cluster. Most clusters of a mesh are never called, and they are left out.
fn add_call(stats: &mut ProxyStats, cluster: &str, counter: &str, figure: u64) {
    if figure == 0 || !matches!(counter, "rq_success" | "rq_error" | "cx_connect_fail") {
        return;
    }
    let calls = stats.calls.entry(cluster.to_owned()).or_default();
    let slot = match counter {
        "rq_success" => &mut calls.answered,
        "rq_error" => &mut calls.failed,
        _ => &mut calls.connects_failed,
    };
    *slot = slot.saturating_add(figure);
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/envoy/tls13");

    fn read(fault: &str, file: &str) -> String {
        std::fs::read_to_string(format!("{FOLDER}/{fault}/{file}")).unwrap()
    }

    #[test]
    fn under_tls_1_3_a_rejected_client_counts_handshakes_while_every_call_fails() {
        let client = read_stats(&read("client-cert-expired", "client-stats.txt"));
        let counters = client.clients.values().next().unwrap();
        assert_eq!((counters.handshake, counters.connection_error), (Some(6), Some(6)));
        let server = read_stats(&read("client-cert-expired", "server-stats.txt")).server;
        assert_eq!((server.handshake, server.fail_verify_error), (Some(0), Some(6)));
        assert_eq!(server.failures(), Some(6));
    }

    #[test]
    fn hosts_say_how_many_calls_were_answered() {
        let mut stats = ProxyStats::default();
        add_hosts(&mut stats, &read("healthy", "clusters.txt"));
        assert_eq!((stats.requests_answered, stats.requests_failed), (Some(6), Some(0)));
    }

    #[test]
    fn absent_counters_are_not_zero() {
        let stats =
            read_stats("cluster.outbound|1||x.upstream_cx_total: 6\nlistener.0.0.0.0_15006.downstream_cx_total: 1");
        assert_eq!(stats.server.failures(), None);
        assert!(stats.clients.is_empty());
    }
}
