//! The only place that writes to the cluster. What the chat decided is checked again here, at the moment of writing.

mod answer;
mod evict;

pub(super) use answer::NotWritten;

use super::{ClusterClient, ClusterError};
use crate::{
    incident::{FixPhase, Incident},
    remediation::{Operation, Plan, PlanId, StepNumber},
};

/// What a write came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stepped {
    /// It is done, or an attempt before had done it.
    Done,
    /// The cluster is not what was approved any more, and what moved.
    Moved(String),
}

impl ClusterClient {
    /// Does one write of a plan, if nothing in the cluster stands against it at this moment.
    pub(super) async fn carry_out(
        &self,
        plan: &Plan,
        operation: &Operation,
        attempt: u32,
    ) -> Result<Stepped, NotWritten> {
        if let Operation::RestartAgent(restart) = operation {
            let nothing_was_done = |error| NotWritten {
                untouched: attempt == 1 || matches!(error, ClusterError::NotNow(_)),
                error,
                after: None,
            };
            self.others_are_ready(plan, restart).await.map_err(nothing_was_done)?;
        }
        self.step(operation, attempt).await
    }

    /// Does one write. Repeatable: what an attempt before has done is found done.
    pub(super) async fn step(&self, operation: &Operation, attempt: u32) -> Result<Stepped, NotWritten> {
        match operation {
            Operation::EvictPod(eviction) => self.evict(&eviction.instance(), attempt).await,
            Operation::RestartAgent(restart) => self.evict(&restart.agent, attempt).await,
        }
    }
}

/// The operation that may be written now, or why not. The approval is looked for where the write happens, not only where
/// the button was drawn (invariant 10).
pub(super) fn approved<'a>(
    incident: &'a Incident,
    plan: &PlanId,
    step: StepNumber,
    writes_enabled: bool,
) -> Result<&'a Operation, String> {
    if !writes_enabled {
        return Err("fixes are switched off".to_owned());
    }
    if !incident.is_live() {
        return Err("the incident has closed meanwhile, so nothing is written".to_owned());
    }
    let fix = incident.fix.as_ref().ok_or("no fix is under way")?;
    let FixPhase::Stepping { plan: running, by, step: current, .. } = &fix.phase else {
        return Err("the fix is not at a step that writes".to_owned());
    };
    let is_this = running == plan && *current == step && fix.plan_id().as_ref() == Some(plan);
    let by_somebody_else = by.iter().any(|person| *person != fix.requester);
    if !is_this || !by_somebody_else {
        return Err("what would be written is not what was approved by somebody other than the requester".to_owned());
    }
    // People, not ids: one person may have approved by the id of another platform.
    if fix.run.quorum.as_ref().is_some_and(|quorum| !quorum.is_met(&fix.requester)) {
        return Err("fewer people other than the requester have approved than the question needed".to_owned());
    }
    let plan = fix.plan.as_ref().ok_or("the fix has no plan")?;
    if !plan.is_whole() {
        return Err("the plan in the journal is not the one that was approved".to_owned());
    }
    plan.operation(step).ok_or_else(|| "the plan has no such step".to_owned())
}
