use jiff::SignedDuration;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, GeneralSubtree, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, NameConstraints, SerialNumber,
};

use super::make::{Authority, FRONTEND, authority_params, date, leaf, leaf_params, now, root, root_with, under, uri};
use crate::triage::certificate::{PathError, SIGNATURES_MOST, path::count_path, verify_path};

fn frontend_under(parent: &Authority) -> Vec<u8> {
    leaf(parent, &leaf_params(&[FRONTEND])).0
}

fn fixture(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/triage/certificate/tests/data");
    std::fs::read(format!("{folder}/{name}.der")).unwrap()
}

/// The path of a leaf under one authority with `change`, which is the root.
fn under_changed(change: impl FnOnce(&mut CertificateParams)) -> Result<(), PathError> {
    let mut params = authority_params("SPIFFE");
    change(&mut params);
    let root = root(params);
    verify_path(&frontend_under(&root), &[], &[root.der], now())
}

#[test]
fn nested_spire_leads_over_its_intermediates_in_any_order() {
    let root = root(authority_params("root"));
    let first = under(&root, authority_params("nested-1"));
    let second = under(&first, authority_params("nested-2"));
    let leaf = frontend_under(&second);
    let (one, two) = (first.der.clone(), second.der.clone());
    assert_eq!(verify_path(&leaf, &[two.clone(), one.clone()], std::slice::from_ref(&root.der), now()), Ok(()));
    assert_eq!(verify_path(&leaf, &[one.clone(), two], std::slice::from_ref(&root.der), now()), Ok(()));
    let error = verify_path(&leaf, &[one], &[root.der], now()).unwrap_err();
    assert!(matches!(&error, PathError::NoIssuer { issuer, .. } if issuer.contains("nested-2")), "{error}");
}

/// Sixty authorities of one name and one key, each signed by each: 60^7 paths of eight.
#[test]
fn sixty_authorities_that_sign_each_other_end_within_the_budget() {
    let shared = KeyPair::generate().unwrap().serialize_pem();
    let key = || KeyPair::from_pem(&shared).unwrap();
    let mut params = authority_params("hydra");
    let issuer = Issuer::new(params.clone(), key());
    let heads: Vec<Vec<u8>> = (1..=60_u64)
        .map(|serial| {
            params.serial_number = Some(SerialNumber::from(serial));
            params.signed_by(&key(), &issuer).unwrap().der().to_vec()
        })
        .collect();
    let leaf = leaf_params(&[FRONTEND]).signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().der().to_vec();
    let elsewhere = root(authority_params("elsewhere"));
    let (result, checked) = count_path(&leaf, &heads, &[elsewhere.der], now());
    assert!(result.is_err());
    assert!((60..=SIGNATURES_MOST).contains(&checked), "{checked} signatures");
}

#[test]
fn a_heap_of_one_name_is_given_up_and_said_but_key_identifiers_lead_through_it() {
    let heap: Vec<Vec<u8>> = (0..80).map(|_| root(authority_params("SPIFFE")).der).collect();
    let right = root(authority_params("SPIFFE"));
    let leaf = frontend_under(&right);
    let (result, checked) = count_path(&leaf, &heap, &heap, now());
    assert_eq!((result, checked), (Err(PathError::TooManySignatures), SIGNATURES_MOST));
    assert!(PathError::TooManySignatures.is_open());
    let mut roots = heap;
    roots.push(right.der);
    assert_eq!(count_path(&leaf, &[], &roots, now()), (Ok(()), 1));
}

#[test]
fn the_root_of_another_key_did_not_sign_and_the_message_says_so() {
    let (ours, theirs) = (root(authority_params("SPIFFE")), root(authority_params("SPIFFE")));
    let error = verify_path(&frontend_under(&ours), &[], std::slice::from_ref(&theirs.der), now()).unwrap_err();
    assert!(matches!(error, PathError::WrongKey { .. }) && !error.is_open());
    assert_eq!(verify_path(&frontend_under(&ours), &[], &[theirs.der, ours.der], now()), Ok(()), "one is enough");
    assert_eq!(verify_path(b"garbage", &[], &[], now()), Err(PathError::Unreadable));
    let leaf = frontend_under(&root(authority_params("SPIFFE")));
    assert_eq!(verify_path(&leaf, &[], &[b"garbage".to_vec()], now()), Err(PathError::EmptyBundle));
}

