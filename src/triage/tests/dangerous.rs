//! Verdicts that would do harm: an all-clear over failing calls, a fix of the wrong system, a fix that is refused when it is
//! asked for.

use std::collections::BTreeMap;

use super::{Authority, FRONTEND, Night, OF_ISTIOD, forbidden, gone, never, pem, seen, three};
use crate::triage::{
    CheckId, CheckResult, Confidence, FixName, Gathered, LogExcerpt, Missing, PemFile, ProxyStats, Scenario,
    TlsCounters, Verdict,
};

fn is_open(verdict: &Verdict, words: &str) {
    assert_eq!(verdict.scenario, Scenario::Inconclusive, "{words}: {:?}", verdict.reasons);
    assert!(verdict.reasons.iter().any(|reason| reason.contains(words)), "{words}: {:?}", verdict.reasons);
}

fn unreadable<T>(why: &str) -> Gathered<T> {
    Gathered::Missing { reason: Missing::Other { why: why.into() }, source: "cat svid.crt".to_owned(), at: three() }
}

#[test]
fn calls_that_fail_while_no_tls_counter_is_visible_are_not_called_healthy() {
    let mut night = Night::healthy();
    let hosts = ProxyStats { requests_answered: Some(60), requests_failed: Some(40), ..ProxyStats::default() };
    night.pod(0).stats = seen(hosts, "Envoy /stats and /clusters");
    is_open(&night.verdict(), "its TLS counters are absent, 40 of 100 calls failed since it started");

    night.pod(0).stats = seen(ProxyStats::default(), "Envoy /stats and /clusters");
    is_open(
        &night.verdict(),
        "whether handshakes of web/frontend-a work could not be seen: its TLS counters are absent",
    );

    night.pod(0).stats = forbidden("create pods/portforward in web");
    let verdict = night.verdict();
    is_open(&verdict, "work could not be seen: not allowed: grant create pods/portforward in web");

    let counted = TlsCounters { handshake: Some(9), connection_error: Some(0), ..TlsCounters::default() };
    night.pod(0).stats = seen(ProxyStats { server: counted, ..ProxyStats::default() }, "Envoy /stats");
    assert_eq!(night.verdict().scenario, Scenario::NoFaultFound, "one visible side is enough: {:?}", night.verdict());
}

#[test]
fn calls_that_fail_are_not_explained_by_what_the_proxy_counts_as_a_server() {
    let mut night = Night::healthy();
    let server = TlsCounters { handshake: Some(500), connection_error: Some(0), ..TlsCounters::default() };
    let failing = |failed| {
        let calls = (Some(100 - failed), Some(failed));
        ProxyStats { server, requests_answered: calls.0, requests_failed: calls.1, ..ProxyStats::default() }
    };
    night.pod(0).stats = seen(failing(40), "Envoy /stats and /clusters");
    is_open(
        &night.verdict(),
        "its TLS counters as a client are absent, 40 of 100 calls failed since it started (see row 4.2",
    );
    night.pod(0).stats = seen(failing(5), "Envoy /stats and /clusters");
    is_open(&night.verdict(), "5 of 100 calls failed");
    night.pod(0).stats = seen(failing(4), "Envoy /stats and /clusters");
    assert_eq!(night.verdict().scenario, Scenario::NoFaultFound, "{:?}", night.verdict().reasons);
    let clients = BTreeMap::from([("outbound|1||checkout".to_owned(), server)]);
    night.pod(0).stats = seen(ProxyStats { clients, ..failing(40) }, "Envoy /stats and /clusters");
    assert_eq!(night.verdict().scenario, Scenario::NoFaultFound, "as a client it shook hands each time");
}

