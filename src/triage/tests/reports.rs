//! Faults that people reported in public, in the words of their tools: `tests/data/triage/reports.yaml`. Each is put into a
//! night as its reporter saw it, and the verdict is the right one.

use jiff::Timestamp;
use serde::Deserialize;

use super::{Night, three};
use crate::triage::{FixName, LogExcerpt, Redacted, Scenario, ServedSecrets, Verdict};

#[derive(Deserialize)]
struct Report {
    id: String,
    artefact: String,
}

fn reports() -> Vec<Report> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/triage/reports.yaml");
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The lines of a report's log as if the newest had been written a minute ago; what its reader noted beside them begins
/// with `#`.
fn log_of(id: &str) -> Vec<Redacted> {
    let report = reports().into_iter().find(|report| report.id == id).expect("the report is there");
    let lines: Vec<&str> =
        report.artefact.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).collect();
    let newest = lines.iter().filter_map(|line| time_in(line)).map(|(_, at)| at).max();
    let shifted = lines.iter().map(|line| match (time_in(line), newest) {
        (Some((text, at)), Some(newest)) => {
            let moved = three() - jiff::SignedDuration::from_mins(1) - newest.duration_since(at);
            let like_before = moved.to_string();
            line.replacen(&text, like_before.trim_end_matches('Z'), 1)
        }
        _ => (*line).to_owned(),
    });
    shifted.map(|line| Redacted::new(&line)).collect()
}

/// The first time of a line without its zone, as it stands there.
fn time_in(line: &str) -> Option<(String, Timestamp)> {
    line.char_indices().find_map(|(at, _)| {
        let text = line.get(at..at + 19)?;
        let at = format!("{}Z", text.replace(' ', "T")).parse().ok()?;
        Some((text.to_owned(), at))
    })
}

impl Night {
    fn agent_reports(&mut self, id: &str) {
        let log = LogExcerpt { lines: log_of(id), ..LogExcerpt::default() };
        self.agent(0).log = super::seen(log, "log of spire-agent");
    }

    fn proxy_reports(&mut self, id: &str) {
        let log = LogExcerpt { lines: log_of(id), ..LogExcerpt::default() };
        self.pod(0).proxy_log = super::seen(log, "log of istio-proxy");
    }

    /// A report quotes one line of many.
    fn goes_on(&mut self) {
        let line = self.pod(0).proxy_log.value().unwrap().lines[0].clone();
        self.proxy_says(0, line.as_str(), 4);
    }

    /// The workload never got an SVID.
    fn has_no_svid(&mut self) {
        self.pod(0).svid_file = super::gone("svid.crt");
        self.pod(0).served = super::seen(ServedSecrets::default(), "Envoy /config_dump");
    }
}

/// A verdict names this cause and offers these fixes.
#[track_caller]
fn says(verdict: &Verdict, scenario: Scenario, fixes: &[FixName]) {
    assert_eq!((verdict.scenario, verdict.fixes.as_slice()), (scenario, fixes), "{:#?}", verdict.reasons);
}

#[test]
fn more_registration_entries_than_an_agent_can_read_are_no_network_fault() {
    let mut night = Night::healthy();
    night.holds(0, 12);
    night.agent_reports("spire-entries-too-large");
    says(&night.verdict(), Scenario::Registration, &[]);
}

#[test]
fn an_agent_whose_own_svid_is_over_attests_anew_once_it_is_restarted() {
    let mut night = Night::healthy();
    night.add("frontend-b", "node-2");
    night.holds(0, -5);
    night.agent_reports("spire-agent-expired-dial");
    says(&night.verdict(), Scenario::SpireAgent, &[FixName::RestartSpireAgent]);
}

#[test]
fn an_agent_of_an_old_version_that_no_longer_trusts_its_server_is_a_bundle_fault() {
    let mut night = Night::healthy();
    night.holds(0, -5);
    night.agent(0).ready = false;
    night.agent_reports("spire-agent-old-bundle-0.9");
    says(&night.verdict(), Scenario::TrustBundleMismatch, &[]);
}

#[test]
fn a_renewal_that_the_server_denies_is_the_agents_own_fault() {
    let mut night = Night::healthy();
    night.holds(0, -5);
    night.agent(0).ready = false;
    night.agent_reports("spire-agent-renew-denied");
    says(&night.verdict(), Scenario::SpireAgent, &[FixName::RestartSpireAgent]);
}

#[test]
fn a_workload_without_a_registration_entry_is_not_restarted() {
    let mut night = Night::healthy();
    night.has_no_svid();
    night.pod(0).sidecar = false;
    night.agent_reports("spire-no-identity-file-only");
    says(&night.verdict(), Scenario::Registration, &[]);
}

#[test]
fn an_agent_that_cannot_ask_its_kubelet_is_not_taken_for_a_missing_entry() {
    let mut night = Night::healthy();
    night.has_no_svid();
    night.agent_reports("spire-kubelet-refused");
    says(&night.verdict(), Scenario::WorkloadAttestation, &[]);
}

#[test]
fn a_secret_of_a_file_that_istio_asks_spire_for_is_istios_configuration() {
    let mut night = Night::healthy();
    night.proxy_reports("spire-sds-file-root");
    says(&night.verdict(), Scenario::IstioConfiguration, &[]);
}

