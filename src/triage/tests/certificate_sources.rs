//! Which copy decides, which roots vouch, and who issued it.

use std::collections::BTreeMap;

use super::{Authority, FRONTEND, Night, gone, never, pem, seen};
use crate::triage::{CheckId, CheckResult, Confidence, FixName, RootsOf, Scenario, ServedSecrets};

#[test]
fn the_file_was_renewed_and_the_proxy_still_serves_the_expired_one() {
    let mut night = Night::healthy();
    let old = night.spire.leaf(FRONTEND, -20);
    night.serves(0, &old);
    night.agent_says(0, &[]);
    let verdict = night.verdict();
    assert_eq!(verdict.scenario, Scenario::ExpiredCertificate);
    assert_eq!(verdict.fixes, [FixName::RestartPod], "the file proves that the agent issues");
    assert!(verdict.reasons.iter().any(|reason| reason.contains("did not take it")), "{:?}", verdict.reasons);
}

#[test]
fn an_old_file_beside_a_good_proxy_is_said_and_is_no_clean_bill() {
    let mut night = Night::healthy();
    let old = night.spire.leaf(FRONTEND, -20);
    night.file(0, &old);
    let verdict = night.verdict();
    assert_eq!(verdict.scenario, Scenario::Inconclusive);
    assert!(verdict.fixes.is_empty());
}

#[test]
fn files_that_still_hold_an_authority_that_is_over_are_no_clean_bill() {
    let before = Authority::of("prod.example.org");
    let (kept_svid, kept_root) = (before.leaf(FRONTEND, 45), before.root.clone());
    // Both of the old authority: they fit each other, and nobody else.
    let mut night = Night::healthy();
    night.file(0, &kept_svid);
    night.pod(0).bundle_file = seen(pem(&[&kept_root]), "cat bundle.crt");
    let both = night.verdict();
    assert_eq!(both.scenario, Scenario::Inconclusive, "{:#?}", both.checks);
    assert!(both.reasons.iter().any(|why| why.contains("so its peers refuse it")), "{:#?}", both.reasons);
    // The bundle alone.
    let mut night = Night::healthy();
    night.pod(0).bundle_file = seen(pem(&[&kept_root]), "cat bundle.crt");
    let bundle = night.verdict();
    assert_eq!(bundle.scenario, Scenario::Inconclusive, "{:#?}", bundle.checks);
    assert!(bundle.reasons.iter().any(|why| why.contains("refuses peers with such an SVID")), "{:#?}", bundle.reasons);
    // Beside the new one it is as it should be while the authority changes.
    let mut night = Night::healthy();
    let new_root = night.spire.root.clone();
    night.pod(0).bundle_file = seen(pem(&[&kept_root, &new_root]), "cat bundle.crt");
    assert_eq!(night.verdict().scenario, Scenario::NoFaultFound);
}

#[test]
fn a_file_alone_says_nothing_of_what_peers_see() {
    let mut night = Night::healthy();
    night.pod(0).served = gone("config_dump");
    assert_eq!(night.verdict().scenario, Scenario::Inconclusive);
    night.pod(0).sidecar = false;
    assert_eq!(night.verdict().scenario, Scenario::NoFaultFound, "without a proxy the file is all there is");
}

#[test]
fn a_file_that_holds_no_svid_leaves_the_word_to_the_proxy() {
    let mut night = Night::healthy();
    let root = night.spire.root.clone();
    night.file(0, &root);
    let verdict = night.verdict();
    assert_eq!(verdict.scenario, Scenario::Inconclusive);
    let old = night.spire.leaf(FRONTEND, -20);
    night.serves(0, &old);
    night.agent_says(0, &[super::renewal(5, FRONTEND)]);
    assert_eq!(night.verdict().scenario, Scenario::ExpiredCertificate);
}

#[test]
fn what_istiod_issued_is_not_cured_in_spire_whatever_the_file_holds() {
    let mut night = Night::healthy();
    let leaf = night.istiod.leaf("spiffe://cluster.local/ns/web/sa/frontend", -5);
    night.serves(0, &leaf);
    night.server_says(false, false);
    let verdict = night.verdict();
    assert_eq!(verdict.scenario, Scenario::IstiodCa, "{:?}", verdict.reasons);
    assert!(never(&verdict, FixName::RestartPod) && never(&verdict, FixName::RestartSpireAgent));
    assert!(verdict.reasons[0].contains("istiod issued it"));
}

