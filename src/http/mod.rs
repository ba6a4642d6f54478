//! The server that routes are mounted on, health and metrics.

mod metrics;
mod server;

pub use metrics::Metrics;
pub use server::{health_router, serve};
