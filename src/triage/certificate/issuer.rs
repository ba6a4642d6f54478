//! The rules for a signing certificate (X509-SVID, sections 3.2, 4.1 and 4.3; RFC 5280, section 4.2.1).

use jiff::Timestamp;
use x509_parser::{
    certificate::X509Certificate,
    error::X509Error,
    extensions::{GeneralName, ParsedExtension},
    oid_registry::{OID_KEY_TYPE_EC_PUBLIC_KEY, asn1_rs::Oid},
    public_key::PublicKey,
    signature_algorithm::RsaSsaPssParams,
};

use super::{
    path::PathError,
    shown,
    svid::{CLOCK_SKEW, check_extensions, moment, spiffe_id_of},
};
use crate::mesh::{SpiffeId, TrustDomain};

/// Whether the key of `issuer` signed `certificate`.
pub(super) fn check_signature(
    issuer: &X509Certificate<'_>,
    certificate: &X509Certificate<'_>,
) -> Result<(), PathError> {
    let subject = || shown(certificate.subject());
    let weak = weak_algorithm(certificate);
    match (certificate.verify_signature(Some(issuer.public_key())), weak) {
        // For every issuer: the verifier would take RSA with SHA-1, and does not know the others.
        (Ok(()) | Err(X509Error::SignatureUnsupportedAlgorithm), Some(algorithm)) => {
            Err(PathError::WeakAlgorithm { subject: subject(), algorithm: algorithm.to_owned() })
        }
        (Ok(()), None) => Ok(()),
        (Err(error), _) => Err(refused(&error, issuer, certificate)),
    }
}

/// Why a signature was not taken.
fn refused(error: &X509Error, issuer: &X509Certificate<'_>, certificate: &X509Certificate<'_>) -> PathError {
    let subject = shown(certificate.subject());
    let unsupported = |algorithm: String| PathError::UnsupportedAlgorithm { subject: subject.clone(), algorithm };
    let is_unsupported = matches!(error, X509Error::SignatureUnsupportedAlgorithm);
    let of_another_kind = is_ecdsa(certificate) && !has_ec_key(issuer);
    if is_unsupported && !of_another_kind {
        return unsupported(algorithm_of(issuer, certificate));
    }
    match issuer.public_key().parsed() {
        // The verifier refuses short keys without saying so.
        Ok(PublicKey::RSA(key)) if !is_unsupported && key.key_size() < RSA_LEAST => {
            unsupported(format!("RSA with {} bits", key.key_size()))
        }
        _ => PathError::WrongKey { subject, issuer: shown(issuer.subject()) },
    }
}

/// The algorithm, if its digest can be forged. Go's `crypto/x509`, and so SPIRE, refuses SHA-1 since Go 1.18, but for the
/// signature of a root on itself, which nobody checks here either.
fn weak_algorithm(certificate: &X509Certificate<'_>) -> Option<&'static str> {
    let signature = &certificate.signature_algorithm;
    let of_pss = || {
        let params = RsaSsaPssParams::try_from(signature.parameters.as_ref()?).ok()?;
        (params.hash_algorithm_oid().to_id_string() == "1.3.14.3.2.26").then_some("RSA-PSS with SHA-1")
    };
    match signature.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" => Some("RSA with SHA-1"),
        "1.2.840.113549.1.1.4" => Some("RSA with MD5"),
        "1.2.840.10045.4.1" => Some("ECDSA with SHA-1"),
        "1.2.840.113549.1.1.10" => of_pss(),
        _ => None,
    }
}

/// The shortest RSA key that the verifier takes, in bits.
const RSA_LEAST: usize = 2048;
/// The arc of ECDSA's signature algorithms (RFC 5758).
const ECDSA: &str = "1.2.840.10045.4.";

fn is_ecdsa(certificate: &X509Certificate<'_>) -> bool {
    certificate.signature_algorithm.algorithm.to_id_string().starts_with(ECDSA)
}

fn has_ec_key(issuer: &X509Certificate<'_>) -> bool {
    issuer.public_key().algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY
}

