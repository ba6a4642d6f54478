//! Siblings of the public reports: the same kinds of faults in the words of other versions, as text and as JSON, one line a
//! night. A line is written a minute ago, and three times where it stands for calls.

use super::{Night, ago, gone, seen};
use crate::triage::{LogExcerpt, Redacted, Scenario, ServedSecrets};

/// How the workload fares.
#[derive(Clone, Copy)]
enum Workload {
    /// Its SVID is fresh.
    Well,
    /// Its renewal is overdue.
    Overdue,
    /// Its SVID is over.
    Over,
    /// It never got one.
    Without,
    /// istiod issued its certificate, which is over.
    OfIstiod,
}

fn night(workload: Workload) -> Night {
    let mut night = Night::healthy();
    match workload {
        Workload::Well => {}
        Workload::Overdue => night.holds(0, 12),
        Workload::Over => night.holds(0, -5),
        Workload::Without => {
            night.pod(0).svid_file = gone("svid.crt");
            night.pod(0).served = seen(ServedSecrets::default(), "Envoy /config_dump");
        }
        Workload::OfIstiod => {
            let leaf = night.istiod.leaf(super::OF_ISTIOD, -5);
            night.pod(0).svid_file = gone("svid.crt");
            night.serves(0, &leaf);
        }
    }
    night
}

/// As SPIRE logs text.
fn text(message: &str, error: &str) -> String {
    format!("time=\"{}\" level=error msg=\"{message}\" error=\"{error}\" subsystem_name=manager", ago(1))
}

/// As SPIRE logs JSON.
fn json(message: &str, error: &str) -> String {
    let at = ago(1).to_string();
    serde_json::json!({ "error": error, "level": "error", "msg": message, "subsystem_name": "manager", "time": at })
        .to_string()
}

fn excerpt(lines: &[String]) -> LogExcerpt {
    LogExcerpt { lines: lines.iter().map(|line| Redacted::new(line)).collect(), ..LogExcerpt::default() }
}

#[test]
fn what_agents_of_other_versions_say_is_read_by_the_end_of_its_error() {
    use Scenario::{Network, Registration, SpireAgent, TrustBundleMismatch, WorkloadAttestation};
    use Workload::{Over, Overdue, Without};
    const TOO_MUCH: &str =
        "rpc error: code = ResourceExhausted desc = grpc: received message larger than max (5 vs. 4)";
    const UNKNOWN_AUTHORITY: &str = "rpc error: code = Unavailable desc = connection error: desc = \\\"transport: \
        authentication handshake failed: x509: certificate signed by unknown authority\\\"";
    const REFUSED: &str = "rpc error: code = Unavailable desc = connection error: desc = \\\"transport: Error while \
        dialing: dial tcp 10.0.0.1:8081: connect: connection refused\\\"";
    const DENIED: &str = "rpc error: code = PermissionDenied desc = authorization denied for method /spire.api.server.agent.v1.Agent/RenewAgent";
    const PREFACE: &str = "rpc error: code = Unavailable desc = connection error: desc = \\\"error reading server preface: remote error: \
         tls: bad certificate\\\"";
    const KUBELET: &str = "workload attestor \\\"k8s\\\" failed: rpc error: code = Internal desc = workloadattestor(k8s): \
        unable to perform request: Get \\\"https://127.0.0.1:10250/pods\\\": dial tcp 127.0.0.1:10250: i/o timeout";
    let rows: [(Workload, String, Scenario); 22] = [
        (Overdue, text("Synchronize failed", &format!("failed to fetch authorized entries: {TOO_MUCH}")), Registration),
        (Overdue, json("Synchronize failed", &format!("failed to fetch authorized entries: {TOO_MUCH}")), Registration),
        (Over, text("SVID sync failed", &format!("failed to fetch authorized entries: {TOO_MUCH}")), Registration),
        (Over, text("Failed to fetch authorized entries", TOO_MUCH), Registration),
        (Over, json("Failed to fetch authorized entries", TOO_MUCH), Registration),
        (
            Over,
            text("Agent crashed", &format!("failed to receive attestation response: {UNKNOWN_AUTHORITY}")),
            TrustBundleMismatch,
        ),
        (
            Over,
            json("Agent crashed", &format!("failed to receive attestation response: {UNKNOWN_AUTHORITY}")),
            TrustBundleMismatch,
        ),
        (
            Over,
            text("agent crashed", &format!("opening stream for attestation: {UNKNOWN_AUTHORITY}")),
            TrustBundleMismatch,
        ),
        (Overdue, text("Synchronize failed", UNKNOWN_AUTHORITY), TrustBundleMismatch),
        (Over, text("Failed to retrieve attestation result", UNKNOWN_AUTHORITY), TrustBundleMismatch),
        (Over, text("Could not rotate agent SVID", &format!("failed to renew agent: {DENIED}")), SpireAgent),
        (Over, json("Could not rotate agent SVID", &format!("failed to renew agent: {DENIED}")), SpireAgent),
        (Over, text("Synchronize failed", DENIED), SpireAgent),
        (Over, text("Synchronize failed", PREFACE), SpireAgent),
        (Over, json("SVID sync failed", PREFACE), SpireAgent),
        (Over, text("Agent needs to re-attest; removing SVID and shutting down", DENIED), SpireAgent),
        (Over, text("Synchronize failed", REFUSED), Network),
        (Over, json("Synchronize failed", REFUSED), Network),
        (Without, text("Failed to collect all selectors for PID", KUBELET), WorkloadAttestation),
        (Without, json("Failed to collect all selectors", KUBELET), WorkloadAttestation),
        (Without, text("Failed to attest the workload", KUBELET), WorkloadAttestation),
        (Without, text("No identity issued", "no registration entry"), Registration),
    ];
    for (workload, line, scenario) in rows {
        let mut night = night(workload);
        let lines = vec![line.clone(); 3];
        night.agent(0).log = seen(excerpt(&lines), "log of spire-agent");
        let verdict = night.verdict();
        assert_eq!(verdict.scenario, scenario, "{line}: {:#?}", verdict.reasons);
        assert!(verdict.reasons.iter().all(|reason| !reason.is_empty()));
    }
}

