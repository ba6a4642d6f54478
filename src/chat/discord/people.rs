//! Who may do what, by user ids and by the roles that Discord says the person has at the moment of asking.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::snowflake::is_id;
use crate::{
    chat::{Roster, grammar::Notation},
    people::{Actor, Mention, PersonId, Platform, Role},
};

/// A person with the roles that the server gave them, as of when Discord said so.
pub(super) fn actor(
    roster: &Roster,
    guild: &str,
    user: &str,
    server_roles: &BTreeSet<String>,
    as_of: Timestamp,
) -> Actor {
    let id = PersonId { platform: Platform::Discord, workspace: guild.to_owned(), user: user.to_owned() };
    let by_server_role = |role: Role| {
        let holds =
            |server_role: &String| roster.holders(role).contains(&Mention::group(Platform::Discord, server_role));
        server_roles.iter().any(holds)
    };
    let holds = |role: &Role| roster.names(&id, *role) || by_server_role(*role);
    let roles = [Role::Commander, Role::Approver].into_iter().filter(holds).collect();
    Actor { also: roster.same.others(&id), id, roles, as_of }
}

/// `<@123>` is a user and `<@&123>` a role.
#[derive(Debug, Clone, Copy)]
pub struct DiscordNotation;

impl Notation for DiscordNotation {
    fn user<'a>(&self, word: &'a str) -> Option<&'a str> {
        let id = word.strip_prefix("<@")?.strip_suffix('>')?;
        digits(id.strip_prefix('!').unwrap_or(id))
    }

    fn group<'a>(&self, word: &'a str) -> Option<&'a str> {
        digits(word.strip_prefix("<@&")?.strip_suffix('>')?)
    }

    fn text(&self, typed: &str) -> String {
        typed.to_owned()
    }
}

fn digits(id: &str) -> Option<&str> {
    Some(id).filter(|id| is_id(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUILD: &str = "200";

    fn roster() -> Roster {
        Roster {
            commanders: vec![Mention::user(Platform::Discord, "1"), Mention::group(Platform::Discord, "11")],
            approvers: vec![Mention::group(Platform::Discord, "12"), Mention::user(Platform::Slack, "2")],
            ..Roster::default()
        }
    }

    fn roles(user: &str, server_roles: &[&str]) -> Vec<Role> {
        let server_roles = server_roles.iter().map(|role| (*role).to_owned()).collect();
        actor(&roster(), GUILD, user, &server_roles, Timestamp::UNIX_EPOCH).roles.into_iter().collect()
    }

    #[test]
    fn a_person_may_what_their_id_or_one_of_their_roles_may_and_nothing_else() {
        assert_eq!(roles("1", &[]), [Role::Commander]);
        assert_eq!(roles("3", &["11", "12"]), [Role::Commander, Role::Approver]);
        assert_eq!(roles("3", &["13"]), []);
        assert_eq!(roles("2", &[]), [], "an id of Slack is none of Discord");
        assert_eq!(roles("11", &["1", GUILD]), [], "a role is no user, and a user no role");
        assert_eq!(roles("", &[]), []);
    }

    #[test]
    fn people_and_roles_are_written_as_discord_writes_them() {
        let notation = DiscordNotation;
        assert_eq!((notation.user("<@123>"), notation.user("<@!123>")), (Some("123"), Some("123")));
        assert_eq!((notation.user("<@&123>"), notation.user("@somebody"), notation.user("<@abc>")), (None, None, None));
        assert_eq!((notation.group("<@&123>"), notation.group("<@123>")), (Some("123"), None));
        assert_eq!(notation.text("a &lt; <b> *c*"), "a &lt; <b> *c*");
    }
}
