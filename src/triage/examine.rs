//! Runbook step 1: what each pod holds and presents. Turns the evidence of a pod into check rows and one state.

use jiff::Timestamp;

use super::{
    Check, CheckResult, Evidence, Gathered, PodEvidence,
    certificate::{Life, OVERDUE_SHARE, Svid, ders, verify_path},
    envoy::{TlsReason, reason_of},
};
use crate::mesh::SpiffeId;

/// Who issued what a proxy serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issuer {
    /// SPIRE.
    Spire,
    /// istiod: nothing in SPIRE can cure it.
    Istiod,
    /// Neither, or it could not be seen.
    Unknown,
}

/// What one pod's certificate is.
#[derive(Debug, Clone, PartialEq)]
pub enum Holding {
    /// Its life, its identity, and where that was read.
    Svid {
        /// The leaf.
        svid: Svid,
        /// Where in its life it is.
        life: Life,
        /// Where it was read.
        source: String,
    },
    /// It is no X.509-SVID.
    Bad(String),
    /// The proxy never got one.
    NoSecret,
    /// It could not be seen.
    Unseen(String),
}

/// What the examination of a pod found.
#[derive(Debug, Clone, PartialEq)]
pub struct Examined {
    /// What it holds.
    pub holding: Holding,
    /// Why no path leads to the bundle, if none does; `None` too when that could not be checked.
    pub broken_chain: Option<String>,
    /// The identity that it should have, if it has another.
    pub expected_instead: Option<String>,
    /// Who issued it.
    pub issuer: Issuer,
    /// What the proxy logged, newest of each kind.
    pub reasons: Vec<TlsReason>,
    /// The rows.
    pub checks: Vec<Check>,
}

/// Examines one pod.
pub fn examine(pod: &PodEvidence, evidence: &Evidence, now: Timestamp) -> Examined {
    let mut rows = Rows { pod, checks: Vec::new() };
    let holding = holding(pod, now);
    rows.dates(&holding);
    let chain = chain_of(pod);
    let broken_chain = rows.chain(chain, pod, evidence, now);
    let expected_instead = rows.identity(&holding, evidence);
    let issuer = rows.issuer(pod, evidence, now);
    rows.served_is_on_disk();
    let reasons = rows.proxy_log();
    let keys_dropped = pod.svid_file.value().map_or(0, |file| file.keys_dropped);
    if keys_dropped > 0 {
        let summary = "the certificate file holds a private key as well; it was dropped unread".to_owned();
        let remedy = Some("keep the key in a file of its own".to_owned());
        rows.add("1.0-key-in-file", CheckResult::Fail, summary, pod.svid_file.source(), pod.svid_file.at(), remedy);
    }
    Examined { holding, broken_chain, expected_instead, issuer, reasons, checks: rows.checks }
}

/// The chain that was read, the file first, then what the proxy serves; with its source.
fn chain_of(pod: &PodEvidence) -> Option<(Vec<Vec<u8>>, &Gathered<super::PemFile>)> {
    let file = pod.svid_file.value().map(|file| ders(&file.certificates)).filter(|chain| !chain.is_empty());
    let served = || pod.served.value().map(|served| ders(&served.chain)).filter(|chain| !chain.is_empty());
    file.or_else(served).map(|chain| (chain, &pod.svid_file))
}

fn source_of(pod: &PodEvidence) -> (&str, Timestamp) {
    let from_file = pod.svid_file.value().is_some_and(|file| !file.certificates.is_empty());
    if from_file { (pod.svid_file.source(), pod.svid_file.at()) } else { (pod.served.source(), pod.served.at()) }
}

fn holding(pod: &PodEvidence, now: Timestamp) -> Holding {
    if let Some((chain, _)) = chain_of(pod) {
        let leaf = chain.first().map(Vec::as_slice).unwrap_or_default();
        return match Svid::read(leaf) {
            Ok(svid) => Holding::Svid { life: svid.life(now), svid, source: source_of(pod).0.to_owned() },
            Err(error) => Holding::Bad(error.to_string()),
        };
    }
    let no_secret = pod
        .proxy_log
        .value()
        .is_some_and(|log| log.lines.iter().any(|line| reason_of(line) == Some(TlsReason::NoSecret)));
    let serves_nothing = pod.served.value().is_some_and(|served| served.chain.is_empty());
    if no_secret || (serves_nothing && pod.sidecar) {
        return Holding::NoSecret;
    }
    let why = |gathered: &str, reason: Option<String>| reason.map(|reason| format!("{gathered}: {reason}"));
    let reasons: Vec<String> =
        [why(pod.svid_file.source(), reason(&pod.svid_file)), why(pod.served.source(), reason(&pod.served))]
            .into_iter()
            .flatten()
            .collect();
    Holding::Unseen(if reasons.is_empty() { "no certificate was found".to_owned() } else { reasons.join("; ") })
}

