//! The hops of a trust bundle, from the server that publishes it to the pods that verify their peers with it, as far as each
//! could be read.

use std::{collections::BTreeSet, fmt};

use super::{
    Evidence, Gathered, Missing, PemFile, PodEvidence, RootsOf,
    bundle_matrix::SeenSvid,
    certificate::{Validity, ders},
    certificate_sources::{IdentityCopy, deciding, missing},
    diagnosis_input::SeenPod,
    examine::{Holding, Issuer},
    roots::{domain_of, may_vouch},
};
use crate::mesh::{PodRef, TrustDomain};

/// A place where a bundle lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hop {
    /// The bundle file of a pod.
    PodFile(PodRef),
    /// What the proxy of a pod trusts.
    Proxy(PodRef),
    /// The ConfigMap with SPIRE's bundle.
    SpireBundle,
    /// What a pod of the SPIRE server has itself.
    SpireServer(PodRef),
    /// The ConfigMap with istiod's root.
    IstioRoot,
}

impl Hop {
    /// The pod of the target, where it is at one.
    pub(super) fn pod(&self) -> Option<&PodRef> {
        match self {
            Self::PodFile(pod) | Self::Proxy(pod) => Some(pod),
            Self::SpireBundle | Self::SpireServer(_) | Self::IstioRoot => None,
        }
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PodFile(pod) => write!(f, "the bundle file of {pod}"),
            Self::Proxy(pod) => write!(f, "the proxy of {pod}"),
            Self::SpireBundle => f.write_str("the ConfigMap with SPIRE's bundle"),
            Self::SpireServer(pod) => write!(f, "the SPIRE server {pod}"),
            Self::IstioRoot => f.write_str("the ConfigMap with istiod's root"),
        }
    }
}

/// The bundle of one trust domain, hop by hop.
#[derive(Debug)]
pub(super) struct BundleHops {
    pub(super) domain: TrustDomain,
    /// Whether SPIRE issues for this domain itself, or istiod does; else it is one that SPIRE federates with.
    pub(super) authority: IssuedBy,
    /// What was read: DER of the roots that may vouch for the domain.
    pub(super) held: Vec<(Hop, Vec<Vec<u8>>)>,
    /// What is there, and could not be read, or not whole.
    pub(super) unread: Vec<(Hop, String)>,
}

/// Who issues in a trust domain, as this mesh sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IssuedBy {
    Spire,
    Istiod,
    /// The SPIRE of another mesh.
    Federation,
}

impl BundleHops {
    fn of(domain: TrustDomain, authority: IssuedBy) -> Self {
        Self { domain, authority, held: Vec::new(), unread: Vec::new() }
    }

    fn add(&mut self, hop: Hop, found: Found) {
        match found {
            Found::Roots(mut roots) => {
                roots.retain(|root| may_vouch(root, &self.domain));
                self.held.push((hop, roots));
            }
            Found::Unread(why) => self.unread.push((hop, why)),
            Found::NotThere => {}
        }
    }
}

/// What a hop came to.
enum Found {
    Roots(Vec<Vec<u8>>),
    Unread(String),
    /// This mesh has no such hop.
    NotThere,
}

impl Found {
    fn of<T>(gathered: &Gathered<T>, read: impl FnOnce(&T) -> Self) -> Self {
        match gathered {
            Gathered::Seen { value, .. } => read(value),
            Gathered::Missing { reason: Missing::Gone { .. }, .. } => Self::NotThere,
            Gathered::Missing { .. } => Self::Unread(missing(gathered).unwrap_or_default()),
        }
    }

    fn whole(certificates: &[String], cut: bool) -> Self {
        // What is not read may be the root in question.
        if cut { Self::Unread("only a part of it was read".to_owned()) } else { Self::Roots(ders(certificates)) }
    }

    fn file(file: &Gathered<PemFile>) -> Self {
        Self::of(file, |file| Self::whole(&file.certificates, file.cut))
    }

    /// A proxy that shows no root at all has them from where its dump does not show them.
    fn proxy(pod: &PodEvidence, domain: &TrustDomain) -> Self {
        if !pod.sidecar {
            return Self::NotThere;
        }
        Self::of(&pod.served, |served| {
            if served.roots.values().all(Vec::is_empty) {
                return Self::Unread("it shows no root".to_owned());
            }
            Self::Roots(ders(served.roots_of(domain)))
        })
    }
}

