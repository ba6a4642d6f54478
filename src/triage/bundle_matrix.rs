//! Which certificate of a trust bundle lies at which hop, and which hop lacks one (runbook scenario 3; domain notes,
//! section 2). Certificates are compared by the SHA-256 of their DER: their order, copies of them, comments and line ends mean
//! nothing.
//!
//! A hop lacks a root where it cannot verify an SVID that was seen and that another hop's root vouches for, or where it does
//! not hold what the SPIRE server has. A hop that could not be read lacks nothing, and an SVID that no root vouches for needs
//! none.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::{
    Evidence,
    bundle_hops::{BundleHops, Hop, IssuedBy, bundles_of, svids_of},
    certificate::{SIGNATURES_MOST, moment, subject_of, verify_path},
    diagnosis_input::SeenPod,
};
use crate::mesh::{PodRef, TrustDomain};

/// How long a root may take to every hop: kubelets refresh ConfigMaps and projected bundles within about five minutes.
pub(super) const PROPAGATION: SignedDuration = SignedDuration::from_mins(5);

/// The SHA-256 of a certificate's DER.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(super) fn of(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }
}

/// Enough of it to find the certificate in what `openssl x509 -fingerprint -sha256` prints.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second, third, fourth, ..] = self.0;
        write!(f, "{first:02X}:{second:02X}:{third:02X}:{fourth:02X}…")
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A root, as people tell it from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Root {
    pub(super) subject: String,
    pub(super) begins: Timestamp,
    pub(super) ends: Timestamp,
}

/// An SVID of the trust domain that was seen, in date.
#[derive(Debug, Clone)]
pub(super) struct SeenSvid<'a> {
    pub(super) pod: &'a PodRef,
    /// The leaf first.
    pub(super) chain: Vec<Vec<u8>>,
}

/// A hop that does not hold a root which it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lack {
    pub(super) hop: Hop,
    pub(super) root: Fingerprint,
    /// The pods whose SVIDs it cannot verify without; none where nobody who was seen is signed by it yet.
    pub(super) signs_for: Vec<PodRef>,
    /// Until when it may still be on its way, where that is ahead.
    pub(super) may_come_until: Option<Timestamp>,
}

/// The certificates of one trust domain × its hops.
#[derive(Debug)]
pub(super) struct BundleMatrix {
    pub(super) domain: TrustDomain,
    pub(super) authority: IssuedBy,
    pub(super) roots: BTreeMap<Fingerprint, Root>,
    /// What each hop that was read holds.
    pub(super) held: BTreeMap<Hop, BTreeSet<Fingerprint>>,
    pub(super) unread: Vec<(Hop, String)>,
    pub(super) lacks: Vec<Lack>,
    /// Pods whose SVID is signed by a root that the server no longer has: peers refuse it.
    pub(super) outlived: Vec<(PodRef, Fingerprint)>,
}

