//! Agents that say themselves when they last synchronised, and agents that crash.

use super::{DIAL, Night, ago, said};
use crate::triage::{AgentFleet, AgentInfo, CheckId, CheckResult, ContainerEnd, Crash, Scenario};

impl Night {
    fn agent_synced(&mut self, minutes_ago: Option<i64>) {
        self.agent(0).info =
            Some(AgentInfo { last_sync: minutes_ago.map(ago), svid_ends: Some(ago(-30)), uptime: 86_400 });
    }

    fn row_of_the_agent(&self) -> (CheckResult, String) {
        let row = self.verdict().checks.into_iter().find(|row| row.id == CheckId::SpireAgent).unwrap();
        (row.result, row.summary)
    }
}

#[test]
fn an_outage_that_is_over_is_told_by_the_agents_own_last_sync_and_not_by_its_log() {
    let mut night = Night::healthy();
    night.agent_says(0, &[said(9, DIAL), said(8, DIAL)]);
    assert_eq!(night.row_of_the_agent().0, CheckResult::Fail, "by its log alone");
    night.agent_synced(Some(0));
    let (result, summary) = night.row_of_the_agent();
    assert_eq!(result, CheckResult::Pass);
    insta::assert_snapshot!(summary, @"it renews; its last sync with the SPIRE server was at 2026-11-24T03:00:00Z, as it says itself");
    night.agent_says(0, &[said(1, DIAL), said(0, DIAL)]);
    night.agent_synced(Some(2));
    assert_eq!(night.row_of_the_agent().0, CheckResult::Fail, "it failed after that sync");
}

#[test]
fn an_agent_that_has_not_synchronised_for_long_does_not_work_however_quiet_its_log_is() {
    for (minutes, ended) in [(Some(40), false), (None, false), (Some(1), true)] {
        let mut night = Night::healthy();
        night.agent_says(0, &[]);
        night.agent_synced(minutes);
        if ended {
            night.agent(0).info.as_mut().unwrap().svid_ends = Some(ago(5));
        }
        assert_eq!(night.row_of_the_agent().0, CheckResult::Fail, "{minutes:?} {ended}");
        assert_ne!(night.verdict().scenario, Scenario::NoFaultFound);
    }
}

#[test]
fn a_sync_of_late_does_not_prove_that_a_workload_that_is_over_was_renewed() {
    let mut night = Night::healthy();
    night.holds(0, -5);
    night.agent_says(0, &[]);
    night.agent_synced(Some(0));
    let verdict = night.verdict();
    assert!(verdict.fixes.is_empty(), "its entry may be gone: {:?}", verdict.reasons);
    assert_eq!(night.row_of_the_agent().0, CheckResult::Inconclusive);
}

#[test]
fn an_agent_that_crashes_is_said_with_its_exit_and_its_last_words_in_whatever_words() {
    let mut night = Night::healthy();
    night.holds(0, -5);
    night.agent_says(0, &[]);
    let agent = night.agent(0);
    (agent.ready, agent.restarts) = (false, 12);
    let end = ContainerEnd { exit_code: 1, reason: "Error".into(), at: Some(ago(2)) };
    agent.crash = Some(Crash { end, last_words: Some("could not parse trust_domain \"prod_example\"".into()) });
    insta::assert_snapshot!(night.row_of_the_agent().1, @r#"its pod is not Ready (12 restart(s); its container ended at 2026-11-24T02:58:00Z with exit code 1, Error, its last words: «could not parse trust_domain "prod_example"»)"#);
    assert_eq!(night.verdict().scenario, Scenario::SpireAgent);
}

#[test]
fn an_agent_that_works_again_is_said_with_its_crash_of_late_and_not_with_one_of_yesterday() {
    let mut night = Night::healthy();
    let end = |minutes| ContainerEnd { exit_code: 137, reason: "OOMKilled".into(), at: Some(ago(minutes)) };
    night.agent(0).crash = Some(Crash { end: end(20), last_words: None });
    let (result, summary) = night.row_of_the_agent();
    assert_eq!(result, CheckResult::Pass);
    assert!(summary.contains("its container ended at 2026-11-24T02:40:00Z with exit code 137, OOMKilled"), "{summary}");
    night.agent(0).crash = Some(Crash { end: end(2000), last_words: None });
    assert!(!night.row_of_the_agent().1.contains("exit code"));
}

#[test]
fn all_agents_are_said_in_one_line_and_those_of_other_nodes_name_no_cause() {
    let mut night = Night::healthy();
    let not_ready = vec!["node-7".parse().unwrap()];
    night.evidence.agent_fleet = Some(AgentFleet { agents: 12, ready: 11, not_ready, cut: false });
    let verdict = night.verdict();
    let row = verdict.checks.iter().find(|row| row.id == CheckId::SpireAgents).unwrap();
    assert_eq!(row.result, CheckResult::Fail);
    insta::assert_snapshot!(row.summary, @"11 of 12 agents are Ready; not: node-7");
    assert_eq!(verdict.scenario, Scenario::NoFaultFound);
    let many = AgentFleet { agents: 40, ready: 20, not_ready: vec!["node-7".parse().unwrap()], cut: true };
    night.evidence.agent_fleet = Some(many);
    let verdict = night.verdict();
    let row = verdict.checks.iter().find(|row| row.id == CheckId::SpireAgents).unwrap();
    insta::assert_snapshot!(row.summary, @"of those that were listed, 20 of 40 agents are Ready; not: node-7 and 19 more");
}
