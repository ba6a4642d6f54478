//! Certificates as tests want them.

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SignatureAlgorithm,
};
use time::OffsetDateTime;

pub(super) const FRONTEND: &str = "spiffe://prod.example.org/ns/web/sa/frontend";

/// When everything is looked at.
pub(super) fn now() -> Timestamp {
    "2026-12-01T03:00:00Z".parse().unwrap()
}

pub(super) fn date(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.as_second()).unwrap()
}

pub(super) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

/// A leaf as SPIRE issues it: an hour long, with half of it left.
pub(super) fn leaf_params(ids: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name("SPIRE");
    params.not_before = date(now() - SignedDuration::from_mins(30));
    params.not_after = date(now() + SignedDuration::from_mins(30));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params.subject_alt_names = ids.iter().map(|id| uri(id)).collect();
    params
}

/// An authority as SPIRE makes it: a day long.
pub(super) fn authority_params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(common_name);
    params.not_before = date(now() - SignedDuration::from_hours(6));
    params.not_after = date(now() + SignedDuration::from_hours(18));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params.subject_alt_names = vec![uri("spiffe://prod.example.org")];
    params
}

fn name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// A certificate authority with its certificate.
pub(super) struct Authority {
    pub(super) der: Vec<u8>,
    pub(super) pem: String,
    pub(super) issuer: Issuer<'static, KeyPair>,
}

/// A root of its own.
pub(super) fn root(params: CertificateParams) -> Authority {
    root_with(params, &rcgen::PKCS_ECDSA_P256_SHA256)
}

pub(super) fn root_with(params: CertificateParams, algorithm: &'static SignatureAlgorithm) -> Authority {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let made = params.self_signed(&key).unwrap();
    Authority { der: made.der().to_vec(), pem: made.pem(), issuer: Issuer::new(params, key) }
}

/// An authority under another one.
pub(super) fn under(parent: &Authority, params: CertificateParams) -> Authority {
    let key = KeyPair::generate().unwrap();
    let made = params.signed_by(&key, &parent.issuer).unwrap();
    Authority { der: made.der().to_vec(), pem: made.pem(), issuer: Issuer::new(params, key) }
}

/// A leaf under an authority: DER and PEM.
pub(super) fn leaf(parent: &Authority, params: &CertificateParams) -> (Vec<u8>, String) {
    let made = params.signed_by(&KeyPair::generate().unwrap(), &parent.issuer).unwrap();
    (made.der().to_vec(), made.pem())
}

/// A leaf of frontend, by itself.
pub(super) fn leaf_der(params: &CertificateParams) -> Vec<u8> {
    leaf(&root(authority_params("SPIFFE")), params).0
}
