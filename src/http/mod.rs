//! The server that routes are mounted on, health and metrics.

mod metrics;
mod readiness;
mod server;

pub use metrics::Metrics;
pub use readiness::Readiness;
pub use server::{health_router, serve};
