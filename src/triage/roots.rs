//! Which roots a chain is verified against: those of the leaf's own trust domain only. A root of one domain never
//! vouches for another (domain notes, section 2).

use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::{
    DomainRoots, Evidence, Gathered, PemFile, PodEvidence, RootsOf, ServerBundles,
    certificate::{ders, trust_domains},
    certificate_sources::{CertificateSource, IdentityCopy},
};
use crate::mesh::TrustDomain;

/// What was found to verify against.
#[derive(Debug, PartialEq)]
pub(super) enum Roots<'a> {
    /// Roots of the leaf's own domain, and where they were read.
    Own(Vec<Vec<u8>>, &'a str),
    /// Only roots of other domains.
    OnlyOf(String),
    /// None could be read.
    Unseen,
}

/// The roots for one copy: those that its holder goes by first.
pub(super) fn roots_for<'a>(
    copy: &IdentityCopy<'_>,
    domain: &TrustDomain,
    pod: &'a PodEvidence,
    evidence: &'a Evidence,
) -> Roots<'a> {
    let of_file = |file: &'a Gathered<PemFile>| {
        let all = file.value().map(|file| ders(&file.certificates)).unwrap_or_default();
        (all, file.source())
    };
    let served = (served_roots(pod, domain), pod.served.source());
    let (bundle, spire) = (of_file(&pod.bundle_file), of_file(&evidence.spire_bundle));
    let of_server = (server_roots(evidence, domain), "spire-server bundle show");
    let federated = (federated_roots(evidence, domain), "spire-server bundle list");
    let order = match copy.held_by {
        CertificateSource::Proxy => [served, bundle, spire, of_server, federated],
        CertificateSource::File => [bundle, served, spire, of_server, federated],
    };
    let mut others: Vec<String> = Vec::new();
    for (all, source) in order {
        let (own, foreign): (Vec<_>, Vec<_>) = all.into_iter().partition(|root| may_vouch(root, domain));
        if !own.is_empty() {
            return Roots::Own(own, source);
        }
        others.extend(foreign.iter().filter_map(|root| domain_of(root)).map(|domain| domain.to_string()));
    }
    // A validator's bundle has a name even where its roots have none.
    let named = pod.served.value().into_iter().flat_map(|served| served.roots.keys().filter_map(RootsOf::domain));
    others.extend(named.filter(|name| *name != domain.as_str()).map(str::to_owned));
    others.sort();
    others.dedup();
    if others.is_empty() { Roots::Unseen } else { Roots::OnlyOf(others.join(", ")) }
}

/// The proxy's roots for a domain; where it has none, those of others say at least that there is a bundle, and whose.
fn served_roots(pod: &PodEvidence, domain: &TrustDomain) -> Vec<Vec<u8>> {
    let Some(served) = pod.served.value() else { return Vec::new() };
    let own = ders(served.roots_of(domain));
    if !own.is_empty() {
        return own;
    }
    let every = served.roots.values().flat_map(|roots| ders(roots));
    every.filter(|root| domain_of(root).is_some_and(|named| named != *domain)).collect()
}

/// The roots that the SPIRE server has for a domain of its own.
pub(super) fn server_roots(evidence: &Evidence, domain: &TrustDomain) -> Vec<Vec<u8>> {
    roots_at_servers(evidence, domain, |bundles| &bundles.own)
}

/// Those that it has for a domain which it federates with.
pub(super) fn federated_roots(evidence: &Evidence, domain: &TrustDomain) -> Vec<Vec<u8>> {
    roots_at_servers(evidence, domain, |bundles| &bundles.federated)
}

fn roots_at_servers(
    evidence: &Evidence,
    domain: &TrustDomain,
    pick: fn(&ServerBundles) -> &Gathered<DomainRoots>,
) -> Vec<Vec<u8>> {
    let whose = RootsOf::Domain(domain.to_string());
    let bundles = evidence.servers.iter().filter_map(|server| pick(server.bundles.as_ref()?).value());
    bundles.filter_map(|bundles| bundles.roots.get(&whose)).flat_map(|roots| ders(roots)).collect()
}

/// Whether a root may vouch for a domain: it names that one, or none.
pub(super) fn may_vouch(root: &[u8], domain: &TrustDomain) -> bool {
    domain_of(root).is_none_or(|named| named == *domain)
}

/// The trust domain that a root names in its SPIFFE ID, if it has one.
pub(super) fn domain_of(root: &[u8]) -> Option<TrustDomain> {
    let (_, certificate) = X509Certificate::from_der(root).ok()?;
    trust_domains(&certificate).into_iter().next()
}
