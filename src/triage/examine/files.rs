//! Step 1.0: what lies in the certificate file and the bundle file beside the certificates.

use super::Rows;
use crate::triage::{
    CheckResult,
    certificate::{PemRemark, pem_remarks},
};

impl Rows<'_> {
    pub(super) fn files(&mut self) {
        let pod = self.pod;
        for (name, file) in [("certificate", &pod.svid_file), ("bundle", &pod.bundle_file)] {
            for remark in file.value().map(pem_remarks).unwrap_or_default() {
                let (id, result) = match remark {
                    PemRemark::Keys(_) => ("1.0-key-in-file", CheckResult::Fail),
                    // A comment or a CRL is as good a reason as a broken certificate.
                    PemRemark::OtherBlocks(_) => ("1.0-other-blocks", CheckResult::Inconclusive),
                    PemRemark::Cut => ("1.0-file-cut", CheckResult::Inconclusive),
                };
                let summary = format!("the {name} file: {remark}");
                self.add(id, result, summary, (file.source(), file.at()), Some(remark.remedy()));
            }
        }
    }
}
