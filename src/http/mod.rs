//! The server that routes are mounted on, health and metrics.
