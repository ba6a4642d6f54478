//! An SVID is in date and should have been renewed: a warning, which explains no failing call. So every other rule comes first.
//!
//! Names: expired certificate or SPIRE agent where a fix fits, else inconclusive. Rests on 1.1 (dates) and 2.2 (agents).

use super::{Conclusion, stale};
use crate::triage::{Confidence, Scenario, SharedFact, diagnosis_input::DiagnosisInput, examine::Holding};

pub(super) fn judge(input: &DiagnosisInput<'_>) -> Option<Conclusion> {
    let stale = stale::pods_where(input, Holding::is_overdue);
    if stale.is_empty() {
        return None;
    }
    let mut conclusion = stale::conclude(input, &stale, Confidence::Medium);
    if conclusion.fixes.is_empty() {
        conclusion.scenario = Scenario::Inconclusive;
    }
    conclusion.consequences = input.consequences(false);
    conclusion
        .reasons
        .push(SharedFact::NothingIsOver.stated("no certificate is over yet, so this alone explains no failing call"));
    Some(conclusion)
}
