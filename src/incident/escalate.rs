//! A step up the ladder, and a call beside it, as events.

use super::{Event, Follows, effect::CallReason};
use crate::escalation::{Climb, EscalationPolicy, LevelNumber, Rung};

/// The events of one step: what was passed over is said, and what was noticed too late.
pub(super) fn climb_events(climb: Climb, reason: &CallReason) -> Vec<Event> {
    let follows = follows(&climb);
    let late = climb.late_by.map(|late| Event::NoticedLate { seconds: late.as_secs() });
    let unreachable = climb.unreachable.into_iter().map(|level| passed_over(level, follows));
    let began = Event::RungBegan { rung: climb.rung, call: climb.call, reason: reason.clone() };
    late.into_iter().chain(unreachable).chain([began]).collect()
}

/// The events of calling `level`, or the next one above it that can be reached, beside the window `rung`.
pub(super) fn beside_events(
    policy: &EscalationPolicy,
    level: LevelNumber,
    rung: Rung,
    reason: &CallReason,
) -> Vec<Event> {
    let (reachable, unreachable) = policy.reachable_from(level);
    let follows = if reachable.is_some() { Follows::NextLevel } else { Follows::Nothing };
    let called = reachable.map(|level| Event::CalledBeside { level: level.number, rung, reason: reason.clone() });
    unreachable.into_iter().map(|level| passed_over(level, follows)).chain(called).collect()
}

fn passed_over(level: LevelNumber, follows: Follows) -> Event {
    let why = "nobody to mention and no pager is configured for it".to_owned();
    Event::LevelUnreachable { level, why, follows }
}

/// What follows for those that a step passes over.
pub(super) fn follows(climb: &Climb) -> Follows {
    match climb.rung {
        Rung::AllPaged { .. } if climb.call.is_empty() => Follows::NobodyLeft,
        Rung::AllPaged { .. } => Follows::AllLevels,
        Rung::Waiting { .. } | Rung::Acknowledged { .. } => Follows::NextLevel,
    }
}