#[test]
fn a_signing_certificate_is_an_authority_that_may_sign_and_is_no_workload() {
    assert_eq!(under_changed(|_| {}), Ok(()));
    assert_eq!(under_changed(|root| root.subject_alt_names.clear()), Ok(()), "a SPIFFE ID is not needed");
    let no_authority = under_changed(|root| root.is_ca = IsCa::ExplicitNoCa);
    assert!(matches!(no_authority, Err(PathError::NotAnAuthority(_))));
    let no_usage = under_changed(|root| root.key_usages.clear());
    assert!(matches!(no_usage, Err(PathError::NoCertSign(_))), "X509-SVID wants it, unlike RFC 5280");
    let other_usage = under_changed(|root| root.key_usages = vec![KeyUsagePurpose::DigitalSignature]);
    assert!(matches!(other_usage, Err(PathError::NoCertSign(_))));
    for id in [FRONTEND, "spiffe://prod.example.org/"] {
        let workload = under_changed(|root| root.subject_alt_names = vec![uri(id)]);
        assert!(matches!(workload, Err(PathError::AuthorityWithPath(_))), "{id}: {workload:?}");
    }
    let unknown = under_changed(|root| {
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
        extension.set_criticality(true);
        root.custom_extensions = vec![extension];
    });
    assert!(matches!(unknown, Err(PathError::Extension { .. })));
}

#[test]
fn the_path_length_counts_intermediates_without_the_leaf() {
    let limited = |most: u8| {
        let mut params = authority_params("root");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(most));
        root(params)
    };
    let (none, one) = (limited(0), limited(1));
    assert_eq!(verify_path(&frontend_under(&none), &[], std::slice::from_ref(&none.der), now()), Ok(()));
    let nested = under(&none, authority_params("nested"));
    let refused = verify_path(&frontend_under(&nested), std::slice::from_ref(&nested.der), &[none.der], now());
    assert!(matches!(refused, Err(PathError::PathLength(_))), "{refused:?}");
    let nested = under(&one, authority_params("nested"));
    assert_eq!(verify_path(&frontend_under(&nested), std::slice::from_ref(&nested.der), &[one.der], now()), Ok(()));
}

#[test]
fn an_intermediate_that_ended_is_named_with_a_minute_of_skew() {
    let root = root(authority_params("root"));
    let ended = |seconds: i64| {
        let mut params = authority_params("nested");
        params.not_after = date(now() - SignedDuration::from_secs(seconds));
        let nested = under(&root, params);
        verify_path(&frontend_under(&nested), std::slice::from_ref(&nested.der), std::slice::from_ref(&root.der), now())
    };
    assert_eq!(ended(60), Ok(()));
    let error = ended(61).unwrap_err();
    assert!(matches!(&error, PathError::IssuerNotValid(name) if name.contains("nested")), "{error}");
    let begun = |seconds: i64| under_changed(|root| root.not_before = date(now() + SignedDuration::from_secs(seconds)));
    assert_eq!(begun(59), Ok(()));
    assert!(matches!(begun(61), Err(PathError::IssuerNotValid(_))));
}

