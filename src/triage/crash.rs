//! How the container ran last that ended with a failure, and its last words: what made it end often stands in the very last line,
//! in whatever words.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ContainerEnd, Redacted, ends::end_of, recent_changes::is_of_late};

/// A container that ended with a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crash {
    pub end: ContainerEnd,
    /// The last line of its log, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_words: Option<Redacted>,
}

impl Crash {
    /// Whether it ended within the hour before `now`; one without a time did.
    pub(super) fn is_of_late(&self, now: Timestamp) -> bool {
        self.end.at.is_none_or(|at| is_of_late(at, now))
    }

    /// In words that follow who it is.
    pub(super) fn sentence(&self) -> String {
        let words =
            self.last_words.as_ref().map_or_else(String::new, |words| format!(", its last words: «{}»", end_of(words)));
        format!("{}{words}", self.end.words())
    }
}

/// The last line of a log that says something.
pub fn last_words(log: &str) -> Option<Redacted> {
    log.lines().rev().find(|line| !line.trim().is_empty()).map(Redacted::new)
}
