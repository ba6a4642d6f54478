//! Trust bundles hop by hop (runbook scenario 3), as nights.

use std::collections::BTreeMap;

use super::{Authority, EXPIRED_PEER, FRONTEND, Night, bundles, forbidden, never, pem, seen};
use crate::triage::{
    Check, CheckId, CheckResult, Confidence, DomainRoots, Evidence, FixName, Gathered, Missing, RootsOf, Scenario,
    Verdict, diagnose,
};

const UNKNOWN_CA: &str =
    "503 UF \"TLS_error:|268436504:SSL_routines:OPENSSL_internal:TLSV1_ALERT_UNKNOWN_CA:TLS_error_end\" outbound|1||x";

/// SPIRE rotated an hour ago: frontend-b lives since then, and frontend-a holds the bundle and the SVID of before.
fn after_a_rotation() -> Night {
    let mut night = Night::healthy();
    night.rotates_its_authority(60);
    night.add("frontend-b", "node-2");
    night
}

fn rows(verdict: &Verdict) -> Vec<&Check> {
    verdict.checks.iter().filter(|row| row.id == CheckId::Bundles).collect()
}

/// What people read, without the fingerprints, which differ from run to run.
fn told(verdict: &Verdict) -> String {
    let pods: Vec<String> = verdict.on.pods.iter().map(ToString::to_string).collect();
    let reasons: Vec<&str> = verdict.reasons.iter().map(AsRef::as_ref).collect();
    let next = verdict.next_by_hand().unwrap_or_default();
    let text = format!("{} on {}\n{}\nNext: {next}", verdict.scenario, pods.join(", "), reasons.join("\n"));
    let shown = text.split('(').map(|part| match part.split_once('…') {
        // A fingerprint is four bytes in hexadecimal and an ellipsis.
        Some((_, rest)) if part.get(2..3) == Some(":") => format!("SHA-256{rest}"),
        _ => part.to_owned(),
    });
    shown.collect::<Vec<_>>().join("(")
}

fn names(night: &Night, pods: &[&str]) {
    let verdict = night.verdict();
    assert_eq!(verdict.scenario, Scenario::TrustBundleMismatch, "{:#?}", verdict.reasons);
    let named: Vec<&str> = verdict.on.pods.iter().map(|pod| pod.name.as_str()).collect();
    assert_eq!(named, pods, "{:#?}", verdict.reasons);
}

fn is_open(night: &Night, words: &str) {
    let verdict = night.verdict();
    assert_eq!(verdict.scenario, Scenario::Inconclusive, "{:#?}", verdict.reasons);
    assert!(verdict.reasons.iter().any(|reason| reason.contains(words)), "{words}: {:#?}", verdict.reasons);
}

