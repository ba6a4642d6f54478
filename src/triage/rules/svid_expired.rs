//! An SVID is over, or ended a moment ago. The agent of each pod's own node tells whose fault that is.
//!
//! Names: expired certificate, or SPIRE agent where that does not work. Rests on 1.1 (dates), 1.4 (issuer), 1.5 (file and
//! proxy) and 2.2 (agents).

use jiff::Timestamp;

use super::{Conclusion, stale};
use crate::{
    mesh::PodRef,
    triage::{Confidence, diagnosis_input::DiagnosisInput, examine::Holding},
};

/// Pods of the same target that are only overdue have the same cause, and will be over soon.
pub(super) fn judge(input: &DiagnosisInput<'_>, explained: &[PodRef]) -> Option<Conclusion> {
    let mut stale = stale::pods_where(input, |holding| holding.is_over() || holding.is_overdue());
    stale.retain(|(pod, _)| !explained.contains(&pod.pod));
    let over = stale.iter().any(|(_, found)| found.holding.is_over());
    if !over && !stale.iter().any(|(_, found)| has_ended(&found.holding, input.now())) {
        return None;
    }
    // Within what clocks may differ by, nothing is certain.
    let most = if over { Confidence::High } else { Confidence::Medium };
    Some(stale::conclude(input, &stale, most))
}

/// Whether its last moment has passed by our clock; within what clocks may differ by it is not yet called over.
fn has_ended(holding: &Holding, now: Timestamp) -> bool {
    matches!(holding, Holding::Svid { svid, .. } if svid.not_after < now)
}
