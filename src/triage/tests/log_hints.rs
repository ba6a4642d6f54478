//! Causes that rest on the proxy's log: several signs, and of late.

use std::collections::BTreeMap;

use super::{EXPIRED_PEER, FRONTEND, Night, SAN, ago, never, redacted, renewal, seen};
use crate::triage::{
    CallAtOnce, CheckId, CheckResult, Confidence, Consequence, FixName, Gathered, LogExcerpt, Scenario, Side,
    TlsCounters, Verdict,
    envoy::{CONNECTIONS_ENOUGH, TlsReason},
    log_hints::{RECENT, SEVERAL, scenario_hinted_by},
};

const NOT_REGISTERED: &str = "warning envoy config gRPC: workload is not authorized for the requested identities";
const REFUSED: &str = "503 UF \"delayed_connect_error:_Connection_refused\" outbound|1||x";
const NO_BUNDLE: &str = "CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_no_trust_bundle_store outbound|1||x";

/// A line as Envoy dates it.
fn dated(minutes_ago: i64, line: &str) -> String {
    format!("[{}] {line}", ago(minutes_ago))
}

fn logged(lines: &[String]) -> Night {
    let mut night = Night::healthy();
    night.pod(0).proxy_log = seen(LogExcerpt { lines: redacted(lines), ..LogExcerpt::default() }, "log of istio-proxy");
    night
}

#[test]
fn each_sign_leans_to_its_cause_and_to_no_restart() {
    let no_svid = "CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_cert_precheck outbound|1||x";
    let unknown = "CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_unable_to_get_local_issuer outbound|1||x";
    let plaintext = "TLS_error:WRONG_VERSION_NUMBER outbound|1||x";
    let not_begun = "CERTIFICATE_VERIFY_FAILED:_certificate_is_not_yet_valid outbound|1||x";
    let application = "503 UF \"delayed_connect_error:_Connection_refused\" inbound|8080||";
    for (line, scenario, side) in [
        (NOT_REGISTERED, Scenario::Registration, Side::Unknown),
        (no_svid, Scenario::IdentityMismatch, Side::Peer),
        (SAN, Scenario::IdentityMismatch, Side::Peer),
        (NO_BUNDLE, Scenario::TrustBundleMismatch, Side::Unknown),
        (unknown, Scenario::TrustBundleMismatch, Side::Unknown),
        (EXPIRED_PEER, Scenario::ExpiredCertificate, Side::Peer),
        (plaintext, Scenario::IstioConfiguration, Side::Peer),
        (not_begun, Scenario::ClockSkew, Side::Peer),
        (REFUSED, Scenario::Network, Side::Unknown),
        (application, Scenario::Application, Side::Server),
    ] {
        let verdict = logged(&[dated(1, line), dated(2, line), dated(3, line)]).verdict();
        assert_eq!((verdict.scenario, verdict.on.side), (scenario, side), "{line}: {:?}", verdict.reasons);
        assert_eq!(verdict.confidence, Confidence::Medium, "{line}: the log alone never makes it sure");
        assert!(verdict.fixes.is_empty(), "{line}");
    }
}

#[test]
fn one_line_or_old_lines_name_no_cause_and_leave_it_open() {
    let old = RECENT.as_mins() + 1;
    for line in [SAN, EXPIRED_PEER, NOT_REGISTERED, NO_BUNDLE, REFUSED] {
        let table = [
            ("one of now", vec![dated(0, line)], false),
            ("many that have stopped", (old..old + 9).map(|minutes| dated(minutes, line)).collect(), false),
            ("old ones, and it goes on", vec![dated(9, line), dated(8, line), dated(1, line)], true),
        ];
        for (name, lines, named) in table {
            let verdict = logged(&lines).verdict();
            assert_eq!(verdict.scenario != Scenario::Inconclusive, named, "{name}, {line}: {:?}", verdict.reasons);
            assert!(named || verdict.reasons.iter().any(|why| why.contains("3.3-proxy-log")), "{:?}", verdict.reasons);
            assert!(named || verdict.call_at_once.is_none(), "{name}");
            let asks = verdict.reasons.iter().any(|why| why.contains("look again whether it goes on"));
            assert_eq!(asks, !named, "{name}, {line}: {:?}", verdict.reasons);
        }
    }
}

#[test]
fn old_lines_of_one_cluster_do_not_lift_the_one_new_line_of_another() {
    let (old, new) = (SAN.replace("||x", "||old"), SAN.replace("||x", "||new"));
    let lines = vec![dated(9, &old), dated(8, &old), dated(8, &old), dated(0, &new)];
    assert_eq!(logged(&lines).verdict().scenario, Scenario::Inconclusive);
    let more = lines.into_iter().chain([dated(0, &new)]).collect::<Vec<_>>();
    assert_eq!(logged(&more).verdict().scenario, Scenario::IdentityMismatch);
    assert_eq!(SEVERAL, 2);
}

#[test]
fn a_bundle_that_a_peers_domain_lacks_is_not_cured_by_a_sync_of_ours() {
    let verdict = logged(&vec![dated(1, NO_BUNDLE); 2]).verdict();
    assert!(never(&verdict, FixName::SyncTrustBundle), "{:?}", verdict.never);
    assert!(verdict.reasons.iter().any(|why| why.contains("a federation that is missing")), "{:?}", verdict.reasons);
}

