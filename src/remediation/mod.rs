//! The catalogue of fixes: plans, guards and verification. Pure.

mod plan;
pub mod restart_pod;
mod verification;
mod verify;

pub use plan::{Budget, Operation, Plan, PlanId, PlannedPod};
pub use verification::{Counters, Proof, Sample, Verification};
pub use verify::verify;
