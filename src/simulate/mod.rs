//! The simulated mesh: a small world that moves, behind an HTTP server that speaks the Kubernetes API.

pub mod api;
pub mod world;
