//! Everything that talks to Kubernetes: resolution, collection of evidence, and the one place that writes.
//!
//! Reads are bounded in time, size and number. Commands that are run in containers are a closed list (`exec::Tool`)
//! and argument vectors, never a shell. The only writes are in `execute`.

mod admin;
mod check_needs;
mod choose;
mod client;
pub(crate) mod collect;
mod endpoints;
mod exec;
mod execute;
mod fix;
mod forward;
mod live_objects;
mod logs;
mod long;
mod objects;
mod perform;
mod resolve;
mod review;
pub mod rights;
mod sample;
mod socket;
mod svid;
mod transport;

#[cfg(test)]
mod tests;

pub use check_needs::page_of_checks;
pub use client::{ClusterClient, ClusterError, Limits, Settings, connect, connect_to};
pub use collect::{Progress, Surveyed, gather, gather_about, gather_several};
pub use live_objects::LiveObjects;
pub use perform::ClusterAdapter;
pub use resolve::{FoundPod, Resolved, resolve};
pub use review::AccessQuestion;
