//! Who is called, in which order, and how long each has. Copied into an incident when it opens, so that an edit of the
//! configuration never changes a night that is under way.

use std::fmt;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::windows::{LEVEL_WINDOWS, REMINDER_PERCENT, REPEAT_EVERY};
use crate::people::Mention;

/// The number of a level: 1 is called first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LevelNumber(pub u8);

impl LevelNumber {
    /// The level that is called when an incident opens.
    pub const FIRST: Self = Self(1);
}

impl fmt::Display for LevelNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "L{}", self.0)
    }
}

/// The name of a pager in the configuration; its address and key stay there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PagerName(pub String);

/// One level of the ladder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    pub number: LevelNumber,
    /// The team, as people call it.
    pub team: String,
    /// How long it has to acknowledge, and how long an acknowledgement lasts without a sign of work.
    pub window: SignedDuration,
    /// Who is mentioned.
    pub mentions: Vec<Mention>,
    /// Which pager is called beside the mention.
    pub pager: Option<PagerName>,
}

impl Level {
    /// Whether there is any way at all to call this level.
    pub fn is_reachable(&self) -> bool {
        !self.mentions.is_empty() || self.pager.is_some()
    }
}

/// The whole ladder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EscalationPolicy {
    /// The levels, first called first; never empty (the configuration refuses that).
    pub levels: Vec<Level>,
    /// After the last window, all levels are called again, and again after each such time.
    pub repeat_every: SignedDuration,
    /// A reminder is given when this percentage of a window is left.
    pub reminder_percent: u8,
    /// Calls a level without a pager of its own while the chat platform cannot be reached.
    #[serde(default)]
    pub fallback_pager: Option<PagerName>,
}

impl EscalationPolicy {
    /// A ladder of these levels, with the times of [`windows`](super::windows).
    pub fn of(levels: Vec<Level>) -> Self {
        Self { levels, repeat_every: REPEAT_EVERY, reminder_percent: REMINDER_PERCENT, fallback_pager: None }
    }

    /// The runbook's ladder ("Escalation"), with whom each of its three levels mentions.
    pub fn runbook(mentions: [Mention; 3]) -> Self {
        let teams = ["Platform On-Call", "Platform Security", "Infrastructure"];
        let level = |(((number, team), window), mention): (((u8, &str), SignedDuration), Mention)| Level {
            number: LevelNumber(number),
            team: team.to_owned(),
            window,
            mentions: vec![mention],
            pager: None,
        };
        Self::of((1..).zip(teams).zip(LEVEL_WINDOWS).zip(mentions).map(level).collect())
    }

    /// The level of that number.
    pub fn level(&self, number: LevelNumber) -> Option<&Level> {
        self.levels.iter().find(|level| level.number == number)
    }

    /// The level after `number`.
    pub fn above(&self, number: LevelNumber) -> Option<&Level> {
        self.levels.iter().filter(|level| level.number > number).min_by_key(|level| level.number)
    }

    /// The level that is called first.
    pub fn first(&self) -> Option<&Level> {
        self.levels.iter().min_by_key(|level| level.number)
    }

    /// How long before the end of a window of this length the reminder is given.
    pub fn reminder_before_end(&self, window: SignedDuration) -> SignedDuration {
        let percent = i32::from(self.reminder_percent.min(100));
        window.checked_mul(percent).map_or(SignedDuration::ZERO, |scaled| scaled / 100)
    }
}
