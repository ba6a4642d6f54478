//! Runbook step 1: what each pod holds and presents. Turns the evidence of a pod into check rows and one state.

mod ambient;
mod chain;
mod dates;
mod difference;
mod files;
mod identity;
mod proxy;
mod start;

use jiff::Timestamp;

use crate::triage::{
    Check, CheckId, CheckResult, Evidence, PodEvidence, Subject,
    certificate_sources::{IdentityCopy, deciding, holding},
    envoy::SignCount,
};

pub use crate::triage::certificate_sources::Holding;

/// Who issued the certificate that decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issuer {
    Spire,
    /// istiod: nothing in SPIRE can cure it.
    Istiod,
    /// It may be istiod: no bundle leads to it, and istiod's root or SPIRE's bundle could not be read.
    MaybeIstiod,
    /// Neither, or it could not be seen.
    Unknown,
}

impl Issuer {
    /// Whether nothing speaks for istiod, so that SPIRE can have to do with it.
    pub(in crate::triage) fn may_be_spire(self) -> bool {
        !matches!(self, Self::Istiod | Self::MaybeIstiod)
    }
}

/// Whether a chain leads to a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chain {
    /// It does.
    Verified,
    /// It does not.
    Broken(String),
    /// The leaf is of a trust domain that the roots do not speak for: federation, or a wrong identity.
    Foreign(String),
    /// It could not be judged: there was nothing to verify, or nothing to verify against. Why.
    Unseen(String),
}

/// Which copy did not follow the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stuck {
    /// The file holds a newer SVID in date, and the proxy serves one that is not.
    Proxy,
    /// The proxy serves a newer SVID in date, and the file holds one that is not.
    File,
}

/// What the examination of a pod found.
#[derive(Debug, Clone, PartialEq)]
pub struct Examined {
    /// What it holds, by the copy that decides.
    pub holding: Holding,
    /// Where its chain leads.
    pub chain: Chain,
    /// The identity that it should have, if it has another.
    pub expected_instead: Option<String>,
    /// Who issued it.
    pub issuer: Issuer,
    /// The hop that is stuck, if the copies show one.
    pub stuck: Option<Stuck>,
    /// Whether the copy that decides is the one that peers see.
    pub served_certificate_seen: bool,
    /// What the proxy logged, how often and when, and what is not known to be over.
    pub signs: Vec<SignCount>,
    /// When its log was read.
    pub log_read_at: Timestamp,
    /// The rows.
    pub checks: Vec<Check>,
}

impl Examined {
    /// Whether it is of a trust domain that nobody here has a bundle for, and nothing says that the identity is wrong: what is
    /// missing is the federated bundle.
    pub(in crate::triage) fn lacks_federation(&self) -> bool {
        matches!(self.chain, Chain::Foreign(_)) && self.expected_instead.is_none() && self.issuer.may_be_spire()
    }
}

/// Examines one pod.
pub fn examine(pod: &PodEvidence, evidence: &Evidence, now: Timestamp) -> Examined {
    let mut rows = Rows { pod, evidence, now, checks: Vec::new() };
    rows.start();
    rows.files();
    let (file, served) = (IdentityCopy::on_disk(pod), IdentityCopy::served(pod));
    let decides = deciding(file.as_ref(), served.as_ref());
    let holding = holding(pod, decides, now);
    rows.dates(&holding, decides);
    rows.other_dates(file.as_ref(), served.as_ref(), decides);
    rows.remarks(file.as_ref(), served.as_ref());
    let chain = rows.chain(decides);
    rows.file_chain(file.as_ref(), decides);
    let expected_instead = rows.identity(&holding, decides);
    let issuer = rows.issuer(decides);
    let stuck = rows.difference(file.as_ref(), served.as_ref());
    rows.bundle_ends();
    let signs = rows.proxy_log(served.as_ref());
    rows.ztunnel_log();
    rows.counters();
    let served_certificate_seen = !pod.sidecar || served.is_some();
    Examined {
        holding,
        chain,
        expected_instead,
        issuer,
        stuck,
        served_certificate_seen,
        signs,
        log_read_at: pod.proxy_log.at(),
        checks: rows.checks,
    }
}

struct Rows<'a> {
    pod: &'a PodEvidence,
    evidence: &'a Evidence,
    now: Timestamp,
    checks: Vec<Check>,
}

/// Where a row looked, and when.
type Seen<'a> = (&'a str, Timestamp);

impl<'a> Rows<'a> {
    fn add(&mut self, id: CheckId, result: CheckResult, summary: String, seen: Seen<'_>, remedy: Option<&str>) {
        let subject = Subject::Pod(self.pod.pod.clone());
        let (source, remedy) = (seen.0.to_owned(), remedy.map(str::to_owned));
        self.checks.push(Check { id, subject, result, summary, source, observed_at: seen.1, remedy });
    }

    fn seen(&self, copy: Option<&IdentityCopy<'a>>) -> Seen<'a> {
        let fallback = if self.pod.sidecar {
            (self.pod.served.source(), self.pod.served.at())
        } else {
            (self.pod.svid_file.source(), self.pod.svid_file.at())
        };
        copy.map_or(fallback, |copy| (copy.source, copy.at))
    }
}
