//! The catalogue of fixes: plans, guards and verification. Pure.

mod growth;
mod guard;
mod plan;
pub mod restart_pod;
mod verification;
mod verify;

#[cfg(test)]
mod tests;

pub use guard::GuardRefusal;
pub use plan::{Budget, Operation, Plan, PlanId, PlannedPod};
pub use verification::{Counters, FailureRate, Proof, Sample, Verification};
pub use verify::verify;
