//! What the proxy says and counts, the secret that never came, overdue certificates, and what is dropped from evidence.

use super::{EXPIRED_PEER, FRONTEND, Night, SAN, gone, never, renewal, said, seen};
use crate::triage::{
    CallAtOnce, CheckId, CheckResult, Confidence, Consequence, FixName, Gathered, Scenario, ServedSecrets, TlsCounters,
};

const NO_SECRET: &str = "503 UF \"TLS_error:_Secret_is_not_supplied_by_SDS\" outbound|1||checkout";
const REFUSED: &str = "503 UF \"delayed_connect_error:_Connection_refused\" outbound|1||checkout";

fn without_a_secret() -> Night {
    let mut night = Night::healthy();
    night.pod(0).svid_file = gone("svid.crt");
    night.pod(0).served = seen(ServedSecrets::default(), "Envoy /config_dump");
    night
}

#[test]
fn a_proxy_that_never_got_an_svid_beside_a_working_agent_has_no_entry_and_is_never_restarted() {
    let mut night = without_a_secret();
    night.proxy_says(0, NO_SECRET, 8);
    let refused = format!("No identity issued\" spiffe_id=\"{FRONTEND}");
    for (lines, confidence) in [
        (vec![renewal(3, "spiffe://prod.example.org/ns/web/sa/gateway")], Confidence::Medium),
        (vec![renewal(3, "spiffe://prod.example.org/ns/web/sa/gateway"), said(1, &refused)], Confidence::High),
    ] {
        night.agent_says(0, &lines);
        let verdict = night.verdict();
        assert_eq!((verdict.scenario, verdict.confidence), (Scenario::Registration, confidence));
        assert_eq!(verdict.call_at_once, Some(CallAtOnce::L2));
        assert!(verdict.fixes.is_empty() && never(&verdict, FixName::RestartPod));
    }
}

#[test]
fn an_empty_dump_or_one_old_line_about_sds_decides_nothing() {
    let mut night = without_a_secret();
    assert_eq!(night.verdict().scenario, Scenario::Inconclusive);
    night.proxy_says(0, NO_SECRET, 1);
    assert_eq!(night.verdict().scenario, Scenario::Inconclusive);
}

#[test]
fn lines_of_the_log_are_no_clean_bill_and_name_a_cause_only_when_they_repeat() {
    let not_yet = "503 UF \"TLS_error:CERTIFICATE_VERIFY_FAILED:_certificate_is_not_yet_valid\" outbound|1||x";
    let plaintext = "503 UF \"TLS_error:WRONG_VERSION_NUMBER\" outbound|1||x";
    let own = "503 UF \"TLS_error:SSLV3_ALERT_CERTIFICATE_EXPIRED\" outbound|1||x";
    let inbound = "503 UF \"delayed_connect_error:_Connection_refused\" inbound|8080||";
    for (line, times, scenario, call) in [
        (not_yet, 3, Scenario::ClockSkew, Some(CallAtOnce::L3)),
        (not_yet, 1, Scenario::Inconclusive, None),
        (plaintext, 3, Scenario::IstioConfiguration, None),
        (own, 3, Scenario::Inconclusive, None),
        (SAN, 1, Scenario::Inconclusive, None),
        (SAN, 2, Scenario::IdentityMismatch, Some(CallAtOnce::L2)),
        (EXPIRED_PEER, 1, Scenario::Inconclusive, None),
        (EXPIRED_PEER, 2, Scenario::ExpiredCertificate, None),
        (REFUSED, 1, Scenario::Inconclusive, None),
        (REFUSED, 3, Scenario::Network, Some(CallAtOnce::L3)),
        (inbound, 9, Scenario::Application, None),
    ] {
        let mut night = Night::healthy();
        night.proxy_says(0, line, times);
        let verdict = night.verdict();
        assert_eq!((verdict.scenario, verdict.call_at_once), (scenario, call), "{times} × {line}");
        assert!(verdict.fixes.is_empty());
    }
}

#[test]
fn failing_handshakes_are_no_clean_bill_and_absent_counters_say_how_to_include_them() {
    let mut night = Night::healthy();
    if let Gathered::Seen { value, .. } = &mut night.pod(0).stats {
        value.server.fail_verify_error = Some(400);
    }
    assert_eq!(night.verdict().scenario, Scenario::Inconclusive);
    if let Gathered::Seen { value, .. } = &mut night.pod(0).stats {
        value.server = TlsCounters::default();
    }
    let verdict = night.verdict();
    assert_eq!(verdict.scenario, Scenario::NoFaultFound);
    let row = verdict.checks.iter().find(|row| row.id == CheckId::ServerCounters).unwrap();
    assert_eq!(row.result, CheckResult::Inconclusive);
    assert!(row.remedy.as_ref().unwrap().contains("proxyStatsMatcher"));
}

#[test]
fn an_overdue_renewal_never_hides_what_explains_the_failures() {
    let mut night = Night::healthy();
    night.holds(0, 12);
    night.agent_says(0, &[renewal(5, FRONTEND)]);
    let verdict = night.verdict();
    assert_eq!((verdict.scenario, verdict.confidence), (Scenario::ExpiredCertificate, Confidence::Medium));
    assert_eq!(verdict.consequences, [Consequence::RotationOverdue]);
    night.proxy_says(0, SAN, 5);
    assert_eq!(night.verdict().scenario, Scenario::IdentityMismatch);
    night.proxy_says(0, EXPIRED_PEER, 5);
    assert_eq!(night.verdict().on.side, crate::triage::Side::Peer);
}

#[test]
fn svids_that_begin_in_the_future_are_a_clock_and_l3_is_called() {
    let mut night = Night::healthy();
    night.holds(0, 90);
    let verdict = night.verdict();
    assert_eq!((verdict.scenario, verdict.call_at_once), (Scenario::ClockSkew, Some(CallAtOnce::L3)));
}
