//! The catalogue of fixes: plans, guards and verification. Pure.

mod plan;
mod verification;

pub use plan::{Budget, Operation, Plan, PlanId, PlannedPod};
pub use verification::{Counters, Proof, Sample, Verification};
