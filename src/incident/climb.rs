//! A step up the ladder, as events.

use super::{Event, Follows, effect::CallReason};
use crate::escalation::{Climb, Rung};

/// The events of one step: what was passed over is said, and what was noticed too late.
pub(super) fn climb_events(climb: Climb, reason: &CallReason) -> Vec<Event> {
    let follows = follows(&climb);
    let late = climb.late_by.map(|late| Event::NoticedLate { seconds: late.as_secs() });
    let unreachable = climb.unreachable.into_iter().map(|level| Event::LevelUnreachable {
        level,
        why: "nobody to mention and no pager is configured for it".to_owned(),
        follows,
    });
    let began = Event::RungBegan { rung: climb.rung, call: climb.call, reason: reason.clone() };
    late.into_iter().chain(unreachable).chain([began]).collect()
}

/// What follows for those that a step passes over.
pub(super) fn follows(climb: &Climb) -> Follows {
    match climb.rung {
        Rung::AllPaged { .. } if climb.call.is_empty() => Follows::NobodyLeft,
        Rung::AllPaged { .. } => Follows::AllLevels,
        Rung::Waiting { .. } | Rung::Acknowledged { .. } => Follows::NextLevel,
    }
}
