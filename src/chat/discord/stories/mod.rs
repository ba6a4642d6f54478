//! Nights on a Discord server, against one that behaves like Discord.

mod both_faces;
#[path = "../../../../tests/fake_discord/gateway.rs"]
mod fake_gateway;
mod gateway;
