//! The path from a leaf over its intermediates to a root of the bundle (RFC 5280, section 6; X509-SVID, section 5).

use jiff::Timestamp;
use x509_parser::{certificate::X509Certificate, extensions::ParsedExtension, prelude::FromDer};

use super::svid::{CLOCK_SKEW, moment};

/// The longest path: a root, three levels of nested SPIRE, a leaf, and some more.
const PATH_MOST: usize = 8;

/// Why no path leads from the leaf to the bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The leaf cannot be parsed.
    #[error("the leaf cannot be parsed")]
    Unreadable,
    /// The bundle is empty.
    #[error("the bundle holds no certificate")]
    EmptyBundle,
    /// Nobody in the file or the bundle issued it.
    #[error("nobody in the file or the bundle issued \"{subject}\" (its issuer is \"{issuer}\")")]
    NoIssuer {
        /// Whose issuer is missing.
        subject: String,
        /// What its issuer is called.
        issuer: String,
    },
    /// Issuers of that name are there, and none of their keys made the signature.
    #[error("a certificate named \"{issuer}\" is there, but its key did not sign \"{subject}\"")]
    WrongKey {
        /// Whose signature.
        subject: String,
        /// The name of the issuer.
        issuer: String,
    },
    /// The issuer has ended or not begun.
    #[error("the signing certificate \"{0}\" is not valid now")]
    IssuerNotValid(String),
    /// The issuer is no authority.
    #[error("\"{0}\" signed it, but is not allowed to sign certificates")]
    NotAnAuthority(String),
    /// Too long, or in a circle.
    #[error("the chain is longer than {PATH_MOST} certificates")]
    TooLong,
}

/// Verifies that a path leads from `leaf` over `intermediates` (in any order) to one of `roots`, at `now`. The validity
/// of the leaf itself is not judged here: an expired leaf can have a good path, and the two say different things.
pub fn verify_path(leaf: &[u8], intermediates: &[Vec<u8>], roots: &[Vec<u8>], now: Timestamp) -> Result<(), PathError> {
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|_| PathError::Unreadable)?;
    let anchors: Vec<_> = parsed(roots);
    if anchors.is_empty() {
        return Err(PathError::EmptyBundle);
    }
    let between: Vec<_> = parsed(intermediates);
    climb(&leaf, &between, &anchors, now, 1)
}

fn parsed(ders: &[Vec<u8>]) -> Vec<X509Certificate<'_>> {
    ders.iter().filter_map(|der| X509Certificate::from_der(der).ok()).map(|(_, certificate)| certificate).collect()
}

fn climb(
    certificate: &X509Certificate<'_>,
    between: &[X509Certificate<'_>],
    anchors: &[X509Certificate<'_>],
    now: Timestamp,
    depth: usize,
) -> Result<(), PathError> {
    if depth > PATH_MOST {
        return Err(PathError::TooLong);
    }
    let (subject, issuer) = (certificate.subject().to_string(), certificate.issuer().to_string());
    let mut best = PathError::NoIssuer { subject: subject.clone(), issuer: issuer.clone() };
    let named = |candidate: &&X509Certificate<'_>| candidate.subject() == certificate.issuer();
    for anchor in anchors.iter().filter(named) {
        match signs(anchor, certificate, now, depth) {
            Ok(()) => return Ok(()),
            Err(error) => best = error,
        }
    }
    for candidate in between.iter().filter(named) {
        if candidate.raw_serial() == certificate.raw_serial() && candidate.subject() == certificate.subject() {
            continue;
        }
        let step = signs(candidate, certificate, now, depth)
            .and_then(|()| climb(candidate, between, anchors, now, depth.saturating_add(1)));
        match step {
            Ok(()) => return Ok(()),
            Err(error) => best = error,
        }
    }
    Err(best)
}

/// Whether `issuer` may sign and did sign `certificate`, with `below` certificates between it and the end of the path.
fn signs(
    issuer: &X509Certificate<'_>,
    certificate: &X509Certificate<'_>,
    now: Timestamp,
    below: usize,
) -> Result<(), PathError> {
    let name = issuer.subject().to_string();
    let (mut is_authority, mut may_sign) = (false, true);
    for extension in issuer.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(constraints) => {
                // The path length counts the intermediates below, the leaf not included (RFC 5280, 4.2.1.9).
                let intermediates = u32::try_from(below.saturating_sub(1)).unwrap_or(u32::MAX);
                let fits = constraints.path_len_constraint.is_none_or(|most| intermediates <= most);
                is_authority = constraints.ca && fits;
            }
            ParsedExtension::KeyUsage(usage) => may_sign = usage.key_cert_sign(),
            _ => {}
        }
    }
    if !(is_authority && may_sign) {
        return Err(PathError::NotAnAuthority(name));
    }
    let validity = issuer.validity();
    let begun = moment(validity.not_before).duration_since(now) <= CLOCK_SKEW;
    if !begun || moment(validity.not_after) <= now {
        return Err(PathError::IssuerNotValid(name));
    }
    certificate
        .verify_signature(Some(issuer.public_key()))
        .map_err(|_| PathError::WrongKey { subject: certificate.subject().to_string(), issuer: name })
}
