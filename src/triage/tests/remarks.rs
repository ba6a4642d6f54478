//! What is worth knowing beside the cause: each a row with its source and remedy.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::{Authority, FRONTEND, Night, pem, seen, three};
use crate::triage::{Check, CheckId, CheckResult, Gathered, PemFile, RootsOf, Scenario, ServedSecrets, Verdict};

fn row<'v>(verdict: &'v Verdict, id: CheckId, source: &str) -> &'v Check {
    let row = verdict.checks.iter().find(|row| row.id == id && row.source == source);
    row.unwrap_or_else(|| panic!("{id} of {source}: {:#?}", verdict.checks))
}

#[test]
fn what_lies_in_the_files_beside_certificates_is_said_of_both_files() {
    let mut night = Night::healthy();
    for file in ["cat svid.crt", "cat bundle.crt"] {
        let pod = night.pod(0);
        let file = if file == pod.svid_file.source() { &mut pod.svid_file } else { &mut pod.bundle_file };
        let Gathered::Seen { value, .. } = file else { panic!("{file:?}") };
        *value = PemFile { keys_dropped: 1, other_blocks: 2, cut: true, ..value.clone() };
    }
    let verdict = night.verdict();
    for source in ["cat svid.crt", "cat bundle.crt"] {
        for (id, result, words) in [
            (CheckId::KeyInFile, CheckResult::Fail, "1 private key block(s)"),
            (CheckId::OtherBlocks, CheckResult::Inconclusive, "2 block(s)"),
            (CheckId::FileCut, CheckResult::Inconclusive, "64 blocks"),
        ] {
            let row = row(&verdict, id, source);
            assert!(row.result == result && row.summary.contains(words) && row.remedy.is_some(), "{row:?}");
            assert_eq!(row.observed_at, three());
        }
    }
    assert!(!Night::healthy().verdict().checks.iter().any(|row| row.id.step() == "1.0"), "silence where all is well");
}

#[test]
fn a_key_that_lies_in_a_config_map_is_said_of_either_map() {
    let mut night = Night::healthy();
    let with_key = PemFile { keys_dropped: 1, ..PemFile::default() };
    night.evidence.spire_bundle = seen(with_key.clone(), "ConfigMap spire-system/spire-bundle");
    night.evidence.istio_root = seen(with_key, "ConfigMap web/istio-ca-root-cert");
    let verdict = night.verdict();
    for source in ["ConfigMap spire-system/spire-bundle", "ConfigMap web/istio-ca-root-cert"] {
        let row = row(&verdict, CheckId::KeyInFile, source);
        assert_eq!(row.result, CheckResult::Fail);
        assert_eq!(row.summary, "the ConfigMap: it holds 1 private key block(s) as well, dropped unread");
    }
}

#[test]
fn what_the_issuer_left_out_is_said_once_and_is_no_fault() {
    let mut night = Night::healthy();
    let leaf = night.spire.leaf_with(FRONTEND, 45, |leaf| leaf.key_usages.clear());
    night.file(0, &leaf);
    night.serves(0, &leaf);
    let verdict = night.verdict();
    let rows: Vec<&Check> = verdict.checks.iter().filter(|row| row.id == CheckId::SvidUsage).collect();
    assert!(rows.len() == 1 && rows[0].summary.contains("set no key usage") && rows[0].remedy.is_some(), "{rows:?}");
    assert_eq!(verdict.scenario, Scenario::NoFaultFound);
}

#[test]
fn an_svid_that_only_the_skew_of_clocks_keeps_valid_is_said_to_be() {
    let mut night = Night::healthy();
    night.holds(0, 0);
    night.evidence.gathered_at = three() + SignedDuration::from_secs(30);
    let verdict = night.verdict();
    let row = row(&verdict, CheckId::ClockSkew, "Envoy /config_dump");
    assert!(row.result == CheckResult::Inconclusive && row.summary.contains("ended 30 s ago"), "{row:?}");
    assert!(row.remedy.as_ref().unwrap().contains("clocks"));
}

