//! The certificate authorities of the world: SPIRE's, and istiod's own.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber,
};
use time::OffsetDateTime;

use super::topology::TRUST_DOMAIN;

/// SPIRE's default lifetime of an X.509-SVID.
pub(super) const SVID_LASTS: SignedDuration = SignedDuration::from_hours(1);
/// How long the authorities of the world last: longer than anybody watches it.
const AUTHORITY_LASTS: SignedDuration = SignedDuration::from_hours(24 * 365);

/// The organization that istiod writes into its root.
const ISTIOD: &str = "cluster.local";

/// A certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the simulated mesh could not make a certificate: {0}")]
pub struct AuthorityError(#[from] rcgen::Error);

/// A certificate authority: a self-signed root that signs, as a SPIRE server without an upstream authority has it.
pub(super) struct Authority {
    root_pem: String,
    is_istiod: bool,
    since_rotation: bool,
    signer: Issuer<'static, KeyPair>,
    serials: AtomicU64,
}

/// An X.509-SVID of the world.
#[derive(Debug, Clone)]
pub(super) struct IssuedSvid {
    /// The leaf; a nested SPIRE would add its intermediates.
    pub(super) chain_pem: String,
    pub(super) key_pem: String,
    pub(super) spiffe_id: String,
    pub(super) serial: String,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    /// Whether istiod issued it, and not SPIRE: its holder trusts istiod's root, and nobody else's.
    pub(super) from_istiod: bool,
    /// Whether SPIRE's authority since its rotation signed it.
    pub(super) since_rotation: bool,
}

fn date(at: Timestamp) -> OffsetDateTime {
    // Moments of a world's clock are within the years that both types know.
    OffsetDateTime::from_unix_timestamp(at.as_second()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn uri(text: &str) -> Result<SanType, rcgen::Error> {
    Ok(SanType::URI(text.try_into()?))
}

fn authority_params(organization: &str, common_name: &str, at: Timestamp) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "US");
    params.distinguished_name.push(DnType::OrganizationName, organization);
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = date(at - SignedDuration::from_mins(10));
    params.not_after = date(at + AUTHORITY_LASTS);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params.subject_alt_names = vec![uri(&format!("spiffe://{TRUST_DOMAIN}"))?];
    Ok(params)
}

impl Authority {
    pub(super) fn of_spire(began: Timestamp) -> Result<Self, AuthorityError> {
        Self::new("SPIFFE", began)
    }

    /// SPIRE's next one, by the same name.
    pub(super) fn next_of_spire(began: Timestamp) -> Result<Self, AuthorityError> {
        Ok(Self { since_rotation: true, ..Self::of_spire(began)? })
    }

    pub(super) fn of_istio(began: Timestamp) -> Result<Self, AuthorityError> {
        Self::new(ISTIOD, began)
    }

    fn new(organization: &str, began: Timestamp) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate()?;
        let params = authority_params(organization, "root", began)?;
        let root = params.self_signed(&key)?;
        let is_istiod = organization == ISTIOD;
        let (signer, serials) = (Issuer::new(params, key), AtomicU64::new(0x1000));
        Ok(Self { root_pem: root.pem(), is_istiod, since_rotation: false, signer, serials })
    }

    /// The trust bundle.
    pub(super) fn bundle_pem(&self) -> &str {
        &self.root_pem
    }

    /// Issues an SVID that is valid from `from` for [`SVID_LASTS`].
    pub(super) fn issue(&self, spiffe_id: &str, from: Timestamp) -> Result<IssuedSvid, AuthorityError> {
        let key = KeyPair::generate()?;
        let serial = self.serials.fetch_add(1, Ordering::Relaxed);
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CountryName, "US");
        params.distinguished_name.push(DnType::OrganizationName, "SPIRE");
        params.serial_number = Some(SerialNumber::from(serial));
        params.not_before = date(from);
        params.not_after = date(from + SVID_LASTS);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        params.subject_alt_names = vec![uri(spiffe_id)?];
        let leaf = params.signed_by(&key, &self.signer)?;
        Ok(IssuedSvid {
            chain_pem: leaf.pem(),
            key_pem: key.serialize_pem(),
            spiffe_id: spiffe_id.to_owned(),
            serial: format!("{serial:x}"),
            // Certificates count whole seconds.
            not_before: Timestamp::from_second(from.as_second()).unwrap_or(from),
            not_after: Timestamp::from_second((from + SVID_LASTS).as_second()).unwrap_or(from),
            from_istiod: self.is_istiod,
            since_rotation: self.since_rotation,
        })
    }
}
