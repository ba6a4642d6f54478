//! Which firing of an alert a notice speaks of. An alert is its fingerprint; `startsAt` only orders its episodes, and is never
//! trusted alone: replicas of Prometheus behind one Alertmanager begin seconds apart, a firing notice has the start of the
//! one that was heard and the resolved notice the earliest of all, and a clock may be ahead.

use jiff::Timestamp;

use super::{Alert, AlertSighting, AlertStatus};

/// The alert with a start that can be ordered: one in the future counts as seen now.
pub(super) fn as_seen(sighting: &AlertSighting, now: Timestamp) -> AlertSighting {
    let mut seen = sighting.clone();
    if seen.starts_at > now {
        seen.claimed_start = Some(seen.starts_at);
        seen.starts_at = now;
    }
    seen
}

/// Whether a firing notice, [as it was seen](as_seen), speaks of a later firing than the one that is known.
pub(super) fn is_later(known: &Alert, seen: &AlertSighting, now: Timestamp) -> bool {
    let said = |sighting: &AlertSighting| sighting.claimed_start.unwrap_or(sighting.starts_at);
    if said(seen) == said(&known.sighting) {
        // A start that nobody can believe tells no two firings apart: what was seen to end and fires does so anew.
        return seen.claimed_start.is_some() && known.status == AlertStatus::Resolved;
    }
    // A start in the future that an earlier version stored says nothing.
    known.sighting.starts_at > now || seen.starts_at > known.sighting.starts_at
}

/// Whether a firing notice is of the firing that went on when somebody closed its incident at `closed`: one that began
/// before that is, since the same firing may be told with another start.
pub(super) fn went_on_at(known: &Alert, seen: &AlertSighting, closed: Timestamp) -> bool {
    known.status == AlertStatus::Firing && seen.starts_at <= closed
}

/// Whether a resolved notice ends what is known to fire: whatever its start, unless a later firing was seen.
pub(super) fn ends(known: &Alert, resolved: &AlertSighting) -> bool {
    match resolved.ends_at {
        Some(end) => end >= known.sighting.starts_at,
        // Without its end: it is late if it is of the firing before the one that is known.
        None => known.start_before.is_none_or(|before| resolved.starts_at > before),
    }
}
