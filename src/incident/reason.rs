//! Why an incident closed, and what follows when a level cannot be called.

use serde::{Deserialize, Serialize};

use super::IncidentId;
use crate::people::PersonId;

/// Why an incident closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    /// Every alert stayed resolved for the hold time.
    AlertsResolved,
    /// A person closed it.
    Person(ClosedBy),
    /// It turned out to be about what another incident is about, and its alerts go on there.
    Joined {
        /// Which incident.
        into: IncidentId,
        /// Who said so.
        by: PersonId,
    },
}

/// Who closed an incident, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedBy {
    #[serde(flatten)]
    pub who: PersonId,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl ClosedBy {
    /// What stands behind a name: the reason, if one was given.
    pub fn because(&self) -> String {
        self.why.as_ref().map_or_else(String::new, |why| format!(": {why}"))
    }
}

impl From<PersonId> for ClosedBy {
    fn from(who: PersonId) -> Self {
        Self { who, why: None }
    }
}

/// What the bot does after a level could not be called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Follows {
    /// The next level that can be reached is called.
    #[default]
    NextLevel,
    /// It was the last level: all are called.
    AllLevels,
    /// It is called by another way all the same.
    OtherWay,
    /// No level can be called at all: they are tried again after a while.
    NobodyLeft,
    /// Nothing: another window is running already.
    Nothing,
}
