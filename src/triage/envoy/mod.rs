//! What a sidecar's Envoy says, parsed: counters, served secrets, TLS reasons in its log.

mod log;
mod secrets;
mod stats;

pub use log::{TlsReason, reason_of, tls_lines};
pub use secrets::read_secrets;
pub use stats::{add_hosts, read_stats};
