//! What an effect came to. An outcome is a fact: the journal records it in every state of the incident.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Destination, EvidenceDigest, FixNumber, Lacks, MentionPost, Round, RunNumber, Timer, WebAddress, Work};
use crate::{
    escalation::{LevelNumber, PagerName},
    remediation::{Plan, PlanId, Sample, StepNumber, StepResult},
    triage::{Survey, Verdict},
};

/// What an effect came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// A triage reached a verdict.
    TriageFinished {
        /// Which run.
        run: RunNumber,
        /// What it says.
        verdict: Box<Verdict>,
        /// Where its evidence is kept.
        evidence: Option<EvidenceDigest>,
    },
    /// A look at several services of a storm ended.
    Surveyed {
        /// Which run.
        run: RunNumber,
        /// What it came to.
        survey: Box<Survey>,
        /// Where its evidence is kept.
        evidence: Option<EvidenceDigest>,
    },
    /// A triage could not run at all.
    TriageFailed {
        /// Which run.
        run: RunNumber,
        /// Why, and what to do.
        reason: String,
    },
    /// A plan was drawn.
    PlanDrawn {
        /// For which fix of the incident.
        fix: FixNumber,
        plan: Box<Plan>,
    },
    /// A guard refused the fix.
    PlanRefused {
        /// Which fix of the incident.
        fix: FixNumber,
        /// Why, a sentence each.
        reasons: Vec<String>,
    },
    /// A write was done, or had been done before.
    StepDone {
        /// Of which plan.
        plan: PlanId,
        /// Which operation, from 0.
        step: StepNumber,
    },
    /// A write was refused or failed for good; nothing was changed by it.
    StepFailed {
        /// Of which plan.
        plan: PlanId,
        /// Which operation, from 0.
        step: StepNumber,
        /// Why, and what to do.
        reason: String,
    },
    /// The cluster is no longer what was approved: the plan has to be drawn again (invariant 4).
    PlanMoved {
        /// Which plan.
        plan: PlanId,
        /// Which operation, from 0.
        step: StepNumber,
        /// What moved.
        what: String,
    },
    /// The effect of a write is not seen yet; look again.
    StepAwaited {
        /// Of which plan.
        plan: PlanId,
        /// Which operation, from 0.
        step: StepNumber,
        /// What is missing.
        why: String,
    },
    /// The effect of a write was seen.
    StepSettled {
        /// Of which plan.
        plan: PlanId,
        /// Which operation, from 0.
        step: StepNumber,
        /// What it came to.
        result: StepResult,
    },
    /// Samples were taken.
    Sampled {
        /// For which fix of the incident.
        fix: FixNumber,
        /// Which round.
        round: Round,
        /// What could be read.
        samples: Vec<Sample>,
        /// What could not, and why.
        unreadable: Vec<String>,
    },
    /// A due time came.
    Elapsed {
        timer: Timer,
        /// When the source last said that it fires (a column, not an event).
        last_seen: Timestamp,
    },
    /// A card or a post is in its channel.
    Shown {
        to: Destination,
        /// Whether this was the first time that the incident's card was posted there.
        first_card: bool,
    },
    /// The card is in its channel, in a message that has a link.
    CardPosted {
        to: Destination,
        /// The link, if the platform gave it.
        link: Option<WebAddress>,
    },
    /// A level was mentioned in a channel.
    Mentioned {
        level: LevelNumber,
        to: Destination,
        /// The post, if it could not say the cause yet and can be edited.
        #[serde(default)]
        unexplained: Option<MentionPost>,
    },
    /// A call says now what it lacked.
    CallCompleted,
    /// A level has nobody behind it right now (an empty user group).
    NobodyBehind {
        level: LevelNumber,
        /// What was found.
        why: String,
    },
    /// A pager took the call.
    PagerCalled {
        /// For which level.
        level: LevelNumber,
        /// Which pager, and the name that it knows the page by.
        #[serde(default)]
        page: Option<(PagerName, String)>,
        /// What the page could not say yet.
        #[serde(default)]
        lacks: Lacks,
    },
    /// A pager gave no answer to a call, which may have arrived.
    PageUnanswered {
        /// For which level.
        level: LevelNumber,
        /// Which pager.
        pager: PagerName,
        /// The key of the call's effect.
        call: String,
    },
    /// A pager knows that a page needs nobody any more.
    PageEnded,
    /// It could not be done several times and is tried again: the platform cannot be reached.
    Delayed {
        /// What it is.
        work: Box<Work>,
    },
    /// The state moved on, so that this effect is no longer wanted, and nothing was done.
    NoLongerWanted,
    /// It was tried as often as it may be, or refused for good.
    Died {
        /// What it was.
        work: Box<Work>,
        /// Why it died.
        reason: String,
        /// Whether it is known that nothing was done.
        #[serde(default)]
        untouched: bool,
    },
}

impl Outcome {
    /// Whether nothing follows from it in any state of the incident: the journal only stores that it is done.
    pub fn is_uneventful(&self) -> bool {
        matches!(
            self,
            Self::Shown { first_card: false, .. } | Self::NoLongerWanted | Self::PageEnded | Self::CallCompleted
        )
    }
}
