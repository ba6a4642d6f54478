//! Ids of Slack and Discord: people are known by them alone, never by a name or an e-mail, which others can take on.

use super::{Config, file::RosterFile, plain_secrets::shown};

/// Discord's ids are numbers of so many digits.
const DISCORD_DIGITS: std::ops::RangeInclusive<usize> = 17..=20;

/// Slack gives no shorter and no longer ids.
const LENGTH: std::ops::RangeInclusive<usize> = 3..=32;

/// One kind of id: how it begins, and where people find it.
struct IdKind {
    begins: &'static [char],
    what: &'static str,
    found: &'static str,
}

const USER: IdKind =
    IdKind::of(&['U', 'W'], "a user's id (U…)", "open the person's profile in Slack, then ⋮, \"Copy member ID\"");
const GROUP: IdKind = IdKind::of(
    &['S'],
    "a user group's id (S…)",
    "open the group under \"People & user groups\" in Slack, then ⋮, \"Copy group ID\"",
);
const CHANNEL: IdKind =
    IdKind::of(&['C', 'G'], "a channel's id (C…)", "it stands at the end of \"View channel details\" in Slack");
const TEAM: IdKind = IdKind::of(
    &['T'],
    "a workspace's id (T…)",
    "it stands in the address of Slack in a browser: app.slack.com/client/T…",
);
const ENTERPRISE: IdKind =
    IdKind::of(&['E'], "an organisation's id (E…)", "it stands in the address of Slack's organisation settings");

impl IdKind {
    const fn of(begins: &'static [char], what: &'static str, found: &'static str) -> Self {
        Self { begins, what, found }
    }

    fn check(&self, field: &str, id: &str, problems: &mut Vec<String>) {
        let plain = id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if !(plain && LENGTH.contains(&id.len()) && id.starts_with(self.begins)) {
            let shown = shown(id);
            problems.push(format!("{field}: {shown:?} is not {}: {}", self.what, self.found));
        }
    }
}

/// Checks every id of the file.
pub(super) fn check(config: &Config, problems: &mut Vec<String>) {
    if let Some(slack) = &config.slack {
        TEAM.check("slack.team", &slack.team, problems);
        CHANNEL.check("slack.channel", &slack.channel, problems);
        if let Some(enterprise) = &slack.enterprise {
            ENTERPRISE.check("slack.enterprise", enterprise, problems);
        }
    }
    if let Some(discord) = &config.discord {
        snowflake("discord.application", &discord.application, "an application's id", problems);
        snowflake("discord.guild", &discord.guild, "a server's id", problems);
        snowflake("discord.channel", &discord.channel, "a channel's id", problems);
    }
    let people = &config.people;
    for same in &people.same {
        USER.check("people.same: slack", &same.slack, problems);
        snowflake("people.same: discord", &same.discord, "a user's id", problems);
    }
    one_person_each(config, problems);
    roster("people.commanders", &people.commanders, problems);
    roster("people.approvers", &people.approvers, problems);
    for (number, level) in (1_u8..).zip(&people.levels) {
        roster(&format!("people.levels: L{number} mention"), &level.mention, problems);
    }
}

fn roster(field: &str, roster: &RosterFile, problems: &mut Vec<String>) {
    for user in &roster.users {
        USER.check(&format!("{field}.users"), user, problems);
    }
    for group in &roster.groups {
        GROUP.check(&format!("{field}.groups"), group, problems);
    }
    for user in &roster.discord.users {
        snowflake(&format!("{field}.discord.users"), user, "a user's id", problems);
    }
    for role in &roster.discord.roles {
        snowflake(&format!("{field}.discord.roles"), role, "a role's id", problems);
    }
}

/// An id on Discord: with Developer Mode on (User Settings, Advanced), a right click on anything copies it.
fn snowflake(field: &str, id: &str, what: &str, problems: &mut Vec<String>) {
    if !(DISCORD_DIGITS.contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit())) {
        let shown = shown(id);
        problems.push(format!(
            "{field}: {shown:?} is not {what} on Discord (17 to 20 digits): switch on Developer Mode under \"Advanced\", then \
             right-click, \"Copy ID\""
        ));
    }
}

/// Two people must not become one: with an id in two links, one of them could approve their own request.
fn one_person_each(config: &Config, problems: &mut Vec<String>) {
    let mut seen = std::collections::BTreeSet::new();
    for same in &config.people.same {
        for id in [&same.slack, &same.discord] {
            if !seen.insert(id) {
                problems.push(format!("people.same: {id} is linked twice: one line a person"));
            }
        }
    }
}
