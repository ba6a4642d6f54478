//! The path from a leaf over its intermediates to a root of the bundle (RFC 5280, section 6; X509-SVID, section 5).

use jiff::Timestamp;
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::search::{PATH_MOST, SIGNATURES_MOST, Search};

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
    /// The signature is of a kind that the verifier does not know: whether it is good stays open.
    #[error("the signature of \"{subject}\" cannot be judged: {algorithm} is not supported here")]
    UnsupportedAlgorithm {
        /// Whose signature.
        subject: String,
        /// Which algorithm.
        algorithm: String,
    },
    /// The signature is of a kind that nobody should take any more.
    #[error("\"{subject}\" is signed with {algorithm}, which can be forged: SPIRE and other Go programs refuse it")]
    WeakAlgorithm {
        /// Whose signature.
        subject: String,
        /// Which algorithm.
        algorithm: String,
    },
    /// The issuer is of another trust domain than the leaf.
    #[error("\"{name}\" signed it, but is of the trust domain {theirs}, and vouches for nobody of {ours}")]
    OtherTrustDomain {
        /// The issuer.
        name: String,
        /// Its trust domain.
        theirs: String,
        /// That of the leaf.
        ours: String,
    },
    /// The issuer has ended or not begun.
    #[error("the signing certificate \"{0}\" is not valid now (60 s of clock skew allowed)")]
    IssuerNotValid(String),
    /// The issuer is no authority.
    #[error("\"{0}\" signed it, but is not an authority (its basic constraints do not say cA)")]
    NotAnAuthority(String),
    /// The issuer's key usage is absent or lacks keyCertSign.
    #[error("\"{0}\" signed it, but its key usage does not allow to sign certificates (X509-SVID 4.3)")]
    NoCertSign(String),
    /// An intermediate that may not sign for servers and clients.
    #[error("\"{0}\" signed it, but its extended key usage lacks server or client authentication")]
    Purposes(String),
    /// There are more intermediates below the issuer than it allows.
    #[error("\"{0}\" allows fewer intermediates below it than there are (RFC 5280, 4.2.1.9)")]
    PathLength(String),
    /// The issuer's SPIFFE ID is that of a workload.
    #[error("\"{0}\" signed it, but has a SPIFFE ID with a path, as only workloads have (X509-SVID 3.2)")]
    AuthorityWithPath(String),
    /// The issuer has an extension that has to be refused.
    #[error("the signing certificate \"{name}\" is refused: {why}")]
    Extension {
        /// The issuer.
        name: String,
        why: String,
    },
    /// The issuer limits the names below it, and one is outside.
    #[error("\"{issuer}\" may not sign for the name {outside} (RFC 5280, 4.2.1.10)")]
    NameOutside {
        /// Who limits.
        issuer: String,
        /// Which name.
        outside: String,
    },
    /// Longer than is looked at: whether it leads to a root stays open.
    #[error("the chain is longer than {PATH_MOST} certificates, which are as many as are looked at")]
    TooLong,
    /// So many certificates of fitting names that looking on would take too long.
    #[error("no path was found with {SIGNATURES_MOST} signatures checked: too many certificates bear the same names")]
    TooManySignatures,
}

impl PathError {
    /// Whether the chain may well be good, and only could not be judged here. That is no sign of a wrong bundle.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::UnsupportedAlgorithm { .. } | Self::TooLong | Self::TooManySignatures)
    }

    /// How much an error says. An issuer that did sign and has a flaw says more than one that did not sign.
    pub(super) fn weight(&self) -> u8 {
        match self {
            Self::Unreadable | Self::EmptyBundle | Self::NoIssuer { .. } => 0,
            Self::WrongKey { .. } => 1,
            Self::UnsupportedAlgorithm { .. } => 3,
            Self::WeakAlgorithm { .. }
            | Self::OtherTrustDomain { .. }
            | Self::IssuerNotValid(_)
            | Self::NotAnAuthority(_)
            | Self::NoCertSign(_)
            | Self::Purposes(_)
            | Self::PathLength(_)
            | Self::AuthorityWithPath(_)
            | Self::Extension { .. }
            | Self::NameOutside { .. } => 4,
            Self::TooLong | Self::TooManySignatures => 5,
        }
    }
}

/// Verifies that a path leads from `leaf` over `intermediates` (in any order) to one of `roots`, at `now`. The validity
/// of the leaf itself is not judged here: an expired leaf can have a good path, and the two say different things.
///
/// Never checks more than [`SIGNATURES_MOST`] signatures, whatever the certificates are.
pub fn verify_path(leaf: &[u8], intermediates: &[Vec<u8>], roots: &[Vec<u8>], now: Timestamp) -> Result<(), PathError> {
    count_path(leaf, intermediates, roots, now).0
}

/// As [`verify_path`], with the number of signatures that were checked.
pub(super) fn count_path(
    leaf: &[u8],
    intermediates: &[Vec<u8>],
    roots: &[Vec<u8>],
    now: Timestamp,
) -> (Result<(), PathError>, usize) {
    let Ok((_, leaf)) = X509Certificate::from_der(leaf) else { return (Err(PathError::Unreadable), 0) };
    // In one order whatever that of the file is: a search that ends by its bounds ends at the same place.
    let (roots, intermediates) = (in_order(roots), in_order(intermediates));
    let (anchors, between) = (parsed(&roots), parsed(&intermediates));
    if anchors.is_empty() {
        return (Err(PathError::EmptyBundle), 0);
    }
    Search::new(&leaf, &between, &anchors, now).run()
}

fn in_order(ders: &[Vec<u8>]) -> Vec<&[u8]> {
    let mut ders: Vec<&[u8]> = ders.iter().map(Vec::as_slice).collect();
    ders.sort_unstable();
    ders.dedup();
    ders
}

fn parsed<'a>(ders: &[&'a [u8]]) -> Vec<X509Certificate<'a>> {
    ders.iter().filter_map(|der| X509Certificate::from_der(der).ok()).map(|(_, certificate)| certificate).collect()
}
