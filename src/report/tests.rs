use jiff::Timestamp;

use super::{Format, render};
use crate::{
    legible::hostile,
    mesh::TargetRef,
    triage::{
        CallAtOnce, Check, CheckId, CheckResult, Confidence, Consequence, Contraindicated, Evidence, FixName,
        NotChecked, On, RuledOut, Scenario, Side, Subject, VERDICT_SCHEMA, Verdict, diagnose,
    },
};

fn at() -> Timestamp {
    "2026-11-24T03:00:00Z".parse().unwrap()
}

/// A verdict in which every field is filled.
fn full(summary: &str) -> Verdict {
    let check = Check {
        id: CheckId::SpireAgent,
        subject: Subject::SpireAgent("node-1".parse().unwrap()),
        result: CheckResult::Fail,
        summary: summary.to_owned(),
        source: "spire-agent healthcheck".to_owned(),
        observed_at: at(),
        remedy: Some("restart it".to_owned()),
    };
    let pod = crate::mesh::PodRef { namespace: "web".parse().unwrap(), name: "frontend-a".parse().unwrap() };
    Verdict {
        schema: VERDICT_SCHEMA.to_owned(),
        target: TargetRef::parse("web".parse().unwrap(), "svc/frontend").unwrap(),
        at: at(),
        scenario: Scenario::SpireAgent,
        confidence: Confidence::High,
        on: On {
            side: Side::Client,
            pods: vec![pod],
            lives: vec![crate::mesh::PodUid::parse("uid-a").unwrap()],
            nodes: vec!["node-1".parse().unwrap()],
        },
        reasons: vec!["a reason".into()],
        ruled_out: vec![RuledOut { scenario: Scenario::Network, because: "b".to_owned(), certain: true }],
        consequences: vec![Consequence::ExpiredCertificate],
        checks: vec![check],
        not_checked: vec![NotChecked { what: "modes".to_owned(), why: "later".to_owned() }],
        fixes: vec![FixName::SyncTrustBundle],
        never: vec![Contraindicated { fix: FixName::RestartPod, reason: "no SVID".to_owned() }],
        call_at_once: Some(CallAtOnce::L2),
    }
}

#[test]
fn a_report_says_where_what_follows_whom_to_call_and_from_which_source_and_when() {
    for format in [Format::Text, Format::Markdown] {
        let text = render(&full("it is broken"), format).replace('\\', "");
        for said in
            ["web/frontend-a", "node-1", "certificates ran out", "L2", "spire-agent healthcheck", "next: restart it"]
        {
            assert!(text.contains(said), "{said} in {text}");
        }
        assert_eq!(text.matches("2026-11-24T03:00:00Z").count(), 2, "the time of the verdict and of its check: {text}");
    }
}

