//! What we accept, rustls-webpki accepts: another implementation of RFC 5280, held against ours over chains that are made by
//! chance. The other way round does not hold: SPIFFE's own rules are stricter.

use std::time::Duration;

use jiff::SignedDuration;
use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyUsagePurpose,
    NameConstraints, SanType,
};
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::make::{FRONTEND, authority_params, date, leaf, leaf_params, now, root, under, uri};
use crate::triage::certificate::verify_path;

/// What is changed in one authority of a chain; most are as they should be.
#[derive(Debug, Clone, Copy)]
enum Change {
    None,
    NoAuthority,
    NoUsage,
    NoCertSign,
    PathLength(u8),
    Ended,
    NotBegun,
    Purposes(bool, bool),
    AnyPurpose,
    PermitsDns(bool),
    ExcludesDns(bool),
    OtherDomain,
    NoId,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        12 => Just(Change::None),
        1 => Just(Change::NoAuthority),
        1 => Just(Change::NoUsage),
        1 => Just(Change::NoCertSign),
        3 => (0..5_u8).prop_map(Change::PathLength),
        1 => Just(Change::Ended),
        1 => Just(Change::NotBegun),
        2 => any::<(bool, bool)>().prop_map(|(server, client)| Change::Purposes(server, client)),
        1 => Just(Change::AnyPurpose),
        2 => any::<bool>().prop_map(Change::PermitsDns),
        2 => any::<bool>().prop_map(Change::ExcludesDns),
        1 => Just(Change::OtherDomain),
        1 => Just(Change::NoId),
    ]
}

fn changed(place: usize, change: Change) -> CertificateParams {
    let mut params = authority_params(&format!("authority-{place}"));
    let dns = |matches: bool| {
        vec![GeneralSubtree::DnsName(if matches { "web.example.org" } else { "shop.example.org" }.to_owned())]
    };
    let hour = SignedDuration::from_hours(1);
    match change {
        Change::None => {}
        Change::NoAuthority => params.is_ca = IsCa::ExplicitNoCa,
        Change::NoUsage => params.key_usages.clear(),
        Change::NoCertSign => params.key_usages = vec![KeyUsagePurpose::CrlSign],
        Change::PathLength(most) => params.is_ca = IsCa::Ca(BasicConstraints::Constrained(most)),
        Change::Ended => params.not_after = date(now() - hour),
        Change::NotBegun => params.not_before = date(now() + hour),
        Change::Purposes(server, client) => {
            let purposes =
                [(server, ExtendedKeyUsagePurpose::ServerAuth), (client, ExtendedKeyUsagePurpose::ClientAuth)];
            params.extended_key_usages =
                purposes.into_iter().filter(|(wanted, _)| *wanted).map(|(_, purpose)| purpose).collect();
        }
        Change::AnyPurpose => params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any],
        Change::PermitsDns(matches) => {
            params.name_constraints =
                Some(NameConstraints { permitted_subtrees: dns(matches), excluded_subtrees: Vec::new() });
        }
        Change::ExcludesDns(matches) => {
            params.name_constraints =
                Some(NameConstraints { permitted_subtrees: Vec::new(), excluded_subtrees: dns(matches) });
        }
        Change::OtherDomain => params.subject_alt_names = vec![uri("spiffe://partner.example.org")],
        Change::NoId => params.subject_alt_names.clear(),
    }
    params
}

/// A chain of a root, some intermediates and a leaf, in DER.
struct MadeChain {
    root: Vec<u8>,
    between: Vec<Vec<u8>>,
    leaf: Vec<u8>,
}

/// One authority for each change, the root first.
fn chain(changes: &[Change], with_dns_name: bool) -> MadeChain {
    let mut authority = root(changed(0, changes[0]));
    let root = authority.der.clone();
    let mut between = Vec::new();
    for (place, change) in changes.iter().enumerate().skip(1) {
        authority = under(&authority, changed(place, *change));
        between.push(authority.der.clone());
    }
    let mut params = leaf_params(&[FRONTEND]);
    if with_dns_name {
        params.subject_alt_names.push(SanType::DnsName("web.example.org".try_into().unwrap()));
    }
    MadeChain { root, between, leaf: leaf(&authority, &params).0 }
}

/// Whether the other implementation accepts it, for both sides of a connection.
fn webpki_accepts(chain: &MadeChain) -> Result<(), webpki::Error> {
    let root = CertificateDer::from(chain.root.as_slice());
    let anchors = [anchor_from_trusted_cert(&root)?];
    let between: Vec<CertificateDer<'_>> = chain.between.iter().map(|der| der.as_slice().into()).collect();
    let leaf = CertificateDer::from(chain.leaf.as_slice());
    let end = EndEntityCert::try_from(&leaf)?;
    let at = UnixTime::since_unix_epoch(Duration::from_secs(now().as_second().try_into().unwrap()));
    for usage in [KeyUsage::server_auth(), KeyUsage::client_auth()] {
        end.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, &between, at, usage, None, None)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    // webpki gives up beyond six intermediates, which Envoy and Go take: chains of that length are tested elsewhere.
    #[test]
    fn a_chain_that_we_accept_is_accepted_by_another_implementation(
        changes in proptest::collection::vec(change(), 1..=7),
        with_dns_name in any::<bool>(),
    ) {
        let chain = chain(&changes, with_dns_name);
        let ours = verify_path(&chain.leaf, &chain.between, std::slice::from_ref(&chain.root), now());
        if ours.is_ok() {
            let theirs = webpki_accepts(&chain);
            prop_assert!(theirs.is_ok(), "{changes:?}: {theirs:?}");
        }
    }
}

#[test]
fn both_accept_a_chain_in_order_whatever_its_length_up_to_six_intermediates() {
    for length in 1..=7 {
        let chain = chain(&vec![Change::None; length], true);
        assert_eq!(verify_path(&chain.leaf, &chain.between, std::slice::from_ref(&chain.root), now()), Ok(()));
        assert_eq!(webpki_accepts(&chain), Ok(()), "{length} authorities");
    }
}
