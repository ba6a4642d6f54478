//! The ten settings that were made with real sidecars, whose calls really succeeded or failed
//! (tests/data/istio-pairs/live-trial.txt): the judgement must be what happened there.

use super::world::{policy, rule, world};
use crate::triage::istio::{Computed, Conclusion, Destination, ObjectName};

fn name(namespace: &str, name: &str) -> ObjectName {
    ObjectName { namespace: namespace.to_owned(), name: name.to_owned() }
}

/// What is said of the sidecar's calls to both ports, and of a pod without a sidecar to the first.
fn said(with: &str) -> String {
    let objects = world(with);
    let computed = Computed::new(&objects);
    let service = &objects.services[&name("shop", "reviews")];
    let judged = |client: &str, port| {
        let judged = computed.judge(&objects.pods[&name("web", client)], Destination { service, port, subset: None });
        let works = match judged.conclusion() {
            Conclusion::Mtls => "mTLS",
            Conclusion::WithoutMtls => "plain",
            Conclusion::Unclear => "unclear",
            Conclusion::Fails => "fails",
        };
        format!("{client}:{port} {works}: {}", judged.sentence())
    };
    [judged("client", 80), judged("client", 81), judged("old", 80)].join("\n")
}

const STRICT: &str = "{mtls: {mode: STRICT}}";

