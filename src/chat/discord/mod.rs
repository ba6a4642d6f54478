//! Discord: draws cards and posts as embeds and buttons, and listens by the gateway or by signed HTTP interactions.

pub(crate) mod as_read;
mod builder;
mod calls;
mod custom_id;
mod drawing;
mod error;
mod first_answer;
mod gateway;
mod http;
mod inbound;
mod installation;
mod interaction;
mod jitter;
pub mod limits;
mod markdown;
pub mod message;
mod modal;
mod outbox;
mod parts;
mod people;
mod permissions;
mod registration;
mod rest;
mod signature;
mod snowflake;
mod suggestions;

pub use custom_id::DiscordPress;
pub use drawing::drawing;
pub use error::DiscordError;
pub use first_answer::FirstAnswer;
pub use gateway::{Entrance, FindGateway, Gateway, GatewayPatience, Hear, NoEntrance, ToMend};
pub use http::router;
pub use inbound::{AnswerCalls, DiscordDesk, DiscordHome, DiscordReception, Drawing, NotAnswered, Request};
pub use installation::{Application, BotUser, Guild, GuildChannel};
pub use interaction::{Asked, COMMAND, Pressed, Typing, Unknown, Unreadable, What};
pub use outbox::{DiscordCarrier, DiscordOut};
pub use people::DiscordNotation;
pub use permissions::{
    ADMINISTRATOR, INVITE_SCOPES, MENTION_EVERYONE, Overwrite, PERMISSIONS, Permission, in_channel, invite_link,
};
pub use registration::{are_ours, commands, register};
pub use rest::{DISCORD_API, GuildRole, Rest};
pub use signature::{NotSigned, PublicKey, SIGNATURE_LASTS, SignedClaim};
pub use suggestions::Suggestion;

#[cfg(test)]
mod stories;
#[cfg(test)]
mod tests;
