//! A step up the ladder, as events.

use super::{Event, effect::CallReason};
use crate::escalation::Climb;

/// The events of one step: what was passed over is said, and what was noticed too late.
pub(super) fn climb_events(climb: Climb, reason: &CallReason) -> Vec<Event> {
    let late = climb.late_by.map(|late| Event::NoticedLate { seconds: late.as_secs() });
    let unreachable = climb.unreachable.into_iter().map(|level| Event::LevelUnreachable {
        level,
        why: "nobody to mention and no pager is configured for it".to_owned(),
    });
    let began = Event::RungBegan { rung: climb.rung, call: climb.call, reason: reason.clone() };
    late.into_iter().chain(unreachable).chain([began]).collect()
}
