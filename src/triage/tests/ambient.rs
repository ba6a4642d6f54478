//! Pods in ambient mode: ztunnel does their mTLS, and says of it what no proxy says.

use super::{Night, ago, forbidden, gone, never, redacted, seen};
use crate::triage::{CheckId, CheckResult, FixName, LogExcerpt, Scenario, Side};

impl Night {
    /// The pod has no sidecar and no file of its own.
    pub(super) fn is_ambient(&mut self, at: usize) {
        let pod = self.pod(at);
        (pod.ambient, pod.sidecar) = (true, false);
        (pod.svid_file, pod.bundle_file) = (gone("svid.crt"), gone("bundle.crt"));
        (pod.served, pod.stats, pod.proxy_log) = (gone("config_dump"), gone("Envoy /stats"), gone("log"));
    }

    pub(super) fn ztunnel_says(&mut self, at: usize, lines: &[String]) {
        let log = LogExcerpt { lines: redacted(lines), ..LogExcerpt::default() };
        self.pod(at).ztunnel_log = Some(seen(log, "log of ztunnel"));
    }
}

/// An access line of some minutes ago about the frontend.
fn access(minutes: i64, direction: &str, error: &str) -> String {
    let error = if error.is_empty() { String::new() } else { format!(" error=\"{error}\"") };
    format!(
        "{}\t{}\taccess\tconnection complete\tsrc.workload=\"frontend-a\" src.namespace=\"web\" \
         src.identity=\"spiffe://a/ns/web/sa/frontend\" dst.identity=\"spiffe://a/ns/web/sa/y\" direction=\"{direction}\"{error}",
        ago(minutes),
        if error.is_empty() { "info" } else { "error" },
    )
}

fn ambient(lines: &[String]) -> Night {
    let mut night = Night::healthy();
    night.is_ambient(0);
    night.ztunnel_says(0, lines);
    night
}

#[test]
fn what_ztunnel_says_again_and_again_is_the_cause_and_neither_the_pod_nor_spire_is_restarted() {
    let line = access(1, "outbound", "io error: invalid peer certificate: UnknownIssuer");
    let verdict = ambient(&[line.clone(), line.clone()]).verdict();
    assert_eq!((verdict.scenario, verdict.on.side), (Scenario::TrustBundleMismatch, Side::Client));
    insta::assert_snapshot!(verdict.reasons[0], @r#"the ztunnel of the node of web/frontend-a: no root of ours issued it: «…kload="frontend-a" src.namespace="web" src.identity="spiffe://a/ns/web/sa/frontend" dst.identity="spiffe://a/ns/web/sa/y" direction="outbound" error="io error: invalid peer certificate: UnknownIssuer"»"#);
    assert!(never(&verdict, FixName::RestartPod) && never(&verdict, FixName::RestartSpireAgent));
    assert_eq!(ambient(&[line]).verdict().scenario, Scenario::Inconclusive, "one line is no cause");
}

#[test]
fn each_kind_of_failure_that_ztunnel_knows_is_named_with_its_side() {
    for (direction, error, scenario, side) in [
        ("outbound", "io error: invalid peer certificate: Expired", Scenario::ExpiredCertificate, Side::Client),
        ("outbound", "io error: received fatal alert: UnknownCA", Scenario::TrustBundleMismatch, Side::Client),
        (
            "inbound",
            "identity verification error: peer did not present the expected trustdomain (a)",
            Scenario::IdentityMismatch,
            Side::Server,
        ),
        (
            "inbound",
            "connection closed due to policy rejection: allow policies exist, but none allowed",
            Scenario::IstioConfiguration,
            Side::Server,
        ),
        (
            "outbound",
            "connection timed out, maybe a NetworkPolicy is blocking HBONE port 15008: deadline has elapsed",
            Scenario::Network,
            Side::Client,
        ),
    ] {
        let line = access(1, direction, error);
        let verdict = ambient(&[line.clone(), line]).verdict();
        assert_eq!((verdict.scenario, verdict.on.side), (scenario, side), "{error}");
    }
}

#[test]
fn a_certificate_that_istiod_does_not_give_is_named_at_once() {
    let line = format!(
        "{}\twarn\tidentity::manager\tcertificate fetch failed (spiffe://a/ns/web/sa/frontend) and no valid existing \
         certificate; will retry in 5s",
        ago(2)
    );
    assert_eq!(ambient(&[line]).verdict().scenario, Scenario::IstiodCa);
}

#[test]
fn connections_that_came_about_pass_the_check_and_are_no_clean_bill_for_a_certificate_that_nobody_read() {
    let verdict = ambient(&[access(1, "inbound", "")]).verdict();
    let row = verdict.checks.iter().find(|row| row.id == CheckId::ZtunnelLog).unwrap();
    assert_eq!(row.result, CheckResult::Pass);
    assert_eq!(verdict.scenario, Scenario::Inconclusive);
    let reason = verdict.reasons.iter().find(|reason| reason.contains("ambient")).unwrap();
    insta::assert_snapshot!(reason, @"web/frontend-a is in ambient mode: ztunnel does its mTLS, and of that only the log was looked at (connections with identities on both sides came about of late, and none failed), and not the certificate that it holds for this pod");
    let not_checked = verdict.not_checked.iter().find(|one| one.what.contains("frontend-a")).unwrap();
    insta::assert_snapshot!(not_checked.why, @"it is in ambient mode: ztunnel does its mTLS, and of that only its log is read (step 3.3)");
}

#[test]
fn old_failures_name_no_cause_and_silence_passes_nothing() {
    let old = access(9, "outbound", "io error: invalid peer certificate: UnknownIssuer");
    let verdict = ambient(&[old.clone(), old]).verdict();
    assert_eq!(verdict.scenario, Scenario::Inconclusive);
    let row = verdict.checks.iter().find(|row| row.id == CheckId::ZtunnelLog).unwrap();
    assert_eq!(row.result, CheckResult::Inconclusive);
}

#[test]
fn without_the_right_to_read_ztunnels_log_the_right_is_named() {
    let mut night = ambient(&[]);
    night.pod(0).ztunnel_log = Some(forbidden("get pods/log in istio-system"));
    let verdict = night.verdict();
    assert_eq!(verdict.scenario, Scenario::Inconclusive);
    assert!(
        verdict.reasons.iter().any(|reason| reason.contains("grant get pods/log in istio-system")),
        "{:?}",
        verdict.reasons
    );
}
