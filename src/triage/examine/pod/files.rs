//! Step 1.0: what lies in the certificate file and the bundle file beside the certificates.

use super::Rows;
use crate::triage::{
    CheckId, CheckResult, Gathered, Missing, PemFile,
    certificate::{PemRemark, pem_remarks},
};

/// Why a file that may well be there was not read. One that is not there is no fault where SPIRE serves the proxy itself;
/// what the image or the rights do not allow is a gap of ours.
fn unreadable(file: &Gathered<PemFile>) -> Option<String> {
    let Gathered::Missing { reason, .. } = file else { return None };
    matches!(reason, Missing::Other { .. } | Missing::TimedOut { .. }).then(|| reason.sentence())
}

impl Rows<'_> {
    pub(super) fn files(&mut self) {
        let pod = self.pod;
        for (name, file) in [("certificate", &pod.svid_file), ("bundle", &pod.bundle_file)] {
            if let Some(why) = unreadable(file) {
                let summary = format!("the {name} file could not be read: {why}");
                let remedy = "see who may read it in the container, and what it is";
                self.add(
                    CheckId::FileUnreadable,
                    CheckResult::Inconclusive,
                    summary,
                    (file.source(), file.at()),
                    Some(remedy),
                );
            }
            for remark in file.value().map(pem_remarks).unwrap_or_default() {
                let (id, result) = match remark {
                    PemRemark::Keys(_) => (CheckId::KeyInFile, CheckResult::Fail),
                    // A comment or a CRL is as good a reason as a broken certificate.
                    PemRemark::OtherBlocks(_) => (CheckId::OtherBlocks, CheckResult::Inconclusive),
                    PemRemark::Cut => (CheckId::FileCut, CheckResult::Inconclusive),
                };
                let summary = format!("the {name} file: {remark}");
                self.add(id, result, summary, (file.source(), file.at()), Some(remark.remedy()));
            }
        }
    }
}
