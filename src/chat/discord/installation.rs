//! What is on Discord's side of the set-up: who the token is, the application, the server, the channel, the registered
//! commands. For `doctor`; nothing is changed.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use super::{
    error::DiscordError,
    permissions::Overwrite,
    rest::{GuildRole, Rest},
};

/// The bot's own user.
#[derive(Debug, Clone, Deserialize)]
pub struct BotUser {
    pub id: String,
    pub username: String,
}

/// The application that a token is of.
#[derive(Debug, Clone, Deserialize)]
pub struct Application {
    pub id: String,
    /// With this key, Discord's requests over HTTP are verified.
    #[serde(default)]
    pub verify_key: String,
    #[serde(default)]
    flags: u64,
    /// Whether everybody may invite the bot.
    #[serde(default)]
    pub bot_public: bool,
    /// Where interactions go; none where they come by the gateway.
    #[serde(default)]
    pub interactions_endpoint_url: Option<String>,
}

/// Each has a flag for large bots, which Discord looks at, and one for small bots.
const PRIVILEGED_INTENTS: [(&str, u64); 3] =
    [("PRESENCE", 1 << 12 | 1 << 13), ("SERVER MEMBERS", 1 << 14 | 1 << 15), ("MESSAGE CONTENT", 1 << 18 | 1 << 19)];

impl Application {
    /// The privileged intents that are switched on, as the developer portal names them. The bot needs none.
    pub fn privileged_intents(&self) -> Vec<&'static str> {
        let on = PRIVILEGED_INTENTS.into_iter().filter(|(_, flags)| self.flags & flags != 0);
        on.map(|(name, _)| name).collect()
    }
}

/// A server.
#[derive(Debug, Clone, Deserialize)]
pub struct Guild {
    pub name: String,
    pub roles: Vec<GuildRole>,
}

/// A channel.
#[derive(Debug, Clone, Deserialize)]
pub struct GuildChannel {
    #[serde(rename = "type")]
    kind: u8,
    /// None of a direct message.
    #[serde(default)]
    pub guild_id: Option<String>,
    #[serde(default)]
    pub permission_overwrites: Vec<Overwrite>,
}

/// Text and announcements: the kinds in which a message may have a thread.
const WITH_THREADS: [u8; 2] = [0, 5];

impl GuildChannel {
    /// Whether the bot can post there, and make threads of its posts.
    pub fn takes_threads(&self) -> bool {
        WITH_THREADS.contains(&self.kind)
    }
}

#[derive(Deserialize)]
struct GuildMember {
    roles: BTreeSet<String>,
}

impl Rest {
    /// Who the token is.
    pub async fn bot_user(&self) -> Result<BotUser, DiscordError> {
        self.get("say who the token is", "/users/@me").await
    }

    /// The application of the token.
    pub async fn application(&self) -> Result<Application, DiscordError> {
        self.get("describe the application", "/applications/@me").await
    }

    /// A server that the bot is on.
    pub async fn guild(&self, guild: &str) -> Result<Guild, DiscordError> {
        self.get("describe the server", &format!("/guilds/{guild}")).await
    }

    /// The ids of the roles that somebody has on a server.
    pub async fn roles_of(&self, guild: &str, user: &str) -> Result<BTreeSet<String>, DiscordError> {
        let path = format!("/guilds/{guild}/members/{user}");
        self.get::<GuildMember>("say which roles the bot has", &path).await.map(|member| member.roles)
    }

    /// A channel that the bot sees.
    pub async fn channel(&self, channel: &str) -> Result<GuildChannel, DiscordError> {
        self.get("describe the channel", &format!("/channels/{channel}")).await
    }

    /// The commands that are registered on a server.
    pub async fn registered(&self, application: &str, guild: &str) -> Result<Value, DiscordError> {
        self.get("list the commands", &format!("/applications/{application}/guilds/{guild}/commands")).await
    }
}
