use jiff::SignedDuration;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
};

use super::make::{FRONTEND, authority_params, date, leaf_der, leaf_params, now, root};
use crate::{
    mesh::SpiffeIdError,
    triage::certificate::{Svid, SvidError, Validity, Warning, bundle_end},
};

fn read(change: impl FnOnce(&mut CertificateParams)) -> Result<Svid, SvidError> {
    let mut params = leaf_params(&[FRONTEND]);
    change(&mut params);
    Svid::read(&leaf_der(&params))
}

fn named(ids: &[&str]) -> Result<Svid, SvidError> {
    Svid::read(&leaf_der(&leaf_params(ids)))
}

#[test]
fn an_svid_as_spire_issues_it_is_read_without_a_warning() {
    let svid = named(&[FRONTEND]).unwrap();
    assert_eq!(svid.spiffe_id.to_string(), FRONTEND);
    assert_eq!(svid.warnings, []);
}

#[test]
fn the_one_uri_of_a_leaf_is_the_spiffe_id_of_a_workload() {
    assert_eq!(named(&[]), Err(SvidError::UriNames(0)));
    assert_eq!(named(&[FRONTEND, "spiffe://prod.example.org/other"]), Err(SvidError::UriNames(2)));
    assert_eq!(named(&["spiffe://prod.example.org"]), Err(SvidError::NoPath));
    assert_eq!(named(&["spiffe://prod.example.org/"]), Err(SvidError::SpiffeId(SpiffeIdError::Path)));
    assert_eq!(named(&["spiffe://prod.example.org/ns/web/"]), Err(SvidError::SpiffeId(SpiffeIdError::Path)));
    assert_eq!(named(&["spiffe://Prod.example.org/web"]), Err(SvidError::SpiffeId(SpiffeIdError::TrustDomain)));
    assert_eq!(named(&["https://prod.example.org/web"]), Err(SvidError::SpiffeId(SpiffeIdError::Scheme)));
}

#[test]
fn a_leaf_that_may_sign_is_no_svid() {
    let authority = read(|leaf| leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    assert_eq!(authority, Err(SvidError::Authority));
    for usage in [KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign] {
        assert_eq!(read(|leaf| leaf.key_usages.push(usage)), Err(SvidError::KeyUsage));
    }
}

#[test]
fn an_extended_key_usage_names_both_sides_or_is_absent() {
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, ServerAuth};
    let with = |usages: Vec<ExtendedKeyUsagePurpose>| read(|leaf| leaf.extended_key_usages = usages);
    assert!(with(vec![]).is_ok());
    assert!(with(vec![ServerAuth, ClientAuth, Any]).is_ok());
    for lacking in [vec![ServerAuth], vec![ClientAuth], vec![Any]] {
        assert_eq!(with(lacking), Err(SvidError::ExtendedKeyUsage), "BoringSSL refuses it too");
    }
}

#[test]
fn what_binds_issuers_only_is_a_warning() {
    assert_eq!(read(|leaf| leaf.key_usages.clear()).unwrap().warnings, [Warning::NoKeyUsage]);
    let agreement = read(|leaf| leaf.key_usages = vec![KeyUsagePurpose::KeyAgreement]).unwrap();
    assert_eq!(agreement.warnings, [Warning::NoDigitalSignature]);
    let relaxed = read(|leaf| {
        leaf.key_usages.clear();
        // digitalSignature, written by hand since rcgen always marks it as critical.
        leaf.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 15], vec![3, 2, 7, 0x80])];
    });
    assert_eq!(relaxed.unwrap().warnings, [Warning::KeyUsageNotCritical]);
}

#[test]
fn an_unknown_extension_is_refused_if_it_is_critical_and_a_malformed_one_always() {
    let unknown = |critical: bool| {
        read(|leaf| {
            let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
            extension.set_criticality(critical);
            leaf.custom_extensions = vec![extension];
        })
    };
    assert!(unknown(false).is_ok());
    assert_eq!(unknown(true), Err(SvidError::CriticalExtension("1.3.6.1.4.1.99999.1".to_owned())));
    let malformed = read(|leaf| {
        leaf.key_usages.clear();
        leaf.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 15], vec![4, 1, 1])];
    });
    assert_eq!(malformed, Err(SvidError::MalformedExtension("2.5.29.15".to_owned())));
    let doubled = read(|leaf| {
        leaf.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 15], vec![3, 2, 7, 0x80])];
    });
    assert!(matches!(doubled, Err(SvidError::MalformedExtension(_) | SvidError::Unreadable)), "{doubled:?}");
}

#[test]
fn a_minute_of_skew_is_tolerated_at_both_ends_and_said() {
    let living = |from: i64, to: i64| {
        let at = |seconds: i64| date(now() + SignedDuration::from_secs(seconds));
        read(|leaf| (leaf.not_before, leaf.not_after) = (at(from), at(to))).unwrap()
    };
    let early = living(59, 3600);
    assert!(matches!(early.validity(now()), Validity::Left { .. }));
    assert!(early.skew_remark(now()).unwrap().contains("in 59 s"));
    assert!(matches!(living(61, 3600).validity(now()), Validity::NotYet { .. }));
    assert_eq!(living(61, 3600).skew_remark(now()), None);
    let exact = living(-3600, 0);
    assert!(matches!(exact.validity(now()), Validity::Left { share, .. } if share <= 0.0), "overdue, and not yet over");
    assert_eq!(exact.skew_remark(now()), None, "its last moment belongs to it");
    assert!(matches!(living(-3600, -60).validity(now()), Validity::Left { share, .. } if share <= 0.0));
    assert!(living(-3600, -60).skew_remark(now()).unwrap().contains("60 s ago"));
    assert!(matches!(living(-3600, -61).validity(now()), Validity::Over { .. }));
}

#[test]
fn a_bundle_that_ends_before_its_successor_is_there_is_found() {
    let ending = |name: &str, hours: i64| {
        let mut params = authority_params(name);
        params.not_before = date(now() - SignedDuration::from_hours(24 - hours));
        params.not_after = date(now() + SignedDuration::from_hours(hours));
        params.distinguished_name.push(DnType::OrganizationName, "SPIFFE");
        root(params).der
    };
    let (old, new) = (ending("old", 2), ending("new", 20));
    assert_eq!(bundle_end(&[], now()), None, "that it is empty is another finding");
    assert_eq!(bundle_end(&[old.clone(), new.clone()], now()), None);
    assert_eq!(bundle_end(&[new], now()), None);
    let end = bundle_end(&[b"garbage".to_vec(), old], now()).unwrap();
    assert!(!end.over && end.subject.contains("old"), "{end}");
    assert!(bundle_end(&[ending("gone", -1)], now()).unwrap().over);
}
