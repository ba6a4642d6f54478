//! Past nights, judged again by this build.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use jiff::SignedDuration;
use mtls_medic::{
    report::{Format, render},
    triage::{
        CallAtOnce, Confidence, Consequence, Evidence, FixName, Gathered, Missing, Redacted, Scenario, Verdict,
        diagnose,
    },
};

fn read(name: &str) -> Evidence {
    let path = format!("{}/tests/data/evidence/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn never(verdict: &Verdict, fix: FixName) -> bool {
    verdict.never.iter().any(|never| never.fix == fix)
}

#[test]
fn an_expired_leaf_beside_a_working_agent_is_an_expired_certificate_and_a_restart_fits() {
    let verdict = diagnose(&read("expired-certificate"));
    assert_eq!(verdict.scenario, Scenario::ExpiredCertificate);
    assert_eq!(verdict.fixes, [FixName::RestartPod]);
    assert!(never(&verdict, FixName::RestartSpireAgent) && never(&verdict, FixName::SyncTrustBundle));
    assert_eq!(verdict.ruled_out.len(), Scenario::ALL.len() - 1, "every other scenario is spoken of");
}

#[test]
fn an_expired_leaf_beside_a_broken_agent_is_the_agents_fault_and_a_restart_is_refused() {
    for night in ["spire-agent", "expired-certificate-agent-frozen"] {
        let verdict = diagnose(&read(night));
        assert_eq!(verdict.scenario, Scenario::SpireAgent, "{night}");
        assert_eq!(verdict.consequences, [Consequence::ExpiredCertificate], "{night}");
        assert!(never(&verdict, FixName::RestartPod), "{night}");
    }
}

#[test]
fn a_server_that_is_down_is_the_root_and_l2_is_called_at_once() {
    let verdict = diagnose(&read("spire-server"));
    assert_eq!(verdict.scenario, Scenario::SpireServer);
    assert_eq!(verdict.call_at_once, Some(CallAtOnce::L2));
    assert!(verdict.fixes.is_empty());
    assert!(verdict.consequences.contains(&Consequence::ExpiredCertificate));
}

#[test]
fn a_healthy_service_has_no_fault_and_says_what_was_not_checked() {
    let verdict = diagnose(&read("healthy"));
    assert_eq!(verdict.scenario, Scenario::NoFaultFound);
    assert!(!verdict.not_checked.is_empty());
    let text = render(&verdict, Format::Text);
    assert!(text.contains("no fault found") && text.contains("Not checked"), "{text}");
}

#[test]
fn healthcheck_green_while_the_agent_is_useless_does_not_rule_the_agent_out() {
    let mut evidence = read("expired-certificate");
    for agent in &mut evidence.agents {
        if let Gathered::Seen { value, .. } = &mut agent.log {
            value.lines.clear();
        }
    }
    let verdict = diagnose(&evidence);
    assert!(never(&verdict, FixName::RestartPod), "a green healthcheck alone proves nothing");
    assert!(verdict.fixes.is_empty());
}

#[test]
fn when_nothing_could_be_read_it_says_so_and_names_each_missing_right() {
    fn hide<T>(gathered: &mut Gathered<T>) {
        let reason = Missing::Forbidden { grant: "create pods/exec in web".to_owned() };
        *gathered = Gathered::Missing { reason, source: gathered.source().to_owned(), at: gathered.at() };
    }
    let mut evidence = read("expired-certificate");
    for pod in &mut evidence.pods {
        hide(&mut pod.svid_file);
        hide(&mut pod.bundle_file);
        hide(&mut pod.served);
        hide(&mut pod.stats);
        hide(&mut pod.proxy_log);
    }
    for agent in &mut evidence.agents {
        hide(&mut agent.healthcheck);
        hide(&mut agent.log);
    }
    let verdict = diagnose(&evidence);
    assert_eq!(verdict.scenario, Scenario::Inconclusive);
    assert!(verdict.reasons.iter().any(|reason| reason.contains("create pods/exec")), "{:?}", verdict.reasons);
}

#[test]
fn the_order_of_certificates_in_the_bundle_never_changes_a_verdict() {
    let evidence = read("expired-certificate");
    let mut turned = evidence.clone();
    for pod in &mut turned.pods {
        if let Gathered::Seen { value, .. } = &mut pod.bundle_file {
            value.certificates.extend(evidence.istio_root.value().unwrap().certificates.clone());
            value.certificates.reverse();
        }
    }
    assert_eq!(diagnose(&turned).scenario, diagnose(&evidence).scenario);
    assert_eq!(diagnose(&turned).on, diagnose(&evidence).on);
}

#[test]
fn real_proxies_that_did_not_see_their_files_change_are_all_restarted_also_the_one_that_ended_a_moment_ago() {
    let mut evidence = read("real-proxy-keeps-old-svid");
    let verdict = diagnose(&evidence);
    assert_eq!((verdict.scenario, verdict.confidence), (Scenario::ExpiredCertificate, Confidence::High));
    assert_eq!(verdict.on.pods.len(), 2, "{:#?}", verdict.reasons);
    assert_eq!(verdict.fixes, [FixName::RestartPod]);

    // Half a minute sooner neither was over beyond what clocks may differ by, and the calls failed all the same.
    evidence.gathered_at -= SignedDuration::from_secs(30);
    let sooner = diagnose(&evidence);
    assert_eq!((sooner.scenario, sooner.confidence), (Scenario::ExpiredCertificate, Confidence::Medium));
    assert!(sooner.reasons.iter().any(|why| why.contains("peers may refuse it already")), "{:#?}", sooner.reasons);
    assert!(!sooner.reasons.iter().any(|why| why.contains("explains no failing call")), "{:#?}", sooner.reasons);

    // Connections that nobody answered, of the minute in which everything started, do not make it a matter of the network.
    let refused = "[2026-11-25T00:50:30.000Z] \"GET / HTTP/1.1\" 503 UF delayed_connect_error:_Connection_refused - \
                   \"delayed_connect_error:_Connection_refused\" 0 152 0 - \"-\" \"curl\" \"id\" \"a\" \"127.18.1.3:8443\" \
                   outbound|8443||backend.shop.svc.cluster.local";
    for pod in &mut evidence.pods {
        if let Gathered::Seen { value, .. } = &mut pod.proxy_log {
            value.lines.extend(std::iter::repeat_n(refused.into(), 5));
        }
    }
    assert_eq!(diagnose(&evidence).scenario, Scenario::ExpiredCertificate);
}

#[test]
fn each_fault_that_happened_to_real_proxies_is_named_again_or_left_open() {
    let unexplained = "calls fail after the handshake, and nothing that was checked explains it";
    let foreign = "(its issuer is \"C=US, O=SPIFFE, CN=another authority\")";
    let network = "connections were refused or closed without a TLS reason";
    for (fault, scenario, because) in [
        ("client-cert-expired", Scenario::ExpiredCertificate, "ended 60 min ago"),
        ("client-cert-expired-tls12", Scenario::ExpiredCertificate, "ended 60 min ago"),
        ("client-cert-not-yet-valid", Scenario::ClockSkew, "2 SVID(s) begin in the future"),
        ("client-cert-unknown-ca", Scenario::TrustBundleMismatch, foreign),
        ("client-cert-unknown-ca-tls12", Scenario::TrustBundleMismatch, foreign),
        ("client-san-rejected", Scenario::Inconclusive, unexplained),
        ("client-san-rejected-tls12", Scenario::Inconclusive, "peers refuse our certificate and do not say why"),
        ("server-cert-unknown-ca", Scenario::TrustBundleMismatch, "one side does not trust the other's authority"),
        ("san-mismatch", Scenario::IdentityMismatch, "its identity is not the expected one (SAN)"),
        ("plaintext-to-mtls", Scenario::Inconclusive, unexplained),
        ("connection-refused", Scenario::Network, network),
        ("accept-then-close", Scenario::Network, network),
    ] {
        let verdict = diagnose(&read(&format!("real-{fault}")));
        assert_eq!(verdict.scenario, scenario, "{fault}: {:#?}", verdict.reasons);
        assert!(verdict.reasons.iter().any(|why| why.contains(because)), "{fault}: {:#?}", verdict.reasons);
        let is_restart = scenario == Scenario::ExpiredCertificate;
        assert_eq!(verdict.fixes == [FixName::RestartPod], is_restart, "{fault}: {:?}", verdict.fixes);
        // What a person does by hand changes nothing by a press.
        let carried_out = verdict.fixes.iter().any(|fix| FixName::CARRIED_OUT.contains(fix));
        assert_eq!(carried_out, is_restart, "{fault}: {:?}", verdict.fixes);
    }
}

#[test]
fn real_spire_is_understood_by_the_words_of_its_agents_and_by_what_is_not_there() {
    let server = diagnose(&read("real-spire-server-gone"));
    assert_eq!((server.scenario, server.call_at_once), (Scenario::SpireServer, Some(CallAtOnce::L2)));
    assert!(server.fixes.is_empty() && never(&server, FixName::RestartPod));
    let said = ["though it has StatefulSet/spire-server (0 replicas)", "connect: connection refused"];
    assert!(said.iter().all(|said| server.reasons.iter().any(|why| why.contains(said))), "{:#?}", server.reasons);

    let agent = diagnose(&read("real-spire-agent-gone"));
    assert_eq!((agent.scenario, agent.fixes.as_slice()), (Scenario::SpireAgent, &[FixName::RestartSpireAgent][..]));
    assert!(
        agent.reasons.iter().any(|why| why.contains("no SPIRE agent pod runs on this node")),
        "{:#?}",
        agent.reasons
    );
    assert!(never(&agent, FixName::RestartPod));
}

#[test]
fn while_spires_authority_changes_only_who_keeps_to_the_old_one_is_told_of_it() {
    // The agents had no SVID to give for a moment, and said that there is no entry.
    let changed = read("real-authority-changed");
    let refused = |line: &Redacted| line.contains("workload is not authorized for the requested identities");
    let logs = changed.pods.iter().filter_map(|pod| pod.proxy_log.value());
    assert!(logs.flat_map(|log| &log.lines).any(refused));
    let verdict = diagnose(&changed);
    assert_eq!(verdict.scenario, Scenario::NoFaultFound, "{:#?}", verdict.reasons);

    for (kept, because) in [
        ("files", "an application that goes by that file (not the proxy) refuses peers"),
        ("bundle", "the SVID of the file does not lead to the bundle of cat /run/spire/bundle/bundle.crt"),
    ] {
        let verdict = diagnose(&read(&format!("real-{kept}-of-an-old-authority")));
        assert_eq!(verdict.scenario, Scenario::Inconclusive, "{kept}: {:#?}", verdict.reasons);
        assert!(verdict.reasons.iter().any(|why| why.contains(because)), "{kept}: {:#?}", verdict.reasons);
    }
}

#[test]
fn connections_that_cannot_be_opened_are_no_clean_bill_but_those_of_a_start_are() {
    for (failed, scenario) in [(5_000, Scenario::Inconclusive), (5, Scenario::NoFaultFound)] {
        let mut evidence = read("healthy");
        for pod in &mut evidence.pods {
            if let Gathered::Seen { value, .. } = &mut pod.stats {
                (value.connects_failed, value.requests_answered) = (Some(failed), Some(3_600));
            }
        }
        let verdict = diagnose(&evidence);
        assert_eq!(verdict.scenario, scenario, "{failed}: {:#?}", verdict.reasons);
    }
}
