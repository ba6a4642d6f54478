//! Slack: draws cards and posts as Block Kit, and listens by Socket Mode or signed HTTP requests.
//!
//! Out: [`SlackOut`] performs effects with `block_kit` and a [`Client`]. In: [`router`] (HTTP) and [`Socket`] read
//! requests into [`Asked`], and the [`SlackDesk`] answers them.

mod asked;
pub(crate) mod block_kit;
mod client;
mod error;
mod http;
mod inbound;
mod installation;
mod mrkdwn;
mod notation;
mod outbox;
mod people;
mod signature;
mod socket;
mod transport;

#[cfg(test)]
mod stories;
#[cfg(test)]
mod tests;

pub use asked::{Asked, Pressed, PressedButton, Unreadable};
pub use client::{Client, Identity, SLACK_API};
pub use error::SlackError;
pub use http::router;
pub use inbound::{Home, SLACK_HOOKS, SlackDesk, SlackReception};
pub use installation::{Installation, SCOPES, Scope};
#[cfg(test)]
pub(crate) use notation::SlackNotation;
pub use outbox::{SlackCarrier, SlackOut};
pub use people::Directory;
pub use signature::{NotSigned, SIGNATURE_LASTS, SignedClaim};
pub use socket::{Patience, Socket, other_connections};