#[test]
fn an_access_log_whose_new_connections_work_shows_what_counters_do_not() {
    let mut night = Night::healthy();
    night.pod(0).stats = seen(ProxyStats::default(), "Envoy /stats and /clusters");
    let line = "[2026-11-24T02:55:00.000Z] \"GET /a HTTP/1.1\" 503 UC x - \"-\" 0 9 2 - \"-\" outbound|1||a -";
    let connected_since = BTreeMap::from([("outbound|1||a".to_owned(), 400)]);
    let log = LogExcerpt { lines: vec![line.into(); 3], connected_since, ..LogExcerpt::default() };
    night.pod(0).proxy_log = seen(log, "log of istio-proxy");
    assert_eq!(night.verdict().scenario, Scenario::NoFaultFound, "{:?}", night.verdict().reasons);
}

#[test]
fn a_config_map_that_could_not_be_read_makes_no_spire_fault_of_an_istiod_certificate() {
    let mut night = Night::healthy();
    let leaf = night.istiod.leaf(OF_ISTIOD, -10);
    night.serves(0, &leaf);
    night.pod(0).svid_file = gone("svid.crt");
    let known = night.verdict();
    assert_eq!(known.scenario, Scenario::IstiodCa);
    assert_eq!(known.reasons[0].text, "the certificate is over, and istiod issued it, not SPIRE");
    assert!(known.fixes.is_empty() && never(&known, FixName::RestartPod), "{:?}", known.fixes);

    night.evidence.istio_root = forbidden("get configmaps in web");
    let verdict = night.verdict();
    is_open(
        &verdict,
        "whether istiod or SPIRE issued it is not known (get configmaps in web: not allowed: grant get config",
    );
    assert!(verdict.fixes.is_empty() && never(&verdict, FixName::RestartPod), "{:?}", verdict.fixes);
    assert!(never(&verdict, FixName::RestartSpireAgent));
    let listed = verdict.not_checked.iter().find(|one| one.what == "get configmaps in web").unwrap();
    assert_eq!(listed.why, "not allowed: grant get configmaps in web");

    night.evidence.spire_bundle = forbidden("get configmaps in spire");
    let both = night.verdict();
    assert_eq!(both.not_checked.iter().filter(|one| one.why.contains("get configmaps")).count(), 2);
    is_open(&both, "whether istiod or SPIRE issued it is not known");
}

#[test]
fn an_svid_that_lies_in_spires_file_is_spires_though_no_config_map_could_be_read() {
    let mut night = Night::healthy();
    night.holds(0, -10);
    night.evidence.istio_root = forbidden("get configmaps in web");
    night.evidence.spire_bundle = forbidden("get configmaps in spire");
    let verdict = night.verdict();
    assert_eq!(verdict.scenario, Scenario::ExpiredCertificate, "{:?}", verdict.reasons);
    // The proxy did not take the new one of the same authority.
    let new = night.spire.leaf(FRONTEND, 50);
    night.file(0, &new);
    assert_eq!(night.verdict().scenario, Scenario::ExpiredCertificate, "{:?}", night.verdict().reasons);
}

#[test]
fn a_restart_that_its_guards_would_refuse_is_not_offered_and_why_is_said() {
    for (controller, why) in [
        (None, "web/frontend-a has no controller, so nothing brings it back: make it again by hand"),
        (Some("Job/load-1"), "web/frontend-a belongs to a Job: a pod that is ended counts as a failure of the job"),
        (Some("Node/node-1"), "web/frontend-a belongs to a Node: it is a static pod"),
    ] {
        let mut night = Night::healthy();
        night.holds(0, -10);
        night.pod(0).controller = controller.map(|text| text.parse().unwrap());
        let verdict = night.verdict();
        assert_eq!((verdict.scenario, verdict.confidence), (Scenario::ExpiredCertificate, Confidence::High));
        assert!(verdict.fixes.is_empty(), "{controller:?}");
        let reason = &verdict.never.iter().find(|never| never.fix == FixName::RestartPod).unwrap().reason;
        assert!(reason.starts_with(why), "{reason}");
        assert_eq!(verdict.on.pods.len(), 1, "it is named all the same");
    }
}

