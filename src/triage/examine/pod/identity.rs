//! Step 1.3: whether the identity is the one that the service account stands for.

use super::Rows;
use crate::{
    mesh::SpiffeId,
    triage::{
        CheckId, CheckResult, Evidence, PodEvidence,
        certificate_sources::{Holding, IdentityCopy},
    },
};

impl<'a> Rows<'a> {
    /// Step 1.3. Only the SPIFFE ID counts: DNS names are no part of the identity.
    pub(super) fn identity(&mut self, holding: &Holding, decides: Option<&IdentityCopy<'a>>) -> Option<String> {
        let seen = self.seen(decides);
        let Holding::Svid { svid, .. } = holding else {
            self.add(CheckId::SpiffeId, CheckResult::Inconclusive, "no SVID could be read".to_owned(), seen, None);
            return None;
        };
        let found = &svid.spiffe_id;
        let Some(expected) = expected_id(self.pod, found, self.evidence) else {
            let summary = format!("it is {found}; the service account of the pod is not known");
            self.add(CheckId::SpiffeId, CheckResult::Inconclusive, summary, seen, None);
            return None;
        };
        if expected == found.to_string() {
            self.add(CheckId::SpiffeId, CheckResult::Pass, format!("it is {expected}, as expected"), seen, None);
            return None;
        }
        let mesh = self.evidence.expectations.trust_domain.as_ref();
        let foreign = mesh.filter(|mesh| *mesh != found.trust_domain()).map_or_else(String::new, |mesh| {
            format!("; its trust domain is not {mesh}: federation, or a wrong identity (config: mesh.trust_domain)")
        });
        let summary = format!("it is {found}, and {expected} was expected{foreign}");
        self.add(CheckId::SpiffeId, CheckResult::Fail, summary, seen, None);
        Some(expected)
    }
}

/// The SPIFFE ID that a pod should have; its trust domain is the mesh's, or where that is not configured, the leaf's own.
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
