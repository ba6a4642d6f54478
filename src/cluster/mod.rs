//! Everything that talks to Kubernetes: resolution, collection of evidence, and the one place that writes.
//!
//! Reads are bounded in time, size and number. Commands that are run in containers are a closed list (`exec::Tool`)
//! and argument vectors, never a shell. The only writes are in `execute`.

mod admin;
mod client;
pub mod collect;
mod exec;
mod execute;
mod logs;
mod perform;
mod plan;
mod replacement;
mod resolve;
mod sample;

pub use client::{ClusterError, Limits, Reach, Settings, connect, connect_to};
pub use collect::{Progress, gather};
pub use perform::ClusterAdapter;
pub use resolve::{FoundPod, Resolved, resolve};
