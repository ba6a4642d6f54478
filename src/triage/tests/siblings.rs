//! Siblings of the public reports: the same kinds of faults in the words of other versions, as text and as JSON, one line a
//! night. A line is written a minute ago, and three times where it stands for calls.

use super::{Night, ago, gone, seen, three};
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

#[test]
fn what_proxies_of_other_versions_say_is_named_by_its_cause() {
    use Scenario::{
        Application, ExpiredCertificate, IdentityMismatch, Inconclusive, IstioConfiguration, IstiodCa, Network,
        Registration, RejectedSecret, TrustBundleMismatch,
    };
    use Workload::{OfIstiod, Well};
    let call = |code: &str, flags: &str, why: &str, cluster: &str| {
        let at = ago(1);
        format!(
            "[{at}] \"GET /a HTTP/1.1\" {code} {flags} - - \"{why}\" 0 91 35 - \"-\" \"curl\" \"id\" \"a:1\" \
             \"10.0.0.9:8443\" {cluster} - 10.0.0.9:8443 10.0.0.8:50212 - default"
        )
    };
    let outbound = "outbound|8443||ledger.payments.svc.cluster.local";
    let refused = |detail: &str| {
        let why = format!(
            "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED{detail}:TLS_error_end"
        );
        call("503", "UF,URX", &why, outbound)
    };
    let agent = |level: &str, scope: &str, text: &str| format!("{}\t{level}\t{scope}\t{text}", ago(1));
    let envoy = |text: &str| agent("warning", "envoy config external/envoy/source/grpc_stream.h:155", text);
    let rows: [(Workload, String, Scenario); 30] = [
        (
            Well,
            refused(
                ":verify_cert_failed:_X509_verify_cert:_certificate_verification_error_at_depth_0:_certificate_has_expired",
            ),
            ExpiredCertificate,
        ),
        (
            Well,
            refused(
                ":verify_cert_failed:_X509_verify_cert:_certificate_verification_error_at_depth_1:_certificate_has_expired",
            ),
            TrustBundleMismatch,
        ),
        (
            Well,
            refused(
                ":verify_cert_failed:_X509_verify_cert:_certificate_verification_error_at_depth_2:_certificate_has_expired",
            ),
            TrustBundleMismatch,
        ),
        (
            Well,
            refused(
                ":verify_cert_failed:_X509_verify_cert:_certificate_verification_error_at_depth_0:_unable_to_get_local_issuer_certificate",
            ),
            TrustBundleMismatch,
        ),
        (
            Well,
            refused(
                ":verify_cert_failed:_X509_verify_cert:_certificate_verification_error_at_depth_1:_self_signed_certificate_in_certificate_chain",
            ),
            TrustBundleMismatch,
        ),
        (
            Well,
            refused(
                ":verify_cert_failed:_X509_verify_cert:_certificate_verification_error_at_depth_0:_certificate_signature_failure",
            ),
            TrustBundleMismatch,
        ),
        (Well, refused(":verify_cert_failed:_SAN_matcher"), IdentityMismatch),
        (Well, refused(":verify_cert_failed:_verify_SAN_list"), IdentityMismatch),
        (Well, refused(":verify_cert_failed:_no_trust_bundle_store"), TrustBundleMismatch),
        (Well, refused(""), Inconclusive),
        (
            Well,
            call(
                "503",
                "UF",
                "TLS_error:|268436504:SSL_routines:OPENSSL_internal:TLSV1_ALERT_UNKNOWN_CA:TLS_error_end",
                outbound,
            ),
            TrustBundleMismatch,
        ),
        (
            Well,
            call(
                "503",
                "UF",
                "TLS_error:|268435703:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end",
                outbound,
            ),
            IstioConfiguration,
        ),
        (Well, call("503", "UF", "delayed_connect_error:_111", "InboundPassthroughCluster"), Application),
        (Well, call("503", "UF", "delayed_connect_error:_111", "InboundPassthroughClusterIpv6"), Application),
        (Well, call("503", "UF", "delayed_connect_error:_Connection_refused", "inbound|8080||"), Application),
        (Well, call("503", "UF", "delayed_connect_error:_113", outbound), Network),
        (Well, call("503", "UF", "delayed_connect_error:_No_route_to_host", outbound), Network),
        (
            Well,
            call("403", "-", "-", "inbound|8080||").replace(
                " - - \"-\" 0 91",
                " rbac_access_denied_matched_policy[ns[web]-policy[deny]-rule[0]] - \"-\" 0 91",
            ),
            IstioConfiguration,
        ),
        (
            Well,
            envoy(
                "gRPC config for type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret rejected: Failed to load certificate chain from <inline>, only P-256, P-384 or P-521 ECDSA certificates are supported",
            ),
            RejectedSecret,
        ),
        (
            Well,
            envoy(
                "gRPC config for type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret rejected: Failed to load trusted CA certificates from <inline>",
            ),
            RejectedSecret,
        ),
        (
            Well,
            envoy(
                "gRPC config for type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret rejected: Failed to load incomplete private key from path: ",
            ),
            RejectedSecret,
        ),
        (
            Well,
            envoy(
                "StreamSecrets gRPC config stream to sds-grpc closed: 3, workload is not authorized for the requested identities [\"file-cert:/etc/certs/cert.pem~/etc/certs/key.pem\"]",
            ),
            IstioConfiguration,
        ),
        (
            Well,
            envoy(
                "StreamSecrets gRPC config stream closed: 3, workload is not authorized for the requested identities [\"kubernetes://credential\"]",
            ),
            IstioConfiguration,
        ),
        (
            Well,
            envoy(
                "StreamSecrets gRPC config stream closed: 3, workload is not authorized for the requested identities [\"default\"]",
            ),
            Registration,
        ),
        (
            OfIstiod,
            agent(
                "error",
                "citadelclient",
                "failed to sign CSR: create certificate: rpc error: code = Unauthenticated desc = request impersonation authentication failure",
            ),
            IstiodCa,
        ),
        (
            OfIstiod,
            agent(
                "warn",
                "sds",
                "failed to warm certificate: failed to generate workload certificate: create certificate: rpc error: code = Internal desc = Istio CA is not ready",
            ),
            IstiodCa,
        ),
        (
            Well,
            agent(
                "error",
                "cache",
                "resource:default failed to sign: create certificate: rpc error: code = Unauthenticated desc = authentication failure",
            ),
            IstiodCa,
        ),
        (OfIstiod, agent("info", "cache", "returned workload certificate from cache"), IstiodCa),
        (
            Well,
            call(
                "503",
                "UF",
                "TLS_error:|268436501:SSL_routines:OPENSSL_internal:SSLV3_ALERT_CERTIFICATE_UNKNOWN:TLS_error_end",
                outbound,
            ),
            Inconclusive,
        ),
        (Well, call("200", "-", "-", outbound), Scenario::NoFaultFound),
    ];
    for (workload, line, scenario) in rows {
        let mut night = night(workload);
        night.pod(0).proxy_log = seen(excerpt(&vec![line.clone(); 4]), "log of istio-proxy");
        let verdict = night.verdict();
        assert_eq!(verdict.scenario, scenario, "{line}: {:#?}", verdict.reasons);
        assert_eq!(verdict.at, three());
    }
}