/// Every bundle of this mesh, each within its trust domain: SPIRE's own, istiod's where it issued for a pod, and those of
/// federated domains.
pub(super) fn bundles_of(evidence: &Evidence, pods: &[SeenPod<'_>]) -> Vec<BundleHops> {
    let own = own_domains(evidence, pods);
    let of_spire = own.iter().map(|domain| of_spire(evidence, pods, domain));
    let istiods = domains_of(pods, |issuer| issuer == Issuer::Istiod);
    let of_istiod = istiods.iter().map(|domain| of_istiod(evidence, pods, domain));
    let federated = federated_domains(evidence).into_iter().filter(|domain| !own.contains(domain));
    let federated: Vec<BundleHops> = federated.map(|domain| of_federation(evidence, pods, &domain)).collect();
    of_spire.chain(of_istiod).chain(federated).filter(|hops| !hops.held.is_empty() || !hops.unread.is_empty()).collect()
}

/// The domains that SPIRE issues for: as its server says, or its ConfigMap, or else the pods' SVIDs.
fn own_domains(evidence: &Evidence, pods: &[SeenPod<'_>]) -> BTreeSet<TrustDomain> {
    let servers = evidence.servers.iter().filter_map(|server| server.bundles.as_ref()?.own.value());
    let named = servers.flat_map(|own| own.roots.keys()).filter_map(RootsOf::domain);
    let of_servers: BTreeSet<TrustDomain> = named.filter_map(|domain| TrustDomain::parse(domain).ok()).collect();
    if !of_servers.is_empty() {
        return of_servers;
    }
    let map = evidence.spire_bundle.value().map(|map| ders(&map.certificates)).unwrap_or_default();
    let of_map: BTreeSet<TrustDomain> = map.iter().filter_map(|root| domain_of(root)).collect();
    if of_map.is_empty() { domains_of(pods, Issuer::may_be_spire) } else { of_map }
}

fn domains_of(pods: &[SeenPod<'_>], issued: impl Fn(Issuer) -> bool) -> BTreeSet<TrustDomain> {
    let held = pods.iter().filter(|(_, found)| issued(found.issuer)).filter_map(|(_, found)| found.holding.svid());
    held.map(|svid| svid.spiffe_id.trust_domain().clone()).collect()
}

fn federated_domains(evidence: &Evidence) -> BTreeSet<TrustDomain> {
    let servers = evidence.servers.iter().filter_map(|server| server.bundles.as_ref()?.federated.value());
    let named = servers.flat_map(|federated| federated.roots.keys()).filter_map(RootsOf::domain);
    named.filter_map(|domain| TrustDomain::parse(domain).ok()).collect()
}

fn of_spire(evidence: &Evidence, pods: &[SeenPod<'_>], domain: &TrustDomain) -> BundleHops {
    let mut hops = BundleHops::of(domain.clone(), IssuedBy::Spire);
    for server in &evidence.servers {
        let Some(bundles) = &server.bundles else { continue };
        let roots = Found::of(&bundles.own, |own| {
            let roots = own.roots.get(&RootsOf::Domain(domain.to_string()));
            roots.map_or(Found::NotThere, |roots| Found::whole(roots, own.cut))
        });
        hops.add(Hop::SpireServer(server.pod.clone()), roots);
    }
    hops.add(Hop::SpireBundle, Found::file(&evidence.spire_bundle));
    for (pod, found) in pods {
        hops.add(Hop::PodFile(pod.pod.clone()), Found::file(&pod.bundle_file));
        if found.issuer.may_be_spire() {
            hops.add(Hop::Proxy(pod.pod.clone()), Found::proxy(pod, domain));
        }
    }
    hops
}

fn of_istiod(evidence: &Evidence, pods: &[SeenPod<'_>], domain: &TrustDomain) -> BundleHops {
    let mut hops = BundleHops::of(domain.clone(), IssuedBy::Istiod);
    hops.add(Hop::IstioRoot, Found::file(&evidence.istio_root));
    for (pod, _) in pods.iter().filter(|(_, found)| found.issuer == Issuer::Istiod) {
        hops.add(Hop::Proxy(pod.pod.clone()), Found::proxy(pod, domain));
    }
    hops
}

/// Only pods that have a bundle of that domain: which of them should, stands in registration entries.
fn of_federation(evidence: &Evidence, pods: &[SeenPod<'_>], domain: &TrustDomain) -> BundleHops {
    let mut hops = BundleHops::of(domain.clone(), IssuedBy::Federation);
    let key = RootsOf::Domain(domain.to_string());
    for server in &evidence.servers {
        let Some(bundles) = &server.bundles else { continue };
        let Some(roots) = bundles.federated.value().and_then(|federated| federated.roots.get(&key)) else { continue };
        hops.add(Hop::SpireServer(server.pod.clone()), Found::Roots(ders(roots)));
    }
    for (pod, _) in pods {
        let file = pod.bundle_file.value().filter(|file| !file.cut).map(|file| ders(&file.certificates));
        let own: Vec<Vec<u8>> =
            file.unwrap_or_default().into_iter().filter(|root| domain_of(root).as_ref() == Some(domain)).collect();
        if !own.is_empty() {
            hops.add(Hop::PodFile(pod.pod.clone()), Found::Roots(own));
        }
        if let Some(roots) =
            pod.served.value().and_then(|served| served.roots.get(&key)).filter(|roots| !roots.is_empty())
        {
            hops.add(Hop::Proxy(pod.pod.clone()), Found::Roots(ders(roots)));
        }
    }
    hops
}

/// The SVIDs in date that peers see and a bundle is for: what each pod serves, or else holds.
pub(super) fn svids_of<'a>(pods: &'a [SeenPod<'_>], of: &BundleHops) -> Vec<SeenSvid<'a>> {
    let issued = |issuer: Issuer| match of.authority {
        IssuedBy::Istiod => issuer == Issuer::Istiod,
        IssuedBy::Spire | IssuedBy::Federation => issuer.may_be_spire(),
    };
    let svid = |(pod, found): &'a SeenPod<'_>| {
        let held = found.holding.svid().filter(|svid| *svid.spiffe_id.trust_domain() == of.domain)?;
        let in_date = matches!(&found.holding, Holding::Svid { validity: Validity::Left { .. }, .. });
        let (file, served) = (IdentityCopy::on_disk(pod), IdentityCopy::served(pod));
        let copy = deciding(file.as_ref(), served.as_ref())?;
        debug_assert_eq!(copy.leaf.as_ref().ok(), Some(held), "what a pod holds is the copy that decides");
        (in_date && issued(found.issuer)).then(|| SeenSvid { pod: &pod.pod, chain: copy.chain.clone() })
    };
    pods.iter().filter_map(svid).collect()
}
