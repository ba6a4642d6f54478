//! Every real capture of Envoy, read by this build: counter signatures, signs of the logs, and that no fault is ever
//! taken for a fix that worked (domain notes, section 5).
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{collections::BTreeSet, fs, path::PathBuf};

use mtls_medic::{
    mesh::{Namespace, ObjectName, PodRef, PodUid},
    remediation::{Counters, Proof, Sample, verify},
    triage::{
        Evidence, ProxyStats, TlsCounters,
        envoy::{
            Direction::{self, Inbound, Outbound, Unknown},
            TlsReason::{
                self, CutAfterHandshake, OwnExpired, OwnRejected, OwnUnknownAuthority, PeerExpired, PeerIdentity,
                PeerNotYetValid, PeerUnknownAuthority, PlaintextToUs, Unreachable,
            },
            add_hosts, count_signs, read_stats,
        },
    },
};

/// A figure each: handshake, connection_error, fail_verify_error, fail_verify_san.
type Signature = [u64; 4];

/// What a capture shows.
struct Fault {
    folder: &'static str,
    /// Calls, of which all fail but in `healthy`.
    calls: u64,
    client: Signature,
    connects_failed: u64,
    /// `None` where no server was captured by itself.
    server: Option<Signature>,
    /// All signs of the client's access log.
    client_signs: &'static [(TlsReason, Direction)],
    /// All signs of the server's listener log.
    server_signs: &'static [(TlsReason, Direction)],
}

const NONE: Signature = [0; 4];

// A table: one row a capture.
#[rustfmt::skip]
const FAULTS: [Fault; 18] = [
    fault("tls12/healthy", 5, [1, 0, 0, 0], 0, None, &[], &[]),
    fault("tls12/client-cert-expired", 5, [0, 5, 0, 0], 5, None, &[(OwnExpired, Outbound)], &[]),
    fault("tls12/client-cert-unknown-ca", 5, [0, 5, 0, 0], 5, None, &[(OwnUnknownAuthority, Outbound)], &[]),
    fault("tls12/server-cert-unknown-ca", 5, [0, 0, 5, 0], 5, None, &[(PeerUnknownAuthority, Outbound)], &[]),
    fault("tls12/san-mismatch", 5, [0, 0, 0, 5], 5, None, &[(PeerIdentity, Outbound)], &[]),
    fault("tls12/plaintext-to-mtls", 5, NONE, 0, None, &[(CutAfterHandshake, Outbound)], &[]),
    fault("tls12/connection-refused", 5, NONE, 5, None, &[(Unreachable, Outbound)], &[]),
    fault("tls13/healthy", 6, [1, 0, 0, 0], 0, Some([1, 0, 0, 0]), &[], &[]),
    fault("tls13/client-cert-expired", 6, [6, 6, 0, 0], 0, Some([0, 0, 6, 0]), &[(CutAfterHandshake, Outbound)], &[(PeerExpired, Inbound)]),
    fault("tls13/client-cert-not-yet-valid", 6, [6, 6, 0, 0], 0, Some([0, 0, 6, 0]), &[(CutAfterHandshake, Outbound)], &[(PeerNotYetValid, Inbound)]),
    fault("tls13/client-cert-unknown-ca", 6, [6, 6, 0, 0], 0, Some([0, 0, 6, 0]), &[(CutAfterHandshake, Outbound)], &[(PeerUnknownAuthority, Inbound)]),
    fault("tls13/client-san-rejected", 6, [6, 6, 0, 0], 0, Some([0, 0, 0, 6]), &[(CutAfterHandshake, Outbound)], &[(PeerIdentity, Inbound)]),
    fault("tls13/client-cert-expired-tls12", 6, [0, 6, 0, 0], 6, Some([0, 0, 6, 0]), &[(OwnExpired, Outbound)], &[(PeerExpired, Inbound)]),
    fault("tls13/server-cert-unknown-ca", 6, [0, 0, 6, 0], 6, Some([0, 6, 0, 0]), &[(PeerUnknownAuthority, Outbound)], &[(OwnUnknownAuthority, Inbound)]),
    fault("tls13/san-mismatch", 6, [0, 0, 0, 6], 6, Some([0, 6, 0, 0]), &[(PeerIdentity, Outbound)], &[(OwnRejected, Inbound)]),
    fault("tls13/plaintext-to-mtls", 6, NONE, 0, Some([0, 6, 0, 0]), &[(CutAfterHandshake, Outbound)], &[(PlaintextToUs, Inbound)]),
    fault("tls13/connection-refused", 6, NONE, 6, None, &[(Unreachable, Outbound)], &[]),
    fault("tls13/accept-then-close", 6, NONE, 6, None, &[(Unreachable, Outbound)], &[]),
];

