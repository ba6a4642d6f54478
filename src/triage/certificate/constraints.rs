//! Name constraints of a signing certificate (RFC 5280, section 4.2.1.10).
//!
//! URIs (so SPIFFE IDs), DNS names and subjects are judged. A limit on another kind of name refuses a certificate that
//! has such a name, as RFC 5280 demands of a verifier that cannot judge it.

use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, GeneralSubtree, ParsedExtension},
    x509::X509Name,
};

use super::{path::PathError, shown};
use crate::legible;

/// Whether `issuer` may have signed all that lies on the way below it.
pub(super) fn check_names(issuer: &X509Certificate<'_>, way: &[&X509Certificate<'_>]) -> Result<(), PathError> {
    let limits = issuer.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::NameConstraints(limits) => Some(limits),
        _ => None,
    });
    let Some(limits) = limits else { return Ok(()) };
    let (permitted, excluded) = (limits.permitted_subtrees.as_deref(), limits.excluded_subtrees.as_deref());
    for (place, certificate) in way.iter().enumerate() {
        // Those that are issued to themselves are exempt, unless they are the leaf.
        if place > 0 && certificate.subject() == certificate.issuer() {
            continue;
        }
        let outside = names(certificate)
            .find(|name| !is_allowed(name, permitted.unwrap_or_default(), excluded.unwrap_or_default()));
        if let Some(outside) = outside {
            return Err(PathError::NameOutside { issuer: shown(issuer.subject()), outside: outside.shown() });
        }
    }
    Ok(())
}

enum Name<'a> {
    Subject(&'a X509Name<'a>),
    Other(&'a GeneralName<'a>),
}

impl Name<'_> {
    fn shown(&self) -> String {
        match self {
            Self::Subject(subject) => shown(subject),
            Self::Other(GeneralName::URI(text) | GeneralName::DNSName(text) | GeneralName::RFC822Name(text)) => {
                legible::line(text).chars().take(super::NAME_MOST).collect()
            }
            Self::Other(_) => "of a kind that is not judged here".to_owned(),
        }
    }
}

fn names<'a>(certificate: &'a X509Certificate<'a>) -> impl Iterator<Item = Name<'a>> {
    let subject = Some(certificate.subject()).filter(|subject| subject.iter_rdn().next().is_some());
    let alternative = certificate.extensions().iter().flat_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => names.general_names.as_slice(),
        _ => &[],
    });
    subject.into_iter().map(Name::Subject).chain(alternative.map(Name::Other))
}

/// Within one of the permitted trees of its kind, if there are any, and within none of the excluded.
fn is_allowed(name: &Name<'_>, permitted: &[GeneralSubtree<'_>], excluded: &[GeneralSubtree<'_>]) -> bool {
    let judged = |trees: &[GeneralSubtree<'_>]| -> Vec<bool> {
        trees.iter().filter_map(|tree| within(name, &tree.base)).collect()
    };
    let (permitted, excluded) = (judged(permitted), judged(excluded));
    let excluded = excluded.contains(&true) || (!excluded.is_empty() && !name_is_judged(name));
    (permitted.is_empty() || permitted.contains(&true)) && !excluded
}

fn name_is_judged(name: &Name<'_>) -> bool {
    matches!(
        name,
        Name::Subject(_) | Name::Other(GeneralName::URI(_) | GeneralName::DNSName(_) | GeneralName::DirectoryName(_))
    )
}

/// Whether a name is within a tree; `None` when they are of different kinds.
fn within(name: &Name<'_>, base: &GeneralName<'_>) -> Option<bool> {
    match (name, base) {
        (Name::Subject(subject), GeneralName::DirectoryName(base)) => Some(is_below(subject, base)),
        (Name::Other(GeneralName::DirectoryName(subject)), GeneralName::DirectoryName(base)) => {
            Some(is_below(subject, base))
        }
        (Name::Other(GeneralName::URI(uri)), GeneralName::URI(base)) => {
            let host =
                uri.split_once("://").map_or("", |(_, rest)| rest.split(['/', ':', '?', '#']).next().unwrap_or(""));
            // A leading dot means hosts below, and no dot that host alone.
            Some(if base.starts_with('.') { ends_with(host, base) } else { host.eq_ignore_ascii_case(base) })
        }
        (Name::Other(GeneralName::DNSName(host)), GeneralName::DNSName(base)) => {
            let dotted = format!(".{}", base.trim_start_matches('.'));
            Some(base.is_empty() || host.eq_ignore_ascii_case(base) || ends_with(host, &dotted))
        }
        // Of one kind, and not judged here: within no tree.
        (Name::Other(name), base) if std::mem::discriminant(*name) == std::mem::discriminant(base) => Some(false),
        _ => None,
    }
}

fn ends_with(host: &str, end: &str) -> bool {
    let (host, end) = (host.to_ascii_lowercase(), end.to_ascii_lowercase());
    host.len() > end.len() && host.ends_with(&end)
}

fn is_below(subject: &X509Name<'_>, base: &X509Name<'_>) -> bool {
    let mut parts = subject.iter_rdn();
    base.iter_rdn().all(|wanted| parts.next() == Some(wanted))
}
