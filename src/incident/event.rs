//! What happened to an incident. Events last: they are stored as JSON with type and version, and hash-chained.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    AlertSighting, Destination, EvidenceDigest, Fingerprint, FixEnd, FixNumber, IncidentId, IncidentKey, Lacks,
    MentionPost, Round, RunNumber, StormLook, WebAddress, reason::CloseReason, reason::Follows,
};
use crate::{
    approval::{Question, Quorum},
    escalation::{self, LevelNumber, PagerName, Rung},
    incident::effect::CallReason,
    mesh::TargetRef,
    people::PersonId,
    remediation::{Plan, PlanId, Sample, StepNumber, StepResult},
    triage::{FixName, Survey, Verdict},
};

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(tag = "event", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Event {
    /// It began.
    Opened {
        /// Its name.
        id: IncidentId,
        /// Its identity.
        key: IncidentKey,
        /// The alert's name.
        alert: String,
        /// Which cluster.
        cluster: String,
        /// What it is about, if the labels said.
        target: Option<TargetRef>,
        /// The ladder as it stood.
        policy: Box<escalation::EscalationPolicy>,
        /// Where it is shown.
        channels: Vec<Destination>,
        /// Whether it opened within a storm: it is neither posted nor called about by itself.
        quiet: bool,
    },
    /// Its alert is of a cluster that this bot does not look after: people are called, and nothing is looked at or changed.
    OfAnotherCluster {
        /// The cluster that this bot looks after.
        ours: String,
        /// Whether it is the first of that cluster, which the channel is told aloud.
        #[serde(default)]
        first: bool,
    },
    /// Its cluster is ours after all: the configuration has learnt that name of it.
    OfOurCluster,
    /// It stands on its own from now on: it is shown and called about.
    LeftStorm,
    /// It opens again within a storm, or opened just before one: it is not called about by itself, and not posted either; a card
    /// that is there points to the storm's.
    JoinedStorm {
        /// The incident that stands for the storm, where it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        storm: Option<IncidentId>,
    },
    /// This incident stands for a storm, and so many incidents have opened in it.
    StormGrew { count: u32 },
    /// Which services of a storm are known, and looked at by the diagnostics that begin now.
    StormSeen {
        /// The services and how many there are.
        look: StormLook,
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
    /// An alert began to fire, or fires again.
    AlertFired {
        /// The alert.
        sighting: Box<AlertSighting>,
        /// Alertmanager's group that it came in.
        #[serde(default)]
        group: Option<String>,
    },
    /// An alert ended.
    AlertResolved { fingerprint: Fingerprint },
    /// Alerts were cut off the webhook's body: targets are missing.
    AlertsCutOff {
        count: u64,
        /// Alertmanager's group whose body it was.
        #[serde(default)]
        group: Option<String>,
    },
    /// The source has not repeated it for long.
    WentStale {
        /// When it was last seen.
        last_seen: Timestamp,
    },
    /// The alert is repeated as it should be; look again later.
    StillRepeated,
    /// Every alert is resolved; it closes when the hold time is over.
    ClearingBegan {
        /// When that is.
        until: Timestamp,
    },
    /// Firing again before it closed.
    ClearingEnded,
    /// It ended.
    Closed { reason: CloseReason },
    /// Firing again soon after it closed.
    Reopened,
    /// Somebody said what it is about.
    TargetSet {
        target: TargetRef,
        /// Who said it.
        by: PersonId,
    },
    /// Another incident turned out to be about the same, and its alerts go on here.
    IncidentJoined {
        /// Which incident.
        incident: IncidentId,
        /// Who said so.
        by: PersonId,
    },
    /// A window of the ladder began, and levels are called.
    RungBegan {
        /// The window.
        rung: Rung,
        /// Who is called.
        call: Vec<LevelNumber>,
        reason: CallReason,
    },
    /// A level is called beside the window that runs, because of what was found. The windows go on as they were.
    CalledBeside {
        /// Which level.
        level: LevelNumber,
        /// The window that runs.
        rung: Rung,
        reason: CallReason,
    },
    /// A window passed unanswered. Kept for reports.
    WindowBreached { rung: Rung },
    /// A window was answered in time. Kept for reports.
    WindowMet { rung: Rung },
    /// A reminder is due.
    Reminded {
        /// For which window.
        rung: Rung,
    },
    /// A level was passed over because nobody can be reached there.
    LevelUnreachable {
        level: LevelNumber,
        why: String,
        /// What the bot does about it.
        #[serde(default)]
        follows: Follows,
    },
    /// The chat could not be reached for a while: the level is called by the fall-back pager meanwhile.
    FellBack {
        /// Which level.
        level: LevelNumber,
        /// The fall-back pager.
        pager: PagerName,
        /// Why the level is called.
        reason: CallReason,
        /// The window of the call.
        rung: Rung,
    },
    /// The end of a window was noticed too late: the bot was down.
    NoticedLate {
        /// By how many seconds.
        seconds: i64,
    },
    /// Somebody took it.
    Acknowledged {
        by: PersonId,
        /// The idle clock.
        rung: Rung,
    },
    /// The person who has it gave a sign of work: the idle clock starts again.
    WorkSeen {
        /// The idle clock.
        rung: Rung,
    },
    /// It was handed to a person.
    HandedTo {
        /// To whom.
        to: PersonId,
        by: PersonId,
        /// The idle clock of the new holder.
        rung: Rung,
    },
    /// A triage began.
    TriageStarted {
        /// Which run.
        run: RunNumber,
        /// Who asked; `None` when the bot did it by itself.
        by: Option<PersonId>,
    },
    /// A triage reached a verdict.
    TriageFinished {
        /// Which run.
        run: RunNumber,
        /// What it says.
        verdict: Box<Verdict>,
        /// Where its evidence is kept.
        evidence: Option<EvidenceDigest>,
        /// The fixes that the configuration left out then.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left_out: Vec<FixName>,
    },
    /// A triage could not run.
    TriageFailed {
        /// Which run.
        run: RunNumber,
        reason: String,
    },
    /// Somebody asked for a fix.
    FixProposed {
        /// Its number.
        fix: FixNumber,
        name: FixName,
        /// Who asked.
        by: PersonId,
    },
    /// The plan is there and waits for approval.
    PlanDrawn {
        /// Of which fix.
        fix: FixNumber,
        plan: Box<Plan>,
        /// The question to those who may approve.
        question: Question,
    },
    /// Somebody approved; more are needed.
    VoteCounted {
        /// Which fix.
        fix: FixNumber,
        by: PersonId,
        /// By which id the voter is known on the requester's platform, where that is another one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        known_beside_requester: Option<PersonId>,
    },
    /// Enough have approved.
    FixApproved {
        /// Which fix.
        fix: FixNumber,
        /// Which plan.
        plan: PlanId,
        by: Vec<PersonId>,
        /// As whom they count, and how many had to; older versions did not keep that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        quorum: Option<Quorum>,
    },
    /// What was approved is no longer what would happen: the plan is drawn again.
    PlanMoved {
        /// Which fix.
        fix: FixNumber,
        /// What moved.
        what: String,
    },
    /// The question that waits is about a plan whose hash an older version of the bot made: the plan is drawn again.
    QuestionOutdated {
        /// Which fix.
        fix: FixNumber,
    },
    /// Samples were taken.
    Sampled {
        /// For which fix.
        fix: FixNumber,
        /// Which round.
        round: Round,
        /// What could be read.
        samples: Vec<Sample>,
        /// What could not.
        unreadable: Vec<String>,
    },
    /// A write starts: this is committed first.
    StepStarted {
        /// Of which fix.
        fix: FixNumber,
        /// Of which plan.
        plan: PlanId,
        /// Which operation, from 0.
        step: StepNumber,
    },
    /// A write is done; its effect is waited for.
    StepDone {
        /// Of which fix.
        fix: FixNumber,
        /// Which operation, from 0.
        step: StepNumber,
        /// How long that may take.
        until: Timestamp,
    },
    /// The effect of a write is not seen yet; it is looked for again at this time.
    #[serde(alias = "replacement_awaited")]
    StepAwaited {
        /// Of which fix.
        fix: FixNumber,
        /// Which operation, from 0.
        step: StepNumber,
        again_at: Timestamp,
    },
    /// The effect of a write was seen.
    #[serde(alias = "replacement_ready")]
    StepSettled {
        /// Of which fix.
        fix: FixNumber,
        /// Which operation, from 0.
        step: StepNumber,
        /// What it came to.
        #[serde(flatten)]
        result: StepResult,
    },
    /// The counters are watched.
    VerificationBegan {
        /// Of which fix.
        fix: FixNumber,
        /// Until when; `None` while the first samples are taken.
        until: Option<Timestamp>,
    },
    /// Somebody asked to watch the counters once more, for a fix that has ended.
    VerificationAsked {
        /// Its number.
        fix: FixNumber,
        /// Who asked.
        by: PersonId,
    },
    /// A fix ended.
    FixEnded { fix: FixNumber, end: FixEnd },
    /// Somebody wrote a note.
    NoteAdded { by: PersonId, text: String },
    /// Somebody switched fixes off, or on again.
    WritesSwitched {
        /// Whether they may run.
        on: bool,
        by: PersonId,
        /// Why, in their words; may be empty.
        reason: String,
    },
    /// The card is in a channel for the first time.
    CardPosted {
        to: Destination,
        /// A link to it, where the platform has links.
        #[serde(default)]
        link: Option<WebAddress>,
    },
    /// A level was really called. "Mentioned" is said where only that happened.
    LevelCalled {
        level: LevelNumber,
        /// By a pager, not only by a mention.
        by_pager: bool,
        /// The pager that took it, and the name that it knows the page by.
        #[serde(default)]
        page: Option<(PagerName, String)>,
        /// What the page could not say yet.
        #[serde(default)]
        lacks: Lacks,
        /// The mention, if it could not say the cause yet.
        #[serde(default)]
        mention: Option<(Destination, MentionPost)>,
    },
    /// A pager gave no answer to a page, so that it may ring all the same: it is sent again, and ended like one that was
    /// taken.
    PageUncertain {
        /// For which level.
        level: LevelNumber,
        /// Which pager.
        pager: PagerName,
        /// The name that it would know the page by.
        key: String,
    },
    /// The clock that everything here is measured by was set; all that is stored was moved with it.
    ClockSet {
        /// By how much; negative when it was set back.
        by: SignedDuration,
        /// Whether people are told: not when more incidents are open than anybody reads.
        told: bool,
    },
    /// Something that the bot owes is late; it goes on trying.
    OverdueNoticed {
        what: String,
        /// Since when it is wanted.
        since: Timestamp,
    },
    /// Something could not be done, for good.
    CouldNot { what: String, reason: String },
}

impl Event {
    /// The name in the journal, the same as in its JSON.
    pub fn name(&self) -> &'static str {
        self.into()
    }
}
