//! What is gathered next, because of what was seen.

use std::time::Duration;

use super::{FRONTEND, Night, forbidden, gone, pem, renewal, seen, three};
use crate::triage::{
    Gathered, LogExcerpt, Missing, PemFile,
    look_further::{
        LookFurther, after_agent_log, after_bundle_file, after_healthcheck, after_server_pods, shown_bundle, shown_log,
    },
};

const USUAL: Duration = Duration::from_mins(10);

fn asked(night: &Night) -> Option<LookFurther> {
    let evidence = &night.evidence;
    after_agent_log(&evidence.agents[0], &evidence.pods, USUAL, evidence.gathered_at)
}

fn missing(reason: Missing) -> Gathered<PemFile> {
    Gathered::Missing { reason, source: "cat bundle.crt".to_owned(), at: three() }
}

#[test]
fn a_bundle_file_that_no_tool_shows_is_looked_for_in_the_config_map_that_is_mounted_there() {
    for way_in_is_missing in
        [Missing::ToolMissing { tool: "cat".to_owned() }, Missing::Forbidden { grant: "create pods/exec".to_owned() }]
    {
        assert_eq!(after_bundle_file(&missing(way_in_is_missing)), Some(LookFurther::MountedConfigMap));
    }
    for a_finding in [
        Missing::Gone { what: "bundle.crt".to_owned() },
        Missing::TimedOut { seconds: 5 },
        Missing::Other { why: "Permission denied".into() },
    ] {
        assert_eq!(after_bundle_file(&missing(a_finding)), None);
    }
    assert_eq!(after_bundle_file(&seen(PemFile::default(), "cat bundle.crt")), None, "an empty file is what there is");
}

#[test]
fn a_config_map_without_a_certificate_shows_no_bundle() {
    let file = || forbidden::<PemFile>("create pods/exec");
    let full = seen(pem(&["AAAA"]), "ConfigMap web/bundle");
    assert_eq!(shown_bundle(file(), Some(full.clone())), full);
    for nothing in [None, Some(gone("ConfigMap web/bundle")), Some(seen(PemFile::default(), "ConfigMap web/bundle"))] {
        assert_eq!(shown_bundle(file(), nothing), file());
    }
}

#[test]
fn an_image_without_the_command_is_asked_over_http_and_a_pod_that_is_gone_is_not() {
    for there in [Missing::ToolMissing { tool: "spire-agent".to_owned() }, Missing::TimedOut { seconds: 5 }] {
        assert_eq!(after_healthcheck(&there), Some(LookFurther::HttpHealth));
    }
    assert_eq!(after_healthcheck(&Missing::Gone { what: "pod spire/agent".to_owned() }), None);
}

#[test]
fn a_server_without_pods_is_looked_for_at_its_controllers() {
    assert_eq!(after_server_pods(0), Some(LookFurther::ServerControllers));
    assert_eq!(after_server_pods(1), None);
}

#[test]
fn a_silent_agent_is_read_back_to_before_the_oldest_svid_of_its_node_was_issued() {
    let mut night = Night::healthy();
    night.holds(0, -10);
    night.agent_says(0, &[renewal(39, FRONTEND)]);
    assert_eq!(asked(&night), None, "it was due 40 min ago, and renewed after that");
    night.agent_says(0, &[renewal(41, FRONTEND)]);
    let back = |minutes| Some(LookFurther::AgentLog { since: Duration::from_mins(minutes) });
    assert_eq!(asked(&night), back(75), "issued 70 min ago, and 5 min before that");
    night.holds(0, 59);
    night.agent_says(0, &[]);
    assert_eq!(asked(&night), back(10), "never less than is read in any case");
}

#[test]
fn an_agent_of_which_nothing_tells_what_is_due_is_read_once() {
    let mut night = Night::healthy();
    night.holds(0, -10);
    night.agent(0).log = gone("log of spire-agent");
    assert_eq!(asked(&night), None, "its log could not be read");
    night.agent_says(0, &[]);
    assert!(asked(&night).is_some());
    night.agent(0).node = "node-2".parse().unwrap();
    assert_eq!(asked(&night), None, "no pod of the target runs on its node");
}

#[test]
fn silence_that_was_seen_stands_where_the_longer_look_came_to_nothing() {
    let (silent, longer) = (seen(LogExcerpt::default(), "ten minutes"), seen(LogExcerpt::default(), "an hour"));
    assert_eq!(shown_log(silent.clone(), gone("an hour")), silent);
    assert_eq!(shown_log(silent, longer.clone()), longer);
}