fn algorithm_of(issuer: &X509Certificate<'_>, certificate: &X509Certificate<'_>) -> String {
    let signature = certificate.signature_algorithm.algorithm.to_id_string();
    let curve: Option<Oid<'_>> =
        issuer.public_key().algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
    let signature = match signature.as_str() {
        "1.2.840.10045.4.3.2" => "ECDSA with SHA-256",
        "1.2.840.10045.4.3.3" => "ECDSA with SHA-384",
        "1.2.840.10045.4.3.4" => "ECDSA with SHA-512",
        other => other,
    };
    match curve.map(|curve| curve.to_id_string()).as_deref() {
        Some("1.3.132.0.35") => format!("{signature} on P-521"),
        Some(curve) if curve.starts_with("1.") => format!("{signature} on curve {curve}"),
        _ => signature.to_owned(),
    }
}

/// Whether `issuer` may sign, now, with `below` intermediates between it and the leaf (those that are issued to
/// themselves are not counted: RFC 5280, 4.2.1.9).
pub(super) fn check_authority(issuer: &X509Certificate<'_>, now: Timestamp, below: usize) -> Result<(), PathError> {
    let name = shown(issuer.subject());
    check_extensions(issuer).map_err(|error| PathError::Extension { name: name.clone(), why: error.to_string() })?;
    // RFC 5280 lets an authority go without key usage; X509-SVID 4.3 wants it there, with keyCertSign.
    let (mut is_authority, mut may_sign, mut fits) = (false, false, true);
    for extension in issuer.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(constraints) => {
                let below = u32::try_from(below).unwrap_or(u32::MAX);
                is_authority = constraints.ca;
                fits = constraints.path_len_constraint.is_none_or(|most| below <= most);
            }
            ParsedExtension::KeyUsage(usage) => may_sign = usage.key_cert_sign(),
            ParsedExtension::SubjectAlternativeName(names) if names.general_names.iter().any(is_workload_name) => {
                return Err(PathError::AuthorityWithPath(name));
            }
            _ => {}
        }
    }
    if !is_authority {
        return Err(PathError::NotAnAuthority(name));
    }
    if !may_sign {
        return Err(PathError::NoCertSign(name));
    }
    if !fits {
        return Err(PathError::PathLength(name));
    }
    let validity = issuer.validity();
    let early = moment(validity.not_before).duration_since(now) > CLOCK_SKEW;
    let late = now.duration_since(moment(validity.not_after)) > CLOCK_SKEW;
    if early || late { Err(PathError::IssuerNotValid(name)) } else { Ok(()) }
}

/// Whether an intermediate may sign for both sides of a connection, where its extended key usage limits that. BoringSSL, Go and
/// rustls all go by it, and ask no root.
pub(super) fn check_purposes(issuer: &X509Certificate<'_>) -> Result<(), PathError> {
    let limits = issuer.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::ExtendedKeyUsage(usage) => Some(usage),
        _ => None,
    });
    if limits.is_none_or(|usage| usage.server_auth && usage.client_auth) {
        return Ok(());
    }
    Err(PathError::Purposes(shown(issuer.subject())))
}

/// A SPIFFE ID that is not that of a trust domain: signing certificates have no path (X509-SVID 3.2).
fn is_workload_name(name: &GeneralName<'_>) -> bool {
    let GeneralName::URI(uri) = name else { return false };
    uri.starts_with("spiffe://") && !SpiffeId::parse(uri).is_ok_and(|id| id.is_trust_domain())
}

/// Whether `issuer` is of the leaf's trust domain, or of none. X509-SVID 3.2 says that it should be, and lets authorities
/// of different domains sign each other; who does so is asked by nobody here, so that none of a partner's signs for us.
pub(super) fn check_trust_domain(issuer: &X509Certificate<'_>, leaf: &X509Certificate<'_>) -> Result<(), PathError> {
    let Ok(ours) = spiffe_id_of(leaf) else { return Ok(()) };
    let ours = ours.trust_domain();
    let others = trust_domains(issuer).into_iter().find(|theirs| theirs != ours);
    others.map_or(Ok(()), |theirs| {
        let (theirs, ours) = (theirs.to_string(), ours.to_string());
        Err(PathError::OtherTrustDomain { name: shown(issuer.subject()), theirs, ours })
    })
}

/// The trust domains that a certificate names in its SPIFFE IDs.
pub(in crate::triage) fn trust_domains(certificate: &X509Certificate<'_>) -> Vec<TrustDomain> {
    let names = certificate.subject_alternative_name().ok().flatten();
    let ids = names.iter().flat_map(|names| &names.value.general_names).filter_map(|name| match name {
        GeneralName::URI(uri) => SpiffeId::parse(uri).ok(),
        _ => None,
    });
    ids.map(|id| id.trust_domain().clone()).collect()
}
