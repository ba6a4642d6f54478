//! The counter signatures of real Envoys (domain notes, section 5): six failing requests each, seen from the client's
//! proxy and from the server's.

use jiff::{SignedDuration, Timestamp};

use crate::{
    mesh::{Namespace, ObjectName, PodRef, PodUid},
    remediation::{Counters, Proof, Sample, verify},
};

/// One signature: what grew on the client's cluster (handshakes, failures, answered, failed requests) and on the
/// server's listener (handshakes, failures).
struct Signature {
    name: &'static str,
    client: [u64; 4],
    server: [u64; 2],
}

const fn signature(name: &'static str, client: [u64; 4], server: [u64; 2]) -> Signature {
    Signature { name, client, server }
}

const HEALTHY: Signature = signature("healthy", [1, 0, 6, 0], [1, 0]);

const FAULTS: [Signature; 9] = [
    signature("client certificate expired, TLS 1.3", [6, 6, 0, 6], [0, 6]),
    signature("client certificate of an unknown authority, TLS 1.3", [6, 6, 0, 6], [0, 6]),
    signature("the server's SAN rule rejects the client, TLS 1.3", [6, 6, 0, 6], [0, 6]),
    signature("client certificate expired, TLS 1.2", [0, 6, 0, 6], [0, 6]),
    signature("client lacks the server's authority", [0, 6, 0, 6], [0, 6]),
    signature("the server's SPIFFE ID is not the expected one", [0, 6, 0, 6], [0, 6]),
    signature("plaintext into mTLS", [0, 0, 0, 6], [0, 6]),
    signature("refused", [0, 0, 0, 6], [0, 0]),
    signature("accepted and closed", [0, 0, 0, 6], [0, 0]),
];

/// How much of it a proxy shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    /// Every counter.
    All,
    /// The hosts alone, as with Istio's default stats matcher.
    HostsOnly,
}

fn of_client([handshakes, failures, answered, failed]: [u64; 4], view: View) -> Counters {
    let tls = |figure| Some(figure).filter(|_| view == View::All);
    Counters {
        client_handshakes: tls(handshakes),
        client_failures: tls(failures),
        requests_answered: Some(answered),
        requests_failed: Some(failed),
        new_log_errors: Some(0),
        ..Counters::default()
    }
}

fn of_server([handshakes, failures]: [u64; 2], view: View) -> Counters {
    let tls = |figure| Some(figure).filter(|_| view == View::All);
    let (server_handshakes, server_failures) = (tls(handshakes), tls(failures));
    Counters { server_handshakes, server_failures, new_log_errors: Some(0), ..Counters::default() }
}

fn proof(first: Counters, last: Counters) -> Proof {
    let began: Timestamp = "2026-11-24T03:00:00Z".parse().unwrap();
    let at = |second: i64, counters| Sample {
        pod: PodRef { namespace: Namespace::parse("web").unwrap(), name: ObjectName::parse("new").unwrap() },
        uid: PodUid::parse("uid-new").unwrap(),
        uptime_seconds: u64::try_from(10 + second).ok(),
        at: began + SignedDuration::from_secs(second),
        counters,
        svid_not_after: Some(began + SignedDuration::from_hours(1)),
    };
    verify(&[], &[at(0, first)], &[at(120, last)]).proof
}

#[test]
fn no_fault_is_ever_called_worked_from_either_side_with_or_without_tls_counters() {
    for fault in FAULTS {
        for view in [View::All, View::HostsOnly] {
            let client = proof(of_client([0; 4], view), of_client(fault.client, view));
            let server = proof(of_server([0; 2], view), of_server(fault.server, view));
            assert_ne!(client, Proof::Worked, "{}: the client's proxy, {view:?}", fault.name);
            assert_ne!(server, Proof::Worked, "{}: the server's proxy, {view:?}", fault.name);
            let tls_seen = view == View::All && fault.server[1] > 0;
            assert!(!tls_seen || server == Proof::NoEffect, "{}: the server has seen it", fault.name);
        }
    }
}

/// Failures that no `ssl.*` counter shows are seen by the hosts where those counters are hidden.
#[test]
fn a_total_outage_behind_hidden_counters_is_no_effect() {
    for fault in FAULTS {
        let hidden = proof(of_client([0; 4], View::HostsOnly), of_client(fault.client, View::HostsOnly));
        assert_eq!(hidden, Proof::NoEffect, "{}", fault.name);
    }
}

#[test]
fn healthy_is_worked_from_either_side_and_a_server_that_shows_nothing_stays_open() {
    for view in [View::All, View::HostsOnly] {
        assert_eq!(proof(of_client([0; 4], view), of_client(HEALTHY.client, view)), Proof::Worked, "{view:?}");
    }
    assert_eq!(proof(of_server([0; 2], View::All), of_server(HEALTHY.server, View::All)), Proof::Worked);
    let blind = proof(of_server([0; 2], View::HostsOnly), of_server(HEALTHY.server, View::HostsOnly));
    assert_eq!(blind, Proof::Unproven);
}
