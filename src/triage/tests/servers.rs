//! What the log of the SPIRE server says of itself.

use super::{Night, ago, gone, seen};
use crate::triage::{CheckId, CheckResult, Confidence, Scenario, server_log_excerpt};

/// A line of a server's log, a minute ago.
fn error(message: &str, error: &str) -> String {
    format!("time=\"{}\" level=error msg=\"{message}\" error=\"{error}\" subsystem_name=ca_manager", ago(1))
}

/// An agent that cannot reach its server, whose healthcheck is green.
fn cut_off(server_log: &[String]) -> Night {
    let mut night = Night::healthy();
    night.holds(0, -5);
    night.agent_says(0, &[super::said(3, super::DIAL), super::said(1, super::DIAL)]);
    night.evidence.servers[0].log = Some(seen(server_log_excerpt(None, Some(&server_log.join("\n"))), "log"));
    night
}

#[test]
fn a_server_that_says_healthy_and_logs_that_its_database_is_gone_is_the_cause_and_not_the_network() {
    let gone = error("Unable to rotate X509 CA", "rpc error: code = Internal desc = datastore-sql: database is locked");
    let verdict = cut_off(&[gone.clone(), gone.clone()]).verdict();
    assert_eq!(
        (verdict.scenario, verdict.confidence),
        (Scenario::SpireServer, Confidence::Medium),
        "{:#?}",
        verdict.reasons
    );
    assert!(verdict.reasons[0].starts_with("the SPIRE server spire/spire-server-0 says: "), "{:?}", verdict.reasons);
    assert!(verdict.reasons[0].contains("datastore-sql: database is locked"), "{:?}", verdict.reasons);
    let row = verdict.checks.iter().find(|row| row.id == CheckId::ServerLog).unwrap();
    assert_eq!(row.result, CheckResult::Fail);
    assert!(verdict.fixes.is_empty());
    assert_eq!(cut_off(&[gone]).verdict().scenario, Scenario::Network, "one line is no cause");
}

#[test]
fn what_a_server_says_of_an_agent_that_it_refuses_is_no_fault_of_its_own() {
    let refused = error("Agent is banned", "agent is banned");
    let night = cut_off(&vec![refused; 5]);
    assert!(night.evidence.servers[0].log.as_ref().unwrap().value().unwrap().lines.is_empty());
    assert_eq!(night.verdict().scenario, Scenario::Network);
}

#[test]
fn where_one_of_two_servers_says_nothing_bad_the_other_is_not_the_cause() {
    let gone_line = error("Unable to rotate X509 CA", "datastore-sql: database is locked");
    let mut night = cut_off(&vec![gone_line; 3]);
    let mut second = night.evidence.servers[0].clone();
    second.log = Some(gone("log of spire-server"));
    night.evidence.servers.push(second);
    assert_eq!(night.verdict().scenario, Scenario::Network);
}

fn healthy_night_with(server_log: &[String]) -> Night {
    let mut night = Night::healthy();
    night.evidence.servers[0].log = Some(seen(server_log_excerpt(None, Some(&server_log.join("\n"))), "log"));
    night
}

#[test]
fn a_servers_error_about_certificates_in_words_that_no_table_knows_keeps_a_night_from_being_called_healthy() {
    let unknown = error("Frobnicating the signing certificate", "the HSM refused the private key");
    let verdict = healthy_night_with(&[unknown.clone(), unknown]).verdict();
    assert_eq!(verdict.scenario, Scenario::Inconclusive, "{:?}", verdict.reasons);
    insta::assert_snapshot!(verdict.reasons[0], @r#"the SPIRE server spire/spire-server-0 speaks of a failure in 2 line(s) that this version does not understand, the newest: «time="2026-11-24T02:59:00Z" level=error msg="Frobnicating the signing certificate" error="the HSM refused the private key" subsystem_name=ca_manager»"#);
    let row = verdict.checks.iter().find(|row| row.id == CheckId::ServerLog).unwrap();
    assert_eq!(row.result, CheckResult::Inconclusive);
}

#[test]
fn json_lines_and_warnings_count_as_well_and_what_is_old_or_of_another_matter_does_not() {
    let json = format!(
        "{{\"level\":\"warning\",\"msg\":\"odd X509 SVID\",\"error\":\"unsupported\",\"time\":\"{}\"}}",
        ago(1)
    );
    assert_eq!(healthy_night_with(&[json]).verdict().scenario, Scenario::Inconclusive);
    let old =
        error("Frobnicating the signing certificate", "refused").replace(&ago(1).to_string(), &ago(40).to_string());
    let informed = error("Frobnicating the signing certificate", "refused").replace("level=error", "level=info");
    let other = error("Disk is slow", "latency exceeded");
    assert_eq!(healthy_night_with(&[old, informed, other]).verdict().scenario, Scenario::NoFaultFound);
}

#[test]
fn many_lines_that_nobody_understands_do_not_push_out_those_that_name_the_fault() {
    let known = error("Unable to rotate X509 CA", "datastore-sql: database is locked");
    let unknown = error("Frobnicating the signing certificate", "refused");
    let mut log = vec![known; 3];
    log.extend(vec![unknown; 50]);
    assert_eq!(cut_off(&log).verdict().scenario, Scenario::SpireServer);
}
