//! Why an incident closed, and what follows when a level cannot be called.

use serde::{Deserialize, Serialize};

use crate::people::PersonId;

/// Why an incident closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    /// Every alert stayed resolved for the hold time.
    AlertsResolved,
    /// A person closed it.
    Person(PersonId),
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
