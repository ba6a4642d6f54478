//! Step 1.1: where in its life each copy of the SVID is, and what a person should know about it.

use super::{Rows, Seen};
use crate::triage::{
    CheckId, CheckResult,
    certificate::{OVERDUE_SHARE, Validity},
    certificate_sources::{Holding, IdentityCopy, missing},
};

impl<'a> Rows<'a> {
    /// Step 1.1, by the copy that decides.
    pub(super) fn dates(&mut self, holding: &Holding, decides: Option<&IdentityCopy<'a>>) {
        let seen = self.seen(decides);
        let (result, summary) = match holding {
            Holding::Svid { validity, .. } => validity_in_words(validity),
            Holding::Bad { why, .. } => (CheckResult::Fail, why.clone()),
            Holding::NoSecret => (CheckResult::Fail, "the proxy has never got an SVID".to_owned()),
            Holding::Unseen(why) => (CheckResult::Inconclusive, why.clone()),
        };
        self.add(CheckId::SvidDates, result, summary, seen, None);
    }

    /// Step 1.1, for the copy that does not decide.
    pub(super) fn other_dates(
        &mut self,
        file: Option<&IdentityCopy<'a>>,
        served: Option<&IdentityCopy<'a>>,
        decides: Option<&IdentityCopy<'a>>,
    ) {
        let Some(decides) = decides else { return };
        for copy in [file, served].into_iter().flatten().filter(|copy| copy.held_by != decides.held_by) {
            let (result, summary) = match &copy.leaf {
                Ok(svid) => validity_in_words(&svid.validity(self.now)),
                Err(error) => (CheckResult::Fail, error.to_string()),
            };
            self.add(CheckId::SvidDates, result, summary, (copy.source, copy.at), None);
        }
        if file.is_none() && self.pod.svid_file.value().is_none() {
            let why = missing(&self.pod.svid_file).unwrap_or_default();
            let seen = (self.pod.svid_file.source(), self.pod.svid_file.at());
            self.add(CheckId::SvidDates, CheckResult::Inconclusive, why, seen, None);
        }
        if served.is_none() && self.pod.sidecar {
            let why = missing(&self.pod.served).unwrap_or_else(|| "the proxy serves no certificate".to_owned());
            let summary = format!("what the proxy serves, which is what peers see, is not known: {why}");
            let seen = (self.pod.served.source(), self.pod.served.at());
            self.add(CheckId::SvidDates, CheckResult::Inconclusive, summary, seen, None);
        }
    }

    /// Remarks about the SVIDs, each copy once: what their issuer left out, and that only the skew that clocks may have
    /// keeps one of them valid. No fault, and no clean pass.
    pub(super) fn remarks(&mut self, file: Option<&IdentityCopy<'a>>, served: Option<&IdentityCopy<'a>>) {
        let other = file.filter(|file| served.is_none_or(|served| served.chain.first() != file.chain.first()));
        for copy in [served, other].into_iter().flatten() {
            let Ok(svid) = &copy.leaf else { continue };
            let seen: Seen<'a> = (copy.source, copy.at);
            for warning in &svid.warnings {
                let remedy = "have it set by what signs for SPIRE (an upstream authority, a CredentialComposer)";
                self.add(CheckId::SvidUsage, CheckResult::Inconclusive, warning.to_string(), seen, Some(remedy));
            }
            if let Some(remark) = svid.skew_remark(self.now) {
                let remedy = "compare the clocks of this node and of the SPIRE server's (`date -u`, its NTP source)";
                self.add(CheckId::ClockSkew, CheckResult::Inconclusive, remark, seen, Some(remedy));
            }
        }
    }
}

fn validity_in_words(validity: &Validity) -> (CheckResult, String) {
    match validity {
        Validity::Over { since } => (CheckResult::Fail, format!("the SVID ended at {since:.0}")),
        Validity::NotYet { starts } => {
            (CheckResult::Fail, format!("the SVID begins at {starts:.0}, in the future: clocks disagree"))
        }
        Validity::Left { share, until } => {
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