#[test]
fn a_bundle_that_ends_before_its_successor_is_there_is_an_incident_in_waiting_in_every_copy() {
    let mut night = Night::under(Authority::lasting("prod.example.org", 100));
    let sources = ["cat bundle.crt", "Envoy /config_dump", "ConfigMap spire/spire-bundle"];
    let verdict = night.verdict();
    for source in sources {
        let row = row(&verdict, CheckId::BundleEnd, source);
        assert!(row.result == CheckResult::Fail && row.summary.contains("its successor is not there"), "{row:?}");
        assert!(row.summary.starts_with("prod.example.org: ") && row.remedy.is_some(), "{row:?}");
    }
    assert_eq!(verdict.scenario, Scenario::Inconclusive, "all works, and not for long");
    assert!(verdict.reasons.iter().any(|why| why.contains("an incident in waiting")), "{:?}", verdict.reasons);

    let (old, next) = (night.spire.root.clone(), Authority::of("prod.example.org").root);
    night.pod(0).bundle_file = seen(pem(&[&old, &next]), "cat bundle.crt");
    night.evidence.spire_bundle = seen(pem(&[&old, &next]), "ConfigMap spire/spire-bundle");
    if let Gathered::Seen { value, .. } = &mut night.pod(0).served {
        value.roots.insert(RootsOf::Domain("prod.example.org".to_owned()), vec![old, next]);
    }
    let verdict = night.verdict();
    assert!(sources.iter().all(|source| row(&verdict, CheckId::BundleEnd, source).result == CheckResult::Pass));
    assert_eq!(verdict.scenario, Scenario::NoFaultFound, "{:?}", verdict.reasons);
}

#[test]
fn a_partners_root_is_no_successor_of_ours() {
    let mut night = Night::under(Authority::lasting("prod.example.org", 100));
    let partner = Authority::of("partner.example.org").root;
    night.pod(0).bundle_file = seen(pem(&[&night.spire.root.clone(), &partner]), "cat bundle.crt");
    let verdict = night.verdict();
    let row = row(&verdict, CheckId::BundleEnd, "cat bundle.crt");
    assert!(row.result == CheckResult::Fail && !row.summary.contains("partner"), "{row:?}");
}

#[test]
fn a_search_that_gave_up_leaves_the_chain_open_and_blames_no_bundle() {
    let mut night = Night::healthy();
    let heap: Vec<String> = (0..80).map(|_| Authority::of("prod.example.org").root).collect();
    if let Gathered::Seen { value, .. } = &mut night.pod(0).served {
        value.roots.insert(RootsOf::Domain("prod.example.org".to_owned()), heap);
    }
    let verdict = night.verdict();
    let row = row(&verdict, CheckId::Chain, "Envoy /config_dump");
    assert!(row.result == CheckResult::Inconclusive && row.summary.contains("stays open"), "{row:?}");
    assert_eq!(verdict.scenario, Scenario::Inconclusive);
    assert!(verdict.reasons.iter().any(|why| why.contains("could not be verified: whether it leads")), "{verdict:?}");
}

#[test]
fn files_of_older_evidence_are_read_in_any_order() {
    let mut night = Night::healthy();
    let (leaf, root) = (night.spire.leaf(FRONTEND, 45), night.spire.root.clone());
    night.serves(0, &leaf);
    night.pod(0).svid_file = seen(pem(&[&root, &leaf]), "cat svid.crt");
    let verdict = night.verdict();
    assert_eq!(verdict.scenario, Scenario::NoFaultFound, "{:?}", verdict.reasons);
    assert_eq!(row(&verdict, CheckId::SvidDates, "cat svid.crt").result, CheckResult::Pass);
}

#[test]
fn with_a_spiffe_validator_the_roots_of_no_domain_vouch_for_nobody() {
    let mut night = Night::healthy();
    let (rogue, partner) = (Authority::of("prod.example.org"), Authority::of("partner.example.org"));
    let leaf = rogue.leaf(FRONTEND, 45);
    let partners = RootsOf::Domain("partner.example.org".to_owned());
    let roots = BTreeMap::from([(partners, vec![partner.root]), (RootsOf::NoDomain, vec![rogue.root])]);
    night.file(0, &leaf);
    night.pod(0).served = seen(ServedSecrets { chain: vec![leaf], roots }, "Envoy /config_dump");
    assert_eq!(night.verdict().scenario, Scenario::TrustBundleMismatch);
}