#[test]
fn a_federated_root_vouches_for_nobody_else() {
    let mut night = Night::healthy();
    let other = Authority::of("partner.example.org");
    let leaf = other.leaf("spiffe://prod.example.org/ns/web/sa/frontend", 45);
    night.file(0, &leaf);
    night.serves(0, &leaf);
    night.pod(0).bundle_file = seen(pem(&[&night.spire.root.clone(), &other.root]), "cat bundle.crt");
    assert_eq!(night.verdict().scenario, Scenario::TrustBundleMismatch);
}

#[test]
fn a_leaf_of_another_trust_domain_is_said_and_no_bundle_is_synced() {
    let mut night = Night::healthy();
    let other = Authority::of("partner.example.org");
    let leaf = other.leaf("spiffe://partner.example.org/ns/web/sa/frontend", 45);
    night.file(0, &leaf);
    night.serves(0, &leaf);
    let verdict = night.verdict();
    assert_eq!(verdict.scenario, Scenario::TrustBundleMismatch);
    assert!(never(&verdict, FixName::SyncTrustBundle));
    assert!(verdict.reasons.iter().any(|reason| reason.contains("partner.example.org")), "{:?}", verdict.reasons);
}

#[test]
fn a_chain_that_could_not_be_verified_is_no_clean_bill() {
    let mut night = Night::healthy();
    night.pod(0).bundle_file = gone("bundle.crt");
    night.evidence.spire_bundle = gone("ConfigMap");
    night.evidence.servers[0].bundles = None;
    if let crate::triage::Gathered::Seen { value, .. } = &mut night.pod(0).served {
        value.roots.clear();
    }
    let verdict = night.verdict();
    assert_eq!(verdict.scenario, Scenario::Inconclusive);
    assert!(!verdict.reasons.iter().any(|reason| reason.contains("leads to")), "{:?}", verdict.reasons);
    assert_eq!(verdict.confidence, Confidence::Low);
    assert!(verdict.checks.iter().any(|row| row.id == CheckId::Chain && row.result == CheckResult::Inconclusive));
}

/// What spiffe-helper writes where `add_intermediates_to_bundle` is set: the leaf alone, and the rest beside the roots.
#[test]
fn intermediates_in_the_bundle_file_belong_to_the_chain_of_the_file() {
    let mut night = Night::healthy();
    let nested = night.spire.nested();
    let leaf = nested.leaf(FRONTEND, 45);
    let root = night.spire.root.clone();
    night.file(0, &leaf);
    night.trusts(0, &[&nested.root, &root]);
    night.pod(0).bundle_file = seen(pem(&[&nested.root, &root]), "cat bundle.crt");
    // The proxy is given the whole chain, and roots alone.
    let served = ServedSecrets {
        chain: vec![leaf, nested.root.clone()],
        roots: BTreeMap::from([(RootsOf::Domain("prod.example.org".to_owned()), vec![root])]),
    };
    night.pod(0).served = seen(served, "Envoy /config_dump");
    let verdict = night.verdict();
    assert_eq!(verdict.scenario, Scenario::NoFaultFound, "{:#?}", verdict.reasons);
}

#[test]
fn a_leaf_that_breaks_a_rule_of_spiffe_is_another_identity_and_the_rule_is_named() {
    let mut night = Night::healthy();
    let leaf = night.spire.leaf_with(FRONTEND, 45, |params| {
        params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature, rcgen::KeyUsagePurpose::KeyCertSign];
    });
    night.file(0, &leaf);
    night.serves(0, &leaf);
    let verdict = night.verdict();
    assert_eq!(verdict.scenario, Scenario::IdentityMismatch, "{:#?}", verdict.reasons);
    assert_eq!(
        &*verdict.reasons[0],
        "the certificate of web/frontend-a is no X.509-SVID, so peers that verify SPIFFE IDs refuse it: its key usage \
         allows to sign certificates or CRLs, and that of a leaf must not (X509-SVID 4.3) (Envoy /config_dump)"
    );
    // What is no certificate at all breaks no rule: it could not be read.
    let mut night = Night::healthy();
    night.file(0, "AAAA");
    night.serves(0, "AAAA");
    assert_eq!(night.verdict().scenario, Scenario::Inconclusive);
}
