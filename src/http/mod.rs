//! The server that routes are mounted on, health and metrics.

mod bodies;
mod connections;
mod metrics;
mod readiness;
mod server;
mod write_limit;

pub use bodies::{AGAIN_AFTER, Arrived, Bodies, BodyRefused, Room, Sender};
pub use metrics::Metrics;
pub use readiness::Readiness;
pub use server::{health_router, serve};
