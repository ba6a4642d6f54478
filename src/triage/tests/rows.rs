//! Every row of `cases.yaml`: covered here, or left to a later issue by name.

use serde::Deserialize;

use super::{DIAL, EXPIRED_PEER, Night, SAN, forbidden, never, pem, renewal, said, seen};
use crate::triage::{CallAtOnce, Consequence, Evidence, FixName, Gathered, LogExcerpt, Side, diagnose};

#[derive(Deserialize)]
struct Row {
    id: String,
    expect: Expect,
}

#[derive(Deserialize)]
struct Expect {
    scenario: String,
    fixes: Option<Vec<String>>,
    #[serde(default)]
    never: Vec<String>,
    consequences: Option<Vec<Consequence>>,
    escalate: Option<CallAtOnce>,
    on: Option<Side>,
}

fn rows() -> Vec<Row> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/triage/cases.yaml");
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn as_the_row_says(id: &str, evidence: &Evidence) {
    let expect = rows().into_iter().find(|row| row.id == id).expect("the row is there").expect;
    let verdict = diagnose(evidence);
    assert_eq!(verdict.scenario.as_str(), expect.scenario, "{:?}", verdict.reasons);
    if let Some(fixes) = expect.fixes {
        assert_eq!(verdict.fixes.iter().map(|fix| fix.as_str().to_owned()).collect::<Vec<_>>(), fixes);
    }
    for fix in expect.never {
        assert!(never(&verdict, fix.parse::<FixName>().unwrap()), "never {fix}: {:?}", verdict.never);
    }
    if let Some(consequences) = expect.consequences {
        assert_eq!(verdict.consequences, consequences);
    }
    if expect.escalate.is_some() {
        assert_eq!(verdict.call_at_once, expect.escalate);
    }
    if let Some(side) = expect.on {
        assert_eq!(verdict.on.side, side);
    }
}

macro_rules! rows {
    ($($name:ident is $id:literal $evidence:expr;)*) => {
        const COVERED: &[&str] = &[$($id),*];
        $(#[test] fn $name() { as_the_row_says($id, &$evidence); })*
    };
}

/// The rows that compute modes, or look at istiod: later issues.
const LATER: [&str; 3] = ["strict-server-plaintext-client", "dr-disable-to-strict", "istiod-unreachable"];

rows! {
    all_is_well is "healthy" Night::healthy().evidence;
    the_workload_kept_its_old_svid is "expired-leaf-agent-healthy" kept_its_old_svid();
    the_agent_is_down_and_the_leaf_is_over is "expired-leaf-agent-down" agent_down();
    renewal_is_overdue_and_the_server_cannot_be_reached is "rotation-overdue" overdue();
    the_server_is_down is "server-down" server_down();
    the_identity_is_another_one is "san-mismatch" another_identity();
    host_names_are_no_identity is "curl-hostname-only" host_name_only();
    a_peer_expired_during_a_migration is "permissive-during-migration" peer_expired();
    the_pod_holds_an_old_bundle is "bundle-stale-in-pod" old_bundle_in_a_pod();
    the_config_map_was_not_brought_up_to_date is "bundle-configmap-stale" old_config_map();
    nothing_could_be_read is "nothing-could-be-read" blind();
}

#[test]
fn every_row_is_covered_or_left_to_a_later_issue_by_name() {
    for row in rows() {
        let (covered, later) = (COVERED.contains(&row.id.as_str()), LATER.contains(&row.id.as_str()));
        assert!(covered != later, "{} is in exactly one of the two lists", row.id);
    }
    assert_eq!(rows().len(), COVERED.len() + LATER.len(), "no list names a row that is not there");
}

fn kept_its_old_svid() -> Evidence {
    let mut night = Night::healthy();
    night.holds(0, -40);
    night.agent_says(0, &[renewal(10, "spiffe://prod.example.org/ns/web/sa/gateway")]);
    night.proxy_says(0, "503 UF \"TLS_error:SSLV3_ALERT_CERTIFICATE_EXPIRED\" outbound|1||checkout", 5);
    night.evidence
}

fn agent_down() -> Evidence {
    let mut night = Night::healthy();
    night.holds(0, -5);
    night.agent_healthcheck(0, false);
    night.agent(0).ready = false;
    night.evidence
}

fn overdue() -> Evidence {
    let mut night = Night::healthy();
    night.holds(0, 12);
    night.agent_says(0, &[renewal(50, super::FRONTEND), said(9, DIAL), said(5, DIAL), said(1, DIAL)]);
    night.evidence
}

fn server_down() -> Evidence {
    let mut night = Night::healthy();
    night.holds(0, -5);
    night.server_says(false, false);
    let line = "could not open attestation stream to SPIRE server: connection refused";
    night.agent_says(0, &[said(6, line), said(3, line)]);
    night.evidence
}

fn another_identity() -> Evidence {
    let mut night = Night::healthy();
    let leaf = night.spire.leaf("spiffe://prod.example.org/ns/web/sa/default", 45);
    night.file(0, &leaf);
    night.serves(0, &leaf);
    night.proxy_says(0, SAN, 4);
    night.evidence
}

fn host_name_only() -> Evidence {
    let mut night = Night::healthy();
    let line = "curl: (60) SSL: no alternative certificate subject name matches target host name 'Checkout.web'";
    night.proxy_says(0, line, 3);
    night.evidence
}

fn peer_expired() -> Evidence {
    let mut night = Night::healthy();
    night.proxy_says(0, EXPIRED_PEER, 9);
    night.evidence
}

fn old_bundle_in_a_pod() -> Evidence {
    let mut night = Night::healthy();
    night.rotates_its_authority(60);
    night.add("frontend-b", "node-2");
    let line = "TLS_error:|268436504:SSL_routines:OPENSSL_internal:TLSV1_ALERT_UNKNOWN_CA:TLS_error_end";
    night.proxy_says(1, &format!("503 UF \"{line}\" outbound|1||frontend"), 4);
    night.evidence
}

fn old_config_map() -> Evidence {
    let mut night = Night::healthy();
    night.rotates_its_authority(60);
    let old = night.old_root();
    night.evidence.spire_bundle = seen(pem(&[&old]), "ConfigMap spire/spire-bundle");
    let line = "TLS_error:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_X509_verify_cert:_unable_to_get_local_issuer_certificate";
    night.proxy_says(0, &format!("503 UF \"{line}\" outbound|1||checkout"), 4);
    night.evidence
}

fn blind() -> Evidence {
    let mut night = Night::healthy();
    let pod = night.pod(0);
    (pod.svid_file, pod.bundle_file) = (forbidden("create pods/exec in web"), forbidden("create pods/exec in web"));
    (pod.served, pod.stats) =
        (forbidden("create pods/portforward in web"), forbidden("create pods/portforward in web"));
    let no_log: Gathered<LogExcerpt> = forbidden("get pods/log in web");
    pod.proxy_log = no_log;
    night.agent(0).healthcheck = forbidden("create pods/exec in spire");
    night.agent(0).log = forbidden("get pods/log in spire");
    night.evidence
}

#[test]
fn when_nothing_could_be_read_every_missing_right_is_named() {
    let reasons = diagnose(&blind()).reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for grant in
        ["pods/exec in web", "pods/portforward in web", "pods/log in web", "pods/exec in spire", "pods/log in spire"]
    {
        assert!(reasons.contains(grant), "{grant}: {reasons}");
    }
}
