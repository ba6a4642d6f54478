//! Step 1.7 and runbook scenario 3: the rows of the bundles that were compared hop by hop.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    mesh::PodRef,
    triage::{
        Check, CheckId, CheckResult, Evidence, Gathered, Subject,
        bundle_hops::{Hop, IssuedBy},
        bundle_matrix::{BundleMatrix, Fingerprint, Lack},
        bundle_remedy::{refresh_federation, remedy, restart},
    },
};

/// The most hops or pods that one row names.
const NAMED_MOST: usize = 5;

/// The rows of one bundle: what lacks a root, what could not be read, and otherwise that all hops agree.
pub(in crate::triage) fn bundle_checks(matrix: &BundleMatrix, evidence: &Evidence) -> Vec<Check> {
    let mut rows: Vec<Check> = lacking(matrix, evidence);
    rows.extend(matrix.outlived.iter().map(|(pod, root)| {
        let summary = format!("{} (trust domain {})", outlived_in_words(matrix, *root), matrix.domain);
        let hop = Hop::Proxy(pod.clone());
        row(&hop, CheckResult::Fail, summary, Some(restart(evidence, pod)), evidence)
    }));
    let about = match matrix.authority {
        IssuedBy::Spire | IssuedBy::Federation => Hop::SpireBundle,
        IssuedBy::Istiod => Hop::IstioRoot,
    };
    if rows.is_empty() && matrix.was_compared() {
        let (hops, roots) = (matrix.held.len(), matrix.roots.len());
        let summary =
            format!("{}: {roots} root(s) at {hops} hops, and none lacks one that it should have", matrix.domain);
        rows.push(row(&about, CheckResult::Pass, summary, None, evidence));
    }
    if let Some(unread) = unread_in_words(matrix) {
        let summary = format!("{}: not compared were {unread}", matrix.domain);
        rows.push(row(&about, CheckResult::Inconclusive, summary, None, evidence));
    }
    rows
}

fn lacking(matrix: &BundleMatrix, evidence: &Evidence) -> Vec<Check> {
    let mut by_subject: BTreeMap<Subject, Vec<&Lack>> = BTreeMap::new();
    // What is on its way, and nobody needs yet, is in order.
    for lack in matrix.open() {
        by_subject.entry(subject_of(&lack.hop)).or_default().push(lack);
    }
    let rows = by_subject.into_values().filter_map(|lacks| {
        let first = lacks.first()?;
        let stale = lacks.iter().any(|lack| lack.may_come_until.is_none());
        let result = if stale { CheckResult::Fail } else { CheckResult::Inconclusive };
        let summary = lacks_in_words(matrix, lacks.iter().copied());
        let next = match matrix.authority {
            IssuedBy::Federation => refresh_federation(&matrix.domain),
            IssuedBy::Spire | IssuedBy::Istiod => remedy(&first.hop, evidence),
        };
        Some(row(&first.hop, result, summary.join("; "), stale.then_some(next), evidence))
    });
    rows.collect()
}

fn row(hop: &Hop, result: CheckResult, summary: String, remedy: Option<String>, evidence: &Evidence) -> Check {
    let (source, observed_at) = source_of(hop, evidence);
    Check { id: CheckId::Bundles, subject: subject_of(hop), result, summary, source, observed_at, remedy }
}

fn subject_of(hop: &Hop) -> Subject {
    match hop {
        Hop::PodFile(pod) | Hop::Proxy(pod) => Subject::Pod(pod.clone()),
        Hop::SpireBundle => Subject::SpireBundle,
        Hop::SpireServer(_) => Subject::SpireServer,
        Hop::IstioRoot => Subject::IstioRoot,
    }
}

fn source_of(hop: &Hop, evidence: &Evidence) -> (String, Timestamp) {
    fn of<T>(gathered: &Gathered<T>) -> (String, Timestamp) {
        (gathered.source().to_owned(), gathered.at())
    }
    let pod = |wanted: &PodRef| evidence.pods.iter().find(|pod| pod.pod == *wanted);
    let found = match hop {
        Hop::PodFile(wanted) => pod(wanted).map(|pod| of(&pod.bundle_file)),
        Hop::Proxy(wanted) => pod(wanted).map(|pod| of(&pod.served)),
        Hop::SpireBundle => Some(of(&evidence.spire_bundle)),
        Hop::IstioRoot => Some(of(&evidence.istio_root)),
        Hop::SpireServer(wanted) => {
            let server = evidence.servers.iter().find(|server| server.pod == *wanted);
            server.and_then(|server| server.bundles.as_ref()).map(|bundles| of(&bundles.own))
        }
    };
    found.unwrap_or_else(|| (hop.to_string(), evidence.gathered_at))
}

/// Which hops lack which root, whose SVIDs need it, who holds it, and whether it may still come: a sentence a root.
pub(in crate::triage) fn lacks_in_words<'a>(
    matrix: &BundleMatrix,
    lacks: impl IntoIterator<Item = &'a Lack>,
) -> Vec<String> {
    let mut together: BTreeMap<(bool, Fingerprint, &[PodRef]), Vec<&Lack>> = BTreeMap::new();
    for lack in lacks {
        // First what somebody needs.
        together.entry((lack.signs_for.is_empty(), lack.root, &lack.signs_for)).or_default().push(lack);
    }
    together.into_values().map(|lacks| sentence(matrix, &lacks)).collect()
}

/// Of lacks of one root.
fn sentence(matrix: &BundleMatrix, lacks: &[&Lack]) -> String {
    let Some(lack) = lacks.first() else { return String::new() };
    let signed = if lack.signs_for.is_empty() {
        "which signed no SVID that was seen".to_owned()
    } else {
        format!("which signed the SVID of {}", named(&lack.signs_for))
    };
    let holders: Vec<&Hop> = matrix.holders(lack.root).collect();
    let held = if holders.is_empty() { String::new() } else { format!("; it is at {}", named(&holders)) };
    let of = match matrix.authority {
        IssuedBy::Federation => format!(" of the federated trust domain {}", matrix.domain),
        IssuedBy::Spire | IssuedBy::Istiod => String::new(),
    };
    let may_come = lack.may_come_until.map_or_else(String::new, |until| {
        format!("; it is so new that it may still be on its way until {until:.0}: look again then")
    });
    let hops: Vec<&Hop> = lacks.iter().map(|lack| &lack.hop).collect();
    let verb = if hops.len() == 1 { "lacks" } else { "lack" };
    format!("{} {verb} the root {}{of}, {signed}{held}{may_come}", named(&hops), matrix.root_in_words(lack.root))
}

/// Why the SVID of a pod is refused although nothing is wrong with it.
pub(in crate::triage) fn outlived_in_words(matrix: &BundleMatrix, root: Fingerprint) -> String {
    let root = matrix.root_in_words(root);
    format!(
        "its SVID is signed by {root}, which the server's bundle does not hold any more: peers with today's bundle refuse it"
    )
}

/// What could not be compared, and why; `None` where all of it was.
pub(in crate::triage) fn unread_in_words(matrix: &BundleMatrix) -> Option<String> {
    let unread: Vec<String> = matrix.unread.iter().map(|(hop, why)| format!("{hop} ({why})")).collect();
    (!unread.is_empty()).then(|| named(&unread))
}

/// As "a, b and c", of many only the first ones.
fn named<T: ToString>(all: &[T]) -> String {
    let mut names: Vec<String> = all.iter().take(NAMED_MOST).map(ToString::to_string).collect();
    if all.len() > NAMED_MOST {
        names.push(format!("{} more", all.len().saturating_sub(NAMED_MOST)));
    }
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}
