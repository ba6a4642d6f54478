//! The words of the mesh that every room shares: Kubernetes names, validated once at the border, and SPIFFE identities.
//!
//! Pure: nothing here reads a clock, the network or the environment.

mod controller;
mod name;
mod spiffe;

pub use controller::{ControllerError, ControllerRef, ScaledController, controller_in_words, empty_for_none};
pub use name::{NameError, Namespace, NodeName, ObjectName, PodRef, PodUid, ServiceAccount, TargetKind, TargetRef};
pub use spiffe::{SpiffeId, SpiffeIdError, TrustDomain};
