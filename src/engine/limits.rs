//! How many effects run at once: room by room, and within a room kind by kind, so that no kind holds up a more urgent
//! one.

use crate::incident::{Priority, Room};

/// Triages of different incidents at once. Each holds most of the calls that the API server is asked at once (32); four
/// get through ten services in about a minute, and more would only make each of them slower.
pub(super) const TRIAGES_MOST: u32 = 4;
/// Ways beside them that only a fix takes: its plan, its samples and its look for the new pod are short, and people wait.
const KEPT_FOR_FIXES: u32 = 2;
/// Effects of one chat face or of the pagers at once: platforms take about one message a second and channel anyway.
const MESSAGES_MOST: u32 = 4;
/// One of these is for calls of people only: cards, or ends of pages, that hang must not hold up a page.
const KEPT_FOR_PAGES: u32 = 1;
/// Timers at once: they only ask the journal.
const TIMERS_MOST: u32 = 16;
/// Some of these are for timers by which somebody is called: hours after a storm thousands of others are due at once.
const TIMERS_KEPT_FOR_PAGES: u32 = 4;

/// What a room may do at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RoomLimits {
    /// Effects at once.
    pub(super) most: u32,
    /// So many of those are for effects of `kept_for` and of what is more urgent.
    pub(super) kept: u32,
    /// See `kept`.
    pub(super) kept_for: Priority,
}

/// The limits of a room.
pub(super) fn of(room: Room) -> RoomLimits {
    let all_alike = |most| RoomLimits { most, kept: 0, kept_for: Priority::Page };
    match room {
        Room::Engine => RoomLimits { most: TIMERS_MOST, kept: TIMERS_KEPT_FOR_PAGES, kept_for: Priority::Page },
        // Writes go one by one.
        Room::Execute => all_alike(1),
        Room::Cluster => {
            RoomLimits { most: TRIAGES_MOST + KEPT_FOR_FIXES, kept: KEPT_FOR_FIXES, kept_for: Priority::Approval }
        }
        Room::Chat(_) | Room::Pager => {
            RoomLimits { most: MESSAGES_MOST, kept: KEPT_FOR_PAGES, kept_for: Priority::Page }
        }
    }
}
