//! Steps 1.2, 1.4 and 1.6: where the chain leads, who issued it, and whether the roots end before their successor is there.

use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::{Chain, Issuer, Rows};
use crate::{
    mesh::{SpiffeId, TrustDomain},
    triage::{
        CheckId, CheckResult, Gathered, Missing, PemFile,
        bundle_remedy::refresh_federation,
        certificate::{PathError, ders, verify_path},
        certificate_sources::{CertificateSource, IdentityCopy},
        examine::bundles::{ends, in_file, served},
        roots::{Roots, may_vouch, roots_for, server_roots},
    },
};

impl<'a> Rows<'a> {
    /// Step 1.2.
    pub(super) fn chain(&mut self, decides: Option<&IdentityCopy<'a>>) -> Chain {
        let seen = self.seen(decides);
        let (result, summary, chain) = match decides.map(|copy| (copy, &copy.leaf)) {
            None => unseen("there is no certificate to verify".to_owned()),
            Some((_, Err(_))) => unseen("it is no X.509-SVID".to_owned()),
            Some((copy, Ok(svid))) => self.verified(copy, &svid.spiffe_id),
        };
        let domain = decides.and_then(|copy| copy.leaf.as_ref().ok()).map(|svid| svid.spiffe_id.trust_domain());
        let remedy = domain.filter(|_| matches!(chain, Chain::Foreign(_))).map(refresh_federation);
        self.add(CheckId::Chain, result, summary, seen, remedy.as_deref());
        chain
    }

    fn verified(&self, copy: &IdentityCopy<'_>, id: &SpiffeId) -> (CheckResult, String, Chain) {
        let domain = id.trust_domain();
        match roots_for(copy, domain, self.pod, self.evidence) {
            Roots::Unseen => unseen(format!("no root of {domain} could be read to verify against")),
            Roots::OnlyOf(others) => {
                let summary = format!(
                    "its leaf is of the trust domain {domain}, and only roots of {others} are there: a federation \
                     that is missing, or a wrong identity"
                );
                (CheckResult::Fail, summary.clone(), Chain::Foreign(summary))
            }
            Roots::Own(roots, source) => {
                let (leaf, rest) = copy.chain.split_first().map_or((&[][..], &[][..]), |(leaf, rest)| (leaf, rest));
                match verify_path(leaf, rest, &roots, self.now) {
                    Ok(()) => (CheckResult::Pass, format!("leads to the bundle of {source}"), Chain::Verified),
                    Err(error) if error.is_open() => {
                        unseen(format!("whether it leads to the bundle of {source} stays open: {error}"))
                    }
                    Err(error) => {
                        let summary = format!("does not lead to the bundle of {source}: {error}");
                        (CheckResult::Fail, summary.clone(), Chain::Broken(summary))
                    }
                }
            }
        }
    }

    /// Step 1.2, for the application behind a proxy, which goes by the files: rows only where they do not fit each other,
    /// or what SPIRE issues today.
    pub(super) fn file_chain(&mut self, file: Option<&IdentityCopy<'a>>, decides: Option<&IdentityCopy<'a>>) {
        let (Some(file), Some(served)) = (file, decides) else { return };
        let Ok(svid) = &file.leaf else { return };
        if served.held_by == file.held_by {
            return;
        }
        let domain = svid.spiffe_id.trust_domain();
        let bundle = self.pod.bundle_file.value().map(|bundle| roots_of(bundle, domain));
        let source = self.pod.bundle_file.source();
        let mut found = Vec::new();
        if let Some(Err(error)) = bundle.as_ref().map(|roots| self.leads(file, roots)) {
            found.push(format!("the SVID of the file does not lead to the bundle of {source}: {error}"));
        }
        // Where the proxy has another identity, of istiod, the files are no copy of it.
        let one_identity = served.leaf.as_ref().is_ok_and(|served| served.spiffe_id.trust_domain() == domain);
        if one_identity && self.issuer_of(served) == Issuer::Spire {
            let published = self.evidence.spire_bundle.value().map(|bundle| roots_of(bundle, domain));
            if found.is_empty()
                && let Some(Err(error)) = published.map(|roots| self.leads(file, &roots))
            {
                let published = self.evidence.spire_bundle.source();
                found.push(format!(
                    "the SVID of the file does not lead to the bundle that SPIRE publishes ({published}), so its peers \
                     refuse it: {error}"
                ));
            }
            if let Some(Err(error)) = bundle.map(|roots| self.leads(served, &roots)) {
                found.push(format!(
                    "the SVID that the proxy serves does not lead to the bundle of {source}: an application that goes by \
                     that file (not the proxy) refuses peers with such an SVID: {error}"
                ));
            }
        }
        for summary in found {
            self.add(CheckId::FileChain, CheckResult::Fail, summary, (file.source, file.at), None);
        }
    }