/// A line of Istio's access log.
fn call(code: &str, flags: &str, why: &str, cluster: &str) -> String {
    let at = ago(1);
    format!(
        "[{at}] \"GET /a HTTP/1.1\" {code} {flags} - - \"{why}\" 0 91 35 - \"-\" \"curl\" \"id\" \"a:1\" \
         \"10.0.0.9:8443\" {cluster} - 10.0.0.9:8443 10.0.0.8:50212 - default"
    )
}

const OUTBOUND: &str = "outbound|8443||ledger.payments.svc.cluster.local";

/// A call of ours that ended because we refused the peer's certificate.
fn refused(detail: &str) -> String {
    let why =
        format!("TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED{detail}:TLS_error_end");
    call("503", "UF,URX", &why, OUTBOUND)
}

/// The same with what Envoy says of one certificate of the chain.
fn verified(depth: u8, why: &str) -> String {
    let frame = "verify_cert_failed:_X509_verify_cert:_certificate_verification_error_at_depth";
    refused(&format!(":{frame}_{depth}:_{why}"))
}

fn alert(number: u32, words: &str) -> String {
    let why = format!("TLS_error:|{number}:SSL_routines:OPENSSL_internal:{words}:TLS_error_end");
    call("503", "UF", &why, OUTBOUND)
}

/// A line of the sidecar's agent.
fn pilot_agent(level: &str, scope: &str, text: &str) -> String {
    format!("{}\t{level}\t{scope}\t{text}", ago(1))
}

/// A line of Envoy's own, as the sidecar's agent writes it.
fn envoy(text: &str) -> String {
    pilot_agent("warning", "envoy config external/envoy/source/grpc_stream.h:155", text)
}

fn rejected(why: &str) -> String {
    let kind = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
    envoy(&format!("gRPC config for {kind} rejected: {why}"))
}

fn not_served(secret: &str) -> String {
    let frame = "StreamSecrets gRPC config stream to sds-grpc closed: 3";
    envoy(&format!("{frame}, workload is not authorized for the requested identities [\"{secret}\"]"))
}

#[track_caller]
fn each_is_named(rows: impl IntoIterator<Item = (Workload, String, Scenario)>) {
    for (workload, line, scenario) in rows {
        let mut night = night(workload);
        night.pod(0).proxy_log = seen(excerpt(&vec![line.clone(); 4]), "log of istio-proxy");
        let verdict = night.verdict();
        assert_eq!(verdict.scenario, scenario, "{line}: {:#?}", verdict.reasons);
    }
}