#[test]
fn an_svid_that_is_over_for_want_of_an_entry_is_not_restarted_though_the_agent_renews_for_others() {
    let mut night = logged(&[dated(1, NOT_REGISTERED), dated(0, NOT_REGISTERED)]);
    night.holds(0, -10);
    night.agent_says(0, &[renewal(5, FRONTEND)]);
    let verdict = night.verdict();
    assert_eq!((verdict.scenario, verdict.confidence), (Scenario::Registration, Confidence::Medium));
    assert_eq!(verdict.consequences, [Consequence::ExpiredCertificate]);
    assert_eq!(verdict.call_at_once, Some(CallAtOnce::L2));
    assert!(verdict.fixes.is_empty() && never(&verdict, FixName::RestartPod));
    assert!(verdict.reasons.iter().any(|why| why.contains("spire-server entry show")), "{:?}", verdict.reasons);
}

#[test]
fn a_refusal_is_over_once_spire_has_issued_the_svid_that_is_served() {
    for (minutes_ago, scenario) in [(3, Scenario::NoFaultFound), (1, Scenario::Registration)] {
        let mut night = logged(&vec![dated(minutes_ago, NOT_REGISTERED); 2]);
        // Issued two minutes ago.
        night.holds(0, 58);
        let verdict = night.verdict();
        assert_eq!(verdict.scenario, scenario, "{:#?}", verdict.reasons);
        let row = verdict.checks.iter().find(|row| row.id == CheckId::ProxyLog).unwrap();
        assert_ne!(row.result, CheckResult::Pass, "a log that is silent otherwise proves nothing: {row:?}");
    }
}

#[test]
fn what_says_nothing_of_the_cause_leans_to_none() {
    for reason in [
        TlsReason::OwnExpired,
        TlsReason::OwnRejected,
        TlsReason::CutAfterHandshake,
        TlsReason::NoSecret,
        TlsReason::PeerWithoutCertificate,
        TlsReason::OwnCertificateWanted,
        TlsReason::PlaintextToUs,
        TlsReason::OwnApplication,
    ] {
        assert_eq!(scenario_hinted_by(reason), None, "{reason:?}");
    }
}

#[test]
fn a_refusal_without_a_reason_names_no_cause_and_rules_out_neither_identity_nor_bundles() {
    let cut = "[x] \"GET / HTTP/1.1\" 503 UC x - \"-\" 0 9 2 - \"-\" outbound|1||x -";
    for line in ["503 UF \"TLS_error:SSLV3_ALERT_CERTIFICATE_UNKNOWN\" outbound|1||x", cut] {
        let verdict = logged(&vec![dated(1, line); 3]).verdict();
        assert_eq!(verdict.scenario, Scenario::Inconclusive, "{line}: {:?}", verdict.reasons);
        let ours = [Scenario::SpireAgent, Scenario::SpireServer];
        assert_eq!(certain(&verdict), ours, "{line}: {:?}", verdict.ruled_out);
    }
}

/// What is ruled out for certain.
fn certain(verdict: &Verdict) -> Vec<Scenario> {
    verdict.ruled_out.iter().filter(|row| row.certain).map(|row| row.scenario).collect()
}

#[test]
fn handshakes_that_fail_by_the_counters_alone_leave_open_what_a_peer_may_have() {
    let mut night = Night::healthy();
    assert!(certain(&night.verdict()).contains(&Scenario::ExpiredCertificate));
    if let Gathered::Seen { value, .. } = &mut night.pod(0).stats {
        value.server = TlsCounters { handshake: Some(86), fail_verify_error: Some(12), ..TlsCounters::default() };
    }
    let verdict = night.verdict();
    assert_eq!(verdict.scenario, Scenario::Inconclusive, "{:?}", verdict.reasons);
    for open in
        [Scenario::ExpiredCertificate, Scenario::TrustBundleMismatch, Scenario::IdentityMismatch, Scenario::ClockSkew]
    {
        let row = verdict.ruled_out.iter().find(|row| row.scenario == open).unwrap();
        assert!(!row.certain && row.because.contains("nobody says why"), "{row:?}");
    }
}

#[test]
fn signs_after_which_new_connections_worked_again_and_again_are_over() {
    let lines = vec![dated(2, REFUSED), dated(1, REFUSED), dated(1, REFUSED)];
    for (connected, scenario) in
        [(CONNECTIONS_ENOUGH, Scenario::NoFaultFound), (CONNECTIONS_ENOUGH - 1, Scenario::Network)]
    {
        let mut night = logged(&lines);
        let connected_since = BTreeMap::from([("outbound|1||x".to_owned(), connected)]);
        let log = LogExcerpt { lines: redacted(&lines), connected_since, ..LogExcerpt::default() };
        night.pod(0).proxy_log = seen(log, "log of istio-proxy");
        let verdict = night.verdict();
        assert_eq!(verdict.scenario, scenario, "{connected}: {:?}", verdict.reasons);
        let said = verdict.checks.iter().find(|row| row.id == CheckId::ProxyLog).map(|row| row.summary.clone());
        assert_eq!(
            said.unwrap().contains("have worked since then"),
            connected == CONNECTIONS_ENOUGH,
            "it is still told"
        );
    }
}
