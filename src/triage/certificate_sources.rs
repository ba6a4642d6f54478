//! The copies of a pod's identity (domain notes, section 2): the file on disk, and what its proxy serves. Where there is
//! a proxy, its copy decides, since that is what peers see; a difference names the hop that is stuck.

use jiff::Timestamp;

use super::{
    Gathered, PodEvidence,
    certificate::{OVERDUE_SHARE, Svid, SvidError, Validity, ders, is_intermediate, leaf_first},
    envoy::{TlsReason, reason_of},
};

/// Where a copy was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CertificateSource {
    /// The file in the workload.
    File,
    /// What the proxy serves.
    Proxy,
}

/// One copy of a pod's identity.
#[derive(Debug)]
pub(super) struct IdentityCopy<'a> {
    pub(super) held_by: CertificateSource,
    pub(super) chain: Vec<Vec<u8>>,
    pub(super) leaf: Result<Svid, SvidError>,
    pub(super) source: &'a str,
    pub(super) at: Timestamp,
}

impl<'a> IdentityCopy<'a> {
    fn of(held_by: CertificateSource, certificates: &[String], source: &'a str, at: Timestamp) -> Option<Self> {
        // Evidence of older builds keeps a file in its own order.
        let chain = leaf_first(ders(certificates));
        let leaf = Svid::read(chain.first()?);
        Some(Self { held_by, chain, leaf, source, at })
    }

    /// The copy of the file, if it could be read and holds a certificate.
    pub(super) fn on_disk(pod: &'a PodEvidence) -> Option<Self> {
        let file = pod.svid_file.value()?;
        let mut copy =
            Self::of(CertificateSource::File, &file.certificates, pod.svid_file.source(), pod.svid_file.at())?;
        // spiffe-helper puts the intermediates into the bundle file where it is told to (`add_intermediates_to_bundle`).
        let bundle = pod.bundle_file.value().map(|bundle| ders(&bundle.certificates)).unwrap_or_default();
        copy.chain.extend(bundle.into_iter().filter(|der| is_intermediate(der)));
        Some(copy)
    }

    /// The copy that the proxy serves, if there is one.
    pub(super) fn served(pod: &'a PodEvidence) -> Option<Self> {
        let served = pod.served.value()?;
        Self::of(CertificateSource::Proxy, &served.chain, pod.served.source(), pod.served.at())
    }
}

/// What one pod's certificate is.
#[derive(Debug, Clone, PartialEq)]
pub enum Holding {
    /// Its life, its identity, and where that was read.
    Svid {
        /// The leaf.
        svid: Svid,
        /// Whether it is in date, and for how long.
        validity: Validity,
        /// Where it was read.
        source: String,
    },
    /// No copy of it is an X.509-SVID.
    Bad {
        /// The rule that the copy breaks which peers see.
        rule: SvidError,
        /// The same, with where it was read.
        why: String,
    },
    /// The proxy never got one.
    NoSecret,
    /// It could not be seen.
    Unseen(String),
}

impl Holding {
    /// The SVID, where it is one.
    pub(super) fn svid(&self) -> Option<&Svid> {
        match self {
            Self::Svid { svid, .. } => Some(svid),
            Self::Bad { .. } | Self::NoSecret | Self::Unseen(_) => None,
        }
    }

    /// The rule of X509-SVID that a certificate breaks, which can be parsed; with where it was read.
    pub(super) fn broken_rule(&self) -> Option<&str> {
        match self {
            Self::Bad { rule, why } => Some(why.as_str()).filter(|_| *rule != SvidError::Unreadable),
            Self::Svid { .. } | Self::NoSecret | Self::Unseen(_) => None,
        }
    }

    /// Whether it is over.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Svid { validity: Validity::Over { .. }, .. })
    }

    /// Whether it is in date, and its renewal has missed its turn.
    pub(super) fn is_overdue(&self) -> bool {
        matches!(self, Self::Svid { validity: Validity::Left { share, .. }, .. } if *share < OVERDUE_SHARE)
    }

    /// Whether it is in date and its renewal is not due for long.
    pub(super) fn is_fresh(&self) -> bool {
        matches!(self, Self::Svid { validity: Validity::Left { .. }, .. }) && !self.is_overdue()
    }
}

/// The copy that decides: the proxy's, or else the file's. One that is no SVID decides nothing while the other one is.
pub(super) fn deciding<'c, 'a>(
    file: Option<&'c IdentityCopy<'a>>,
    served: Option<&'c IdentityCopy<'a>>,
) -> Option<&'c IdentityCopy<'a>> {
    let both = || [served, file].into_iter().flatten();
    both().find(|copy| copy.leaf.is_ok()).or_else(|| both().next())
}

pub(super) fn holding(pod: &PodEvidence, decides: Option<&IdentityCopy<'_>>, now: Timestamp) -> Holding {
    match decides.map(|copy| (copy, &copy.leaf)) {
        Some((copy, Ok(svid))) => {
            Holding::Svid { validity: svid.validity(now), svid: svid.clone(), source: copy.source.to_owned() }
        }
        Some((copy, Err(error))) => Holding::Bad { rule: error.clone(), why: format!("{error} ({})", copy.source) },
        None if never_got_one(pod) => Holding::NoSecret,
        None => Holding::Unseen(why_unseen(pod)),
    }
}

/// How many lines about a missing secret count: one is written by every proxy that starts before its agent answers.
const NO_SECRET_LEAST: usize = 2;

/// Whether the proxy says again and again, and last of all, that SDS gave it nothing. An empty dump alone says less:
/// the proxy may just have started.
fn never_got_one(pod: &PodEvidence) -> bool {
    let reasons = pod.proxy_log.value().map(|log| log.lines.iter().filter_map(|line| reason_of(line)));
    let reasons: Vec<TlsReason> = reasons.into_iter().flatten().collect();
    let times = reasons.iter().filter(|reason| **reason == TlsReason::NoSecret).count();
    times >= NO_SECRET_LEAST && reasons.last() == Some(&TlsReason::NoSecret)
}

fn why_unseen(pod: &PodEvidence) -> String {
    let why = |source: &str, reason: Option<String>| reason.map(|reason| format!("{source}: {reason}"));
    let serves_nothing = pod.served.value().is_some_and(|served| served.chain.is_empty());
    let empty = serves_nothing.then(|| format!("{}: the proxy serves no certificate", pod.served.source()));
    let reasons: Vec<String> =
        [why(pod.svid_file.source(), missing(&pod.svid_file)), why(pod.served.source(), missing(&pod.served)), empty]
            .into_iter()
            .flatten()
            .collect();
    if reasons.is_empty() { "no certificate was found".to_owned() } else { reasons.join("; ") }
}

/// Why something is missing, if it is.
pub(super) fn missing<T>(gathered: &Gathered<T>) -> Option<String> {
    match gathered {
        Gathered::Missing { reason, .. } => Some(reason.sentence()),
        Gathered::Seen { .. } => None,
    }
}
