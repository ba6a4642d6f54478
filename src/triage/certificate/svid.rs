//! The rules for one X.509-SVID (SPIFFE X509-SVID specification, sections 2 to 4).

use jiff::{SignedDuration, Timestamp};
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer,
    time::ASN1Time,
};

use super::warning::{Warning, warnings};
use crate::mesh::{SpiffeId, SpiffeIdError};

/// Clocks may differ by this much: tolerated before the beginning and after the end of a certificate.
pub const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(60);
/// SPIRE renews with 45 to 55 % of the lifetime left, where no availability target is set (spire pkg/common/rotationutil,
/// `calculateJitteredHalfLife`); below this it missed its turn.
pub const OVERDUE_SHARE: f64 = 0.40;

/// SPIRE dates SVIDs back by so much (spire pkg/server/credtemplate, `NotBeforeCushion`).
const BACKDATED: SignedDuration = SignedDuration::from_secs(10);

/// Why a certificate is no X.509-SVID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SvidError {
    /// Not a certificate.
    #[error("it cannot be parsed as an X.509 certificate")]
    Unreadable,
    /// Not one URI SAN.
    #[error("it has {0} URI names, and an X.509-SVID has exactly one (X509-SVID 2)")]
    UriNames(usize),
    /// The URI is no SPIFFE ID.
    #[error("its URI is not a SPIFFE ID: {0}")]
    SpiffeId(#[from] SpiffeIdError),
    /// A leaf without a path.
    #[error("its SPIFFE ID has no path, and that of a workload has one (X509-SVID 4.1)")]
    NoPath,
    /// A leaf that is an authority.
    #[error("it is marked as an authority, and a leaf must not be (X509-SVID 4.1)")]
    Authority,
    /// A leaf that may sign certificates or CRLs.
    #[error("its key usage allows to sign certificates or CRLs, and that of a leaf must not (X509-SVID 4.3)")]
    KeyUsage,
    /// An extended key usage that lacks one of the two; `anyExtendedKeyUsage` stands for neither, and BoringSSL, which
    /// Envoy uses, refuses it as well (crypto/x509/v3_purp.cc, `check_purpose_ssl_client` and `…_server`).
    #[error("its extended key usage lacks server or client authentication (X509-SVID 4.4)")]
    ExtendedKeyUsage,
    /// An extension that every validator has to refuse (RFC 5280, 4.2).
    #[error("it has a critical extension that nobody knows ({0})")]
    CriticalExtension(String),
    /// An extension that cannot be parsed, or is there twice.
    #[error("its extension {0} is malformed or there twice (RFC 5280, 4.2)")]
    MalformedExtension(String),
}

/// How much of a certificate's life is left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Validity {
    /// It begins later than now, beyond the skew that clocks may have.
    NotYet { starts: Timestamp },
    /// It is over, beyond the skew that clocks may have.
    Over {
        /// Since when.
        since: Timestamp,
    },
    /// It goes on.
    Left {
        /// From 0 to 1; 0 for one that ended within the skew that clocks may have.
        share: f64,
        until: Timestamp,
    },
}

impl Validity {
    /// Whether it goes on, and is not overdue for its renewal.
    pub fn is_fresh(&self) -> bool {
        matches!(self, Self::Left { share, .. } if *share >= OVERDUE_SHARE)
    }
}

/// A leaf certificate that follows the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Svid {
    /// Its identity.
    pub spiffe_id: SpiffeId,
    /// Its serial number, in hexadecimal.
    pub serial: String,
    /// When it begins.
    pub not_before: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
    /// What its issuer should have done better.
    pub warnings: Vec<Warning>,
}

/// A certificate's time as a timestamp; years beyond 9999 are clamped.
pub fn moment(time: ASN1Time) -> Timestamp {
    Timestamp::from_second(time.timestamp()).unwrap_or(Timestamp::MAX)
}