#[test]
fn with_nothing_set_the_sidecar_makes_mtls_and_a_pod_without_one_gets_through() {
    insta::assert_snapshot!(said(""), @r"
    client:80 mTLS: it works by mTLS
    client:81 mTLS: it works by mTLS
    old:80 plain: it works without mTLS: the client has no sidecar, so nothing makes mTLS for it
    ");
}

#[test]
fn strict_shuts_out_the_pod_without_a_sidecar_alone() {
    insta::assert_snapshot!(said(&policy("server", STRICT)), @r"
    client:80 mTLS: it works by mTLS
    client:81 mTLS: it works by mTLS
    old:80 fails: the client has no sidecar, so nothing makes mTLS for it, and pod shop/r1 accepts only mTLS on port 8080 (STRICT by PeerAuthentication shop/server for its namespace)
    ");
}

#[test]
fn a_client_set_to_disable_meets_a_strict_server() {
    insta::assert_snapshot!(said(&(policy("server", STRICT) + &rule("{tls: {mode: DISABLE}}"))), @r"
    client:80 fails: the client's proxy sends plain text (DestinationRule shop/d, trafficPolicy: DISABLE), and pod shop/r1 accepts only mTLS on port 8080 (STRICT by PeerAuthentication shop/server for its namespace)
    client:81 fails: the client's proxy sends plain text (DestinationRule shop/d, trafficPolicy: DISABLE), and pod shop/r1 accepts only mTLS on port 8081 (STRICT by PeerAuthentication shop/server for its namespace)
    old:80 fails: the client has no sidecar, so nothing makes mTLS for it, and pod shop/r1 accepts only mTLS on port 8080 (STRICT by PeerAuthentication shop/server for its namespace)
    ");
}

#[test]
fn a_credential_that_no_sidecar_gets_leaves_plain_text() {
    let simple = rule("{tls: {mode: SIMPLE, credentialName: c}}");
    insta::assert_snapshot!(said(&(policy("server", STRICT) + &simple)), @r"
    client:80 fails: the client's proxy sends plain text, since Istio leaves SIMPLE with credentialName out of sidecars unless the rule has a workloadSelector (DestinationRule shop/d, trafficPolicy), and pod shop/r1 accepts only mTLS on port 8080 (STRICT by PeerAuthentication shop/server for its namespace)
    client:81 fails: the client's proxy sends plain text, since Istio leaves SIMPLE with credentialName out of sidecars unless the rule has a workloadSelector (DestinationRule shop/d, trafficPolicy), and pod shop/r1 accepts only mTLS on port 8081 (STRICT by PeerAuthentication shop/server for its namespace)
    old:80 fails: the client has no sidecar, so nothing makes mTLS for it, and pod shop/r1 accepts only mTLS on port 8080 (STRICT by PeerAuthentication shop/server for its namespace)
    ");
}

#[test]
fn a_port_entry_without_tls_does_not_free_the_endpoints_from_disable() {
    let both =
        rule("{tls: {mode: DISABLE}, portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}}]}");
    insta::assert_snapshot!(said(&(policy("server", STRICT) + &both)), @r"
    client:80 fails: the client's proxy sends plain text to pod shop/r1, since the port's entry has no tls of its own and trafficPolicy says DISABLE (DestinationRule shop/d), and pod shop/r1 accepts only mTLS on port 8080 (STRICT by PeerAuthentication shop/server for its namespace)
    client:81 fails: the client's proxy sends plain text (DestinationRule shop/d, trafficPolicy: DISABLE), and pod shop/r1 accepts only mTLS on port 8081 (STRICT by PeerAuthentication shop/server for its namespace)
    old:80 fails: the client has no sidecar, so nothing makes mTLS for it, and pod shop/r1 accepts only mTLS on port 8080 (STRICT by PeerAuthentication shop/server for its namespace)
    ");
}

#[test]
fn a_rule_that_demands_another_identity_is_named_with_both() {
    let wrong = rule("{tls: {mode: ISTIO_MUTUAL, subjectAltNames: ['spiffe://bed.test/ns/shop/sa/other']}}");
    insta::assert_snapshot!(said(&(policy("server", STRICT) + &wrong)), @r"
    client:80 fails: the client's proxy makes Istio's mTLS (DestinationRule shop/d, trafficPolicy: ISTIO_MUTUAL) and demands spiffe://bed.test/ns/shop/sa/other, and pod shop/r1 holds spiffe://bed.test/ns/shop/sa/reviews
    client:81 fails: the client's proxy makes Istio's mTLS (DestinationRule shop/d, trafficPolicy: ISTIO_MUTUAL) and demands spiffe://bed.test/ns/shop/sa/other, and pod shop/r1 holds spiffe://bed.test/ns/shop/sa/reviews
    old:80 fails: the client has no sidecar, so nothing makes mTLS for it, and pod shop/r1 accepts only mTLS on port 8080 (STRICT by PeerAuthentication shop/server for its namespace)
    ");
}

#[test]
fn simple_meets_a_strict_server() {
    insta::assert_snapshot!(said(&(policy("server", STRICT) + &rule("{tls: {mode: SIMPLE}}"))), @r"
    client:80 fails: the client's proxy makes TLS without a certificate of its own (DestinationRule shop/d, trafficPolicy: SIMPLE), and pod shop/r1 accepts only mTLS on port 8080 (STRICT by PeerAuthentication shop/server for its namespace)
    client:81 fails: the client's proxy makes TLS without a certificate of its own (DestinationRule shop/d, trafficPolicy: SIMPLE), and pod shop/r1 accepts only mTLS on port 8081 (STRICT by PeerAuthentication shop/server for its namespace)
    old:80 fails: the client has no sidecar, so nothing makes mTLS for it, and pod shop/r1 accepts only mTLS on port 8080 (STRICT by PeerAuthentication shop/server for its namespace)
    ");
}

#[test]
fn simple_fails_at_a_permissive_http_port_too() {
    insta::assert_snapshot!(said(&rule("{tls: {mode: SIMPLE}}")), @r"
    client:80 fails: the client's proxy makes TLS without a certificate of its own (DestinationRule shop/d, trafficPolicy: SIMPLE), and pod shop/r1 takes no TLS but Istio's on its HTTP port 8080 (PERMISSIVE, since no PeerAuthentication says otherwise)
    client:81 unclear: the client's proxy makes TLS without a certificate of its own (DestinationRule shop/d, trafficPolicy: SIMPLE), which works only if the application itself serves TLS
    old:80 plain: it works without mTLS: the client has no sidecar, so nothing makes mTLS for it
    ");
}

#[test]
fn mtls_meets_a_server_set_to_disable() {
    let disable = policy("server", "{mtls: {mode: DISABLE}}");
    insta::assert_snapshot!(said(&(disable + &rule("{tls: {mode: ISTIO_MUTUAL}}"))), @r"
    client:80 fails: the client's proxy makes Istio's mTLS (DestinationRule shop/d, trafficPolicy: ISTIO_MUTUAL), and pod shop/r1 accepts no TLS on port 8080 (DISABLE by PeerAuthentication shop/server for its namespace)
    client:81 fails: the client's proxy makes Istio's mTLS (DestinationRule shop/d, trafficPolicy: ISTIO_MUTUAL), and pod shop/r1 accepts no TLS on port 8081 (DISABLE by PeerAuthentication shop/server for its namespace)
    old:80 plain: it works without mTLS: the client has no sidecar, so nothing makes mTLS for it
    ");
}

#[test]
fn a_namespace_set_to_disable_ends_automatic_mtls_before_a_strict_workload() {
    let workload = policy("workload", "{selector: {matchLabels: {app: reviews}}, mtls: {mode: STRICT}}");
    insta::assert_snapshot!(said(&(policy("namespace", "{mtls: {mode: DISABLE}}") + &workload)), @r"
    client:80 fails: the client's proxy sends plain text, since no rule sets tls and PeerAuthentication shop/namespace sets DISABLE for the Service's namespace as a whole, and pod shop/r1 accepts only mTLS on port 8080 (STRICT by PeerAuthentication shop/workload for this workload)
    client:81 fails: the client's proxy sends plain text, since no rule sets tls and PeerAuthentication shop/namespace sets DISABLE for the Service's namespace as a whole, and pod shop/r1 accepts only mTLS on port 8081 (STRICT by PeerAuthentication shop/workload for this workload)
    old:80 fails: the client has no sidecar, so nothing makes mTLS for it, and pod shop/r1 accepts only mTLS on port 8080 (STRICT by PeerAuthentication shop/workload for this workload)
    ");
}
