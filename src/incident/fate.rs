//! What became of a plan, for somebody who votes on it when it does not wait for votes (any more).

use std::fmt;

use jiff::Timestamp;

use super::{FixEnd, FixPhase, Incident};
use crate::{
    people::PersonId,
    remediation::{PlanId, Proof},
    triage::FixName,
};

/// Where a plan stands that does not wait for votes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanFate {
    /// It is still being drawn.
    Drawing {
        /// Of which fix.
        fix: FixName,
    },
    /// It was approved, and its steps or its verification go on.
    Running {
        /// Of which fix.
        fix: FixName,
        /// Who approved it.
        by: Vec<PersonId>,
    },
    /// Its fix has ended.
    Ended {
        /// Of which fix.
        fix: FixName,
        /// Who approved it; nobody, if it never ran.
        by: Vec<PersonId>,
        end: FixEnd,
        at: Timestamp,
    },
}

impl Incident {
    /// What became of the plan that `named` means, or of the newest one where none is named. `None` while it waits for
    /// votes, and for a plan that is not known.
    pub fn fate_of(&self, named: Option<&PlanId>) -> Option<PlanFate> {
        let means = |plan: Option<PlanId>| named.is_none_or(|named| plan.is_some_and(|plan| plan.is_meant_by(named)));
        if let Some(fix) = self.fix.as_ref().filter(|fix| means(fix.plan_id())) {
            return match &fix.phase {
                FixPhase::Asking { .. } => None,
                FixPhase::Drawing => Some(PlanFate::Drawing { fix: fix.name }),
                FixPhase::Approved { .. }
                | FixPhase::Stepping { .. }
                | FixPhase::Settling { .. }
                | FixPhase::Verifying { .. } => Some(PlanFate::Running { fix: fix.name, by: fix.approved_by() }),
            };
        }
        let past =
            self.past_fixes.iter().rev().find(|past| means(past.plan.as_ref().map(crate::remediation::Plan::id)));
        past.map(|past| PlanFate::Ended {
            fix: past.name,
            by: past.run.approved_by.clone(),
            end: past.end.clone(),
            at: past.at,
        })
    }
}

impl PlanFate {
    /// The people that its sentence names.
    pub fn people(&self) -> Vec<&PersonId> {
        match self {
            Self::Drawing { .. } => Vec::new(),
            Self::Ended { by, end: FixEnd::Rejected { by: other }, .. } => by.iter().chain([other]).collect(),
            Self::Running { by, .. } | Self::Ended { by, .. } => by.iter().collect(),
        }
    }
}

/// " by A, B", or nothing.
fn by_whom(by: &[PersonId]) -> String {
    let names: Vec<String> = by.iter().map(ToString::to_string).collect();
    if names.is_empty() { String::new() } else { format!(" by {}", names.join(", ")) }
}

impl fmt::Display for PlanFate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drawing { fix } => {
                write!(f, "the plan of {fix} is still being drawn: it comes to the thread and can be decided on then")
            }
            Self::Running { fix, by } => {
                write!(f, "{fix} was approved{} and is running: its result comes to the thread", by_whom(by))
            }
            Self::Ended { fix, by, end, at } => ended(f, *fix, by, end, *at),
        }
    }
}

fn ended(f: &mut fmt::Formatter<'_>, fix: FixName, by: &[PersonId], end: &FixEnd, at: Timestamp) -> fmt::Result {
    let by = by_whom(by);
    match end {
        FixEnd::Verified { verification } => {
            let how = match verification.proof {
                Proof::Worked => "it worked",
                Proof::NoEffect => "it had no effect",
                Proof::Worse => "it made things worse",
                Proof::Unproven => "its effect is unproven",
            };
            write!(f, "{fix} was approved{by} and has ended at {at:.0}: {how}")
        }
        FixEnd::Failed { step, .. } => {
            write!(f, "{fix} was approved{by} and failed at step {} at {at:.0}", step.ordinal())
        }
        FixEnd::Unknown { step } => {
            let step = step.ordinal();
            write!(
                f,
                "{fix} was approved{by}, and it is not known whether its step {step} was done: a person has to look"
            )
        }
        FixEnd::Rejected { by } => write!(f, "{fix} was rejected by {by} at {at:.0}: it does not run"),
        FixEnd::Withdrawn => write!(f, "{fix} was withdrawn by its requester at {at:.0}: it does not run"),
        FixEnd::Expired => {
            write!(f, "nobody approved {fix} in time, and the question ended at {at:.0}: ask for it again")
        }
        FixEnd::Refused { .. } => write!(f, "{fix} was refused when its plan was drawn: the thread says why"),
        FixEnd::Cancelled => write!(f, "{fix} was cancelled at {at:.0}, because the incident had ended"),
        FixEnd::TargetChanged => {
            write!(f, "{fix} was dropped at {at:.0}, because somebody said that the incident is about another service")
        }
    }
}