#[test]
fn of_several_pods_those_are_restarted_that_come_back() {
    let mut night = Night::healthy();
    night.add("frontend-b", "node-2");
    night.holds(0, -10);
    night.holds(1, -10);
    night.pod(0).controller = None;
    let verdict = night.verdict();
    assert_eq!(verdict.fixes, [FixName::RestartPod]);
    assert_eq!(verdict.on.pods.iter().map(ToString::to_string).collect::<Vec<_>>(), ["web/frontend-b"]);
    let left_out = "restart-pod leaves one out: web/frontend-a has no controller";
    assert!(verdict.reasons.iter().any(|reason| reason.starts_with(left_out)), "{:?}", verdict.reasons);
}

#[test]
fn a_line_of_a_proxy_that_nobody_understands_is_quoted_from_its_end_and_is_no_all_clear() {
    let mut night = Night::healthy();
    let long = "x".repeat(400);
    let line = format!("warning\tenvoy config\tgRPC config for {long} handshake failed: the secret does not fit");
    night.proxy_says(0, &line, 2);
    let verdict = night.verdict();
    is_open(
        &verdict,
        "the proxy of web/frontend-a speaks of a failure in 2 line(s) that this version does not understand",
    );
    is_open(&verdict, "handshake failed: the secret does not fit»");
    let row = verdict.checks.iter().find(|row| row.id == CheckId::ProxyLog).unwrap();
    assert_eq!(row.result, CheckResult::Inconclusive);
    assert!(row.summary.contains("the secret does not fit»"), "{}", row.summary);
}

#[test]
fn a_line_of_an_agent_that_nobody_understands_is_quoted_and_is_no_all_clear() {
    let mut night = Night::healthy();
    let renewed = super::renewal(1, FRONTEND);
    let strange =
        "time=x level=error msg=\"Failed to bless X509 SVID\" error=\"rpc error: the signer sulks\"".to_owned();
    night.agent_says(0, &[renewed.clone(), strange.clone(), renewed.clone()]);
    let verdict = night.verdict();
    is_open(
        &verdict,
        "the SPIRE agent of node-1 speaks of a failure in 1 line(s) that this version does not understand",
    );
    is_open(&verdict, "the signer sulks\"»");
    assert!(verdict.checks.iter().any(|row| row.id == CheckId::AgentLog && row.result == CheckResult::Inconclusive));
    // It hides no cause either. Where it came after the renewal, nobody knows what became of that.
    night.holds(0, -10);
    night.agent_says(0, &[strange.clone(), renewed.clone()]);
    let verdict = night.verdict();
    assert_eq!((verdict.scenario, &verdict.fixes[..]), (Scenario::ExpiredCertificate, &[FixName::RestartPod][..]));
    night.agent_says(0, &[renewed, strange]);
    let verdict = night.verdict();
    assert_eq!((verdict.scenario, verdict.confidence), (Scenario::ExpiredCertificate, Confidence::Low));
    assert!(verdict.fixes.is_empty() && never(&verdict, FixName::RestartPod), "{:?}", verdict.fixes);
}

