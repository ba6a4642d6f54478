//! Step 1.6: a root that ends before its successor is there is an incident in waiting (domain notes, section 2).

pub(in crate::triage) mod hops;

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::triage::{
    Check, CheckId, CheckResult, Evidence, PemFile, RootsOf, ServedSecrets, Subject,
    certificate::{PemRemark, bundle_end, ders, pem_remarks},
    roots::domain_of,
};

/// The roots by the trust domain that they speak for.
pub(in crate::triage) type ByDomain = BTreeMap<RootsOf, Vec<Vec<u8>>>;

/// What a bundle's end says.
pub(in crate::triage) struct EndRow {
    pub(in crate::triage) result: CheckResult,
    pub(in crate::triage) summary: String,
    pub(in crate::triage) remedy: Option<&'static str>,
}

const REMEDY: &str = "see why SPIRE has not published the next authority: `spire-server bundle show`, `X509 CA prepared` in \
                      the server's log, and who copies the bundle to here";

const KEY_REMEDY: &str = "take the key out of the ConfigMap, see who wrote it there, and replace the key: everybody who may \
                          read ConfigMaps has it";

/// The roots of a file. One without a SPIFFE ID speaks for every domain, and so may be the successor in each.
pub(in crate::triage) fn in_file(file: &PemFile) -> ByDomain {
    grouped(ders(&file.certificates))
}

fn grouped(roots: Vec<Vec<u8>>) -> ByDomain {
    let (mut named, mut plain) = (Vec::new(), Vec::new());
    for root in roots {
        match domain_of(&root) {
            Some(domain) => named.push((RootsOf::Domain(domain.to_string()), root)),
            None => plain.push(root),
        }
    }
    let mut by_domain = ByDomain::new();
    for (domain, root) in named {
        by_domain.entry(domain).or_insert_with(|| plain.clone()).push(root);
    }
    if by_domain.is_empty() && !plain.is_empty() {
        by_domain.insert(RootsOf::NoDomain, plain);
    }
    by_domain
}

/// What a proxy trusts: by domain with SPIFFE's validator, one list without.
pub(in crate::triage) fn served(served: &ServedSecrets) -> ByDomain {
    let named = served.roots.iter().filter(|(whose, _)| **whose != RootsOf::NoDomain);
    let mut by_domain: ByDomain = named.map(|(domain, roots)| (domain.clone(), ders(roots))).collect();
    if by_domain.is_empty() {
        by_domain = grouped(served.roots.get(&RootsOf::NoDomain).map(|roots| ders(roots)).unwrap_or_default());
    }
    by_domain
}

/// The row of one bundle; none where there is no root, which is another finding.
pub(in crate::triage) fn ends(by_domain: &ByDomain, now: Timestamp) -> Option<EndRow> {
    if by_domain.values().all(Vec::is_empty) {
        return None;
    }
    let of = |whose: &RootsOf| whose.domain().map_or_else(String::new, |domain| format!("{domain}: "));
    let late: Vec<String> = by_domain
        .iter()
        .filter_map(|(whose, roots)| bundle_end(roots, now).map(|end| format!("{}{end}", of(whose))))
        .collect();
    let row = if late.is_empty() {
        let summary = "no root ends before its successor is there".to_owned();
        EndRow { result: CheckResult::Pass, summary, remedy: None }
    } else {
        EndRow { result: CheckResult::Fail, summary: late.join("; "), remedy: Some(REMEDY) }
    };
    Some(row)
}

/// The row of SPIRE's own bundle.
pub(in crate::triage) fn spire_bundle_check(evidence: &Evidence) -> Option<Check> {
    let bundle = &evidence.spire_bundle;
    let row = ends(&in_file(bundle.value()?), evidence.gathered_at)?;
    Some(Check {
        id: CheckId::BundleEnd,
        subject: Subject::SpireBundle,
        result: row.result,
        summary: row.summary,
        source: bundle.source().to_owned(),
        observed_at: bundle.at(),
        remedy: row.remedy.map(str::to_owned),
    })
}

/// The rows of keys that lie in the ConfigMaps of bundles: everybody who may read the ConfigMap has them.
pub(in crate::triage) fn keys_in_maps(evidence: &Evidence) -> impl Iterator<Item = Check> {
    let maps = [(Subject::SpireBundle, &evidence.spire_bundle), (Subject::IstioRoot, &evidence.istio_root)];
    maps.into_iter().filter_map(|(subject, map)| {
        let remarks = map.value().map(pem_remarks).unwrap_or_default();
        let keys = remarks.into_iter().find(|remark| matches!(remark, PemRemark::Keys(_)))?;
        Some(Check {
            id: CheckId::KeyInFile,
            subject,
            result: CheckResult::Fail,
            summary: format!("the ConfigMap: {keys}"),
            source: map.source().to_owned(),
            observed_at: map.at(),
            remedy: Some(KEY_REMEDY.to_owned()),
        })
    })
}
