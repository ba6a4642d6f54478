//! Logging with tracing.
