//! Traffic: what the calls of a stretch of time did to counters and logs, given the certificates of both sides.
//!
//! The signatures are those of Envoy under TLS 1.3 (domain notes, section 5): the client's handshake ends before the
//! server rejects its certificate, so the client counts a handshake *and* a connection error.

use jiff::Timestamp;

use super::{
    Fault, WorldState,
    authority::IssuedSvid,
    pod::{Pod, PodCounters},
    topology::{EDGES, Edge, PORT, TRUST_DOMAIN, workload},
};

/// One connection carries so many calls while all is well; a failed one carries none.
const CALLS_PER_CONNECTION: f64 = 10.0;
/// Of so many calls a sidecar's log shows one, so that a log of a bounded length covers some minutes.
const LOGGED_EVERY: f64 = 20.0;

/// How the calls of an edge end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Answered,
    /// The server rejects the client's certificate: under TLS 1.3 after the client's handshake has ended.
    ClientRejected(Rejection),
    /// The client rejects the server's certificate.
    ServerRejected(Rejection),
    /// The client's proxy has no SVID at all.
    NoSecret,
    /// Nobody is there to be called.
    Refused,
    /// The client sends plain text, and the server's port takes mTLS alone.
    PlainText,
}

/// Why a certificate is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rejection {
    Expired,
    NotYetValid,
    UnknownAuthority,
    Identity,
}

/// Lets calls flow from the settled time to `until`.
pub(super) fn flow(inner: &mut WorldState, until: Timestamp) {
    let seconds = until.duration_since(inner.settled).as_secs_f64();
    if seconds <= 0.0 || inner.has(&Fault::NoTraffic) {
        return;
    }
    // Within the stretch nothing changes: its middle speaks for all of it.
    let middle = inner.settled + until.duration_since(inner.settled) / 2;
    for edge in EDGES {
        flow_edge(inner, edge, middle, until, seconds);
    }
}

fn ready(inner: &WorldState, (namespace, name): (&str, &str)) -> Vec<(String, String)> {
    let of = |pod: &Pod| pod.workload.namespace == namespace && pod.workload.name == name && pod.ready;
    inner.pods.iter().filter(|(_, pod)| of(pod)).map(|(key, _)| key.clone()).collect()
}

fn flow_edge(inner: &mut WorldState, edge: Edge, middle: Timestamp, until: Timestamp, seconds: f64) {
    let clients = ready(inner, edge.client);
    let servers = ready(inner, edge.server);
    let Some(target) = workload(edge.server.0, edge.server.1) else { return };
    let share = f64::from(u32::try_from(servers.len().max(1)).unwrap_or(1));
    for client in &clients {
        let calls = edge.per_second * seconds / share;
        if servers.is_empty() {
            record_client(inner, client, &target.cluster(), End::Refused, calls, until);
        }
        for server in &servers {
            let end = ending(inner, client, server, middle);
            record_client(inner, client, &target.cluster(), end, calls, until);
            record_server(inner, server, end, calls);
            if end == End::PlainText {
                log_refusal(inner, client, server, calls, until);
            }
        }
    }
}

fn ending(inner: &WorldState, client: &(String, String), server: &(String, String), at: Timestamp) -> End {
    let (Some(client), Some(server)) = (inner.pods.get(client), inner.pods.get(server)) else { return End::Refused };
    let (Some(shown), Some(answered)) = (&client.served, &server.served) else {
        return if client.served.is_none() { End::NoSecret } else { End::Refused };
    };
    if inner.called_in_vain.contains(&server.workload) {
        return End::PlainText;
    }
    // The client looks first, and it alone knows whom it means to call.
    let expected = server.workload.spiffe_id();
    if let Some(why) = rejection(answered, inner.trusts(client, shown, answered), Some(&expected), at) {
        End::ServerRejected(why)
    } else if let Some(why) = rejection(shown, inner.trusts(server, answered, shown), None, at) {
        End::ClientRejected(why)
    } else {
        End::Answered
    }
}