const fn fault(
    folder: &'static str,
    calls: u64,
    client: Signature,
    connects_failed: u64,
    server: Option<Signature>,
    client_signs: &'static [(TlsReason, Direction)],
    server_signs: &'static [(TlsReason, Direction)],
) -> Fault {
    Fault { folder, calls, client, connects_failed, server, client_signs, server_signs }
}

fn captures() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/envoy"))
}

fn read(folder: &str, file: &str) -> Option<String> {
    fs::read_to_string(captures().join(folder).join(file)).ok()
}

fn client_stats(fault: &Fault) -> ProxyStats {
    let text = read(fault.folder, "client-stats.txt").or_else(|| read(fault.folder, "stats.txt"));
    let mut stats = read_stats(&text.unwrap());
    add_hosts(&mut stats, &read(fault.folder, "clusters.txt").unwrap());
    stats
}

fn signature(counters: &TlsCounters) -> Signature {
    assert_eq!(counters.fail_verify_other.unwrap_or(0), 0);
    [counters.handshake, counters.connection_error, counters.fail_verify_error, counters.fail_verify_san]
        .map(Option::unwrap_or_default)
}

fn signs(log: &str) -> Vec<(TlsReason, Direction, u64)> {
    count_signs(log.lines()).into_iter().map(|sign| (sign.reason, sign.direction, sign.count)).collect()
}

fn counted(signs: &[(TlsReason, Direction)], calls: u64) -> Vec<(TlsReason, Direction, u64)> {
    signs.iter().map(|(reason, direction)| (*reason, *direction, calls)).collect()
}

#[test]
fn every_folder_of_the_captures_is_in_the_table() {
    let folders: BTreeSet<String> = ["tls12", "tls13"]
        .iter()
        .flat_map(|set| fs::read_dir(captures().join(set)).unwrap().map(move |entry| (set, entry.unwrap())))
        .filter(|(_, entry)| entry.path().is_dir())
        .map(|(set, entry)| format!("{set}/{}", entry.file_name().to_string_lossy()))
        .collect();
    assert_eq!(folders, FAULTS.iter().map(|fault| fault.folder.to_owned()).collect());
}

#[test]
fn every_fault_has_its_counter_signature_on_both_sides() {
    for fault in &FAULTS {
        let stats = client_stats(fault);
        let client = stats.clients.values().next().map_or(NONE, signature);
        assert_eq!(client, fault.client, "{}: client", fault.folder);
        assert_eq!(stats.connects_failed, Some(fault.connects_failed), "{}", fault.folder);
        let healthy = fault.folder.ends_with("/healthy");
        let answered = if healthy { (fault.calls, 0) } else { (0, fault.calls) };
        assert_eq!((stats.requests_answered, stats.requests_failed), (Some(answered.0), Some(answered.1)));
        let server = read(fault.folder, "server-stats.txt").map(|text| signature(&read_stats(&text).server));
        assert_eq!(server, fault.server, "{}: server", fault.folder);
    }
    let together = read_stats(&read("tls12", "server-listener-stats.txt").unwrap()).server;
    assert_eq!((together.handshake, together.failures()), (Some(1), Some(30)));
}

#[test]
fn every_line_of_every_log_is_understood_with_its_direction() {
    for fault in &FAULTS {
        let client = signs(&read(fault.folder, "client-access.log").unwrap());
        assert_eq!(client, counted(fault.client_signs, fault.calls), "{}: client", fault.folder);
        let server = read(fault.folder, "server-listener.log").map(|log| signs(&log)).unwrap_or_default();
        assert_eq!(server, counted(fault.server_signs, fault.calls), "{}: server", fault.folder);
        // Envoy's own log tells both sides without saying which; its lines are in UTC and have a time.
        let debug = read(fault.folder, "proxy-debug.log").unwrap_or_default();
        let both: BTreeSet<TlsReason> =
            fault.client_signs.iter().chain(fault.server_signs).map(|(reason, _)| *reason).collect();
        for sign in count_signs(debug.lines()) {
            // Under TLS 1.3 the client's access log keeps the alert to itself, and this log does not.
            let alert = matches!(sign.reason, OwnExpired | OwnUnknownAuthority | OwnRejected);
            assert!(both.contains(&sign.reason) || alert, "{}: {sign:?}", fault.folder);
            assert!(sign.direction == Unknown || sign.reason == PlaintextToUs, "{sign:?}");
            assert!(sign.first.is_some() && sign.first <= sign.last);
        }
    }
    let together: BTreeSet<_> = count_signs(read("tls12", "server-listener.log").unwrap().lines())
        .iter()
        .map(|sign| (sign.reason, sign.direction))
        .collect();
    let expected = [PeerExpired, PeerUnknownAuthority, OwnUnknownAuthority, PlaintextToUs];
    assert_eq!(together, expected.map(|reason| (reason, Inbound)).into());
}

