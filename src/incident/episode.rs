//! Which firing of an alert a notice speaks of. An alert is its fingerprint; `startsAt` only orders its episodes, and is never
//! trusted alone: replicas of Prometheus behind one Alertmanager begin seconds apart, a firing notice has the start of the
//! one that was heard and the resolved notice the earliest of all, and a clock may be ahead.

use jiff::{SignedDuration, Timestamp};

use super::{Alert, AlertSighting, AlertStatus};

/// No clock is ahead by more than this: such a start says nothing, and each firing may come with the same.
const AHEAD_MOST: SignedDuration = SignedDuration::from_hours(24);

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
    if seen.said_start() == known.sighting.said_start() {
        // What was seen to end and fires with a start that says nothing does so anew.
        let says_nothing = seen.claimed_start.is_some_and(|said| said.duration_since(now) > AHEAD_MOST);
        return says_nothing && known.status == AlertStatus::Resolved;
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
        None => known.start_before.is_none_or(|before| resolved.said_start() > before),
    }
}

/// Whether a resolved notice ends a firing that stands in the same body: only if it is of a firing that began later.
///
/// One Alertmanager names an alert once in a body, so such a body was merged from what was said at two moments. `endsAt` does
/// not order them: a firing notice names no moment at which it still went on, and Alertmanager also ends an alert that
/// Prometheus was silent about for a while, which then fires on with the start that it had. Where nothing says which came
/// last, somebody is called in vain rather than nobody in earnest.
pub fn ends_beside(firing: &AlertSighting, resolved: &AlertSighting, now: Timestamp) -> bool {
    // A start in the future is one that nobody believes.
    let began = resolved.said_start();
    began <= now && began > firing.said_start()
}