/// Why a peer that trusts its authority or does not rejects a certificate, in the order in which BoringSSL and Envoy look.
fn rejection(presented: &IssuedSvid, trusted: bool, expected: Option<&str>, at: Timestamp) -> Option<Rejection> {
    if !trusted {
        Some(Rejection::UnknownAuthority)
    } else if at < presented.not_before {
        Some(Rejection::NotYetValid)
    } else if at >= presented.not_after {
        Some(Rejection::Expired)
    } else {
        expected.filter(|expected| presented.spiffe_id != *expected).map(|_| Rejection::Identity)
    }
}

fn record_client(
    inner: &mut WorldState,
    key: &(String, String),
    cluster: &str,
    end: End,
    calls: f64,
    until: Timestamp,
) {
    let tls12 = inner.has(&Fault::Tls12);
    let Some(pod) = inner.pods.get_mut(key) else { return };
    let counters = pod.clients.entry(cluster.to_owned()).or_default();
    counters.requests += calls;
    match end {
        End::Answered => {
            counters.handshake += calls / CALLS_PER_CONNECTION;
            counters.connections += calls / CALLS_PER_CONNECTION;
            counters.answered += calls;
        }
        End::ClientRejected(_) if tls12 => {
            counters.connection_error += calls;
            fails_to_connect(counters, calls);
        }
        End::ClientRejected(_) => {
            counters.handshake += calls;
            counters.connection_error += calls;
            counters.connections += calls;
            counters.failed += calls;
        }
        End::ServerRejected(why) => {
            let counter = match why {
                Rejection::Identity => &mut counters.fail_verify_san,
                _ => &mut counters.fail_verify_error,
            };
            *counter += calls;
            fails_to_connect(counters, calls);
        }
        // It is connected, without a handshake, and cut off.
        End::PlainText => {
            counters.connections += calls;
            counters.failed += calls;
        }
        End::NoSecret | End::Refused => fails_to_connect(counters, calls),
    }
    let unlogged = pod.unlogged.entry(cluster.to_owned()).or_default();
    *unlogged += calls;
    if *unlogged >= LOGGED_EVERY || (end != End::Answered && *unlogged >= 1.0) {
        *unlogged = 0.0;
        let line = access_line(cluster, end, tls12, &pod.address, until);
        pod.proxy_log.write(until, line);
    }
}

fn fails_to_connect(counters: &mut PodCounters, calls: f64) {
    counters.connect_fail += calls;
    counters.connections += calls;
    counters.failed += calls;
}

fn record_server(inner: &mut WorldState, key: &(String, String), end: End, calls: f64) {
    let Some(pod) = inner.pods.get_mut(key) else { return };
    match end {
        End::Answered => {
            pod.server.handshake += calls / CALLS_PER_CONNECTION;
            pod.server.answered += calls;
        }
        End::ClientRejected(_) => pod.server.fail_verify_error += calls,
        End::ServerRejected(_) => pod.server.connection_error += calls,
        End::NoSecret | End::Refused | End::PlainText => {}
    }
}

/// A line of the server's proxy about a connection that none of its filter chains takes.
fn log_refusal(
    inner: &mut WorldState,
    client: &(String, String),
    server: &(String, String),
    calls: f64,
    until: Timestamp,
) {
    let Some(caller) = inner.pods.get(client).map(|pod| pod.address.clone()) else { return };
    let Some(pod) = inner.pods.get_mut(server) else { return };
    let unlogged = pod.unlogged.entry(format!("from {caller}")).or_default();
    *unlogged += calls;
    if *unlogged >= 1.0 {
        *unlogged = 0.0;
        let own = pod.address.clone();
        let line = format!(
            "[{until:.3}] \"- - -\" 0 NR filter_chain_not_found - \"-\" 0 0 0 - \"-\" \"-\" \"-\" \"-\" \"-\" - - \
             {own}:{PORT} {caller}:48046 - -"
        );
        pod.proxy_log.write(until, line);
    }
}

