//! The words of the mesh that every room shares: Kubernetes names, validated once at the border, and SPIFFE identities.
//!
//! Pure: nothing here reads a clock, the network or the environment.

mod name;
mod spiffe;

pub use name::{NameError, Namespace, NodeName, ObjectName, PodRef, PodUid, ServiceAccount, TargetKind, TargetRef};
pub use spiffe::{SpiffeId, SpiffeIdError, TrustDomain};
