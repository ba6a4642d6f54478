//! Actors, roles and levels of people. Pure: the edge looks up who is in which group.

mod same_person;

pub use same_person::SamePeople;

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

impl PersonId {
    /// Whether both are ids of the same platform, in the same workspace.
    pub fn is_beside(&self, other: &Self) -> bool {
        self.platform == other.platform && self.workspace == other.workspace
    }
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
    /// The same person's ids on other platforms, as the configuration links them (`people.same`).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub also: BTreeSet<PersonId>,
    /// What they may do.
    pub roles: BTreeSet<Role>,
    /// When the roles were looked up.
    pub as_of: Timestamp,
}

/// Rights older than this are looked up again rather than trusted (design, "whose policy").
pub const RIGHTS_LAST: SignedDuration = SignedDuration::from_mins(5);

impl Actor {
    /// Whether `person` is this one, by this or another platform's id.
    pub fn is(&self, person: &PersonId) -> bool {
        self.id == *person || self.also.contains(person)
    }

    /// By which id this person is known where `other` is: on the same platform in the same workspace.
    pub fn known_beside(&self, other: &PersonId) -> Option<&PersonId> {
        std::iter::once(&self.id).chain(&self.also).find(|id| id.is_beside(other))
    }

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
pub struct Mention {
    /// Where. Records of before there was a second platform name none, and mean Slack.
    #[serde(default = "slack", skip_serializing_if = "is_slack")]
    pub platform: Platform,
    #[serde(flatten)]
    pub whom: Whom,
}

/// Who is mentioned, by the platform's id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whom {
    User(String),
    /// A Slack user group or a Discord role.
    Group(String),
}

fn slack() -> Platform {
    Platform::Slack
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_slack(platform: &Platform) -> bool {
    *platform == Platform::Slack
}

impl Mention {
    /// A user.
    pub fn user(platform: Platform, id: impl Into<String>) -> Self {
        Self { platform, whom: Whom::User(id.into()) }
    }

    /// A user group or role.
    pub fn group(platform: Platform, id: impl Into<String>) -> Self {
        Self { platform, whom: Whom::Group(id.into()) }
    }

    /// The id of the user or group.
    pub fn id(&self) -> &str {
        match &self.whom {
            Whom::User(id) | Whom::Group(id) => id,
        }
    }
}

impl From<&PersonId> for Mention {
    fn from(person: &PersonId) -> Self {
        Self::user(person.platform, person.user.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mention_of_before_there_were_two_platforms_is_one_on_slack_and_keeps_its_bytes() {
        for old in [r#"{"user":"U0ONCALL"}"#, r#"{"group":"S0ONCALL"}"#] {
            let read: Mention = serde_json::from_str(old).unwrap();
            assert_eq!(read.platform, Platform::Slack);
            assert_eq!(serde_json::to_string(&read).unwrap(), old);
        }
        let role = Mention::group(Platform::Discord, "1100");
        let written = serde_json::to_string(&role).unwrap();
        assert_eq!(written, r#"{"platform":"discord","group":"1100"}"#);
        assert_eq!(serde_json::from_str::<Mention>(&written).unwrap(), role);
    }

    #[test]
    fn the_keys_of_stored_requests_hold_these_names_of_platforms() {
        assert_eq!(
            [Platform::Slack, Platform::Discord, Platform::Page].map(|it| it.to_string()),
            ["Slack", "Discord", "Page"]
        );
    }
}