#[test]
fn a_renewal_that_the_server_refused_is_no_proof_that_a_restarted_pod_gets_an_svid() {
    let mut night = Night::healthy();
    night.holds(0, -10);
    let refused = "time=x level=warning msg=\"Failed to mint X509 SVID\" registration_id=7 status=7 \
                   error=\"authorization denied for method /spire.api.server.svid.v1.SVID/BatchNewX509SVID\"";
    night.agent_says(0, &[super::renewal(1, FRONTEND), refused.to_owned()]);
    let verdict = night.verdict();
    assert_eq!((verdict.scenario, verdict.confidence), (Scenario::ExpiredCertificate, Confidence::Low));
    assert!(verdict.fixes.is_empty() && never(&verdict, FixName::RestartPod), "{:?}", verdict.fixes);
    let why = "the SPIRE server refused to sign an SVID that it asked for; its log says: time=x";
    assert!(verdict.reasons.iter().any(|reason| reason.contains(why)), "{:?}", verdict.reasons);
    let row = verdict.checks.iter().find(|row| row.id == CheckId::AgentLog).unwrap();
    assert!(row.remedy.as_ref().unwrap().starts_with("look at the registration entry"), "{row:?}");

    // Nor is an agent silent that asked and was refused: its restart would take the SVIDs of every pod of its node.
    night.agent_said_since(0, 65, &[super::said(20, "Failed to mint X509 SVID\" error=\"no such entry")]);
    let verdict = night.verdict();
    assert_eq!(
        (verdict.scenario, &verdict.fixes[..]),
        (Scenario::ExpiredCertificate, &[][..]),
        "{:?}",
        verdict.reasons
    );

    // What was refused for one workload is no all-clear, though others are renewed since.
    let mut night = Night::healthy();
    night.agent_says(0, &[refused.to_owned(), super::renewal(1, FRONTEND)]);
    is_open(&night.verdict(), "the SPIRE agent of node-1 says that the SPIRE server refused to sign an SVID: «time=x");
}

#[test]
fn an_agent_whose_healthcheck_says_no_is_not_restarted_for_a_failure_after_its_renewal() {
    let mut night = Night::healthy();
    night.holds(0, -10);
    night.agent_says(0, &[super::renewal(1, FRONTEND), "level=error msg=\"Failed to bless X509 SVID\"".to_owned()]);
    night.agent_healthcheck(0, false);
    let verdict = night.verdict();
    assert_eq!(
        (verdict.scenario, &verdict.fixes[..]),
        (Scenario::ExpiredCertificate, &[][..]),
        "{:?}",
        verdict.reasons
    );
}

/// Rows of the tables of words, as agents and proxies write them when all is well (tests/data/triage/README.md).
const EVERYDAY: &str = include_str!("../../../tests/data/triage/everyday-lines.tsv");

#[test]
fn what_agents_and_proxies_write_every_day_is_no_failure_and_blocks_no_restart() {
    let mut tried = 0;
    for row in EVERYDAY.lines().skip(1) {
        let [writer, words, level] = row.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let words = words.replace('…', "/run/x");
        let mut night = Night::healthy();
        if writer == "spire-agent" {
            let line = format!("time=x level={level} msg=\"{words}\" subsystem_name=manager");
            night.agent_says(0, &[super::renewal(1, FRONTEND), line]);
            night.holds(0, -10);
            assert_eq!(night.verdict().fixes, [FixName::RestartPod], "{row}: {:?}", night.verdict().reasons);
            night.holds(0, 45);
        } else {
            let scope = if words.contains("stream") || words.contains("XDS") { "xdsproxy" } else { "sds" };
            night.proxy_says(0, &format!("2026-11-24T02:55:00.000000Z\t{level}\t{scope}\t{words}"), 2);
        }
        assert_eq!(night.verdict().scenario, Scenario::NoFaultFound, "{row}: {:?}", night.verdict().reasons);
        tried += 1;
    }
    assert!(tried > 50, "{tried}");
    let mut night = Night::healthy();
    let ended = "level=error msg=\"Subscribe to cache changes failed\" error=\"rpc error: code = Canceled desc = x\"";
    night.agent_says(0, &[super::renewal(1, FRONTEND), ended.to_owned()]);
    assert_eq!(night.verdict().scenario, Scenario::NoFaultFound, "{:?}", night.verdict().reasons);
    let nested = ended.replace("desc = x", "desc = rpc error: code = Unavailable desc = x");
    night.agent_says(0, &[super::renewal(1, FRONTEND), nested]);
    is_open(&night.verdict(), "does not understand");
}

