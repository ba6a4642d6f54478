//! The ladder of levels and windows (design section 5). Pure: time is in the data.

mod ladder;
mod policy;

pub use ladder::{Climb, Ladder, NOTICED_TOO_LATE, Rung};
pub use policy::{EscalationPolicy, Level, LevelNumber, PagerName};