    /// Whether a copy leads to those roots; what stays open is no error.
    fn leads(&self, copy: &IdentityCopy<'_>, roots: &[Vec<u8>]) -> Result<(), PathError> {
        let (leaf, rest) = copy.chain.split_first().map_or((&[][..], &[][..]), |(leaf, rest)| (leaf, rest));
        verify_path(leaf, rest, roots, self.now).or_else(|error| if error.is_open() { Ok(()) } else { Err(error) })
    }

    /// Who issued what decides (domain notes, section 4: the first question under Istio).
    pub(super) fn issuer(&mut self, decides: Option<&IdentityCopy<'a>>) -> Issuer {
        let seen = self.seen(decides);
        let (issuer, result, summary) = match decides {
            None => (Issuer::Unknown, CheckResult::Inconclusive, "there is no certificate to ask about"),
            Some(copy) => match self.issuer_of(copy) {
                Issuer::Spire => (Issuer::Spire, CheckResult::Pass, "SPIRE issued it"),
                Issuer::Istiod => (Issuer::Istiod, CheckResult::Pass, "istiod issued it: nothing in SPIRE can cure it"),
                Issuer::MaybeIstiod => (
                    Issuer::MaybeIstiod,
                    CheckResult::Inconclusive,
                    "it may be istiod: SPIRE's bundle or istiod's root could not be read, and neither is known to lead to it",
                ),
                Issuer::Unknown => {
                    (Issuer::Unknown, CheckResult::Inconclusive, "neither SPIRE's bundle nor istiod's root leads to it")
                }
            },
        };
        self.add(CheckId::Issuer, result, summary.to_owned(), seen, None);
        issuer
    }

    pub(super) fn issuer_of(&self, copy: &IdentityCopy<'_>) -> Issuer {
        let domain = copy.leaf.as_ref().ok().map(|svid| svid.spiffe_id.trust_domain().clone());
        let of_file =
            |roots: &Gathered<PemFile>| roots.value().map(|file| ders(&file.certificates)).unwrap_or_default();
        let leads_to = |mut roots: Vec<Vec<u8>>| {
            roots.retain(|root| domain.as_ref().is_none_or(|domain| may_vouch(root, domain)));
            copy.chain.split_first().is_some_and(|(leaf, rest)| verify_path(leaf, rest, &roots, self.now).is_ok())
        };
        // The map may lag behind the server.
        let of_server = domain.as_ref().map(|domain| server_roots(self.evidence, domain)).unwrap_or_default();
        if leads_to(of_file(&self.evidence.spire_bundle)) || leads_to(of_server) {
            Issuer::Spire
        } else if leads_to(of_file(&self.evidence.istio_root)) {
            Issuer::Istiod
        } else if self.istiod_is_open() && !self.is_of_the_file(copy) {
            Issuer::MaybeIstiod
        } else {
            Issuer::Unknown
        }
    }

    /// Whether a copy is that of the SVID file, or of the same authority: only SPIRE's are written there.
    fn is_of_the_file(&self, copy: &IdentityCopy<'_>) -> bool {
        let named_by = |copy: &IdentityCopy<'_>| copy.chain.first().and_then(|leaf| issuer_name(leaf));
        let file = IdentityCopy::on_disk(self.pod);
        copy.held_by == CertificateSource::File
            || file.is_some_and(|file| named_by(&file).is_some_and(|name| named_by(copy) == Some(name)))
    }

    /// Whether istiod may have issued what does not lead to its root: that could not be read, or it is not known that there
    /// is none.
    fn istiod_is_open(&self) -> bool {
        let Gathered::Missing { reason, .. } = &self.evidence.istio_root else { return false };
        !matches!(reason, Missing::Gone { .. })
    }

    /// Step 1.6: the bundle file, and what the proxy trusts.
    pub(super) fn bundle_ends(&mut self) {
        let (pod, now) = (self.pod, self.now);
        let file = (pod.bundle_file.value().map(in_file), (pod.bundle_file.source(), pod.bundle_file.at()));
        let proxy = (pod.served.value().map(served), (pod.served.source(), pod.served.at()));
        for (roots, seen) in [file, proxy] {
            let Some(row) = roots.and_then(|roots| ends(&roots, now)) else { continue };
            self.add(CheckId::BundleEnd, row.result, row.summary, seen, row.remedy);
        }
    }
}

fn unseen(why: String) -> (CheckResult, String, Chain) {
    (CheckResult::Inconclusive, why.clone(), Chain::Unseen(why))
}

/// The name of who signed a certificate, as it stands in it; `None` where it has none.
fn issuer_name(leaf: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    let name = certificate.issuer();
    name.iter().next().is_some().then(|| name.as_raw().to_vec())
}

/// The roots of a bundle that may vouch for a domain.
fn roots_of(bundle: &PemFile, domain: &TrustDomain) -> Vec<Vec<u8>> {
    let mut roots = ders(&bundle.certificates);
    roots.retain(|root| may_vouch(root, domain));
    roots
}
