//! Runbook scenario 4: the modes of both sides, from objects, against what the proxies saw.

use std::collections::BTreeMap;

use super::{Night, ago, never, seen};
use crate::{
    mesh::PodRef,
    triage::{
        CallerEvidence, CheckId, CheckResult, ClientEvidence, ClusterCalls, Confidence, FixName, Gathered,
        IstioEvidence, LogExcerpt, Missing, NotListed, ObjectKind, ProxyStats, Scenario, Side, Verdict,
        istio::{ObjectName, Objects},
    },
};

const MESH: &str = r"
apiVersion: v1
kind: ConfigMap
metadata: {namespace: istio-system, name: istio}
data: {mesh: 'trustDomain: prod.example.org'}
---
apiVersion: v1
kind: Pod
metadata: {namespace: web, name: frontend-a, labels: {app: frontend, security.istio.io/tlsMode: istio}}
spec: {serviceAccountName: frontend, containers: [{name: app, ports: [{containerPort: 8443}]}, {name: istio-proxy}]}
status: {phase: Running, podIP: 10.244.1.2}
---
apiVersion: v1
kind: Pod
metadata: {namespace: edge, name: gateway-a, labels: {app: gateway, security.istio.io/tlsMode: istio}}
spec: {serviceAccountName: gateway, containers: [{name: app}, {name: istio-proxy}]}
status: {phase: Running, podIP: 10.244.1.9}
---
apiVersion: v1
kind: Pod
metadata: {namespace: batch, name: report-a}
spec: {serviceAccountName: report, containers: [{name: app}]}
status: {phase: Running, podIP: 10.244.1.8}
---
apiVersion: v1
kind: Pod
metadata: {namespace: payments, name: checkout-a, labels: {app: checkout, security.istio.io/tlsMode: istio}}
spec: {serviceAccountName: checkout, containers: [{name: app}, {name: istio-proxy}]}
status: {phase: Running, podIP: 10.244.1.7}
---
apiVersion: v1
kind: Service
metadata: {namespace: web, name: frontend}
spec: {clusterIP: 10.96.0.1, ports: [{name: https, port: 8443, protocol: TCP}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
addressType: IPv4
metadata: {namespace: web, name: frontend-x, labels: {kubernetes.io/service-name: frontend}}
ports: [{name: https, port: 8443}]
endpoints: [{addresses: [10.244.1.2], conditions: {ready: true}, targetRef: {kind: Pod, namespace: web, name: frontend-a}}]
---
apiVersion: v1
kind: Service
metadata: {namespace: payments, name: checkout}
spec: {clusterIP: 10.96.0.2, ports: [{name: https, port: 8443, protocol: TCP}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
addressType: IPv4
metadata: {namespace: payments, name: checkout-x, labels: {kubernetes.io/service-name: checkout}}
ports: [{name: https, port: 8443}]
endpoints: [{addresses: [10.244.1.7], conditions: {ready: true}, targetRef: {kind: Pod, namespace: payments, name: checkout-a}}]
";

const FRONTEND: &str = "outbound|8443||frontend.web.svc.cluster.local";
const CHECKOUT: &str = "outbound|8443||checkout.payments.svc.cluster.local";

fn policy(namespace: &str, mode: &str) -> String {
    format!(
        "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{namespace: {namespace}, name: default}}\n\
         spec: {{mtls: {{mode: {mode}}}}}\n"
    )
}

fn rule(namespace: &str, host: &str, tls: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{namespace: {namespace}, name: mtls}}\n\
         spec: {{host: {host}.svc.cluster.local, trafficPolicy: {{tls: {tls}}}}}\n"
    )
}

/// A healthy night with these policies and rules.
fn night(objects: &str) -> Night {
    let mut night = Night::healthy();
    let objects = Objects::read(&format!("{MESH}{objects}")).unwrap();
    night.evidence.istio = Some(IstioEvidence { objects, at: ago(0), ..IstioEvidence::default() });
    night
}

fn istio(night: &mut Night) -> &mut IstioEvidence {
    night.evidence.istio.as_mut().unwrap()
}

/// A line of a server's log: somebody connected in a way that no chain takes.
fn refused(from: &str) -> String {
    format!(
        "[2026-11-24T02:59:30.000Z] \"- - -\" 0 NR filter_chain_not_found - \"-\" 0 0 0 - \"-\" \"-\" \"-\" \"-\" \"-\" - - \
         10.244.1.2:8443 {from}:48046 - -"
    )
}

/// A line of a client's log: the call came to this.
fn called(cluster: &str, came_to: &str) -> String {
    format!(
        "[2026-11-24T02:59:30.000Z] \"GET /a HTTP/1.1\" 503 {came_to} 0 95 0 - \"-\" \"x\" \"-\" \"a\" \"10.244.1.7:8443\" {cluster} - - - - default"
    )
}

const CUT: &str = "UC upstream_reset_before_response_started{connection_termination} - \"-\"";
const WRONG_VERSION: &str =
    "URX,UF x - \"TLS_error:|268435703:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end\"";

fn is_of(night: &mut Night, address: &str, pod: Option<(&str, &str)>) {
    let name = |(namespace, name): (&str, &str)| ObjectName { namespace: namespace.to_owned(), name: name.to_owned() };
    let pods = seen(pod.map(name).into_iter().collect(), "pods of the address");
    istio(night).callers.push(CallerEvidence { address: address.to_owned(), pods });
}

/// What the gateway's proxy counts of its calls to the frontend.
fn gateway_counts(night: &mut Night, answered: u64, failed: u64) {
    let calls = BTreeMap::from([(FRONTEND.to_owned(), ClusterCalls { answered, failed, connects_failed: 0 })]);
    let pod = PodRef { namespace: "edge".parse().unwrap(), name: "gateway-a".parse().unwrap() };
    let stats = seen(ProxyStats { calls, ..ProxyStats::default() }, "Envoy /clusters");
    let client = ClientEvidence { pod, stats, proxy_log: seen(LogExcerpt::default(), "log of istio-proxy") };
    istio(night).clients.push(client);
}

fn told(verdict: &Verdict) -> String {
    let rows = verdict.checks.iter().filter(|row| matches!(row.id, CheckId::ModeInEffect | CheckId::DestinationRule));
    let rows = rows.map(|row| {
        let remedy = row.remedy.as_ref().map(|remedy| format!("\n  > {remedy}")).unwrap_or_default();
        format!("{} {} {:?}: {}{remedy}", row.id, row.subject, row.result, row.summary)
    });
    let head = format!("{} ({:?}, {:?})", verdict.scenario, verdict.confidence, verdict.on.side);
    let reasons = verdict.reasons.iter().map(|reason| format!("- {reason}"));
    std::iter::once(head).chain(reasons).chain(rows).collect::<Vec<_>>().join("\n")
}

fn reasons(verdict: &Verdict) -> String {
    verdict.reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_rule_that_sends_plain_text_to_a_strict_server_is_named_with_the_line_that_mends_it() {
    let mut night = night(&(policy("web", "STRICT") + &rule("edge", "frontend.web", "{mode: DISABLE}")));
    night.proxy_says(0, &refused("10.244.1.9"), 3);
    is_of(&mut night, "10.244.1.9", Some(("edge", "gateway-a")));
    let verdict = night.verdict();
    insta::assert_snapshot!(told(&verdict), @r#"
    Istio configuration (High, Peer)
    - DestinationRule edge/mtls keeps these calls from working: edge/gateway-a to frontend.web:8443: the client's proxy sends plain text (DestinationRule edge/mtls, trafficPolicy: DISABLE), and pod web/frontend-a accepts only mTLS on port 8443 (STRICT by PeerAuthentication web/default for its namespace); seen: the target's proxy turned it away of late: edge/gateway-a (10.244.1.9) has a sidecar
    - it works once trafficPolicy says ISTIO_MUTUAL, or has no tls at all
    - to paste, after a look at who else it changes (mtls-medic whatif): kubectl -n edge patch destinationrules.networking.istio.io mtls --type json -p '[{"op":"replace","path":"/spec/trafficPolicy/tls","value":{"mode":"ISTIO_MUTUAL"}}]'
    3.1-mode-in-effect web/frontend-a Pass: port 8443: STRICT by PeerAuthentication web/default for its namespace
    3.2-destination-rule edge/gateway-a Fail: edge/gateway-a to frontend.web:8443: the client's proxy sends plain text (DestinationRule edge/mtls, trafficPolicy: DISABLE), and pod web/frontend-a accepts only mTLS on port 8443 (STRICT by PeerAuthentication web/default for its namespace); seen: the target's proxy turned it away of late: edge/gateway-a (10.244.1.9) has a sidecar
      > kubectl -n edge patch destinationrules.networking.istio.io mtls --type json -p '[{"op":"replace","path":"/spec/trafficPolicy/tls","value":{"mode":"ISTIO_MUTUAL"}}]'
    3.2-destination-rule web/frontend-a Pass: the modes of both sides go together: web/frontend-a to frontend.web:8443
    "#);
    assert!(verdict.fixes.is_empty() && never(&verdict, FixName::RestartPod));
    let next = verdict.next_by_hand().unwrap();
    assert!(next.ends_with("the line to paste is among the reasons"), "{next}");
}

#[test]
fn a_rule_that_nobody_was_seen_to_follow_is_named_with_less_confidence() {
    let night = night(&(policy("web", "STRICT") + &rule("edge", "frontend.web", "{mode: DISABLE}")));
    let verdict = night.verdict();
    assert_eq!((verdict.scenario, verdict.confidence), (Scenario::IstioConfiguration, Confidence::Medium));
}

#[test]
fn calls_that_are_answered_are_no_fault_whatever_the_objects_say() {
    let mut night = night(&(policy("web", "STRICT") + &rule("edge", "frontend.web", "{mode: DISABLE}")));
    gateway_counts(&mut night, 400, 0);
    let verdict = night.verdict();
    insta::assert_snapshot!(told(&verdict), @r"
    inconclusive (Low, Unknown)
    - edge/gateway-a to frontend.web:8443: the client's proxy sends plain text (DestinationRule edge/mtls, trafficPolicy: DISABLE), and pod web/frontend-a accepts only mTLS on port 8443 (STRICT by PeerAuthentication web/default for its namespace); but 400 calls of it were answered and none failed: the proxy may have older rules than the cluster (istioctl proxy-status tells)
    3.1-mode-in-effect web/frontend-a Pass: port 8443: STRICT by PeerAuthentication web/default for its namespace
    3.2-destination-rule edge/gateway-a Inconclusive: edge/gateway-a to frontend.web:8443: the client's proxy sends plain text (DestinationRule edge/mtls, trafficPolicy: DISABLE), and pod web/frontend-a accepts only mTLS on port 8443 (STRICT by PeerAuthentication web/default for its namespace); but 400 calls of it were answered and none failed: the proxy may have older rules than the cluster (istioctl proxy-status tells)
    3.2-destination-rule web/frontend-a Pass: the modes of both sides go together: web/frontend-a to frontend.web:8443
    ");
}

#[test]
fn calls_that_fail_though_the_modes_agree_are_said_to_and_the_modes_are_not_blamed() {
    let mut night = night(&policy("web", "STRICT"));
    night.pod(0).stats = seen(ProxyStats::default(), "Envoy /stats");
    night.proxy_says(0, &called(CHECKOUT, CUT), 5);
    let verdict = night.verdict();
    insta::assert_snapshot!(told(&verdict), @r"
    inconclusive (Low, Unknown)
    - calls fail after the handshake, and nothing that was checked explains it
    - whether handshakes of web/frontend-a work could not be seen: its TLS counters are absent (see row 4.1 on how to include them), and its log does not tell which calls went over TLS
    - web/frontend-a to checkout.payments:8443: the modes of both sides agree, and its calls fail all the same: another cause, or a proxy with older rules than the cluster (istioctl proxy-status tells)
    - 3.3-proxy-log of web/frontend-a failed, and no cause explains it: connections are cut after our handshake (a rejected certificate under TLS 1.3, or plaintext into mTLS) (5 line(s) at 2026-11-24T02:59:30Z)
    3.1-mode-in-effect web/frontend-a Pass: port 8443: STRICT by PeerAuthentication web/default for its namespace
    3.2-destination-rule web/frontend-a Inconclusive: web/frontend-a to checkout.payments:8443: it works by mTLS; but that is not what was seen: the proxy of web/frontend-a logged it 5 time(s) of late: connections are cut after our handshake (a rejected certificate under TLS 1.3, or plaintext into mTLS)
    3.2-destination-rule web/frontend-a Pass: the modes of both sides go together: web/frontend-a to frontend.web:8443
    ");
}

#[test]
fn the_target_as_a_client_of_a_server_that_takes_no_tls_blames_the_policy_there() {
    let objects = policy("payments", "DISABLE") + &rule("payments", "checkout.payments", "{mode: ISTIO_MUTUAL}");
    let mut night = night(&objects);
    night.proxy_says(0, &called(CHECKOUT, WRONG_VERSION), 5);
    insta::assert_snapshot!(told(&night.verdict()), @r#"
    Istio configuration (High, Peer)
    - PeerAuthentication payments/default keeps these calls from working: web/frontend-a to checkout.payments:8443: the client's proxy makes Istio's mTLS (DestinationRule payments/mtls, trafficPolicy: ISTIO_MUTUAL), and pod payments/checkout-a accepts no TLS on port 8443 (DISABLE by PeerAuthentication payments/default for its namespace); seen: the proxy of web/frontend-a logged it 5 time(s) of late: the peer speaks plaintext
    - it works once the mode is PERMISSIVE, or STRICT where every caller has a sidecar
    - to paste, after a look at who else it changes (mtls-medic whatif): kubectl -n payments patch peerauthentications.security.istio.io default --type json -p '[{"op":"replace","path":"/spec/mtls/mode","value":"PERMISSIVE"}]'
    3.1-mode-in-effect web/frontend-a Pass: port 8443: PERMISSIVE, since no PeerAuthentication says otherwise
    3.2-destination-rule web/frontend-a Fail: web/frontend-a to checkout.payments:8443: the client's proxy makes Istio's mTLS (DestinationRule payments/mtls, trafficPolicy: ISTIO_MUTUAL), and pod payments/checkout-a accepts no TLS on port 8443 (DISABLE by PeerAuthentication payments/default for its namespace); seen: the proxy of web/frontend-a logged it 5 time(s) of late: the peer speaks plaintext
      > kubectl -n payments patch peerauthentications.security.istio.io default --type json -p '[{"op":"replace","path":"/spec/mtls/mode","value":"PERMISSIVE"}]'
    3.2-destination-rule web/frontend-a Pass: the modes of both sides go together: web/frontend-a to frontend.web:8443
    "#);
}

#[test]
fn a_rule_that_demands_another_identity_is_at_fault_and_not_the_peers_identity() {
    let tls = "{mode: ISTIO_MUTUAL, subjectAltNames: ['spiffe://prod.example.org/ns/payments/sa/old']}";
    let mut night = night(&(policy("payments", "STRICT") + &rule("web", "checkout.payments", tls)));
    let san = "UF x - \"TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_SAN_matcher\"";
    night.proxy_says(0, &called(CHECKOUT, san), 5);
    let verdict = night.verdict();
    assert_eq!((verdict.scenario, verdict.on.side), (Scenario::IstioConfiguration, Side::Client));
    insta::assert_snapshot!(reasons(&verdict), @r#"
    DestinationRule web/mtls keeps these calls from working: web/frontend-a to checkout.payments:8443: the client's proxy makes Istio's mTLS (DestinationRule web/mtls, trafficPolicy: ISTIO_MUTUAL) and demands spiffe://prod.example.org/ns/payments/sa/old, and pod payments/checkout-a holds spiffe://prod.example.org/ns/payments/sa/checkout; seen: the proxy of web/frontend-a logged it 5 time(s) of late: the peer's identity is not the expected one
    it works once subjectAltNames has spiffe://prod.example.org/ns/payments/sa/checkout, or is left out
    to paste, after a look at who else it changes (mtls-medic whatif): kubectl -n web patch destinationrules.networking.istio.io mtls --type json -p '[{"op":"remove","path":"/spec/trafficPolicy/tls/subjectAltNames"}]'
    "#);
}

#[test]
fn a_caller_without_a_sidecar_is_named_as_outside_of_the_mesh() {
    let mut night = night(&policy("web", "STRICT"));
    night.proxy_says(0, &refused("10.244.1.8"), 3);
    is_of(&mut night, "10.244.1.8", Some(("batch", "report-a")));
    let verdict = night.verdict();
    assert_eq!((verdict.scenario, verdict.on.side), (Scenario::IstioConfiguration, Side::Peer));
    insta::assert_snapshot!(reasons(&verdict), @r"
    3 calls came in plain HTTP from 10.244.1.8, and the port takes mTLS alone
    batch/report-a (10.244.1.8) has no sidecar: it is outside of the mesh
    it works once the caller has a sidecar, or the port takes plain text as well (port 8443: STRICT by PeerAuthentication web/default for its namespace); to paste for the first: kubectl label namespace batch istio-injection=enabled, and then restart its workload
    a pod with a sidecar calls past the mesh (by a pod's address, or a port or headless Service that the mesh does not know), one without is outside of it, and a health checker means no harm
    ");
}

#[test]
fn permissive_is_no_fault_and_an_object_that_has_a_say_lowers_the_confidence() {
    let permissive = night(&policy("web", "PERMISSIVE")).verdict();
    assert_eq!(permissive.scenario, Scenario::NoFaultFound, "{:?}", permissive.reasons);
    let filter =
        "---\napiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {namespace: edge, name: x}\n";
    let objects = policy("web", "STRICT") + &rule("edge", "frontend.web", "{mode: DISABLE}") + filter;
    assert_eq!(night(&objects).verdict().confidence, Confidence::Low);
}

#[test]
fn an_expired_certificate_is_the_cause_also_where_a_rule_is_wrong() {
    let mut night = night(&(policy("web", "STRICT") + &rule("edge", "frontend.web", "{mode: DISABLE}")));
    night.holds(0, -40);
    let verdict = night.verdict();
    assert_eq!(verdict.scenario, Scenario::ExpiredCertificate);
    let row = verdict.ruled_out.iter().find(|row| row.scenario == Scenario::IstioConfiguration).unwrap();
    assert!(!row.certain, "{}", row.because);
}

#[test]
fn objects_that_could_not_be_listed_name_no_fault_and_leave_none_out() {
    let mut night = night(&(policy("web", "STRICT") + &rule("edge", "frontend.web", "{mode: DISABLE}")));
    for kind in [ObjectKind::PeerAuthentication, ObjectKind::DestinationRule, ObjectKind::Pod] {
        let reason = Missing::Forbidden { grant: "list them".to_owned() };
        let namespace = (kind == ObjectKind::Pod).then(|| "web".to_owned());
        istio(&mut night).not_listed = vec![NotListed { kind, namespace, reason }];
        let verdict = night.verdict();
        assert_eq!(verdict.scenario, Scenario::Inconclusive, "{kind:?}");
        let open = verdict.checks.iter().filter(|row| row.id == CheckId::DestinationRule);
        assert!(
            open.clone().count() > 0 && open.clone().all(|row| row.result == CheckResult::Inconclusive),
            "{kind:?}"
        );
    }
}

#[test]
fn a_caller_whose_address_could_not_be_looked_up_is_named_by_it_with_the_right_that_would_tell() {
    let mut night = night(&policy("web", "STRICT"));
    night.proxy_says(0, &refused("10.244.1.8"), 3);
    let reason = Missing::Forbidden { grant: "list pods in all namespaces".to_owned() };
    let pods = Gathered::Missing { reason, source: "pods".to_owned(), at: ago(0) };
    istio(&mut night).callers.push(CallerEvidence { address: "10.244.1.8".to_owned(), pods });
    let said = reasons(&night.verdict());
    assert!(said.contains("10.244.1.8 (not allowed: grant list pods in all namespaces)"), "{said}");
}