/// The evidence of the same fault on the test bed, where it was made to happen there.
fn on_the_test_bed(fault: &Fault) -> Option<(String, Evidence)> {
    let name = match fault.folder.split_once('/')? {
        ("tls12", name) => format!("{name}-tls12"),
        (_, name) => name.to_owned(),
    };
    let path = format!("{}/tests/data/evidence/real-{name}.json", env!("CARGO_MANIFEST_DIR"));
    let evidence = serde_json::from_slice(&fs::read(path).ok()?).unwrap();
    Some((name, evidence))
}

#[test]
fn proxies_that_ran_well_before_a_fault_count_it_as_the_captures_do() {
    let mut compared = BTreeSet::new();
    for fault in &FAULTS {
        let Some((name, evidence)) = on_the_test_bed(fault) else { continue };
        let [_, error, verify, identity] = fault.client;
        let captured = [error, verify, identity, fault.connects_failed].map(|count| count > 0);
        for pod in &evidence.pods {
            let stats = pod.stats.value().unwrap();
            // Without TLS there are no counters of it.
            let [_, error, verify, identity] = stats.clients.values().next().map_or(NONE, signature);
            let counted = [error, verify, identity, stats.connects_failed.unwrap()].map(|count| count > 0);
            assert_eq!(counted, captured, "{name}: {stats:?}");
        }
        compared.insert(name);
    }
    assert_eq!(compared.len(), 11, "each but client-san-rejected-tls12, which was not captured: {compared:?}");
}

/// As the collector sums them up.
fn counters(client: &ProxyStats, server: Option<&TlsCounters>) -> Counters {
    let sum = |pick: fn(&TlsCounters) -> Option<u64>| client.clients.values().filter_map(pick).reduce(|a, b| a + b);
    Counters {
        server_handshakes: server.and_then(|server| server.handshake),
        server_failures: server.and_then(TlsCounters::failures),
        client_handshakes: sum(|counters| counters.handshake),
        client_failures: sum(TlsCounters::failures),
        requests_answered: client.requests_answered,
        requests_failed: client.requests_failed,
        new_log_errors: Some(0),
        access_lines: Some(6),
    }
}

fn proof_of(from: Counters, to: Counters) -> Proof {
    let sample = |seconds: i64, counters: Counters| Sample {
        pod: PodRef {
            namespace: Namespace::parse("payments").unwrap(),
            name: ObjectName::parse("checkout-a").unwrap(),
        },
        uid: PodUid::parse("uid-checkout-a").unwrap(),
        uptime_seconds: u64::try_from(1000 + seconds).ok(),
        at: jiff::Timestamp::from_second(1_800_000_000 + seconds).unwrap(),
        counters,
        svid_not_after: Some(jiff::Timestamp::from_second(1_800_003_600).unwrap()),
    };
    verify(&[], &[sample(0, from)], &[sample(120, to)]).proof
}

/// What an Envoy with these counters showed before the first call.
fn zero(counters: &Counters) -> Counters {
    let none = |figure: Option<u64>| figure.map(|_| 0);
    Counters {
        server_handshakes: none(counters.server_handshakes),
        server_failures: none(counters.server_failures),
        client_handshakes: none(counters.client_handshakes),
        client_failures: none(counters.client_failures),
        requests_answered: none(counters.requests_answered),
        requests_failed: none(counters.requests_failed),
        new_log_errors: Some(0),
        access_lines: Some(6),
    }
}

#[test]
fn no_fault_is_ever_called_a_fix_that_worked() {
    for fault in &FAULTS {
        let client = client_stats(fault);
        let server = read(fault.folder, "server-stats.txt").map(|text| read_stats(&text).server);
        let nobody = ProxyStats::default();
        // A pod as a client, as a server, as both, and with Istio's default stats matcher, which hides `ssl.*`.
        let hidden = ProxyStats { clients: std::collections::BTreeMap::default(), ..client.clone() };
        let views = [
            Some(counters(&client, None)),
            server.as_ref().map(|server| counters(&nobody, Some(server))),
            server.as_ref().map(|server| counters(&client, Some(server))),
            Some(counters(&hidden, None)),
        ];
        for view in views.into_iter().flatten() {
            let proof = proof_of(zero(&view), view.clone());
            let healthy = fault.folder.ends_with("/healthy");
            assert_eq!(proof == Proof::Worked, healthy, "{}: {proof:?} {view:?}", fault.folder);
        }
    }
}
