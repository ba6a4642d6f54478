//! The server that routes are mounted on, health.

mod bodies;
mod connections;
mod crowd;
mod health;
mod holders;
mod readiness;
mod server;
mod write_limit;

pub use bodies::{AGAIN_AFTER, Arrived, Bodies, BodyRefused, Sender, WorkRoom};
pub use health::health_router;
pub use readiness::Readiness;
pub use server::serve;
