//! Runbook step 1: what each pod holds and presents. Turns the evidence of a pod into check rows and one state.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    Check, CheckResult, Evidence, PodEvidence,
    certificate::{Life, OVERDUE_SHARE, ders, verify_path},
    copies::{IdentityCopy, deciding, holding, missing},
    counters::counted,
    envoy::{TlsReason, reason_of},
    roots::{Roots, may_vouch, roots_for},
};
use crate::mesh::SpiffeId;

pub use super::copies::Holding;

/// Who issued the certificate that decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issuer {
    /// SPIRE.
    Spire,
    /// istiod: nothing in SPIRE can cure it.
    Istiod,
    /// Neither, or it could not be seen.
    Unknown,
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
    /// There was nothing to verify, or nothing to verify against.
    Unseen,
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
    pub decided_by_what_peers_see: bool,
    /// How often the proxy logged what.
    pub reasons: BTreeMap<TlsReason, usize>,
    /// The rows.
    pub checks: Vec<Check>,
}

impl Examined {
    /// How often the proxy logged a reason.
    pub fn times(&self, reason: TlsReason) -> usize {
        self.reasons.get(&reason).copied().unwrap_or(0)
    }
}

/// Examines one pod.
pub fn examine(pod: &PodEvidence, evidence: &Evidence, now: Timestamp) -> Examined {
    let mut rows = Rows { pod, evidence, now, checks: Vec::new() };
    let (file, served) = (IdentityCopy::on_disk(pod), IdentityCopy::served(pod));
    let decides = deciding(file.as_ref(), served.as_ref());
    let holding = holding(pod, decides, now);
    rows.dates(&holding, decides);
    rows.other_dates(file.as_ref(), served.as_ref(), decides);
    let chain = rows.chain(decides);
    let expected_instead = rows.identity(&holding, decides);
    let issuer = rows.issuer(decides);
    let stuck = rows.difference(file.as_ref(), served.as_ref());
    let reasons = rows.proxy_log();
    rows.counters();
    rows.keys();
    let decided_by_what_peers_see = !pod.sidecar || served.is_some();
    let checks = rows.checks;
    Examined { holding, chain, expected_instead, issuer, stuck, decided_by_what_peers_see, reasons, checks }
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
    fn add(&mut self, id: &str, result: CheckResult, summary: String, seen: Seen<'_>, remedy: Option<String>) {
        let subject = self.pod.pod.to_string();
        let (id, source) = (id.to_owned(), seen.0.to_owned());
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

    /// Step 1.1, by the copy that decides.
    fn dates(&mut self, holding: &Holding, decides: Option<&IdentityCopy<'a>>) {
        let seen = self.seen(decides);
        let (result, summary) = match holding {
            Holding::Svid { life, .. } => life_in_words(life),
            Holding::Bad(why) => (CheckResult::Fail, why.clone()),
            Holding::NoSecret => (CheckResult::Fail, "the proxy has never got an SVID".to_owned()),
            Holding::Unseen(why) => (CheckResult::Inconclusive, why.clone()),
        };
        self.add("1.1-svid-dates", result, summary, seen, None);
    }

    /// Step 1.1, for the copy that does not decide.
    fn other_dates(
        &mut self,
        file: Option<&IdentityCopy<'a>>,
        served: Option<&IdentityCopy<'a>>,
        decides: Option<&IdentityCopy<'a>>,
    ) {
        let Some(decides) = decides else { return };
        for copy in [file, served].into_iter().flatten().filter(|copy| copy.place != decides.place) {
            let (result, summary) = match &copy.leaf {
                Ok(svid) => life_in_words(&svid.life(self.now)),
                Err(error) => (CheckResult::Fail, error.to_string()),
            };
            self.add("1.1-svid-dates", result, summary, (copy.source, copy.at), None);
        }
        if file.is_none() && self.pod.svid_file.value().is_none() {
            let why = missing(&self.pod.svid_file).unwrap_or_default();
            let seen = (self.pod.svid_file.source(), self.pod.svid_file.at());
            self.add("1.1-svid-dates", CheckResult::Inconclusive, why, seen, None);
        }
        if served.is_none() && self.pod.sidecar {
            let why = missing(&self.pod.served).unwrap_or_else(|| "the proxy serves no certificate".to_owned());
            let summary = format!("what the proxy serves, which is what peers see, is not known: {why}");
            let seen = (self.pod.served.source(), self.pod.served.at());
            self.add("1.1-svid-dates", CheckResult::Inconclusive, summary, seen, None);
        }
    }

    /// Step 1.2.
    fn chain(&mut self, decides: Option<&IdentityCopy<'a>>) -> Chain {
        let seen = self.seen(decides);
        let (result, summary, chain) = match decides.map(|copy| (copy, &copy.leaf)) {
            None => (CheckResult::Inconclusive, "there is no certificate to verify".to_owned(), Chain::Unseen),
            Some((_, Err(_))) => (CheckResult::Inconclusive, "it is no X.509-SVID".to_owned(), Chain::Unseen),
            Some((copy, Ok(svid))) => self.verified(copy, &svid.spiffe_id),
        };
        self.add("1.2-chain", result, summary, seen, None);
        chain
    }

    fn verified(&self, copy: &IdentityCopy<'_>, id: &SpiffeId) -> (CheckResult, String, Chain) {
        let domain = id.trust_domain();
        match roots_for(copy, domain, self.pod, self.evidence) {
            Roots::Unseen => {
                let summary = format!("no root of {domain} could be read to verify against");
                (CheckResult::Inconclusive, summary, Chain::Unseen)
            }
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
                    Err(error) => {
                        let summary = format!("does not lead to the bundle of {source}: {error}");
                        (CheckResult::Fail, summary.clone(), Chain::Broken(summary))
                    }
                }
            }
        }
    }

    /// Step 1.3. Only the SPIFFE ID counts: DNS names are no part of the identity.
    fn identity(&mut self, holding: &Holding, decides: Option<&IdentityCopy<'a>>) -> Option<String> {
        let seen = self.seen(decides);
        let Holding::Svid { svid, .. } = holding else {
            self.add("1.3-spiffe-id", CheckResult::Inconclusive, "no SVID could be read".to_owned(), seen, None);
            return None;
        };
        let found = &svid.spiffe_id;
        let Some(expected) = expected_id(self.pod, found, self.evidence) else {
            let summary = format!("it is {found}; the service account of the pod is not known");
            self.add("1.3-spiffe-id", CheckResult::Inconclusive, summary, seen, None);
            return None;
        };
        if expected == found.to_string() {
            self.add("1.3-spiffe-id", CheckResult::Pass, format!("it is {expected}, as expected"), seen, None);
            return None;
        }
        let mesh = self.evidence.expectations.trust_domain.as_ref();
        let foreign = mesh.filter(|mesh| *mesh != found.trust_domain()).map_or_else(String::new, |mesh| {
            format!("; its trust domain is not {mesh}: federation, or a wrong identity (config: mesh.trust_domain)")
        });
        let summary = format!("it is {found}, and {expected} was expected{foreign}");
        self.add("1.3-spiffe-id", CheckResult::Fail, summary, seen, None);
        Some(expected)
    }

    /// Who issued what decides (domain notes, section 4: the first question under Istio).
    fn issuer(&mut self, decides: Option<&IdentityCopy<'a>>) -> Issuer {
        let seen = self.seen(decides);
        let (issuer, result, summary) = match decides {
            None => (Issuer::Unknown, CheckResult::Inconclusive, "there is no certificate to ask about"),
            Some(copy) => match self.issuer_of(copy) {
                Issuer::Spire => (Issuer::Spire, CheckResult::Pass, "SPIRE issued it"),
                Issuer::Istiod => (Issuer::Istiod, CheckResult::Pass, "istiod issued it: nothing in SPIRE can cure it"),
                Issuer::Unknown => {
                    (Issuer::Unknown, CheckResult::Inconclusive, "neither SPIRE's bundle nor istiod's root leads to it")
                }
            },
        };
        self.add("1.4-issuer", result, summary.to_owned(), seen, None);
        issuer
    }

    fn issuer_of(&self, copy: &IdentityCopy<'_>) -> Issuer {
        let domain = copy.leaf.as_ref().ok().map(|svid| svid.spiffe_id.trust_domain().clone());
        let leads_to = |roots: &super::Gathered<super::PemFile>| {
            let mut roots = roots.value().map(|file| ders(&file.certificates)).unwrap_or_default();
            roots.retain(|root| domain.as_ref().is_none_or(|domain| may_vouch(root, domain)));
            copy.chain.split_first().is_some_and(|(leaf, rest)| verify_path(leaf, rest, &roots, self.now).is_ok())
        };
        if leads_to(&self.evidence.spire_bundle) {
            Issuer::Spire
        } else if leads_to(&self.evidence.istio_root) {
            Issuer::Istiod
        } else {
            Issuer::Unknown
        }
    }

    /// Is what the proxy serves what lies on disk, and if not, which hop is stuck?
    fn difference(&mut self, file: Option<&IdentityCopy<'a>>, served: Option<&IdentityCopy<'a>>) -> Option<Stuck> {
        let (Some(file), Some(served)) = (file, served) else { return None };
        let (on_disk, at_the_proxy) = (file.leaf.as_ref().ok()?, served.leaf.as_ref().ok()?);
        let fresh = |life: Life| matches!(life, Life::Left { share, .. } if share >= OVERDUE_SHARE);
        let fresh = (fresh(on_disk.life(self.now)), fresh(at_the_proxy.life(self.now)));
        let same_issuer = self.issuer_of(file) == self.issuer_of(served);
        let (result, summary, stuck) = if file.chain.first() == served.chain.first() {
            (CheckResult::Pass, "the proxy serves the certificate of the file", None)
        } else if !same_issuer {
            let summary = "the file and the proxy hold certificates of different issuers: two identities";
            (CheckResult::Inconclusive, summary, None)
        } else if on_disk.not_before > at_the_proxy.not_before && fresh == (true, false) {
            let summary = "the file holds the new SVID, and the proxy still serves the old one: it did not take it";
            (CheckResult::Fail, summary, Some(Stuck::Proxy))
        } else if on_disk.not_before < at_the_proxy.not_before && fresh == (false, true) {
            let summary = "the proxy serves the new SVID, and the file still holds the old one: whoever reads the \
                           file (the application, not the proxy) has a certificate that is over or soon will be";
            (CheckResult::Fail, summary, Some(Stuck::File))
        } else {
            let summary = "the proxy serves another certificate than the file holds: a renewal may be under way";
            (CheckResult::Inconclusive, summary, None)
        };
        self.add("1.5-served-is-on-disk", result, summary.to_owned(), (served.source, served.at), None);
        stuck
    }

    /// Step 3.3.
    fn proxy_log(&mut self) -> BTreeMap<TlsReason, usize> {
        let seen = (self.pod.proxy_log.source(), self.pod.proxy_log.at());
        let mut counts = BTreeMap::new();
        let Some(log) = self.pod.proxy_log.value() else {
            let summary = missing(&self.pod.proxy_log).unwrap_or_default();
            self.add("3.3-proxy-log", CheckResult::Inconclusive, summary, seen, None);
            return counts;
        };
        for reason in log.lines.iter().filter_map(|line| telling(line)) {
            let times: &mut usize = counts.entry(reason).or_default();
            *times = times.saturating_add(1);
        }
        let (result, summary) = if counts.is_empty() {
            // Istio writes no access log by default, so silence proves nothing.
            (CheckResult::Inconclusive, "no TLS error in the proxy's log (which is silent by default)".to_owned())
        } else {
            let said: Vec<String> =
                counts.iter().map(|(reason, times)| format!("{} ({times} line(s))", words(*reason))).collect();
            // An application that does not answer its own proxy is no matter of mTLS: worth saying, and no failed check.
            let about_tls = counts.keys().any(|reason| *reason != TlsReason::OwnApplication);
            (if about_tls { CheckResult::Fail } else { CheckResult::Inconclusive }, said.join("; "))
        };
        self.add("3.3-proxy-log", result, summary, seen, None);
        counts
    }

    fn counters(&mut self) {
        let seen = (self.pod.stats.source(), self.pod.stats.at());
        for row in counted(self.pod) {
            self.add(row.id, row.result, row.summary, seen, row.remedy);
        }
    }

    fn keys(&mut self) {
        if self.pod.svid_file.value().is_some_and(|file| file.keys_dropped > 0) {
            let summary = "the certificate file holds a private key as well; it was dropped unread".to_owned();
            let seen = (self.pod.svid_file.source(), self.pod.svid_file.at());
            let remedy = Some("keep the key in a file of its own".to_owned());
            self.add("1.0-key-in-file", CheckResult::Fail, summary, seen, remedy);
        }
    }
}

