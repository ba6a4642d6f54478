//! What must be done, and when. A timer is an effect with a due time; there is no other timer.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Round, fix::FixEnd};
use crate::{
    escalation::{LevelNumber, PagerName, Rung},
    people::{Mention, PersonId},
    remediation::PlanId,
    triage::FixName,
};

/// Which face of the bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Face {
    /// A Slack channel.
    Slack,
    /// A Discord channel.
    Discord,
    /// The demo's web page.
    Page,
    /// The terminal.
    Terminal,
}

/// A channel on a face.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Destination {
    /// Which face.
    pub face: Face,
    /// Which channel, by id.
    pub channel: String,
}

/// A due time that decisions wait for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "timer", rename_all = "snake_case")]
pub enum Timer {
    /// A window of the ladder ends.
    RungEnds {
        /// Which.
        rung: Rung,
    },
    /// A window of the ladder is nearly over.
    RungReminder {
        /// Which.
        rung: Rung,
    },
    /// The hold time after the last alert ended is over.
    HoldEnds {
        /// Its end, which names it.
        until: Timestamp,
    },
    /// The question of a fix expires.
    QuestionExpires {
        /// Which fix of the incident.
        fix: u32,
        /// The plan that was asked about.
        plan: PlanId,
    },
    /// Time to see whether the alert is still repeated.
    StaleCheck,
}

/// Why somebody is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallReason {
    /// The incident opened or opened again.
    Opened,
    /// The window of the level before passed unanswered.
    Unanswered,
    /// Somebody asked for it.
    Escalated {
        /// Who.
        by: PersonId,
    },
    /// Somebody handed it over.
    HandedOver {
        /// Who.
        by: PersonId,
    },
    /// Acknowledged, and then no sign of work for the level's window.
    Idle,
    /// Every level was called and none answered.
    Repeat,
    /// What was found calls for this level at once.
    Evidence {
        /// What.
        because: String,
    },
}

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
    /// A level cannot be called; the next one is.
    Unreachable {
        /// Which.
        level: LevelNumber,
        /// Why.
        why: String,
    },
    /// The bot was down when a window ended.
    MissedWindow {
        /// By how much, in seconds.
        seconds: i64,
    },
    /// Somebody took it.
    Acknowledged {
        /// Who.
        by: PersonId,
        /// When the level is called again without a sign of work.
        until: Timestamp,
    },
    /// It was handed to a person, who is mentioned.
    HandedTo {
        /// To whom.
        to: PersonId,
        /// By whom.
        by: PersonId,
    },
    /// The channel is asked which service the alert is about.
    TargetWanted,
    /// The verdict of a triage, whole.
    Verdict {
        /// Which run.
        run: u32,
    },
    /// A triage could not run.
    TriageFailed {
        /// Why.
        reason: String,
    },
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
    /// A plan was approved and runs.
    FixStarted {
        /// Which.
        fix: FixName,
        /// By whom it was approved.
        by: Vec<PersonId>,
    },
    /// A pod was replaced and the new one holds a valid SVID.
    Replaced {
        /// The pod that is gone.
        old: String,
        /// The one that took its place.
        new: String,
        /// When its SVID ends.
        not_after: Timestamp,
    },
    /// A fix ended.
    FixEnded {
        /// Which.
        fix: FixName,
        /// How.
        end: FixEnd,
    },
    /// Somebody wrote a note.
    Note {
        /// Who.
        by: PersonId,
        /// What.
        text: String,
    },
    /// All alerts are resolved; it closes at this time unless they fire again.
    Clearing {
        /// When.
        until: Timestamp,
    },
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
    /// Something that the bot should have done could not be done.
    CouldNot {
        /// What.
        what: String,
        /// Why.
        reason: String,
    },
    /// More incidents open than people can carry: this one stands for all.
    Storm {
        /// How many so far.
        count: u32,
    },
}