#[test]
fn the_pod_that_holds_the_old_bundle_is_named_and_what_to_paste() {
    let mut night = after_a_rotation();
    night.proxy_says(1, UNKNOWN_CA, 4);
    let verdict = night.verdict();
    insta::assert_snapshot!(told(&verdict), @r#"
    trust bundle mismatch on web/frontend-a
    the bundle file of web/frontend-a and the proxy of web/frontend-a lack the root "CN=rcgen self signed cert, O=prod.example.org" (SHA-256, since 2026-11-24T02:00:00Z), which signed the SVID of web/frontend-b; it is at the bundle file of web/frontend-b, the proxy of web/frontend-b, the ConfigMap with SPIRE's bundle and the SPIRE server spire/spire-server-0
    one side does not trust the other's authority, in 4 line(s) of the proxy's log
    Next: restart what holds the old bundle: `kubectl rollout restart deployment/frontend -n web`
    "#);
    assert_eq!((verdict.confidence, verdict.fixes.as_slice()), (Confidence::High, &[FixName::RolloutRestart][..]));
    assert!(never(&verdict, FixName::RestartPodOfPeer) && never(&verdict, FixName::SyncTrustBundle));
    let results: Vec<_> = rows(&verdict).iter().map(|row| (row.subject.to_string(), row.result)).collect();
    assert_eq!(results, [("web/frontend-a".to_owned(), CheckResult::Fail)]);
}

#[test]
fn a_config_map_that_was_not_brought_up_to_date_is_named_before_the_pods_that_read_it() {
    let mut night = after_a_rotation();
    let old = night.old_root();
    night.evidence.spire_bundle = seen(pem(&[&old]), "ConfigMap spire/spire-bundle");
    let verdict = night.verdict();
    insta::assert_snapshot!(told(&verdict), @r#"
    trust bundle mismatch on web/frontend-a
    the bundle file of web/frontend-a, the proxy of web/frontend-a and the ConfigMap with SPIRE's bundle lack the root "CN=rcgen self signed cert, O=prod.example.org" (SHA-256, since 2026-11-24T02:00:00Z), which signed the SVID of web/frontend-b; it is at the bundle file of web/frontend-b, the proxy of web/frontend-b and the SPIRE server spire/spire-server-0
    Next: bring the ConfigMap up to date: `kubectl annotate configmap spire-bundle -n spire force-sync=$(date +%s) --overwrite`, and look again: where nobody watches that annotation nothing changes, and SPIRE writes the map when its server starts again; then restart what holds the old bundle: `kubectl rollout restart deployment/frontend -n web`
    "#);
    assert_eq!(verdict.fixes, [FixName::SyncTrustBundle, FixName::RolloutRestart]);
}

/// An open question while nothing fails, and the cause where handshakes fail and nothing else explains it.
#[test]
fn a_config_map_alone_that_lags_is_said_and_named_where_handshakes_fail() {
    let mut night = after_a_rotation();
    let (old, all) = (night.old_root(), night.roots());
    night.trusts(0, &all.iter().map(String::as_str).collect::<Vec<_>>());
    night.evidence.spire_bundle = seen(pem(&[&old]), "ConfigMap spire/spire-bundle");
    is_open(&night, "the ConfigMap with SPIRE's bundle lacks the root");
    let value = night.pod(0).stats.value_mut().unwrap();
    value.server.fail_verify_error = Some(400);
    names(&night, &[]);
    let verdict = night.verdict();
    assert_eq!((verdict.confidence, verdict.fixes.as_slice()), (Confidence::Medium, &[FixName::SyncTrustBundle][..]));
    // A peer whose certificate is over is the better explanation.
    night.proxy_says(0, EXPIRED_PEER, 9);
    assert_eq!(night.verdict().scenario, Scenario::ExpiredCertificate);
}

#[test]
fn a_root_of_a_moment_ago_may_still_be_on_its_way() {
    let mut night = Night::healthy();
    night.rotates_its_authority(3);
    let verdict = night.verdict();
    assert_eq!(verdict.scenario, Scenario::NoFaultFound, "nobody needs it yet: {:#?}", verdict.reasons);
    assert_eq!(rows(&verdict)[0].result, CheckResult::Pass);
    night.add("frontend-b", "node-2");
    let verdict = night.verdict();
    is_open(&night, "may still be on its way until 2026-11-24T03:02:00Z");
    let row = rows(&verdict)[0];
    assert_eq!(row.result, CheckResult::Inconclusive);
    assert!(row.summary.contains("may still be on its way until 2026-11-24T03:02:00Z"), "{}", row.summary);
    night.evidence.gathered_at += jiff::SignedDuration::from_mins(3);
    names(&night, &["frontend-a"]);
}

#[test]
fn order_and_copies_of_certificates_mean_nothing() {
    let mut night = after_a_rotation();
    let (old, all) = (night.old_root(), night.roots());
    let expected = night.verdict();
    let mixed: Vec<&str> = all.iter().rev().chain(all.iter()).map(String::as_str).collect();
    night.trusts(1, &mixed);
    night.trusts(0, &[&old, &old]);
    night.evidence.spire_bundle = seen(pem(&mixed), "ConfigMap spire/spire-bundle");
    night.evidence.servers[0].bundles = Some(bundles(&mixed));
    night.evidence.pods.reverse();
    let verdict = night.verdict();
    assert_eq!(verdict.reasons, expected.reasons);
    assert_eq!((verdict.on.pods, verdict.fixes), (expected.on.pods, expected.fixes));
}

/// Hides one hop after the other, and two at a time.
#[test]
fn a_hop_that_could_not_be_read_is_never_taken_for_an_empty_one() {
    const HOPS: [fn(&mut Evidence); 6] = [
        |evidence| evidence.pods[0].bundle_file = forbidden("create pods/exec in web"),
        |evidence| evidence.pods[0].served = forbidden("create pods/portforward in web"),
        |evidence| evidence.pods[1].bundle_file = timed_out("cat bundle.crt"),
        |evidence| evidence.pods[1].served = timed_out("Envoy /config_dump"),
        |evidence| evidence.spire_bundle = forbidden("get configmaps in spire"),
        |evidence| evidence.servers[0].bundles.as_mut().unwrap().own = forbidden("create pods/exec in spire"),
    ];
    for healthy in [true, false] {
        let night = if healthy { in_order() } else { after_a_rotation() };
        let whole = night.verdict();
        for first in HOPS {
            for second in HOPS {
                let mut evidence = night.evidence.clone();
                first(&mut evidence);
                second(&mut evidence);
                let verdict = diagnose(&evidence);
                let fault = !matches!(verdict.scenario, Scenario::NoFaultFound | Scenario::Inconclusive);
                assert!(!fault || verdict.scenario == whole.scenario, "{:#?}", verdict.reasons);
                assert!(healthy || verdict.scenario != Scenario::NoFaultFound, "{:#?}", verdict.reasons);
                assert!(verdict.on.pods.iter().all(|pod| whole.on.pods.contains(pod)), "{:#?}", verdict.reasons);
            }
        }
    }
}

fn in_order() -> Night {
    let mut night = Night::healthy();
    night.add("frontend-b", "node-2");
    night
}

fn timed_out<T>(source: &str) -> Gathered<T> {
    Gathered::Missing { reason: Missing::TimedOut { seconds: 10 }, source: source.to_owned(), at: super::three() }
}

#[test]
fn a_file_of_which_only_a_part_was_read_lacks_nothing() {
    let mut night = after_a_rotation();
    let all = night.roots();
    night.trusts(0, &all.iter().map(String::as_str).collect::<Vec<_>>());
    let value = night.pod(0).bundle_file.value_mut().unwrap();
    (value.certificates, value.cut) = (vec![all[0].clone()], true);
    let verdict = night.verdict();
    assert!(rows(&verdict).iter().all(|row| row.result != CheckResult::Fail), "{:#?}", rows(&verdict));
    assert!(rows(&verdict).iter().any(|row| row.summary.contains("only a part of it was read")));
}

#[test]
fn an_svid_whose_root_the_server_has_dropped_is_refused_by_peers_and_a_new_one_cures_it() {
    let mut night = after_a_rotation();
    let (new, all) = (night.spire.root.clone(), night.roots());
    night.trusts(0, &all.iter().map(String::as_str).collect::<Vec<_>>());
    night.trusts(1, &[&new]);
    night.evidence.servers[0].bundles = Some(bundles(&[&new]));
    night.evidence.spire_bundle = seen(pem(&[&new]), "ConfigMap spire/spire-bundle");
    names(&night, &["frontend-a"]);
    let verdict = night.verdict();
    assert_eq!(verdict.fixes, [FixName::RolloutRestart]);
    assert!(verdict.reasons[0].contains("the server's bundle does not hold any more"), "{:?}", verdict.reasons);
}

#[test]
fn an_old_root_that_some_hops_have_dropped_and_nobody_needs_is_no_fault() {
    let mut night = Night::healthy();
    let retired = Authority::of("prod.example.org").root;
    let root = night.spire.root.clone();
    night.trusts(0, &[&retired, &root]);
    let verdict = night.verdict();
    assert_eq!(verdict.scenario, Scenario::NoFaultFound, "{:#?}", verdict.reasons);
}

#[test]
fn pods_of_the_server_that_differ_are_said() {
    let mut night = after_a_rotation();
    let (old, all) = (night.old_root(), night.roots());
    night.trusts(0, &all.iter().map(String::as_str).collect::<Vec<_>>());
    let mut second = night.evidence.servers[0].clone();
    second.pod.name = "spire-server-1".parse().unwrap();
    second.bundles = Some(bundles(&[&old]));
    night.evidence.servers.push(second);
    is_open(&night, "the SPIRE server spire/spire-server-1 lacks");
}

#[test]
fn istiods_root_is_compared_with_what_its_pods_trust() {
    let mut night = Night::healthy();
    let leaf = night.istiod.leaf(super::OF_ISTIOD, 45);
    let other = Authority::of("cluster.local").root;
    let roots = BTreeMap::from([(RootsOf::NoDomain, vec![other])]);
    let served = crate::triage::ServedSecrets { chain: vec![leaf], roots };
    night.pod(0).served = seen(served, "Envoy /config_dump");
    names(&night, &["frontend-a"]);
}

const PARTNERS: &str = "spiffe://partner.example.org/ns/web/sa/frontend";

/// The pod holds an SVID of another trust domain.
fn of_a_partner(partner: &Authority) -> Night {
    let mut night = Night::healthy();
    let leaf = partner.leaf(PARTNERS, 45);
    night.file(0, &leaf);
    night.serves(0, &leaf);
    night
}

fn federates(night: &mut Night, roots: &[&Authority]) {
    let partners = RootsOf::Domain("partner.example.org".to_owned());
    let roots = BTreeMap::from([(partners, roots.iter().map(|root| root.root.clone()).collect())]);
    let listed = DomainRoots { roots, cut: false };
    night.evidence.servers[0].bundles.as_mut().unwrap().federated = seen(listed, "spire-server bundle list");
}

#[test]
fn a_leaf_of_another_trust_domain_is_fine_where_its_federated_bundle_verifies_it() {
    let partner = Authority::of("partner.example.org");
    let mut night = of_a_partner(&partner);
    federates(&mut night, &[&partner]);
    let verdict = night.verdict();
    let chain = verdict.checks.iter().find(|row| row.id == CheckId::Chain).unwrap();
    assert_eq!(chain.result, CheckResult::Pass, "{}", chain.summary);
    assert_ne!(verdict.scenario, Scenario::TrustBundleMismatch, "{:#?}", verdict.reasons);
    // Another authority of the same name verifies nothing.
    federates(&mut night, &[&Authority::of("partner.example.org")]);
    assert_eq!(night.verdict().scenario, Scenario::TrustBundleMismatch);
}

#[test]
fn without_the_federated_bundle_the_federation_is_named_and_nothing_is_synced() {
    let mut night = of_a_partner(&Authority::of("partner.example.org"));
    let verdict = night.verdict();
    insta::assert_snapshot!(told(&verdict), @r#"
    trust bundle mismatch on web/frontend-a
    web/frontend-a: its leaf is of the trust domain partner.example.org, and only roots of prod.example.org are there: a federation that is missing, or a wrong identity
    Next: see whether SPIRE federates with it and fetches its bundle: `spire-server federation list`, and `spire-server federation refresh -id partner.example.org`; the registration entries name it in federatesWith
    "#);
    assert!(never(&verdict, FixName::SyncTrustBundle) && verdict.fixes.is_empty());
    // Where the mesh's own domain is known, it is another identity.
    night.evidence.expectations.trust_domain = Some(crate::mesh::TrustDomain::parse("prod.example.org").unwrap());
    assert_eq!(night.verdict().scenario, Scenario::IdentityMismatch);
}

#[test]
fn a_proxy_with_an_old_bundle_of_a_federated_domain_is_named_and_nothing_is_synced() {
    let mut night = Night::healthy();
    let (old, new) = (Authority::of("partner.example.org"), Authority::of("partner.example.org"));
    federates(&mut night, &[&old, &new]);
    let value = night.pod(0).served.value_mut().unwrap();
    value.roots.insert(RootsOf::Domain("partner.example.org".to_owned()), vec![old.root]);
    night.proxy_says(0, UNKNOWN_CA, 4);
    names(&night, &["frontend-a"]);
    let verdict = night.verdict();
    assert!(verdict.fixes.is_empty() && never(&verdict, FixName::SyncTrustBundle));
    assert!(verdict.reasons[0].contains("of the federated trust domain partner.example.org"), "{:?}", verdict.reasons);
    assert!(verdict.next_by_hand().unwrap().contains("federation refresh -id partner.example.org"));
}

#[test]
fn a_pod_whose_svid_is_over_has_that_first_and_the_bundle_beside_it() {
    let mut night = after_a_rotation();
    night.holds(1, -20);
    night.trusts(1, &[&night.old_root()]);
    night.agent_says(1, &[super::renewal(5, FRONTEND)]);
    let verdict = night.verdict();
    assert_eq!(verdict.scenario, Scenario::ExpiredCertificate, "{:#?}", verdict.reasons);
    assert!(rows(&verdict).iter().any(|row| row.result == CheckResult::Fail), "and the row says what else lags");
}

#[test]
fn evidence_of_before_bundles_were_read_says_what_it_said() {
    let mut night = Night::healthy();
    night.evidence.servers[0].bundles = None;
    let stored = serde_json::to_string(&night.evidence).unwrap();
    assert!(!stored.contains("bundles"), "an old reader finds nothing new");
    let read: Evidence = serde_json::from_str(&stored).unwrap();
    assert_eq!(diagnose(&read).scenario, Scenario::NoFaultFound);
}
