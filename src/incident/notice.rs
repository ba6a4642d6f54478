//! What the bot says in an incident's thread, as facts; each face words and draws them.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{FixEnd, Follows, IncidentId, RunNumber};
use crate::{
    escalation::LevelNumber,
    people::PersonId,
    remediation::{PlanId, StepResult},
    triage::FixName,
};

/// What a post in the thread says, as facts; each face words and draws it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
pub enum Notice {
    /// The window of a level is nearly over.
    Reminder {
        /// Which level; `None` when all were called.
        level: Option<LevelNumber>,
        /// The end of the window.
        until: Timestamp,
    },
    /// A level cannot be called.
    Unreachable {
        level: LevelNumber,
        why: String,
        /// What the bot does about it.
        #[serde(default)]
        follows: Follows,
    },
    /// The chat could not be reached for a while, so the fall-back pager was called.
    FellBack {
        /// Which level.
        level: LevelNumber,
        /// Which pager.
        pager: String,
    },
    /// The bot was down when a window ended.
    MissedWindow {
        /// By how much, in seconds.
        seconds: i64,
    },
    /// Somebody took it.
    Acknowledged {
        by: PersonId,
        /// When the level is called again without a sign of work.
        until: Timestamp,
    },
    /// It was handed to a person, who is mentioned.
    HandedTo {
        /// To whom.
        to: PersonId,
        by: PersonId,
    },
    /// The first alert of a cluster that this bot does not look after.
    OtherCluster {
        /// The cluster that it looks after.
        ours: String,
    },
    /// Another incident joined this one.
    IncidentJoined {
        /// Which incident.
        incident: IncidentId,
        /// Who said so.
        by: PersonId,
    },
    /// The rule of an alert has no data or cannot be evaluated: this fault would not be seen now.
    RuleUnseeing,
    /// The channel is asked which service the alert is about.
    TargetWanted,
    /// The verdict of a triage, whole.
    Verdict {
        /// Which run.
        run: RunNumber,
    },
    /// A triage could not run.
    TriageFailed { reason: String },
    /// A plan waits for approval; those who may approve are mentioned.
    ApprovalWanted {
        /// Which plan.
        plan: PlanId,
    },
    /// The cluster moved after the approval; a new plan is being drawn.
    PlanMoved {
        /// What moved.
        what: String,
    },
    /// The bot was updated while a plan waited for approval: it is drawn again.
    QuestionOutdated,
    /// A plan was approved and runs.
    FixStarted {
        fix: FixName,
        /// By whom it was approved.
        by: Vec<PersonId>,
    },
    /// The effect of a write was seen.
    StepSettled {
        /// What the write has changed.
        target: String,
        /// What it came to.
        result: StepResult,
    },
    /// The same of a pod, as versions up to 2026-11 stored it.
    Replaced {
        /// The pod that is gone.
        old: String,
        /// The one that took its place.
        new: String,
        /// When its SVID ends.
        not_after: Timestamp,
    },
    /// A fix ended.
    FixEnded { fix: FixName, end: FixEnd },
    /// Somebody wrote a note.
    Note { by: PersonId, text: String },
    /// All alerts are resolved; it closes at this time unless they fire again.
    Clearing { until: Timestamp },
    /// The alerts fire again before it closed.
    FiringAgain,
    /// It closed.
    Closed,
    /// It fired again soon after closing and is open again.
    Reopened,
    /// The alert is no longer repeated by its source and never ended.
    Stale {
        /// When it was last seen.
        last_seen: Timestamp,
    },
    /// Somebody switched fixes off, or on again.
    WritesSwitched {
        /// Whether they may run.
        on: bool,
        by: PersonId,
        /// Why, in their words; may be empty.
        reason: String,
    },
    /// Something that the bot should have done could not be done.
    CouldNot { what: String, reason: String },
    /// The clock of the bot's machine was set.
    ClockSet {
        /// By how much; negative when it was set back.
        by: SignedDuration,
    },
    /// Something that the bot owes is late; it goes on trying.
    Overdue {
        what: String,
        /// Since when it is wanted.
        since: Timestamp,
    },
    /// More incidents open than people can carry: this one stands for all.
    Storm {
        /// How many so far.
        count: u32,
    },
}
