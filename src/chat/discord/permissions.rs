//! What the bot may do on a server: the permissions that its invite link asks for, what is lost without each, and which of
//! them it has in a channel.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, de::Error};

use super::rest::GuildRole;

/// A permission, and what does not work without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    /// Discord's name of it.
    pub name: &'static str,
    /// Its bit in Discord's numbers.
    pub bits: u64,
    /// What does not work without it.
    pub without_it: &'static str,
}

const fn permission(name: &'static str, bit: u32, without_it: &'static str) -> Permission {
    Permission { name, bits: 1 << bit, without_it }
}

/// The permissions that the invite link asks for.
pub const PERMISSIONS: [Permission; 7] = [
    permission("VIEW_CHANNEL", 10, "nothing is posted at all"),
    permission("SEND_MESSAGES", 11, "no card is posted, and nobody is mentioned"),
    permission("EMBED_LINKS", 14, "cards stay empty"),
    permission("ATTACH_FILES", 15, "raw output does not reach the thread"),
    permission(
        "READ_MESSAGE_HISTORY",
        16,
        "calls stand beside their card and do not answer it, and after a crash a message may be posted twice",
    ),
    permission("CREATE_PUBLIC_THREADS", 35, "what belongs into a thread stands in the channel"),
    permission("SEND_MESSAGES_IN_THREADS", 38, "nothing is posted into threads"),
];

/// The scopes of the invite link.
pub const INVITE_SCOPES: [&str; 2] = ["bot", "applications.commands"];

/// May do everything, whatever a channel says.
pub const ADMINISTRATOR: u64 = 1 << 3;
/// May mention every role, and everybody.
pub const MENTION_EVERYONE: u64 = 1 << 17;

/// The link by which an application's bot is invited: exactly these permissions and scopes.
pub fn invite_link(application: &str) -> String {
    let permissions = PERMISSIONS.iter().fold(0, |all, one| all | one.bits);
    let scopes = INVITE_SCOPES.join("+");
    format!("https://discord.com/oauth2/authorize?client_id={application}&scope={scopes}&permissions={permissions}")
}

/// What a channel changes for a role or a person.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Overwrite {
    /// The id of the role or of the person.
    pub id: String,
    #[serde(deserialize_with = "bits")]
    pub allow: u64,
    #[serde(deserialize_with = "bits")]
    pub deny: u64,
}

/// Permissions travel as a number in a text, since they have more bits than JavaScript's numbers.
pub(super) fn bits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(|_| D::Error::custom("permissions are a number in a text"))
}

/// What a member may do in a channel, by Discord's reference ("Permissions", "Permission Overwrites"): what all of their
/// roles give, then what the channel takes and gives to everybody, to their roles together, and to the person.
pub fn in_channel(
    guild: &str,
    user: &str,
    has: &BTreeSet<String>,
    roles: &[GuildRole],
    overwrites: &[Overwrite],
) -> u64 {
    // The role of everybody has the id of the server.
    let given = roles.iter().filter(|role| role.id == guild || has.contains(&role.id));
    let base = given.fold(0, |all, role| all | role.permissions);
    if base & ADMINISTRATOR != 0 {
        return u64::MAX;
    }
    let change = |base: u64, is_meant: &dyn Fn(&str) -> bool| {
        let meant = || overwrites.iter().filter(|one| is_meant(&one.id));
        let denied = meant().fold(0, |all, one| all | one.deny);
        base & !denied | meant().fold(0, |all, one| all | one.allow)
    };
    let base = change(base, &|id| id == guild);
    let base = change(base, &|id| id != guild && has.contains(id));
    change(base, &|id| id == user)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUILD: &str = "200";
    const BOT: &str = "1";
    const A: u64 = 1 << 10;
    const B: u64 = 1 << 11;

    fn role(id: &str, permissions: u64) -> GuildRole {
        GuildRole { id: id.to_owned(), name: id.to_owned(), permissions, mentionable: false }
    }

    fn overwrite(id: &str, allow: u64, deny: u64) -> Overwrite {
        Overwrite { id: id.to_owned(), allow, deny }
    }

    fn may(roles: &[GuildRole], overwrites: &[Overwrite]) -> u64 {
        in_channel(GUILD, BOT, &["11", "12"].map(str::to_owned).into(), roles, overwrites)
    }

    #[test]
    fn what_a_channel_says_of_a_role_wins_over_everybodys_and_what_it_says_of_the_bot_over_both() {
        let roles = [role(GUILD, A), role("11", B), role("13", 1 << 30)];
        assert_eq!(may(&roles, &[]), A | B, "a role that the bot does not have gives nothing");
        let everybody = overwrite(GUILD, 0, A | B);
        assert_eq!(may(&roles, std::slice::from_ref(&everybody)), 0);
        assert_eq!(may(&roles, &[overwrite("11", A, 0), everybody.clone()]), A, "in whichever order they stand");
        let torn = [overwrite("11", 0, A), overwrite("12", A, 0)];
        assert_eq!(may(&roles, &torn), A | B, "of two roles, the one that allows wins");
        assert_eq!(may(&roles, &[overwrite("13", 0, A), overwrite("2", 0, A)]), A | B, "others are not meant");
        assert_eq!(may(&roles, &[overwrite(BOT, 0, A), overwrite("12", A, 0)]), B);
        assert_eq!(may(&roles, &[overwrite(BOT, A, 0), everybody]), A);
    }

    #[test]
    fn an_administrator_may_all_whatever_the_channel_takes() {
        let roles = [role("11", ADMINISTRATOR)];
        assert_eq!(may(&roles, &[overwrite(BOT, 0, u64::MAX)]), u64::MAX);
    }
}
