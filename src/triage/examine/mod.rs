//! One examiner for each collector (`cluster/collect`), under the same name: turns what was gathered into rows, and into what
//! the rules go by.

pub(super) mod bundles;
pub(crate) mod istio_objects;
mod pod;
pub(super) mod spire_agent;
pub(super) mod spire_server;

pub use pod::{Chain, Examined, Holding, Issuer, Stuck, examine};
