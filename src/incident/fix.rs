//! One fix on its way from question to proof.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::FixNumber;
use crate::{
    approval::{Question, Quorum},
    people::PersonId,
    remediation::{Plan, PlanId, Sample, StepNumber, StepResult, Verification},
    triage::FixName,
};

/// Which sample of a fix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Round {
    /// Before the first write: context only.
    Before,
    /// After the last step was seen to work: where counting starts.
    Start,
    /// At the end of the window.
    End,
}

/// A fix that is under way. There is at most one an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fix {
    /// Its number within the incident: the fix id that effects and locks carry.
    pub number: FixNumber,
    pub name: FixName,
    /// Who asked for it.
    pub requester: PersonId,
    /// The plan that was drawn last.
    pub plan: Option<Plan>,
    /// How many plans were drawn for it: after the first, people may have looked at another one.
    #[serde(default)]
    pub plans_drawn: u32,
    /// The fix whose effect is only looked at again; `None` when this one writes.
    #[serde(default)]
    pub verifies: Option<FixNumber>,
    /// Where it stands.
    pub phase: FixPhase,
    /// Who let it run, and how far it has come.
    #[serde(default)]
    pub run: Run,
    /// What its steps came to so far, in the order of the operations.
    #[serde(alias = "replacements")]
    pub results: Vec<StepResult>,
    /// The samples before the first write.
    pub before: Vec<Sample>,
    /// The samples at the start of the window.
    pub start: Vec<Sample>,
}

impl Fix {
    /// The hash of the plan, if one was drawn.
    pub fn plan_id(&self) -> Option<PlanId> {
        self.plan.as_ref().map(Plan::id)
    }

    /// Whether it is at a step, which may hold the lock of what it changes.
    pub fn is_at_a_step(&self) -> bool {
        matches!(self.phase, FixPhase::Stepping { .. } | FixPhase::Settling { .. })
    }

    /// The step that was done and whose effect is waited for.
    pub(super) fn unsettled_step(&self) -> Option<StepNumber> {
        match &self.phase {
            FixPhase::Settling { step, .. } => Some(*step),
            _ => None,
        }
    }

    /// Who approved it; nobody before that.
    pub fn approved_by(&self) -> Vec<PersonId> {
        match &self.phase {
            FixPhase::Approved { by, .. } | FixPhase::Stepping { by, .. } | FixPhase::Settling { by, .. } => by.clone(),
            FixPhase::Drawing | FixPhase::Asking { .. } | FixPhase::Verifying { .. } => self.run.approved_by.clone(),
        }
    }
}

/// Who let a fix run, since when, and how far it came. Empty for fixes of older versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    /// Who approved it.
    pub approved_by: Vec<PersonId>,
    /// When it was approved, or when somebody asked to look at it again.
    pub since: Option<Timestamp>,
    /// How many of its operations were done.
    pub steps_done: u32,
    /// As whom those who approved it count, and how many had to; older versions did not keep that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quorum: Option<Quorum>,
}

/// Where a fix stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum FixPhase {
    /// The cluster is read and the plan drawn.
    Drawing,
    /// The plan is shown and waits for people.
    Asking {
        /// The votes.
        question: Question,
    },
    /// Approved; the counters before the first write are taken.
    Approved {
        /// The plan that was approved.
        plan: PlanId,
        by: Vec<PersonId>,
    },
    /// A write was started.
    Stepping {
        /// The plan that was approved.
        plan: PlanId,
        by: Vec<PersonId>,
        /// Which operation, from 0.
        step: StepNumber,
        /// When it started.
        since: Timestamp,
    },
    /// The write is done and its effect is waited for.
    #[serde(alias = "replacing")]
    Settling {
        /// The plan that was approved.
        plan: PlanId,
        by: Vec<PersonId>,
        /// Which operation, from 0.
        step: StepNumber,
        /// How long it may take.
        until: Timestamp,
    },
    /// All is done; the counters are watched.
    Verifying {
        /// The plan that was approved.
        plan: PlanId,
        /// The end of the window; `None` until the first samples are there.
        until: Option<Timestamp>,
    },
}

/// How a fix ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum FixEnd {
    /// The counters were watched.
    Verified {
        /// What they say.
        verification: Verification,
    },
    /// A guard refused it.
    Refused {
        /// Why, a sentence each.
        reasons: Vec<String>,
    },
    /// Somebody rejected it.
    Rejected { by: PersonId },
    /// The requester took it back.
    Withdrawn,
    /// Nobody approved it in time.
    Expired,
    /// A step failed; what was done before it stays done.
    Failed {
        /// Which, from 0.
        step: StepNumber,
        /// Why, and what to do.
        reason: String,
    },
    /// It is not known whether a step was done: a person has to look.
    Unknown {
        /// Which, from 0.
        step: StepNumber,
    },
    /// The incident ended first.
    Cancelled,
    /// Somebody said that the incident is about another service.
    TargetChanged,
}

impl PastFix {
    /// The step that was done, and whose effect was not seen before the fix ended.
    pub(super) fn unsettled_step(&self) -> Option<StepNumber> {
        let done = usize::try_from(self.run.steps_done).unwrap_or(usize::MAX);
        match self.end {
            FixEnd::Failed { step, .. } if done > self.results.len() => Some(step),
            _ => None,
        }
    }

    /// Whether it changed something in the cluster, or looked again at one that did.
    pub fn wrote(&self) -> bool {
        self.run.steps_done > 0 || !self.results.is_empty()
    }
}

/// A fix that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastFix {
    /// Its number within the incident.
    pub number: FixNumber,
    pub name: FixName,
    /// Who asked for it; older versions did not keep that.
    #[serde(default)]
    pub requester: Option<PersonId>,
    /// Who let it run, and how far it came.
    #[serde(default)]
    pub run: Run,
    /// The plan, if one was drawn.
    pub plan: Option<Plan>,
    /// What its steps came to, in the order of the operations.
    #[serde(alias = "replacements")]
    pub results: Vec<StepResult>,
    /// The fix whose effect was only looked at again; `None` when this one wrote.
    #[serde(default)]
    pub verifies: Option<FixNumber>,
    /// How it ended.
    pub end: FixEnd,
    pub at: Timestamp,
}