fn reason<T>(gathered: &Gathered<T>) -> Option<String> {
    match gathered {
        Gathered::Missing { reason, .. } => Some(reason.sentence()),
        Gathered::Seen { .. } => None,
    }
}

struct Rows<'a> {
    pod: &'a PodEvidence,
    checks: Vec<Check>,
}

impl Rows<'_> {
    fn add(
        &mut self,
        id: &str,
        result: CheckResult,
        summary: String,
        source: &str,
        at: Timestamp,
        remedy: Option<String>,
    ) {
        let subject = self.pod.pod.to_string();
        let (id, source) = (id.to_owned(), source.to_owned());
        self.checks.push(Check { id, subject, result, summary, source, observed_at: at, remedy });
    }

    /// Step 1.1.
    fn dates(&mut self, holding: &Holding) {
        let (source, at) = source_of(self.pod);
        let (result, summary) = match holding {
            Holding::Svid { life: Life::Over { since }, .. } => {
                (CheckResult::Fail, format!("the SVID ended at {since:.0}"))
            }
            Holding::Svid { life: Life::NotYet { starts }, .. } => {
                (CheckResult::Fail, format!("the SVID begins at {starts:.0}, in the future: clocks disagree"))
            }
            Holding::Svid { life: Life::Left { share, until }, .. } => {
                let percent = (share * 100.0).floor();
                if *share < OVERDUE_SHARE {
                    (
                        CheckResult::Fail,
                        format!("only {percent} % of its life is left (until {until:.0}): renewal is overdue"),
                    )
                } else {
                    (CheckResult::Pass, format!("valid until {until:.0} ({percent} % of its life left)"))
                }
            }
            Holding::Bad(why) => (CheckResult::Fail, why.clone()),
            Holding::NoSecret => (CheckResult::Fail, "the proxy has never got an SVID".to_owned()),
            Holding::Unseen(why) => (CheckResult::Inconclusive, why.clone()),
        };
        self.add("1.1-svid-dates", result, summary, source, at, None);
    }

    /// Step 1.2.
    fn chain(
        &mut self,
        chain: Option<(Vec<Vec<u8>>, &Gathered<super::PemFile>)>,
        pod: &PodEvidence,
        evidence: &Evidence,
        now: Timestamp,
    ) -> Option<String> {
        let (source, at) = source_of(pod);
        let roots = roots_of(pod, evidence);
        let Some((chain, _)) = chain else {
            let summary = "there is no certificate to verify".to_owned();
            self.add("1.2-chain", CheckResult::Inconclusive, summary, source, at, None);
            return None;
        };
        let Some((roots, roots_source)) = roots else {
            let summary = "no trust bundle could be read to verify against".to_owned();
            self.add("1.2-chain", CheckResult::Inconclusive, summary, source, at, None);
            return None;
        };
        let (leaf, intermediates) = chain.split_first()?;
        match verify_path(leaf, intermediates, &roots, now) {
            Ok(()) => {
                self.add(
                    "1.2-chain",
                    CheckResult::Pass,
                    format!("leads to the bundle of {roots_source}"),
                    source,
                    at,
                    None,
                );
                None
            }
            Err(error) => {
                let summary = format!("does not lead to the bundle of {roots_source}: {error}");
                self.add("1.2-chain", CheckResult::Fail, summary.clone(), source, at, None);
                Some(summary)
            }
        }
    }

    /// Step 1.3.
    fn identity(&mut self, holding: &Holding, evidence: &Evidence) -> Option<String> {
        let (source, at) = source_of(self.pod);
        let Holding::Svid { svid, .. } = holding else {
            let summary = "no SVID could be read".to_owned();
            self.add("1.3-spiffe-id", CheckResult::Inconclusive, summary, source, at, None);
            return None;
        };
        let Some(expected) = expected_id(self.pod, &svid.spiffe_id, evidence) else {
            let summary = format!("it is {}; the service account of the pod is not known", svid.spiffe_id);
            self.add("1.3-spiffe-id", CheckResult::Inconclusive, summary, source, at, None);
            return None;
        };
        if expected == svid.spiffe_id.to_string() {
            self.add("1.3-spiffe-id", CheckResult::Pass, format!("it is {expected}, as expected"), source, at, None);
            return None;
        }
        let summary = format!("it is {}, and {expected} was expected", svid.spiffe_id);
        self.add("1.3-spiffe-id", CheckResult::Fail, summary, source, at, None);
        Some(expected)
    }

    /// Who issued what the proxy serves (domain notes, section 4: the first question under Istio).
    fn issuer(&mut self, pod: &PodEvidence, evidence: &Evidence, now: Timestamp) -> Issuer {
        let (source, at) = (pod.served.source(), pod.served.at());
        let Some(served) = pod.served.value().map(|served| ders(&served.chain)).filter(|chain| !chain.is_empty())
        else {
            let summary = reason(&pod.served).unwrap_or_else(|| "the proxy serves no certificate".to_owned());
            self.add("1.4-issuer", CheckResult::Inconclusive, summary, source, at, None);
            return Issuer::Unknown;
        };
        let leads_to = |roots: &Gathered<super::PemFile>| {
            let roots = roots.value().map(|file| ders(&file.certificates)).unwrap_or_default();
            served.split_first().is_some_and(|(leaf, rest)| verify_path(leaf, rest, &roots, now).is_ok())
        };
        let (issuer, result, summary) = if leads_to(&evidence.spire_bundle) {
            (Issuer::Spire, CheckResult::Pass, "SPIRE issued what the proxy serves")
        } else if leads_to(&evidence.istio_root) {
            (Issuer::Istiod, CheckResult::Pass, "istiod issued what the proxy serves: nothing in SPIRE can cure it")
        } else {
            (
                Issuer::Unknown,
                CheckResult::Inconclusive,
                "neither SPIRE's bundle nor istiod's root leads to what the proxy serves",
            )
        };
        self.add("1.4-issuer", result, summary.to_owned(), source, at, None);
        issuer
    }

    /// Is what the proxy serves what lies on disk?
    fn served_is_on_disk(&mut self) {
        let file = self.pod.svid_file.value().and_then(|file| file.certificates.first());
        let served = self.pod.served.value().and_then(|served| served.chain.first());
        let (Some(file), Some(served)) = (file, served) else { return };
        let (result, summary) = if file == served {
            (CheckResult::Pass, "the proxy serves the certificate of the file")
        } else {
            (
                CheckResult::Fail,
                "the proxy serves another certificate than the file holds: one of the two did not pick up the new one",
            )
        };
        let (source, at) = (self.pod.served.source().to_owned(), self.pod.served.at());
        self.add("1.5-served-is-on-disk", result, summary.to_owned(), &source, at, None);
    }

    /// Step 3.3.
    fn proxy_log(&mut self) -> Vec<TlsReason> {
        let (source, at) = (self.pod.proxy_log.source(), self.pod.proxy_log.at());
        let Some(log) = self.pod.proxy_log.value() else {
            let summary = reason(&self.pod.proxy_log).unwrap_or_default();
            self.add("3.3-proxy-log", CheckResult::Inconclusive, summary, source, at, None);
            return Vec::new();
        };
        let mut reasons: Vec<TlsReason> = log.lines.iter().filter_map(|line| reason_of(line)).collect();
        reasons.sort_unstable();
        reasons.dedup();
        let (result, summary) = if reasons.is_empty() {
            // Istio writes no access log by default, so silence proves nothing.
            (CheckResult::Inconclusive, "no TLS error in the proxy's log (which is silent by default)".to_owned())
        } else {
            let words: Vec<&str> = reasons.iter().map(|reason| words(*reason)).collect();
            (CheckResult::Fail, words.join("; "))
        };
        self.add("3.3-proxy-log", result, summary, source, at, None);
        reasons
    }
}

/// A reason in words.
pub fn words(reason: TlsReason) -> &'static str {
    reason.words()
}

fn roots_of<'a>(pod: &'a PodEvidence, evidence: &'a Evidence) -> Option<(Vec<Vec<u8>>, &'a str)> {
    let not_empty = |roots: Vec<Vec<u8>>| Some(roots).filter(|roots| !roots.is_empty());
    let of = |file: &'a Gathered<super::PemFile>| {
        let roots = file.value().map(|file| ders(&file.certificates)).and_then(not_empty)?;
        Some((roots, file.source()))
    };
    let served = || {
        let all: Vec<String> = pod.served.value()?.roots.values().flatten().cloned().collect();
        not_empty(ders(&all)).map(|roots| (roots, pod.served.source()))
    };
    of(&pod.bundle_file).or_else(served).or_else(|| of(&evidence.spire_bundle))
}

fn expected_id(pod: &PodEvidence, found: &SpiffeId, evidence: &Evidence) -> Option<String> {
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