/// A line of a sidecar's access log, in Istio's default text format.
fn access_line(cluster: &str, end: End, tls12: bool, address: &str, at: Timestamp) -> String {
    let host = cluster.rsplit('|').next().unwrap_or(cluster);
    let failed = match end {
        End::Answered => None,
        // Under TLS 1.3 the client is told nothing.
        End::PlainText => Some(("UC", reset("connection_termination"), "-".to_owned(), address)),
        End::ClientRejected(_) if !tls12 => Some(("UC", reset("connection_termination"), "-".to_owned(), address)),
        End::ClientRejected(why) => Some(failed_to_connect(alert(why).to_owned())),
        End::ServerRejected(why) => Some(failed_to_connect(verify_failed(why, cluster))),
        End::NoSecret => Some(failed_to_connect("TLS_error:_Secret_is_not_supplied_by_SDS".to_owned())),
        End::Refused => Some(failed_to_connect("delayed_connect_error:_Connection_refused".to_owned())),
    };
    let status = if failed.is_some() { "503" } else { "200" };
    let (flags, detail, failure, local) =
        failed.unwrap_or_else(|| ("-", "via_upstream".to_owned(), "-".to_owned(), address));
    format!(
        "[{at:.3}] \"GET /v1/call HTTP/1.1\" {status} {flags} {detail} - \"{failure}\" 0 95 2 - \"-\" \"client/1.0\" \
         \"-\" \"{host}:{PORT}\" \"10.96.0.10:{PORT}\" {cluster} {local} 10.96.0.10:{PORT} {address}:48046 - default"
    )
}

fn failed_to_connect(reason: String) -> (&'static str, String, String, &'static str) {
    ("UF", reset(&format!("remote_connection_failure|{reason}")), reason, "-")
}

/// The alert with which a TLS 1.2 server rejects a client.
fn alert(why: Rejection) -> &'static str {
    match why {
        Rejection::Expired => {
            "TLS_error:|268436501:SSL_routines:OPENSSL_internal:SSLV3_ALERT_CERTIFICATE_EXPIRED:TLS_error_end"
        }
        Rejection::UnknownAuthority => {
            "TLS_error:|268436504:SSL_routines:OPENSSL_internal:TLSV1_ALERT_UNKNOWN_CA:TLS_error_end"
        }
        Rejection::NotYetValid | Rejection::Identity => {
            "TLS_error:|268436502:SSL_routines:OPENSSL_internal:SSLV3_ALERT_CERTIFICATE_UNKNOWN:TLS_error_end"
        }
    }
}

/// What a client's Envoy says of a server that it rejects.
fn verify_failed(why: Rejection, cluster: &str) -> String {
    let at_depth = |what: &str| format!("X509_verify_cert:_certificate_verification_error_at_depth_0:_{what}");
    let reason = match why {
        Rejection::Expired => at_depth("certificate_has_expired"),
        Rejection::NotYetValid => at_depth("certificate_is_not_yet_valid"),
        Rejection::UnknownAuthority => at_depth("unable_to_get_local_issuer_certificate"),
        Rejection::Identity => {
            let namespace = cluster.split('.').nth(1).unwrap_or_default();
            format!("SAN_matcher,_certificate_SANs_are_[spiffe://{TRUST_DOMAIN}/ns/{namespace}/sa/default]")
        }
    };
    format!(
        "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_{reason}:\
         TLS_error_end"
    )
}

fn reset(why: &str) -> String {
    format!("upstream_reset_before_response_started{{{why}}}")
}

/// The share of failing calls at the pods of a service, as servers and as clients, at the settled time.
pub(super) fn failure_rate(inner: &WorldState, namespace: &str, service: &str) -> Option<f64> {
    if inner.has(&Fault::NoTraffic) {
        return None;
    }
    let (mut calls, mut failing) = (0.0, 0.0);
    for edge in EDGES.iter().filter(|edge| [edge.client, edge.server].contains(&(namespace, service))) {
        let (clients, servers) = (ready(inner, edge.client), ready(inner, edge.server));
        for client in &clients {
            for server in &servers {
                calls += edge.per_second;
                if ending(inner, client, server, inner.settled) != End::Answered {
                    failing += edge.per_second;
                }
            }
            if servers.is_empty() {
                calls += edge.per_second;
                failing += edge.per_second;
            }
        }
    }
    (calls > 0.0).then(|| failing / calls)
}
