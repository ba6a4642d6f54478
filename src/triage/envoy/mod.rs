//! What a sidecar's Envoy says, parsed: counters, served secrets, TLS reasons in its log.

mod access_log_fields;
mod call;
mod log;
mod new_connections;
mod secrets;
mod sign;
mod stats;

pub(super) use access_log_fields::caller_of;
pub(super) use call::Call;
pub(super) use log::is_not_understood;
pub use log::{TlsReason, reason_of, tls_lines};
pub use new_connections::{CONNECTIONS_ENOUGH, connected_since};
pub use secrets::read_secrets;
pub(super) use sign::is_recent;
pub use sign::{Direction, Sign, SignCount, count_signs, sign_of};
pub use stats::{add_hosts, read_stats};
