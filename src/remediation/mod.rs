//! The catalogue of fixes: plans, guards and verification. Pure.

mod evict_pod;
mod growth;
mod guard;
pub(crate) mod one_agent_at_a_time;
mod operation;
mod plan;
pub(crate) mod restart_pod;
pub(crate) mod restart_spire_agent;
mod step_number;
mod step_result;
mod stored_plan;
mod verification;
mod verify;

#[cfg(test)]
mod tests;

pub use evict_pod::{Budget, PodEviction, PodInstance};
pub use guard::{GuardRefusal, is_outdated};
pub use operation::Operation;
pub use plan::{Plan, PlanContent, PlanId};
pub use restart_spire_agent::{AgentRestart, WaitingPod};
pub use step_number::StepNumber;
pub use step_result::StepResult;
pub use verification::{Counters, FailureRate, Proof, Sample, Verification};
pub use verify::verify;
