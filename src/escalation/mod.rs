//! The ladder of levels and windows (design section 5). Pure: time is in the data.

mod ladder;
mod policy;
pub mod windows;

pub use ladder::{Climb, Ladder, Rung};
pub use policy::{EscalationPolicy, Level, LevelNumber, PagerName};