/// Every bundle of this mesh, compared hop by hop.
pub(super) fn compare_bundles(evidence: &Evidence, pods: &[SeenPod<'_>]) -> Vec<BundleMatrix> {
    let now = evidence.gathered_at;
    let matrix = |hops: BundleHops| {
        let svids = svids_of(pods, &hops);
        BundleMatrix::of(hops, &svids, now)
    };
    bundles_of(evidence, pods).into_iter().map(matrix).collect()
}

impl BundleMatrix {
    pub(super) fn of(hops: BundleHops, svids: &[SeenSvid<'_>], now: Timestamp) -> Self {
        let BundleHops { domain, authority, held: ders, mut unread } = hops;
        let mut certificates: BTreeMap<Fingerprint, Vec<u8>> = BTreeMap::new();
        let mut held: BTreeMap<Hop, BTreeSet<Fingerprint>> = BTreeMap::new();
        for (hop, roots) in ders {
            // More than a bundle ever holds: to verify by each of them would take too long.
            if roots.len().saturating_add(certificates.len()) > SIGNATURES_MOST {
                unread.push((hop, format!("it holds {} certificates, more than are compared", roots.len())));
                continue;
            }
            let at = held.entry(hop).or_default();
            for der in roots {
                let fingerprint = Fingerprint::of(&der);
                at.insert(fingerprint);
                certificates.entry(fingerprint).or_insert(der);
            }
        }
        let roots = certificates.iter().filter_map(|(name, der)| Some((*name, Root::read(der)?))).collect();
        let mut matrix = Self { domain, authority, roots, held, unread, lacks: Vec::new(), outlived: Vec::new() };
        let needs = needs(svids, &certificates, now);
        matrix.compare(&needs, now);
        matrix
    }

    /// What was published: the server's own bundle, or where it could not be read, the ConfigMap.
    fn published(&self) -> BTreeSet<Fingerprint> {
        let of = |wanted: fn(&Hop) -> bool| -> Option<BTreeSet<Fingerprint>> {
            let found = self.held.iter().filter(|(hop, _)| wanted(hop)).map(|(_, roots)| roots.clone());
            found.reduce(|all, more| &all | &more)
        };
        let server = of(|hop| matches!(hop, Hop::SpireServer(_)));
        server.or_else(|| of(|hop| matches!(hop, Hop::SpireBundle | Hop::IstioRoot))).unwrap_or_default()
    }

    fn server_was_read(&self) -> bool {
        self.held.keys().any(|hop| matches!(hop, Hop::SpireServer(_) | Hop::IstioRoot))
    }

    fn compare(&mut self, needs: &[Need<'_>], now: Timestamp) {
        let published = self.published();
        let (known, outlived): (Vec<&Need<'_>>, Vec<&Need<'_>>) =
            needs.iter().partition(|need| !self.server_was_read() || !need.roots.is_disjoint(&published));
        for need in outlived {
            let root = need.roots.iter().next().copied();
            self.outlived.extend(root.map(|root| (need.pod.clone(), root)));
        }
        let mut lacks: BTreeMap<(Hop, Fingerprint), BTreeSet<PodRef>> = BTreeMap::new();
        for (hop, roots) in &self.held {
            for need in known.iter().filter(|need| need.roots.is_disjoint(roots)) {
                let root = need.roots.iter().find(|root| published.contains(root)).or_else(|| need.roots.iter().next());
                let Some(root) = root else { continue };
                lacks.entry((hop.clone(), *root)).or_default().insert(need.pod.clone());
            }
            for root in published.difference(roots).filter(|root| self.is_in_date(**root, now)) {
                lacks.entry((hop.clone(), *root)).or_default();
            }
        }
        let lack = |((hop, root), signs_for): ((Hop, Fingerprint), BTreeSet<PodRef>)| {
            let due = self.roots.get(&root).map(|root| root.begins + PROPAGATION);
            let may_come_until = due.filter(|due| *due > now);
            Lack { hop, root, signs_for: signs_for.into_iter().collect(), may_come_until }
        };
        self.lacks = lacks.into_iter().map(lack).collect();
    }

    fn is_in_date(&self, root: Fingerprint, now: Timestamp) -> bool {
        self.roots.get(&root).is_some_and(|root| root.begins <= now && now <= root.ends)
    }

    /// What will not come by itself any more.
    pub(super) fn stale(&self) -> impl Iterator<Item = &Lack> {
        self.lacks.iter().filter(|lack| lack.may_come_until.is_none())
    }

    /// What keeps a bundle from being in order: a hop that lags, or a new root that somebody needs already.
    pub(super) fn open(&self) -> impl Iterator<Item = &Lack> {
        self.lacks.iter().filter(|lack| lack.may_come_until.is_none() || !lack.signs_for.is_empty())
    }

    /// Whether there was something to compare.
    pub(super) fn was_compared(&self) -> bool {
        self.held.len() > 1
    }

    /// A root in words: what it is called, its fingerprint, and since when it is there.
    pub(super) fn root_in_words(&self, fingerprint: Fingerprint) -> String {
        match self.roots.get(&fingerprint) {
            Some(root) => format!("\"{}\" ({fingerprint}, since {:.0})", root.subject, root.begins),
            None => fingerprint.to_string(),
        }
    }

    /// The hops that hold a root.
    pub(super) fn holders(&self, root: Fingerprint) -> impl Iterator<Item = &Hop> {
        self.held.iter().filter(move |(_, roots)| roots.contains(&root)).map(|(hop, _)| hop)
    }
}

impl Root {
    fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let validity = certificate.validity();
        let (begins, ends) = (moment(validity.not_before), moment(validity.not_after));
        Some(Self { subject: subject_of(&certificate), begins, ends })
    }
}

/// The roots of which a hop needs one, to verify the SVID of a pod.
struct Need<'a> {
    pod: &'a PodRef,
    roots: BTreeSet<Fingerprint>,
}

fn needs<'a>(svids: &[SeenSvid<'a>], certificates: &BTreeMap<Fingerprint, Vec<u8>>, now: Timestamp) -> Vec<Need<'a>> {
    let vouches = |svid: &SeenSvid<'a>, root: &Vec<u8>| {
        let roots = std::slice::from_ref(root);
        svid.chain.split_first().is_some_and(|(leaf, rest)| verify_path(leaf, rest, roots, now).is_ok())
    };
    let need = |svid: &SeenSvid<'a>| {
        let roots = certificates.iter().filter(|(_, der)| vouches(svid, der)).map(|(name, _)| *name).collect();
        Need { pod: svid.pod, roots }
    };
    // What no root vouches for is another finding (step 1.2).
    svids.iter().map(need).filter(|need: &Need<'a>| !need.roots.is_empty()).collect()
}
