//! What must be done, and when. A timer is an effect with a due time; there is no other timer.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{FixNumber, MentionPost, Notice, Round, RunNumber};
use crate::{
    escalation::{LevelNumber, PagerName, Rung},
    people::{Mention, PersonId, Platform},
    remediation::{PlanId, StepNumber},
};

/// Which face of the bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "lowercase")]
pub enum Face {
    /// A Slack channel.
    Slack,
    /// A Discord channel.
    Discord,
    /// The demo's web page.
    Page,
    Terminal,
}

impl Face {
    /// The platform by whose ids people are known there.
    pub fn platform(self) -> Platform {
        match self {
            Self::Slack => Platform::Slack,
            Self::Discord => Platform::Discord,
            Self::Page | Self::Terminal => Platform::Page,
        }
    }

    /// Whether its messages have addresses under which people find them.
    pub fn has_links(self) -> bool {
        match self {
            Self::Slack | Self::Discord => true,
            Self::Page | Self::Terminal => false,
        }
    }
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
    RungEnds { rung: Rung },
    /// A window of the ladder is nearly over.
    RungReminder { rung: Rung },
    /// The hold time after the last alert ended is over.
    HoldEnds {
        /// Its end, which names it.
        until: Timestamp,
    },
    /// The question of a fix expires.
    QuestionExpires {
        /// Which fix of the incident.
        fix: FixNumber,
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
    Escalated { by: PersonId },
    /// Somebody handed it over.
    HandedOver { by: PersonId },
    /// Acknowledged, and then no sign of work for the level's window.
    Idle,
    /// Every level was called and none answered.
    Repeat,
    /// It fires again, and the level had not been reached before it paused.
    FiringAgain,
    /// What was found calls for this level at once.
    Evidence { because: String },
}

/// What must be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantNames)]
#[serde(tag = "work", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Work {
    /// Wait for the due time, and say so.
    Timer {
        /// For what.
        timer: Timer,
    },
    /// Run the diagnostics.
    Triage {
        /// Which run.
        run: RunNumber,
    },
    /// Read the cluster and draw the plan of the fix that is under way.
    DrawPlan {
        /// Which fix of the incident.
        fix: FixNumber,
    },
    /// Do one write of the approved plan.
    RunStep {
        /// Which fix of the incident.
        fix: FixNumber,
        /// Which plan.
        plan: PlanId,
        /// Which operation, from 0.
        step: StepNumber,
    },
    /// See what a write has come to.
    #[serde(alias = "poll_replacement")]
    AwaitStep {
        /// Which fix of the incident.
        fix: FixNumber,
        /// Which plan.
        plan: PlanId,
        /// Which operation, from 0.
        step: StepNumber,
    },
    /// Read the counters.
    Sample {
        /// Which fix of the incident.
        fix: FixNumber,
        /// Which round.
        round: Round,
    },
    /// Draw the incident's card: post it the first time, edit it later.
    DrawCard { to: Destination },
    /// Post into the incident's thread.
    Post { to: Destination, notice: Notice },
    /// Call a level by a mention in a channel.
    Mention {
        to: Destination,
        /// Which level.
        level: LevelNumber,
        mentions: Vec<Mention>,
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
        reason: CallReason,
        /// The window that this call belongs to.
        rung: Rung,
    },
    /// Tell a pager that a page that it took needs nobody any more.
    EndPage {
        /// Which pager.
        pager: PagerName,
        /// For which level the page was.
        level: LevelNumber,
        /// The name that the pager knows the page by.
        key: String,
        how: PageEnd,
    },
    /// Tell a pager what a page that rings could not say yet: the cause, the card.
    UpdatePage {
        /// Which pager.
        pager: PagerName,
        /// For which level the page was.
        level: LevelNumber,
        /// The name that the pager knows the page by.
        key: String,
    },
    /// Write a mention anew that could not say the cause yet. An edit mentions nobody again.
    UpdateMention {
        /// Where it is.
        to: Destination,
        /// Which level it calls.
        level: LevelNumber,
        post: MentionPost,
    },
}

/// How a page is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageEnd {
    /// Somebody has the incident.
    Acknowledge,
    /// The incident needs nobody any more.
    Resolve,
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
    /// Every one, the most urgent first.
    pub const ALL: [Self; 4] = [Self::Page, Self::Approval, Self::Verdict, Self::Detail];

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
    /// Its kind, as it is stored.
    pub fn name(&self) -> &'static str {
        self.into()
    }

    /// Who performs it.
    pub fn room(&self) -> Room {
        match self {
            Self::Timer { .. } => Room::Engine,
            Self::Triage { .. } | Self::DrawPlan { .. } | Self::AwaitStep { .. } | Self::Sample { .. } => Room::Cluster,
            Self::RunStep { .. } => Room::Execute,
            Self::DrawCard { to }
            | Self::Post { to, .. }
            | Self::Mention { to, .. }
            | Self::UpdateMention { to, .. } => Room::Chat(to.face),
            Self::CallPager { .. } | Self::EndPage { .. } | Self::UpdatePage { .. } => Room::Pager,
        }
    }

    /// In which order it is taken.
    pub fn priority(&self) -> Priority {
        match self {
            Self::Mention { .. }
            | Self::CallPager { .. }
            | Self::Timer { timer: Timer::RungEnds { .. } | Timer::RungReminder { .. } }
            | Self::Post { notice: Notice::HandedTo { .. }, .. } => Priority::Page,
            Self::RunStep { .. }
            | Self::AwaitStep { .. }
            | Self::Sample { .. }
            | Self::DrawPlan { .. }
            | Self::Timer { timer: Timer::QuestionExpires { .. } }
            | Self::Post { notice: Notice::ApprovalWanted { .. } | Notice::FixEnded { .. }, .. } => Priority::Approval,
            Self::Triage { .. }
            | Self::DrawCard { .. }
            | Self::UpdatePage { .. }
            | Self::UpdateMention { .. }
            | Self::Timer { timer: Timer::HoldEnds { .. } }
            | Self::Post {
                notice: Notice::Verdict { .. } | Notice::TargetWanted | Notice::OtherCluster { .. }, ..
            } => Priority::Verdict,
            Self::Post { .. } | Self::EndPage { .. } | Self::Timer { timer: Timer::StaleCheck } => Priority::Detail,
        }
    }

    /// The sequence in which it goes out: messages of one incident and channel follow each other. Edits have slots instead.
    pub fn sequence(&self) -> Option<String> {
        match self {
            Self::Post { to, .. } | Self::Mention { to, .. } => Some(format!("{}:{}", to.face.name(), to.channel)),
            _ => None,
        }
    }

    /// Whether it is tried for ever: a page is never lost (invariant 2), and a card is always owed.
    pub fn never_dies(&self) -> bool {
        matches!(
            self,
            Self::Mention { .. }
                | Self::CallPager { .. }
                | Self::Timer { .. }
                | Self::DrawCard { .. }
                | Self::Post { notice: Notice::HandedTo { .. }, .. }
        )
    }
}

/// An effect that a decision asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewEffect {
    /// Unique within the incident: the same key twice is one effect, and brings it forward where it waits for a later time
    /// and was not tried yet. Adapters use it to recognise their own work.
    pub key: String,
    /// Effects of one slot replace each other while they are due (edits of one message: the newest state wins); a new
    /// one waits until a claimed one has ended.
    pub slot: Option<String>,
    pub due: Timestamp,
    pub work: Work,
}