#[test]
fn a_node_without_the_spiffe_csi_driver_is_named_with_the_driver_and_nothing_is_restarted() {
    let mut night = Night::healthy();
    let report = reports().into_iter().find(|report| report.id == "spire-csi-missing").unwrap();
    // As `kubectl describe` prints it: type, reason, age, who, message.
    let line = report.artefact.lines().next().unwrap();
    let message = line.split("  ").last().unwrap();
    night.does_not_start(0, "PodInitializing", &[("FailedMount", 12, 1, message)]);
    let verdict = night.verdict();
    says(&verdict, Scenario::NodeSetup, &[]);
    assert_eq!(verdict.on.nodes, ["node-1".parse().unwrap()]);
    insta::assert_snapshot!(verdict.reasons[0], @r#"web/frontend-a does not start: the CSI driver csi.spiffe.io is not there on node-1; Kubernetes says FailedMount (12 time(s), the last at 2026-11-24T02:59:00Z): «MountVolume.SetUp failed for volume "spire-agent-socket" : kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: driver name csi.spiffe.io not found in the list of registered CSI drivers»"#);
}

#[test]
fn a_token_that_istiod_refuses_is_no_fault_of_spire_and_a_new_pod_has_a_new_one() {
    let mut night = Night::healthy();
    let leaf = night.istiod.leaf(super::OF_ISTIOD, -120);
    night.pod(0).svid_file = super::gone("svid.crt");
    night.serves(0, &leaf);
    night.proxy_reports("istio-expired-jwt");
    says(&night.verdict(), Scenario::IstiodCa, &[]);
}

#[test]
fn a_certificate_that_begins_in_some_seconds_is_a_small_clock_skew() {
    let mut night = Night::healthy();
    let leaf = night.spire.leaf_with(super::FRONTEND, 59, |params| {
        params.not_before = super::date(three() + jiff::SignedDuration::from_secs(12));
    });
    night.file(0, &leaf);
    night.serves(0, &leaf);
    says(&night.verdict(), Scenario::ClockSkew, &[]);
}

#[test]
fn a_port_on_which_the_own_application_does_not_listen_is_no_network_fault() {
    let mut night = Night::healthy();
    night.proxy_reports("istio-inbound-passthrough");
    says(&night.verdict(), Scenario::Application, &[]);
}

#[test]
fn pods_that_call_each_other_by_address_past_the_mesh_are_named_as_callers_in_plain_text() {
    let mut night = Night::healthy();
    night.proxy_reports("istio-passthrough-strict");
    says(&night.verdict(), Scenario::IstioConfiguration, &[]);
}

#[test]
fn a_caller_that_authorization_policy_refuses_is_istios_configuration() {
    let mut night = Night::healthy();
    night.proxy_reports("istio-rbac-403");
    night.goes_on();
    says(&night.verdict(), Scenario::IstioConfiguration, &[]);
}

#[test]
fn a_refusal_without_a_reason_is_told_by_the_counters() {
    let mut night = Night::healthy();
    night.proxy_reports("istio-bare-verify-failed");
    let counters =
        crate::triage::TlsCounters { fail_verify_error: Some(64), fail_verify_san: Some(0), ..Default::default() };
    let clients = std::collections::BTreeMap::from([("outbound|5000||helloworld".to_owned(), counters)]);
    let stats = crate::triage::ProxyStats { clients, ..Default::default() };
    night.pod(0).stats = super::seen(stats, "Envoy /stats");
    says(&night.verdict(), Scenario::TrustBundleMismatch, &[]);
}

#[test]
fn peers_of_another_cluster_that_do_not_know_our_authority_are_a_bundle_fault() {
    let mut night = Night::healthy();
    night.proxy_reports("istio-unknown-ca-multicluster");
    says(&night.verdict(), Scenario::TrustBundleMismatch, &[]);
}

#[test]
fn another_clusters_root_that_ztunnel_lacks_is_a_bundle_fault() {
    let mut night = Night::healthy();
    night.is_ambient(0);
    let lines: Vec<String> = log_of("istio-ambient-badsignature").iter().map(ToString::to_string).collect();
    // The reporter quotes one line of many.
    night.ztunnel_says(0, &[lines.clone(), lines].concat());
    says(&night.verdict(), Scenario::TrustBundleMismatch, &[]);
}

#[test]
fn a_node_without_a_route_is_the_network() {
    let mut night = Night::healthy();
    night.proxy_reports("istio-firewalld-113");
    night.goes_on();
    says(&night.verdict(), Scenario::Network, &[]);
}

#[test]
fn an_authority_that_is_over_is_no_expired_certificate_of_the_peer() {
    let mut night = Night::healthy();
    night.proxy_reports("envoy-expired-root-depth");
    night.goes_on();
    says(&night.verdict(), Scenario::TrustBundleMismatch, &[]);
}

#[test]
fn a_certificate_that_the_proxy_did_not_take_is_named_with_envoys_reason() {
    let mut night = Night::healthy();
    night.proxy_reports("envoy-p384");
    let verdict = night.verdict();
    says(&verdict, Scenario::RejectedSecret, &[]);
    assert!(verdict.reasons[0].contains("only P-256 ECDSA certificates are supported"), "{:?}", verdict.reasons);
}
