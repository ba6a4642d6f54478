//! Slack: draws cards and posts as Block Kit, and listens by Socket Mode or signed HTTP requests.

pub mod block_kit;
mod client;
mod delivery;
mod mrkdwn;
mod people;

#[cfg(test)]
mod tests;

pub use client::{Client, Identity, SLACK_API, SlackError, Whither};
pub use delivery::{Look, SlackOut};
pub use people::{Directory, Roster};
