//! Nights on a Discord server, against one that behaves like Discord.

mod both_faces;
mod braces;
#[path = "../../../../tests/fake_discord/gateway.rs"]
mod fake_gateway;
#[path = "../../../../tests/fake_discord/interactions.rs"]
mod fake_interactions;
#[path = "../../../../tests/fake_discord/rest.rs"]
mod fake_rest;
mod found_again;
mod gateway;
mod inbound;
mod interactions;
mod outbound;
mod registration;
mod suggestions;