impl Svid {
    /// Reads a leaf and checks the rules that need nothing but itself.
    pub fn read(der: &[u8]) -> Result<Self, SvidError> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| SvidError::Unreadable)?;
        let spiffe_id = spiffe_id_of(&certificate)?;
        if spiffe_id.is_trust_domain() {
            return Err(SvidError::NoPath);
        }
        check_usages(&certificate)?;
        let validity = certificate.validity();
        Ok(Self {
            spiffe_id,
            serial: format!("{:x}", certificate.tbs_certificate.serial),
            not_before: moment(validity.not_before),
            not_after: moment(validity.not_after),
            warnings: warnings(&certificate),
        })
    }

    /// When SPIRE issued it.
    pub fn issued(&self) -> Timestamp {
        self.not_before.checked_add(BACKDATED).unwrap_or(self.not_before)
    }

    /// When SPIRE should have renewed it: in the middle of its life.
    pub fn renewal_due(&self) -> Timestamp {
        self.not_before + self.not_after.duration_since(self.not_before) / 2
    }

    /// Where in its life it is.
    pub fn validity(&self, now: Timestamp) -> Validity {
        if self.not_before.duration_since(now) > CLOCK_SKEW {
            return Validity::NotYet { starts: self.not_before };
        }
        // The last moment still belongs to it (RFC 5280, 4.1.2.5).
        let left = self.not_after.duration_since(now);
        if left < -CLOCK_SKEW {
            return Validity::Over { since: self.not_after };
        }
        let whole = self.not_after.duration_since(self.not_before).as_secs_f64().max(1.0);
        Validity::Left { share: (left.as_secs_f64() / whole).clamp(0.0, 1.0), until: self.not_after }
    }

    /// That the certificate is taken as valid only because clocks may differ, if so.
    pub fn skew_remark(&self, now: Timestamp) -> Option<String> {
        let skew = CLOCK_SKEW.as_secs();
        let (early, late) = (self.not_before.duration_since(now), now.duration_since(self.not_after));
        if early > SignedDuration::ZERO && early <= CLOCK_SKEW {
            Some(format!("it begins in {} s: taken as valid, since clocks may differ by {skew} s", early.as_secs()))
        } else if late > SignedDuration::ZERO && late <= CLOCK_SKEW {
            Some(format!("it ended {} s ago: not taken as over, since clocks may differ by {skew} s", late.as_secs()))
        } else {
            None
        }
    }
}

/// The one SPIFFE ID of a certificate.
pub(super) fn spiffe_id_of(certificate: &X509Certificate<'_>) -> Result<SpiffeId, SvidError> {
    let names = certificate.subject_alternative_name().ok().flatten();
    let uris: Vec<&str> = names
        .iter()
        .flat_map(|names| &names.value.general_names)
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        })
        .collect();
    match uris.as_slice() {
        [uri] => Ok(SpiffeId::parse(uri)?),
        others => Err(SvidError::UriNames(others.len())),
    }
}

fn check_usages(certificate: &X509Certificate<'_>) -> Result<(), SvidError> {
    check_extensions(certificate)?;
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(constraints) if constraints.ca => return Err(SvidError::Authority),
            ParsedExtension::KeyUsage(usage) if usage.key_cert_sign() || usage.crl_sign() => {
                return Err(SvidError::KeyUsage);
            }
            ParsedExtension::ExtendedKeyUsage(usage) if !(usage.server_auth && usage.client_auth) => {
                return Err(SvidError::ExtendedKeyUsage);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Refuses what nobody can judge: critical extensions that are not known here, and malformed or doubled ones (RFC 5280,
/// 4.2). Policies are taken as RFC 5280's "any policy"; what would demand one is not known here.
pub(super) fn check_extensions(certificate: &X509Certificate<'_>) -> Result<(), SvidError> {
    let extensions = certificate.extensions();
    for (place, extension) in extensions.iter().enumerate() {
        let oid = extension.oid.to_id_string();
        let doubled = extensions.iter().take(place).any(|before| before.oid == extension.oid);
        match extension.parsed_extension() {
            _ if doubled => return Err(SvidError::MalformedExtension(oid)),
            ParsedExtension::ParseError { .. } => return Err(SvidError::MalformedExtension(oid)),
            ParsedExtension::BasicConstraints(_)
            | ParsedExtension::KeyUsage(_)
            | ParsedExtension::ExtendedKeyUsage(_)
            | ParsedExtension::SubjectAlternativeName(_)
            | ParsedExtension::NameConstraints(_)
            | ParsedExtension::CertificatePolicies(_) => {}
            _ if extension.critical => return Err(SvidError::CriticalExtension(oid)),
            _ => {}
        }
    }
    Ok(())
}