#[test]
fn name_constraints_are_enforced() {
    let constrained = |permitted: Vec<GeneralSubtree>, excluded: Vec<GeneralSubtree>| {
        under_changed(|root| {
            root.name_constraints =
                Some(NameConstraints { permitted_subtrees: permitted, excluded_subtrees: excluded });
        })
    };
    let dns = |name: &str| GeneralSubtree::DnsName(name.to_owned());
    let subject = |name: &str| {
        let mut wanted = rcgen::DistinguishedName::new();
        wanted.push(DnType::CommonName, name);
        GeneralSubtree::DirectoryName(wanted)
    };
    assert_eq!(constrained(vec![dns("example.org")], vec![]), Ok(()), "a leaf without DNS names is not limited");
    assert_eq!(constrained(vec![subject("SPIRE")], vec![]), Ok(()));
    let outside = constrained(vec![subject("other")], vec![]);
    assert!(matches!(outside, Err(PathError::NameOutside { .. })), "{outside:?}");
    assert!(matches!(constrained(vec![], vec![subject("SPIRE")]), Err(PathError::NameOutside { .. })));
    // rcgen writes no limits on URIs: permitted [0] { [6] host }.
    let for_host = |host: &str| {
        under_changed(|root| {
            let base = [&[0x86, u8::try_from(host.len()).unwrap()], host.as_bytes()].concat();
            let wrap = |tag: u8, body: &[u8]| [&[tag, u8::try_from(body.len()).unwrap()], body].concat();
            let content = wrap(0x30, &wrap(0xa0, &wrap(0x30, &base)));
            let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 30], content);
            extension.set_criticality(true);
            root.custom_extensions = vec![extension];
        })
    };
    assert_eq!(for_host("prod.example.org"), Ok(()));
    assert_eq!(for_host(".example.org"), Ok(()));
    assert!(matches!(for_host("example.org"), Err(PathError::NameOutside { outside, .. }) if outside == FRONTEND));
    assert!(matches!(for_host(".prod.example.org"), Err(PathError::NameOutside { .. })));
}

#[test]
fn every_algorithm_is_verified_or_said_to_be_unsupported() {
    for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
        let root = root_with(authority_params("SPIFFE"), algorithm);
        assert_eq!(verify_path(&frontend_under(&root), &[], &[root.der], now()), Ok(()), "{algorithm:?}");
    }
    let path = |kind: &str| {
        let (leaf, root) = (fixture(&format!("{kind}-leaf")), fixture(&format!("{kind}-root")));
        verify_path(&leaf, &[], &[root], now())
    };
    assert_eq!(path("rsa-2048"), Ok(()));
    let curve = path("p-521").unwrap_err();
    assert!(curve.is_open() && curve.to_string().contains("P-521"), "{curve}");
    let short = path("rsa-1024").unwrap_err();
    assert!(short.is_open() && short.to_string().contains("RSA with 1024 bits"), "{short}");
    // A key of another kind is a wrong key, and nothing unsupported.
    let mixed = verify_path(&fixture("p-521-leaf"), &[], &[fixture("rsa-2048-root")], now());
    assert!(matches!(mixed, Err(PathError::WrongKey { .. })), "{mixed:?}");
}

#[test]
fn a_signature_that_can_be_forged_is_refused_and_is_no_open_question() {
    for (kind, algorithm) in [("rsa-sha1", "RSA with SHA-1"), ("ecdsa-sha1", "ECDSA with SHA-1")] {
        let (leaf, root) = (fixture(&format!("{kind}-leaf")), fixture(&format!("{kind}-root")));
        let error = verify_path(&leaf, &[], &[root], now()).unwrap_err();
        assert!(matches!(error, PathError::WeakAlgorithm { .. }) && !error.is_open(), "{error}");
        assert!(error.to_string().contains(algorithm) && error.to_string().contains("can be forged"), "{error}");
    }
}

#[test]
fn an_authority_of_another_trust_domain_vouches_for_nobody_of_ours() {
    let partner = |name: &str| {
        let mut params = authority_params(name);
        params.subject_alt_names = vec![uri("spiffe://partner.example.org")];
        params
    };
    let theirs = root(partner("SPIFFE"));
    let refused = verify_path(&frontend_under(&theirs), &[], &[theirs.der], now()).unwrap_err();
    assert!(matches!(&refused, PathError::OtherTrustDomain { theirs, .. } if theirs == "partner.example.org"));
    assert!(!refused.is_open() && refused.to_string().contains("vouches for nobody of prod.example.org"), "{refused}");
    // One between the leaf and a root of ours, by any signer, and one further up.
    let ours = root(authority_params("root"));
    let between = under(&ours, partner("partner"));
    let below = under(&between, authority_params("nested"));
    for (leaf, chain) in [
        (frontend_under(&between), vec![between.der.clone()]),
        (frontend_under(&below), vec![below.der.clone(), between.der.clone()]),
    ] {
        let refused = verify_path(&leaf, &chain, std::slice::from_ref(&ours.der), now());
        assert!(matches!(refused, Err(PathError::OtherTrustDomain { .. })), "{refused:?}");
    }
}

