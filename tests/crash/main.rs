//! kill -9, and a restart: at every crash point of the engine, and of the real `serve` at the moments that people see.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may fail")]

mod chat;
mod cluster;
mod disk;
#[cfg(feature = "discord")]
#[path = "../fake_discord/rest.rs"]
mod fake_discord;
#[path = "../fake_pager/mod.rs"]
mod fake_pager;
#[path = "../fake_slack/mod.rs"]
mod fake_slack;
mod keep;
mod mesh;
mod phase;
mod points;
mod serve;
#[path = "../serving/mod.rs"]
mod serving;
mod upgrade;
mod wall_clock;
