//! The search for a path: breadth first, each certificate once, with a budget of signatures.
//!
//! Going through all paths takes time exponential in the number of certificates when they sign each other, and the
//! author of the file chose how many do. The shortest way to a certificate is the one that its path length and name
//! constraints mind least, so it is enough to come to each certificate once.

use jiff::Timestamp;
use x509_parser::{certificate::X509Certificate, extensions::ParsedExtension};

use super::{
    constraints::check_names,
    issuer::{check_authority, check_purposes, check_signature, check_trust_domain},
    path::PathError,
    shown,
};

/// The longest way below a root: a leaf and its intermediates. Nested SPIRE has a handful; Envoy and Go's `crypto/x509` go up
/// to some hundred, so that a longer one stays open.
pub(super) const PATH_MOST: usize = 32;
/// The most signatures that are checked for one leaf. A path has a handful; names that are borne by dozens of
/// certificates are an attack or a heap, and a check takes some 100 µs on a thread that others wait for.
pub const SIGNATURES_MOST: usize = 64;

/// A way from the leaf to one certificate, the leaf first.
type Way<'a> = Vec<&'a X509Certificate<'a>>;

pub(super) struct Search<'a> {
    between: &'a [X509Certificate<'a>],
    anchors: &'a [X509Certificate<'a>],
    now: Timestamp,
    checked: usize,
    reached: Vec<&'a X509Certificate<'a>>,
    ways: Vec<Way<'a>>,
    best: Option<PathError>,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        leaf: &'a X509Certificate<'a>,
        between: &'a [X509Certificate<'a>],
        anchors: &'a [X509Certificate<'a>],
        now: Timestamp,
    ) -> Self {
        let (reached, ways) = (vec![leaf], vec![vec![leaf]]);
        Self { between, anchors, now, checked: 0, reached, ways, best: None }
    }

    /// Looks until a path is found, nothing is left to look at, or the budget is spent; with the number of checks.
    pub(super) fn run(mut self) -> (Result<(), PathError>, usize) {
        let mut next = 0;
        while let Some(way) = self.ways.get(next).cloned() {
            next = next.saturating_add(1);
            match self.step(&way) {
                Ok(true) => return (Ok(()), self.checked),
                Ok(false) => {}
                Err(spent) => return (Err(spent), self.checked),
            }
        }
        (Err(self.best.unwrap_or(PathError::EmptyBundle)), self.checked)
    }

    /// One step up from the end of a way; true when that is a root.
    fn step(&mut self, way: &Way<'a>) -> Result<bool, PathError> {
        let Some(top) = way.last().copied() else { return Ok(false) };
        if way.len() > PATH_MOST {
            self.keep(PathError::TooLong);
            return Ok(false);
        }
        self.keep(PathError::NoIssuer { subject: shown(top.subject()), issuer: shown(top.issuer()) });
        for anchor in issuers(self.anchors, top) {
            if self.leads(way, top, anchor, |_| Ok(()))? {
                return Ok(true);
            }
        }
        for candidate in issuers(self.between, top) {
            if !self.reached.iter().any(|seen| is_same(seen, candidate))
                && self.leads(way, top, candidate, check_purposes)?
            {
                self.reached.push(candidate);
                self.ways.push(way.iter().copied().chain([candidate]).collect());
            }
        }
        Ok(false)
    }

    /// Whether `issuer` signed the end of the way and may have, also by a rule that is for intermediates alone. An error only when the budget is spent.
    fn leads(
        &mut self,
        way: &Way<'a>,
        top: &X509Certificate<'a>,
        issuer: &X509Certificate<'a>,
        more: fn(&X509Certificate<'_>) -> Result<(), PathError>,
    ) -> Result<bool, PathError> {
        if self.checked >= SIGNATURES_MOST {
            return Err(PathError::TooManySignatures);
        }
        self.checked = self.checked.saturating_add(1);
        let below = way.iter().skip(1).filter(|one| one.subject() != one.issuer()).count();
        let leaf = way.first().copied().unwrap_or(top);
        let judged = check_signature(issuer, top)
            .and_then(|()| check_trust_domain(issuer, leaf))
            .and_then(|()| check_authority(issuer, self.now, below))
            .and_then(|()| check_names(issuer, way))
            .and_then(|()| more(issuer));
        match judged {
            Ok(()) => Ok(true),
            Err(error) => {
                self.keep(error);
                Ok(false)
            }
        }
    }

    /// Keeps what says most; of two that say as much, the later one, which is further up.
    fn keep(&mut self, error: PathError) {
        if self.best.as_ref().is_none_or(|best| error.weight() >= best.weight()) {
            self.best = Some(error);
        }
    }
}

fn is_same(one: &X509Certificate<'_>, other: &X509Certificate<'_>) -> bool {
    // The signature covers all the rest.
    one.signature_value == other.signature_value && one.tbs_certificate.as_ref() == other.tbs_certificate.as_ref()
}

/// Who bears the name of the issuer; first those whose key identifier is the wanted one (RFC 4158, 3.5.12), so that junk
/// of the same name does not use up the budget.
fn issuers<'a>(among: &'a [X509Certificate<'a>], of: &X509Certificate<'_>) -> Vec<&'a X509Certificate<'a>> {
    let wanted = authority_key(of);
    let mut named: Vec<_> = among.iter().filter(|candidate| candidate.subject() == of.issuer()).collect();
    named.sort_by_key(|candidate| wanted.is_none() || subject_key(candidate) != wanted);
    named
}

fn authority_key<'a>(certificate: &'a X509Certificate<'a>) -> Option<&'a [u8]> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(identifier) => identifier.key_identifier.as_ref().map(|id| id.0),
        _ => None,
    })
}

fn subject_key<'a>(certificate: &'a X509Certificate<'a>) -> Option<&'a [u8]> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0),
        _ => None,
    })
}