/// The reason of a line. A refused call to the pod's *own* application is no sign about the network.
fn telling(line: &str) -> Option<TlsReason> {
    reason_of(line).filter(|reason| *reason != TlsReason::Unreachable || !line.contains("inbound|"))
}

fn life_in_words(life: &Life) -> (CheckResult, String) {
    match life {
        Life::Over { since } => (CheckResult::Fail, format!("the SVID ended at {since:.0}")),
        Life::NotYet { starts } => {
            (CheckResult::Fail, format!("the SVID begins at {starts:.0}, in the future: clocks disagree"))
        }
        Life::Left { share, until } => {
            let percent = (share * 100.0).floor();
            if *share < OVERDUE_SHARE {
                let summary = format!("only {percent} % of its life is left (until {until:.0}): renewal is overdue");
                (CheckResult::Fail, summary)
            } else {
                (CheckResult::Pass, format!("valid until {until:.0} ({percent} % of its life left)"))
            }
        }
    }
}

/// A reason in words.
pub fn words(reason: TlsReason) -> &'static str {
    reason.words()
}

/// The SPIFFE ID that a pod should have; its trust domain is the mesh's, or where that is not configured, the leaf's own.
pub(super) fn expected_id(pod: &PodEvidence, found: &SpiffeId, evidence: &Evidence) -> Option<String> {
    let account = pod.service_account.as_ref()?;
    let domain = evidence.expectations.trust_domain.as_ref().unwrap_or_else(|| found.trust_domain());
    let template = &evidence.expectations.spiffe_id_template;
    Some(
        template
            .replace("{trust_domain}", domain.as_str())
            .replace("{namespace}", pod.pod.namespace.as_str())
            .replace("{service_account}", account.as_str()),
    )
}