/// A real night, judged now.
fn night(name: &str) -> Evidence {
    let path = format!("{}/tests/data/evidence/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_cause_and_the_next_step_are_the_first_two_lines_and_what_passed_is_one() {
    insta::assert_snapshot!(render(&diagnose(&night("expired-certificate")), Format::Text), @r#"
    web svc/frontend: expired certificate (high confidence, seen at 2026-11-24T12:43:44Z)
    Next: restart-pod, asked for in the incident's channel

    Because
      the SVID of web/frontend-0c3cb9719-gjgs8 ended 40 min ago (Envoy /config_dump (secrets)); one more like it
      the SPIRE agent of node-2 works (its log says: time="2026-11-24T12:33:43Z" level=info msg="Renewing X509-SVID" expires_at="2026-11-24T13:33:43Z" spiffe_id="spiffe://prod.example.org/ns/web/sa/frontend" subsystem_name=manager): the workload of web/frontend-0c3cb9719-gjgs8, web/frontend-0c3cb9719-t75z8 did not pick up its new SVID

    Where
      on both sides
      pods: web/frontend-0c3cb9719-gjgs8, web/frontend-0c3cb9719-t75z8

    Do not
      restart-spire-agent: the agent was not seen to be at fault: a restart would disturb every pod of its node
      sync-trust-bundle: neither bundles nor modes are at fault
      enforce-strict-mtls: neither bundles nor modes are at fault

    Failed
      [FAIL] 1.1-svid-dates web/frontend-0c3cb9719-gjgs8, web/frontend-0c3cb9719-t75z8: the SVID ended at 2026-11-24T12:03:43Z (Envoy /config_dump (secrets), 2026-11-24T12:43:44Z); the others alike
      [FAIL] 1.1-svid-dates web/frontend-0c3cb9719-gjgs8, web/frontend-0c3cb9719-t75z8: the SVID ended at 2026-11-24T12:03:43Z (cat /run/spire/svid/svid.crt, 2026-11-24T12:43:44Z); the others alike
      [FAIL] 3.3-proxy-log web/frontend-0c3cb9719-gjgs8, web/frontend-0c3cb9719-t75z8: connections are cut after our handshake (a rejected certificate under TLS 1.3, or plaintext into mTLS) (5 line(s) from 2026-11-24T12:38:43Z to 2026-11-24T12:43:44Z) (log of istio-proxy, 2026-11-24T12:43:44Z); the others alike
      [FAIL] 4.1-server-counters web/frontend-0c3cb9719-gjgs8, web/frontend-0c3cb9719-t75z8: 4802 of 5521 handshakes as a server failed since the proxy started (Envoy /stats and /clusters, 2026-11-24T12:43:44Z); the others alike
      [FAIL] 4.2-client-counters web/frontend-0c3cb9719-gjgs8, web/frontend-0c3cb9719-t75z8: 2401 of 5162 handshakes as a client failed since the proxy started (Envoy /stats and /clusters, 2026-11-24T12:43:44Z); the others alike

    Passed
      [ok] 1.2-chain ×2, 1.3-spiffe-id ×2, 1.4-issuer ×2, 1.5-served-is-on-disk ×2, 1.6-bundle-end ×5, 1.7-bundles ×1, 2.1-spire-server ×1, 2.2-spire-agent ×1

    Other causes
      not SPIRE agent issue: the agents of the pods' nodes renew, as their logs show
      not trust bundle mismatch: the chains lead to the bundle
      open: Istio configuration: the modes in effect were not computed
      open: network issue: an agent reaches the SPIRE server: it renews; no path between services was tested
      not SPIRE server unhealthy: every SPIRE server pod says that it is healthy
      not identity mismatch: the SPIFFE IDs are the expected ones
      not clock skew: no SVID begins in the future
      open: registration entry, workload attestation, rejected secret, node set-up: no line that was read speaks of it
      not istiod's CA: SPIRE issued every certificate
      open: the application itself: the application itself was not asked

    Not checked
      the modes in effect of PeerAuthentication and DestinationRule (runbook step 3): Istio's objects are not part of this evidence: follow the runbook by hand
      a test connection (runbook step 4): this version does not look at it yet: follow the runbook by hand
    "#);
}

#[test]
fn a_ticket_shows_the_same_as_markdown() {
    insta::assert_snapshot!(render(&diagnose(&night("real-san-mismatch")), Format::Markdown), @r"
    **shop-20806-0 deploy/orders: identity mismatch** (medium confidence, seen at 2026-11-25T03:55:13Z)  
    **Next:** compare the workload's registration entry (\`spire-server entry show\`) with the identity that it should have, and correct the entry: no restart is needed

    **Because**
    - a peer's chain is fine, but its identity is not the expected one (SAN), in 16 line(s) of the log

    **Where**
    - on a peer of the service

    **Call at once**
    - L2, without waiting for its window

    **Do not**
    - restart-pod: the certificate is in date; a new one would carry the same identity
    - restart-spire-agent: the certificate is in date; a new one would carry the same identity
    - sync-trust-bundle: no bundle makes this identity the expected one

    **Failed**
    - \[FAIL\] 3.3-proxy-log shop-20806-0/orders-648b9b88cf-g565h, shop-20806-0/orders-648b9b88cf-wjxqt: the peer's identity is not the expected one (8 line(s) from 2026-11-25T03:55:11Z to 2026-11-25T03:55:12Z) (log of istio-proxy, 2026-11-25T03:55:13Z); the others alike
    - \[FAIL\] 4.2-client-counters shop-20806-0/orders-648b9b88cf-g565h, shop-20806-0/orders-648b9b88cf-wjxqt: 9 of 18 handshakes as a client failed since the proxy started (Envoy /stats and /clusters, 2026-11-25T03:55:13Z); the others alike
    - \[FAIL\] 4.3-connections shop-20806-0/orders-648b9b88cf-g565h, shop-20806-0/orders-648b9b88cf-wjxqt: 9 connections could not be opened, beside 0 answered calls (Envoy /stats and /clusters, 2026-11-25T03:55:13Z); the others alike

    **Could not be seen**
    - \[?\] 4.1-server-counters shop-20806-0/orders-648b9b88cf-g565h, shop-20806-0/orders-648b9b88cf-wjxqt: the TLS counters as a server are absent, which is not zero (Envoy /stats and /clusters, 2026-11-25T03:55:13Z); the others alike; next: include \`ssl\` in the pod annotation \`proxy.istio.io/config\` under \`proxyStatsMatcher\` (inclusionRegexps): Istio leaves these counters out by default

    **Passed**
    - \[ok\] 1.1-svid-dates ×4, 1.2-chain ×2, 1.3-spiffe-id ×2, 1.4-issuer ×2, 1.5-served-is-on-disk ×2, 1.6-bundle-end ×5, 1.7-bundles ×1, 2.1-spire-server ×1, 2.2-spire-agent ×2

    **Other causes**
    - not expired certificate: every SVID that was looked at is in date
    - not SPIRE agent issue: the agents of the pods' nodes renew, as their logs show
    - not trust bundle mismatch: the chains lead to the bundle
    - open: Istio configuration: the modes in effect were not computed
    - open: network issue: an agent reaches the SPIRE server: it renews; no path between services was tested
    - not SPIRE server unhealthy: every SPIRE server pod says that it is healthy
    - not clock skew: no SVID begins in the future
    - not registration entry, workload attestation, node set-up: every pod that was looked at holds an SVID in date
    - open: rejected secret: every proxy serves a certificate in date, and may have refused a newer one
    - not istiod's CA: SPIRE issued every certificate
    - open: the application itself: the application itself was not asked

    **Not checked**
    - the modes in effect of PeerAuthentication and DestinationRule (runbook step 3): Istio's objects are not part of this evidence: follow the runbook by hand
    - a test connection (runbook step 4): this version does not look at it yet: follow the runbook by hand
    ");
}

#[test]
fn a_cause_that_is_ruled_out_is_not_told_as_no_fault() {
    let because = || "because".to_owned();
    let not = |scenario| RuledOut { scenario, because: because(), certain: true };
    let mut verdict = full("it is broken");
    verdict.ruled_out.extend([Scenario::NoFaultFound, Scenario::Inconclusive].map(not));
    verdict.ruled_out.push(RuledOut { scenario: Scenario::NoFaultFound, because: because(), certain: false });
    insta::assert_snapshot!(render(&verdict, Format::Text), @"
    web svc/frontend: SPIRE agent issue (high confidence, seen at 2026-11-24T03:00:00Z)
    Next: sync-trust-bundle, by hand, after the runbook

    Because
      a reason

    Where
      where the service calls others
      pods: web/frontend-a
      nodes: node-1

    Follows from it, and needs no fix of its own
      certificates ran out

    Call at once
      L2, without waiting for its window

    Do not
      restart-pod: no SVID

    Failed
      [FAIL] 2.2-spire-agent agent of node-1: it is broken (spire-agent healthcheck, 2026-11-24T03:00:00Z); next: restart it

    Other causes
      not network issue: b
      open: no fault found: because

    Not checked
      modes: later
    ");
}

/// Names differ, and so do counters; what they say does not.
#[test]
fn five_hundred_pods_fit_on_one_screen_and_none_is_left_uncounted() {
    let mut evidence = night("expired-certificate");
    let some = evidence.pods.clone();
    evidence.pods = some.iter().cycle().take(500).cloned().collect();
    for (place, pod) in evidence.pods.iter_mut().enumerate() {
        pod.pod.name = format!("frontend-{place}").parse().unwrap();
        pod.uid = crate::mesh::PodUid::parse(&format!("uid-{place}")).unwrap();
    }
    let text = render(&diagnose(&evidence), Format::Text);
    assert!(text.lines().count() <= 45, "{text}");
    assert!(text.contains("1.1-svid-dates web/frontend-0, web/frontend-1, web/frontend-2 and 497 more: "), "{text}");
    assert!(text.contains("; 499 more like it"), "{text}");
}

#[test]
fn nothing_from_outside_steers_a_terminal_or_becomes_markup() {
    let bad = "\u{1b}[2Jgone\r\n# head \u{202e}<img src=x> [click](http://evil) **bold** @channel";
    let text = render(&full(bad), Format::Text);
    assert!(!text.chars().any(|letter| letter.is_control() && letter != '\n') && !text.contains('\u{202e}'), "{text}");
    let markdown = render(&full(bad), Format::Markdown);
    assert!(
        !markdown.contains("<img") && !markdown.contains("[click](") && !markdown.contains("@channel"),
        "{markdown}"
    );
    assert!(!markdown.lines().any(|line| line.starts_with('#')), "{markdown}");
    assert!(render(&full(&"x".repeat(5000)), Format::Text).len() < 2000, "a line has an end");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_turns_hides_or_steers_in_a_report(text in hostile::text()) {
        for format in [Format::Text, Format::Markdown] {
            let shown = render(&full(&text), format);
            proptest::prop_assert!(hostile::is_legible(&shown), "{}", shown);
        }
    }
}

/// The names of all fields, as `on.pods[].name`.
fn fields(value: &serde_json::Value, at: &str, found: &mut std::collections::BTreeSet<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (name, inner) in map {
                let name = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                fields(inner, &name, found);
                found.insert(name);
            }
        }
        serde_json::Value::Array(all) => all.iter().for_each(|inner| fields(inner, &format!("{at}[]"), found)),
        _ => {}
    }
}

#[test]
fn the_documented_fields_of_a_verdict_are_those_that_are_written() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/verdict-schema.md");
    let text = std::fs::read_to_string(path).unwrap();
    let verdict = text.split("## Checks").next().unwrap();
    let documented: std::collections::BTreeSet<String> =
        verdict.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).map(str::to_owned).collect();
    let mut written = std::collections::BTreeSet::new();
    fields(&serde_json::to_value(full("x")).unwrap(), "", &mut written);
    assert_eq!(documented, written);
    assert!(text.contains(VERDICT_SCHEMA) && text.contains(crate::triage::EVIDENCE_SCHEMA));
}