/// What must be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "work", rename_all = "snake_case")]
pub enum Work {
    /// Wait for the due time, and say so.
    Timer {
        /// For what.
        timer: Timer,
    },
    /// Run the diagnostics.
    Triage {
        /// Which run.
        run: u32,
    },
    /// Read the cluster and draw the plan of the fix that is under way.
    DrawPlan {
        /// Which fix of the incident.
        fix: u32,
    },
    /// Do one write of the approved plan.
    RunStep {
        /// Which fix of the incident.
        fix: u32,
        /// Which plan.
        plan: PlanId,
        /// Which operation, from 0.
        step: u32,
    },
    /// See whether the replacement is there.
    PollReplacement {
        /// Which fix of the incident.
        fix: u32,
        /// Which plan.
        plan: PlanId,
        /// Which operation, from 0.
        step: u32,
    },
    /// Read the counters.
    Sample {
        /// Which fix of the incident.
        fix: u32,
        /// Which round.
        round: Round,
    },
    /// Draw the incident's card: post it the first time, edit it later.
    DrawCard {
        /// Where.
        to: Destination,
    },
    /// Post into the incident's thread.
    Post {
        /// Where.
        to: Destination,
        /// What.
        notice: Notice,
    },
    /// Call a level by a mention in a channel.
    Mention {
        /// Where.
        to: Destination,
        /// Which level.
        level: LevelNumber,
        /// Whom.
        mentions: Vec<Mention>,
        /// Why.
        reason: CallReason,
        /// The window that this call belongs to: when it is over, the call is no longer wanted.
        rung: Rung,
    },
    /// Call a level by its pager.
    CallPager {
        /// Which pager.
        pager: PagerName,
        /// Which level.
        level: LevelNumber,
        /// Why.
        reason: CallReason,
        /// The window that this call belongs to.
        rung: Rung,
    },
}

/// Who performs a kind of work, and within which concurrency limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Room {
    /// The engine itself: timers.
    Engine,
    /// Diagnostics, plans and samples.
    Cluster,
    /// Writes to the cluster.
    Execute,
    /// A chat face.
    Chat(Face),
    /// The pagers.
    Pager,
}

/// The order in which due effects of one room are taken: lower first (chat notes: pages, approvals, verdicts, details).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Somebody is called.
    Page,
    /// Somebody is asked for approval, or a fix goes on.
    Approval,
    /// What was found, and the card.
    Verdict,
    /// The rest.
    Detail,
}

impl Face {
    /// The name in the journal.
    pub fn name(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::Page => "page",
            Self::Terminal => "terminal",
        }
    }
}

impl Room {
    /// The name in the journal and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Cluster => "cluster",
            Self::Execute => "execute",
            Self::Chat(face) => face.name(),
            Self::Pager => "pager",
        }
    }
}

impl Priority {
    /// Lower is taken first.
    pub fn rank(self) -> i64 {
        match self {
            Self::Page => 0,
            Self::Approval => 1,
            Self::Verdict => 2,
            Self::Detail => 3,
        }
    }
}

impl Work {
    /// Who performs it.
    pub fn room(&self) -> Room {
        match self {
            Self::Timer { .. } => Room::Engine,
            Self::Triage { .. } | Self::DrawPlan { .. } | Self::PollReplacement { .. } | Self::Sample { .. } => {
                Room::Cluster
            }
            Self::RunStep { .. } => Room::Execute,
            Self::DrawCard { to } | Self::Post { to, .. } | Self::Mention { to, .. } => Room::Chat(to.face),
            Self::CallPager { .. } => Room::Pager,
        }
    }

    /// In which order it is taken.
    pub fn priority(&self) -> Priority {
        match self {
            Self::Mention { .. } | Self::CallPager { .. } | Self::Timer { .. } => Priority::Page,
            Self::RunStep { .. }
            | Self::PollReplacement { .. }
            | Self::Sample { .. }
            | Self::DrawPlan { .. }
            | Self::Post { notice: Notice::ApprovalWanted { .. } | Notice::FixEnded { .. }, .. } => Priority::Approval,
            Self::Triage { .. }
            | Self::DrawCard { .. }
            | Self::Post { notice: Notice::Verdict { .. } | Notice::TargetWanted, .. } => Priority::Verdict,
            Self::Post { .. } => Priority::Detail,
        }
    }

    /// Whether it is tried for ever: a page is never lost (invariant 2), and a card is always owed.
    pub fn never_dies(&self) -> bool {
        matches!(self, Self::Mention { .. } | Self::CallPager { .. } | Self::Timer { .. } | Self::DrawCard { .. })
    }
}

/// An effect that a decision asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewEffect {
    /// Unique within the incident: the same key twice is one effect. Adapters use it to recognise their own work.
    pub key: String,
    /// Effects of one slot replace each other while they are due (edits of one message: the newest state wins); a new
    /// one waits until a claimed one has ended.
    pub slot: Option<String>,
    /// When.
    pub due: Timestamp,
    /// What.
    pub work: Work,
}