#[test]
fn a_subject_that_is_huge_or_steers_terminals_is_shown_tame() {
    let mut params = authority_params("\u{1b}[2J\u{1b}[31mowned");
    params.distinguished_name.push(DnType::OrganizationName, "x".repeat(20_000));
    let hostile = root(params);
    let leaf = frontend_under(&hostile);
    let error = verify_path(&leaf, &[], &[root(authority_params("SPIFFE")).der], now()).unwrap_err().to_string();
    assert!(error.contains("owned") && !error.contains('\u{1b}'), "{error:?}");
    assert!(error.chars().count() < 500, "{} characters", error.chars().count());
}

#[test]
fn a_chain_of_many_intermediates_is_verified_in_any_order_and_one_that_is_too_long_stays_open() {
    let chain = |length: usize| {
        let root = root(authority_params("root"));
        let mut top = under(&root, authority_params("nested-0"));
        let mut between = vec![top.der.clone()];
        for place in 1..length {
            top = under(&top, authority_params(&format!("nested-{place}")));
            between.push(top.der.clone());
        }
        (frontend_under(&top), between, root.der)
    };
    for length in [7, 9, 31] {
        let (leaf, mut between, root) = chain(length);
        let roots = [root];
        assert_eq!(verify_path(&leaf, &between, &roots, now()), Ok(()), "{length} intermediates");
        between.reverse();
        between.extend(between.clone());
        between.rotate_left(3);
        assert_eq!(count_path(&leaf, &between, &roots, now()), (Ok(()), length + 1), "each once, in any order");
        let gap = between[between.len() / 2].clone();
        between.retain(|der| *der != gap);
        assert!(matches!(verify_path(&leaf, &between, &roots, now()), Err(PathError::NoIssuer { .. })));
    }
    let (leaf, between, root) = chain(32);
    let error = verify_path(&leaf, &between, &[root], now()).unwrap_err();
    assert!(error == PathError::TooLong && error.is_open(), "{error}");
}

#[test]
fn a_heap_that_uses_up_the_search_does_so_in_every_order() {
    // No key identifiers lead to the right one.
    let plain = |name: &str| {
        let mut params = authority_params(name);
        params.use_authority_key_identifier_extension = false;
        params
    };
    let right = root(plain("SPIFFE"));
    let mut params = leaf_params(&[FRONTEND]);
    params.use_authority_key_identifier_extension = false;
    let leaf = leaf(&right, &params).0;
    let mut roots: Vec<Vec<u8>> = (0..70).map(|_| root(plain("SPIFFE")).der).collect();
    roots.push(right.der);
    let first = count_path(&leaf, &[], &roots, now());
    roots.reverse();
    assert_eq!(count_path(&leaf, &[], &roots, now()), first);
    roots.rotate_left(35);
    assert_eq!(count_path(&leaf, &[], &roots, now()), first);
}

#[test]
fn an_intermediate_that_may_not_sign_for_both_sides_is_named() {
    use rcgen::ExtendedKeyUsagePurpose::{Any, ClientAuth, ServerAuth};
    let root = root(authority_params("root"));
    for (purposes, fits) in
        [(vec![], true), (vec![ServerAuth, ClientAuth], true), (vec![ServerAuth], false), (vec![Any], false)]
    {
        let mut params = authority_params("nested");
        params.extended_key_usages = purposes.clone();
        let nested = under(&root, params);
        let found = verify_path(
            &frontend_under(&nested),
            std::slice::from_ref(&nested.der),
            std::slice::from_ref(&root.der),
            now(),
        );
        assert_eq!(found.is_ok(), fits, "{purposes:?}: {found:?}");
        assert!(fits || matches!(found, Err(PathError::Purposes(_))), "{found:?}");
    }
}
