//! Which chats are configured, and who is reached there.

use std::collections::BTreeSet;

use super::{Config, file::RosterFile};
use crate::{
    chat::{self, card::Link},
    incident::{Destination, Face},
    people::{Mention, PersonId, Platform, SamePeople},
};

impl Config {
    /// The incident channel of each chat.
    pub fn channels(&self) -> Vec<Destination> {
        let slack = self.slack.iter().map(|slack| (Face::Slack, &slack.channel));
        let discord = self.discord.iter().map(|discord| (Face::Discord, &discord.channel));
        slack.chain(discord).map(|(face, channel)| Destination { face, channel: channel.clone() }).collect()
    }

    /// The links on every card.
    pub fn links(&self) -> Vec<Link> {
        let runbook = self.runbook().map(|url| Link { label: Link::RUNBOOK.to_owned(), url: url.to_owned() });
        runbook.into_iter().collect()
    }

    /// Who may do what.
    pub fn roster(&self) -> chat::Roster {
        let people = &self.people;
        let linked = people.same.iter().filter_map(|same| {
            let slack = (Platform::Slack, &self.slack.as_ref()?.team, &same.slack);
            let discord = (Platform::Discord, &self.discord.as_ref()?.guild, &same.discord);
            let id = |(platform, workspace, user): (Platform, &String, &String)| PersonId {
                platform,
                workspace: workspace.clone(),
                user: user.clone(),
            };
            Some(BTreeSet::from([id(slack), id(discord)]))
        });
        chat::Roster {
            commanders: people.commanders.mentions(),
            approvers: people.approvers.mentions(),
            same: SamePeople::new(linked),
        }
    }

    fn has(&self, platform: Platform) -> bool {
        self.channels().iter().any(|channel| channel.face.platform() == platform)
    }

    /// The levels that can call nobody, since they have no pager and the bot mentions nobody without the chat where they
    /// are known; `serve` says so at the start.
    pub fn calls_nobody(&self) -> Vec<String> {
        let lost = (1_u8..).zip(&self.people.levels).filter(|(_, level)| {
            level.pager.is_none() && !level.mention.mentions().iter().any(|one| self.has(one.platform))
        });
        lost.map(|(number, level)| {
            let missing = match level.mention.mentions().first().map(|one| one.platform) {
                Some(Platform::Discord) => "discord",
                _ => "slack",
            };
            format!(
                "people.levels: L{number} {:?} is only mentioned, and without {missing} nobody is: give it a pager, or \
                 configure {missing}",
                level.team
            )
        })
        .collect()
    }

    /// What there is without a chat: said aloud at the start.
    pub fn without_chat(&self) -> Option<&'static str> {
        let said = "no chat is configured: incidents are kept and pagers called, and nothing is posted";
        self.channels().is_empty().then_some(said)
    }
}

impl RosterFile {
    /// Everybody in it, on every platform.
    pub fn mentions(&self) -> Vec<Mention> {
        let of = |platform, users: &[String], groups: &[String]| -> Vec<Mention> {
            let users = users.iter().map(|id| Mention::user(platform, id));
            users.chain(groups.iter().map(|id| Mention::group(platform, id))).collect()
        };
        let discord = &self.discord;
        [of(Platform::Slack, &self.users, &self.groups), of(Platform::Discord, &discord.users, &discord.roles)].concat()
    }
}