#[test]
fn lines_that_nobody_understands_are_not_counted_beyond_what_is_kept() {
    let mut night = Night::healthy();
    night.proxy_says(0, "warning\tsds\tresource default not found", 15);
    is_open(&night.verdict(), "in 15 line(s) or more that this version does not understand");
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_is_no_all_clear() {
    let mut night = Night::healthy();
    night.pod(0).svid_file = unreadable("Permission denied");
    is_open(
        &night.verdict(),
        "web/frontend-a: the certificate file could not be read: Permission denied (cat svid.crt)",
    );

    let mut night = Night::healthy();
    night.pod(0).bundle_file = unreadable("Is a directory");
    is_open(&night.verdict(), "web/frontend-a: the bundle file could not be read: Is a directory (cat svid.crt)");

    let mut night = Night::healthy();
    let root = night.spire.root.clone();
    night.file(0, &root);
    is_open(&night.verdict(), "the certificate file of web/frontend-a holds no SVID");

    let mut night = Night::healthy();
    night.pod(0).svid_file = seen(PemFile { other_blocks: 1, ..PemFile::default() }, "cat svid.crt");
    is_open(&night.verdict(), "the certificate file of web/frontend-a holds no certificate (cat svid.crt)");
}

#[test]
fn what_was_not_looked_at_is_not_ruled_out_for_certain() {
    let of = |verdict: &Verdict, scenario| {
        let row = verdict.ruled_out.iter().find(|row| row.scenario == scenario).unwrap().clone();
        (row.certain, row.because)
    };
    let mut night = Night::healthy();
    let whole = night.verdict();
    assert!(of(&whole, Scenario::ExpiredCertificate).0);
    assert_eq!(
        of(&whole, Scenario::Network).1,
        "an agent reaches the SPIRE server: it renews; no path between services was tested"
    );
    assert!(!of(&whole, Scenario::Network).0);

    night.evidence.not_sampled = vec![night.evidence.pods[0].pod.clone()];
    let because = "every SVID that was looked at is in date, but 1 pod(s) of the target were not looked at";
    assert_eq!(of(&night.verdict(), Scenario::ExpiredCertificate), (false, because.to_owned()));

    night.evidence.not_sampled.clear();
    let no_future = (true, "no SVID begins in the future".to_owned());
    assert_eq!(of(&night.verdict(), Scenario::ClockSkew), no_future);
    night.add("frontend-b", "node-2");
    night.pod(1).served = gone("config_dump");
    night.pod(1).svid_file = gone("svid.crt");
    assert_eq!(of(&night.verdict(), Scenario::ClockSkew), (false, "not every SVID could be read".to_owned()));

    let mut second = night.evidence.servers[0].clone();
    second.healthcheck = gone("healthcheck");
    night.evidence.servers.push(second);
    assert!(!of(&night.verdict(), Scenario::SpireServer).0, "one server says so, of the other nothing is known");
}

#[test]
fn a_pod_of_a_namespace_that_the_configuration_protects_is_not_offered_for_a_restart() {
    let mut night = Night::healthy();
    night.holds(0, -10);
    night.evidence.expectations.protected = vec!["web".parse().unwrap()];
    let verdict = night.verdict();
    assert!(verdict.fixes.is_empty(), "{:?}", verdict.fixes);
    let reason = &verdict.never.iter().find(|never| never.fix == FixName::RestartPod).unwrap().reason;
    assert_eq!(reason, "web/frontend-a belongs to the platform itself: the team that runs web restarts it by hand");
}

#[test]
fn two_bundles_of_one_name_are_not_mistaken_for_each_other() {
    let mut night = Night::healthy();
    let strange = Authority::of("prod.example.org");
    let leaf = strange.leaf(FRONTEND, 45);
    night.serves(0, &leaf);
    night.pod(0).svid_file = gone("svid.crt");
    night.evidence.spire_bundle = seen(pem(&[&strange.root]), "ConfigMap spire/spire-bundle");
    assert_eq!(night.verdict().scenario, Scenario::TrustBundleMismatch);
}