#[test]
fn what_proxies_of_other_versions_say_of_calls_is_named_by_its_cause() {
    use Scenario::{
        Application, ExpiredCertificate, IdentityMismatch, Inconclusive, IstioConfiguration, Network, NoFaultFound,
        TrustBundleMismatch,
    };
    let denied = call("403", "-", "-", "inbound|8080||");
    let denied = denied.replace(" - - \"-\" 0 91", " rbac_access_denied_matched_policy[ns[web]-rule[0]] - \"-\" 0 91");
    let rows = [
        (verified(0, "certificate_has_expired"), ExpiredCertificate),
        (verified(1, "certificate_has_expired"), TrustBundleMismatch),
        (verified(2, "certificate_has_expired"), TrustBundleMismatch),
        (verified(0, "unable_to_get_local_issuer_certificate"), TrustBundleMismatch),
        (verified(1, "self_signed_certificate_in_certificate_chain"), TrustBundleMismatch),
        (verified(0, "certificate_signature_failure"), TrustBundleMismatch),
        (refused(":verify_cert_failed:_SAN_matcher"), IdentityMismatch),
        (refused(":verify_cert_failed:_verify_SAN_list"), IdentityMismatch),
        (refused(":verify_cert_failed:_no_trust_bundle_store"), TrustBundleMismatch),
        (refused(""), Inconclusive),
        (alert(268_436_504, "TLSV1_ALERT_UNKNOWN_CA"), TrustBundleMismatch),
        (alert(268_435_703, "WRONG_VERSION_NUMBER"), IstioConfiguration),
        (alert(268_436_501, "SSLV3_ALERT_CERTIFICATE_UNKNOWN"), Inconclusive),
        (call("503", "UF", "delayed_connect_error:_111", "InboundPassthroughCluster"), Application),
        (call("503", "UF", "delayed_connect_error:_111", "InboundPassthroughClusterIpv6"), Application),
        (call("503", "UF", "delayed_connect_error:_Connection_refused", "inbound|8080||"), Application),
        (call("503", "UF", "delayed_connect_error:_113", OUTBOUND), Network),
        (call("503", "UF", "delayed_connect_error:_No_route_to_host", OUTBOUND), Network),
        (denied, IstioConfiguration),
        (call("200", "-", "-", OUTBOUND), NoFaultFound),
    ];
    each_is_named(rows.map(|(line, scenario)| (Workload::Well, line, scenario)));
}

#[test]
fn what_proxies_of_other_versions_say_of_secrets_is_named_by_its_cause() {
    use Scenario::{IstioConfiguration, IstiodCa, Registration, RejectedSecret};
    use Workload::{OfIstiod, Well};
    const CREATE: &str = "create certificate: rpc error: code =";
    let citadel = |why: &str| pilot_agent("error", "citadelclient", &format!("failed to sign CSR: {CREATE} {why}"));
    each_is_named([
        (
            Well,
            rejected(
                "Failed to load certificate chain from <inline>, only P-256, P-384 or P-521 ECDSA certificates are supported",
            ),
            RejectedSecret,
        ),
        (Well, rejected("Failed to load trusted CA certificates from <inline>"), RejectedSecret),
        (Well, rejected("Failed to load incomplete private key from path: "), RejectedSecret),
        (Well, not_served("file-cert:/etc/certs/cert.pem~/etc/certs/key.pem"), IstioConfiguration),
        (Well, not_served("kubernetes://credential"), IstioConfiguration),
        (Well, not_served("default"), Registration),
        (OfIstiod, citadel("Unauthenticated desc = request impersonation authentication failure"), IstiodCa),
        (OfIstiod, citadel("Internal desc = Istio CA is not ready"), IstiodCa),
        (Well, citadel("Unauthenticated desc = authentication failure"), IstiodCa),
        (OfIstiod, pilot_agent("info", "cache", "returned workload certificate from cache"), IstiodCa),
    ]);
}

/// An agent that is in trouble explains no certificate of istiod's, and one line of one failure is not yet a fault.
#[test]
fn what_an_agent_says_of_its_server_is_no_cause_where_istiod_signs_or_where_it_said_so_once() {
    let line = text(
        "Synchronize failed",
        "rpc error: code = ResourceExhausted desc = grpc: received message larger than max (5 vs. 4)",
    );
    let mut of_istiod = night(Workload::OfIstiod);
    of_istiod.agent(0).log = seen(excerpt(&vec![line.clone(); 3]), "log of spire-agent");
    assert_eq!(of_istiod.verdict().scenario, Scenario::IstiodCa);
    let mut once = night(Workload::Well);
    once.agent(0).log = seen(excerpt(&[line]), "log of spire-agent");
    assert_ne!(once.verdict().scenario, Scenario::Registration, "{:?}", once.verdict().reasons);
}
