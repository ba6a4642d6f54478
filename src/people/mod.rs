//! Actors, roles and levels of people. Pure: the edge looks up who is in which group.

use std::{collections::BTreeSet, fmt};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Where a person is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// A Slack workspace.
    Slack,
    /// A Discord server.
    Discord,
    /// The demo's own web page, on loopback only.
    Page,
}

/// One person, by the id that the platform gave: never by display name or e-mail.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PersonId {
    /// Which platform.
    pub platform: Platform,
    /// The workspace (Slack team id, Discord guild id).
    pub workspace: String,
    /// The user id.
    pub user: String,
}

impl fmt::Display for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.user)
    }
}

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May give commands: acknowledge, triage, ask for a fix, escalate, resolve.
    Commander,
    /// May approve or reject a fix that somebody else asked for.
    Approver,
}

impl Role {
    /// What this role may do, as the end of "only … may".
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Commander => "people who may command the bot (config: people.commanders)",
            Self::Approver => "people who may approve fixes (config: people.approvers)",
        }
    }
}

/// A person who asks for something, with the rights they had when that was looked up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    pub id: PersonId,
    /// What they may do.
    pub roles: BTreeSet<Role>,
    /// When the roles were looked up.
    pub as_of: Timestamp,
}

/// Rights older than this are looked up again rather than trusted (design, "whose policy").
pub const RIGHTS_LAST: SignedDuration = SignedDuration::from_mins(5);

impl Actor {
    /// Whether this person may act in `role` at `now`; rights that are too old count as none.
    pub fn may(&self, role: Role, now: Timestamp) -> bool {
        !self.has_old_rights(now) && self.roles.contains(&role)
    }

    /// Whether the rights have to be looked up again before anybody is refused or let through by them.
    pub fn has_old_rights(&self, now: Timestamp) -> bool {
        now.duration_since(self.as_of) > RIGHTS_LAST
    }
}

/// Somebody or some group that can be mentioned in a channel. Mentions come from the configuration and from actors only,
/// never from text (invariant 7).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mention {
    /// One user of a platform.
    User(String),
    /// A Slack user group or a Discord role.
    Group(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_stored_requests_hold_these_names_of_platforms() {
        assert_eq!(
            [Platform::Slack, Platform::Discord, Platform::Page].map(|it| it.to_string()),
            ["Slack", "Discord", "Page"]
        );
    }
}
