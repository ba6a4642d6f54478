//! What a fix needs of the cluster beside its writes: what its plan is drawn from, and what a step has come to. One file a
//! fix; the writes themselves are in `execute`.

mod budgets;
mod restart_pod;
mod restart_spire_agent;

use jiff::Timestamp;

use super::{ClusterClient, ClusterError};
use crate::{
    incident::Fix,
    mesh::TargetRef,
    remediation::{self, Operation, Plan, StepResult},
    triage::{FixName, Verdict},
};

/// What a step has come to.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there is one a step, and it is taken apart at once")]
pub(super) enum Settled {
    /// Its effect was seen.
    Seen(StepResult),
    /// Not yet, and why.
    Awaited(String),
}

impl ClusterClient {
    /// Draws the plan of a fix, or says everything that stands against it, a sentence each.
    pub(super) async fn draw(
        &self,
        fix: FixName,
        target: &TargetRef,
        verdict: &Verdict,
        now: Timestamp,
    ) -> Result<Result<Plan, Vec<String>>, ClusterError> {
        match fix {
            FixName::RestartPod => {
                let found = self.restart_facts(target).await?;
                let protected = self.protected();
                let facts = remediation::restart_pod::RestartFacts {
                    target,
                    verdict,
                    pods: &found.pods,
                    pods_before: &found.pods_before,
                    protected: &protected,
                    now,
                };
                let drawn = remediation::restart_pod::plan(&facts);
                Ok(drawn.map_err(|refusals| refusals.iter().map(ToString::to_string).collect()))
            }
            FixName::RestartSpireAgent => {
                let found = self.agent_facts(target, &verdict.on.nodes, now).await?;
                let facts = remediation::restart_spire_agent::AgentRestartFacts {
                    target,
                    verdict,
                    nodes: &found.nodes,
                    ready: found.ready,
                    unready: &found.unready,
                    agents_before: &found.uids,
                    now,
                };
                let drawn = remediation::restart_spire_agent::plan(&facts);
                Ok(drawn.map_err(|refusals| refusals.iter().map(ToString::to_string).collect()))
            }
            other => Ok(Err(vec![format!("{other} is not carried out by this version of the bot")])),
        }
    }

    /// What a step of `fix` that was written has come to by `now`.
    pub(super) async fn settled(
        &self,
        fix: &Fix,
        target: &TargetRef,
        operation: &Operation,
        now: Timestamp,
    ) -> Result<Settled, ClusterError> {
        match operation {
            Operation::EvictPod(eviction) => self.replacement(target, fix, eviction, now).await,
            Operation::RestartAgent(restart) => self.new_agent(fix, restart, now).await,
        }
    }
}
