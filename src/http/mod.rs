//! The server that routes are mounted on, health and metrics.

mod bodies;
mod connections;
mod crowd;
mod health;
mod holders;
mod metrics;
mod readiness;
mod server;
mod write_limit;

pub use bodies::{AGAIN_AFTER, Arrived, Bodies, BodyRefused, Sender, WorkRoom};
pub use health::health_router;
pub use metrics::Metrics;
pub use readiness::Readiness;
pub use server::serve;
