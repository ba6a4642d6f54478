//! Step 1.5: whether the proxy serves what lies on disk.

use super::{Rows, Stuck};
use crate::triage::{CheckId, CheckResult, certificate::Validity, certificate_sources::IdentityCopy};

impl<'a> Rows<'a> {
    /// Is what the proxy serves what lies on disk, and if not, which hop is stuck?
    pub(super) fn difference(
        &mut self,
        file: Option<&IdentityCopy<'a>>,
        served: Option<&IdentityCopy<'a>>,
    ) -> Option<Stuck> {
        let (Some(file), Some(served)) = (file, served) else { return None };
        let (on_disk, at_the_proxy) = (file.leaf.as_ref().ok()?, served.leaf.as_ref().ok()?);
        let fresh = |validity: Validity| validity.is_fresh();
        let fresh = (fresh(on_disk.validity(self.now)), fresh(at_the_proxy.validity(self.now)));
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
            let summary = "the proxy serves the new SVID, and the file still holds the old one: an application \
                           that reads the file (not the proxy) has a certificate that is over or soon will be";
            (CheckResult::Fail, summary, Some(Stuck::File))
        } else {
            let summary = "the proxy serves another certificate than the file holds: a renewal may be under way";
            (CheckResult::Inconclusive, summary, None)
        };
        self.add(CheckId::ServedIsOnDisk, result, summary.to_owned(), (served.source, served.at), None);
        stuck
    }
}
