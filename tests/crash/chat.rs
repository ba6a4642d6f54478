//! The chat of a killed night: it lives in the parent, and its real adapter in the children.

use std::sync::Arc;

#[cfg(feature = "discord")]
use mtls_medic::{
    chat::discord::{DiscordOut, Rest},
    metrics::Metrics,
};
use mtls_medic::{
    chat::{
        Look, Roster,
        slack::{Client, Directory, SlackOut},
    },
    clock::Clock,
    engine::Perform,
    incident::Face,
    people::{Mention, Platform},
};
use serde::{Deserialize, Serialize};

#[cfg(feature = "discord")]
use crate::fake_discord::{self, FakeDiscord};
use crate::fake_slack::{self, FakeSlack};

/// The server and its only channel.
#[cfg(feature = "discord")]
const GUILD: &str = "100000000000000200";
#[cfg(feature = "discord")]
const DISCORD_CHANNEL: &str = "100000000000000300";

/// Which chat.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum Of {
    Slack,
    #[cfg(feature = "discord")]
    Discord,
}

impl Of {
    pub fn face(self) -> Face {
        match self {
            Self::Slack => Face::Slack,
            #[cfg(feature = "discord")]
            Self::Discord => Face::Discord,
        }
    }

    pub fn platform(self) -> Platform {
        match self {
            Self::Slack => Platform::Slack,
            #[cfg(feature = "discord")]
            Self::Discord => Platform::Discord,
        }
    }

    pub fn channel(self) -> &'static str {
        match self {
            Self::Slack => fake_slack::CHANNEL,
            #[cfg(feature = "discord")]
            Self::Discord => DISCORD_CHANNEL,
        }
    }

    /// Who is called.
    pub fn level(self) -> &'static str {
        match self {
            Self::Slack => "U0LEVEL1",
            #[cfg(feature = "discord")]
            Self::Discord => "100000000000000701",
        }
    }

    fn roster(self) -> Roster {
        let approver = match self {
            Self::Slack => Mention::user(Platform::Slack, "U0SEC"),
            #[cfg(feature = "discord")]
            Self::Discord => Mention::user(Platform::Discord, "100000000000000502"),
        };
        Roster { approvers: vec![approver], ..Roster::default() }
    }

    /// Who performs what is sent to it.
    pub fn performer(self, api: &str, clock: Arc<dyn Clock>) -> Arc<dyn Perform> {
        match self {
            Self::Slack => {
                let client = Client::new(api, &fake_slack::BOT_TOKEN.to_owned().into()).unwrap();
                let team = fake_slack::TEAM.to_owned();
                let directory = Arc::new(Directory::new(client.clone(), team, self.roster(), clock));
                Arc::new(SlackOut::new(client, directory, Look::default()))
            }
            #[cfg(feature = "discord")]
            Self::Discord => {
                let rest = Rest::new(api, &fake_discord::BOT_TOKEN.to_owned().into(), Metrics::default()).unwrap();
                Arc::new(DiscordOut::new(rest, GUILD.to_owned(), self.roster(), clock, Look::default()))
            }
        }
    }
}

/// The chat as it stands.
pub enum Chat {
    Slack(FakeSlack),
    #[cfg(feature = "discord")]
    Discord(FakeDiscord),
}

impl Chat {
    pub async fn open(of: Of) -> Self {
        match of {
            Of::Slack => Self::Slack(FakeSlack::open().await),
            #[cfg(feature = "discord")]
            Of::Discord => Self::Discord(FakeDiscord::open(DISCORD_CHANNEL).await),
        }
    }

    pub fn api(&self) -> String {
        match self {
            Self::Slack(slack) => slack.api(),
            #[cfg(feature = "discord")]
            Self::Discord(discord) => discord.api(),
        }
    }

    /// How many cards there are.
    pub fn cards(&self) -> usize {
        match self {
            Self::Slack(slack) => slack.messages().iter().filter(|message| message.is_card()).count(),
            #[cfg(feature = "discord")]
            Self::Discord(discord) => discord.messages().iter().filter(|message| message.is_card()).count(),
        }
    }

    /// What every message says that is no card.
    pub fn posts(&self) -> Vec<String> {
        match self {
            Self::Slack(slack) => {
                slack.messages().into_iter().filter(|message| !message.is_card()).map(|message| message.text).collect()
            }
            #[cfg(feature = "discord")]
            Self::Discord(discord) => discord
                .messages()
                .iter()
                .filter(|message| !message.is_card())
                .map(super::fake_discord::Message::seen)
                .collect(),
        }
    }

    pub fn transcript(&self) -> String {
        match self {
            Self::Slack(slack) => slack.transcript(),
            #[cfg(feature = "discord")]
            Self::Discord(discord) => discord.transcript(),
        }
    }
}
