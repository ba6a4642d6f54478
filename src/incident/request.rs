//! What a person can ask of an incident, and the answers.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{IncidentId, PlanFate};
use crate::{
    approval::VoteRefusal,
    escalation::LevelNumber,
    mesh::TargetRef,
    people::{Actor, PersonId, Role},
    remediation::PlanId,
    triage::FixName,
};

/// One wish of one person about one incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Which incident.
    pub incident: IncidentId,
    /// Who asks, with their rights.
    pub actor: Actor,
    /// The platform's own key for this request (envelope or interaction id): the same key gets the first answer again.
    pub key: String,
    /// What is asked.
    pub act: Act,
}

/// The wish of one person to take every incident that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakeAll {
    /// Who asks, with their rights.
    pub actor: Actor,
    /// The platform's own key for this request: the same key gets the first answer again.
    pub key: String,
}

/// To whom an incident is handed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HandOffTo {
    /// A person of the same workspace.
    Person(PersonId),
    /// A level of the ladder.
    Level(LevelNumber),
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Act {
    /// Say what the incident is about, when the alert did not.
    SetTarget { target: TargetRef },
    /// Run the diagnostics again.
    Triage,
    /// Ask for a fix: its plan is drawn and shown, and waits for approval.
    ProposeFix { fix: FixName },
    /// Take back a fix that one asked for.
    Withdraw,
    /// Approve the plan that is shown.
    Approve {
        /// Which plan the person saw. A command without it means the one that is waiting.
        plan: Option<PlanId>,
    },
    /// Refuse the plan that is shown.
    Reject {
        /// Which plan the person saw.
        plan: Option<PlanId>,
    },
    /// Take it: paging stops.
    Acknowledge,
    /// Take it and every other incident that is open.
    AcknowledgeAll,
    /// Give it to somebody else.
    HandOff {
        /// To whom.
        to: HandOffTo,
    },
    /// Call the next level now.
    Escalate {
        /// The level that was on the hook on the card that the person saw, so that an old button press is recognised.
        from: Option<LevelNumber>,
    },
    /// Write something into the incident.
    Note { text: String },
    /// Watch the counters again.
    Verify,
    /// Close it.
    Resolve {
        /// Why, in their words.
        #[serde(default)]
        reason: Option<String>,
        /// Also while an alert of it still fires: the person was asked back, and means it.
        #[serde(default)]
        anyway: bool,
    },
}

/// What closing an incident means while its alert fires; said before it is done, however it was asked for.
pub const CLOSING_WHILE_IT_FIRES: &str =
    "Its alert still fires. Closing it stops the calls, and only a new firing opens it again.";

/// The private answer to the person who asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// A sentence or two.
    pub text: String,
}

/// Why a command was refused, in words for the person who gave it, with what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The person lacks the role.
    #[error("only {} can do that", .0.sentence())]
    NotAllowed(Role),
    /// The rights of the person were looked up too long ago.
    #[error("your rights could not be confirmed just now: try again in a minute")]
    RightsUnknown,
    /// No such incident.
    #[error("there is no {0}: `incidents` lists those that are open")]
    NoIncident(IncidentId),
    /// It has ended.
    #[error("{0} is closed: if its alert fires anew, it is opened again, or a new incident opens")]
    Closed(IncidentId),
    /// Its alerts are resolved.
    #[error("the alerts of {0} are resolved, and it closes by itself at {1:.0} unless they fire again")]
    Clearing(IncidentId, Timestamp),
    /// It is of a cluster that this bot does not look after.
    #[error(
        "{incident} is of cluster {theirs}, and this bot looks after {ours}: it can neither look there nor change anything. \
         Ask the bot of {theirs}, or follow the runbook there by hand. If {theirs} is another name of {ours}, put it into \
         the configuration (cluster_also)"
    )]
    OtherCluster {
        /// Which incident.
        incident: IncidentId,
        /// Its cluster.
        theirs: String,
        /// The bot's.
        ours: String,
    },
    /// No target is known.
    #[error("it is not known which service this is about: say `target {0} NAMESPACE WORKLOAD` first")]
    NoTarget(IncidentId),
    /// It stands for many incidents.
    #[error("{0} stands for many incidents and has no service of its own: name one of them, as `incidents` lists them")]
    StandsForMany(IncidentId),
    /// A triage is already running.
    #[error("a triage was asked for already and has not ended: wait for what it says in the thread")]
    TriageRunning,
    /// There is no verdict to base a fix on.
    #[error("there is no verdict yet: run `triage {0}` first")]
    NoVerdict(IncidentId),
    /// The cluster may be another by now.
    #[error("the diagnosis is of {at:.0}, too long ago to change anything by it: run `triage {incident}` first")]
    VerdictOutdated {
        /// Which incident.
        incident: IncidentId,
        /// When it was given.
        at: Timestamp,
    },
    /// The verdict speaks against this fix.
    #[error("{fix} is refused here: {reason}")]
    FixDoesNotFit {
        /// Which fix.
        fix: FixName,
        reason: String,
    },
    /// This version cannot carry it out.
    #[error("{0} is not carried out by this version of the bot: follow the runbook by hand")]
    FixNotCarriedOut(FixName),
    /// This bot is not given the rights for it.
    #[error(
        "{0} is left out of this bot's rights (kubernetes.without): follow the runbook by hand; once it is granted, run the \
         triage again"
    )]
    FixLeftOut(FixName),
    /// It joined another incident.
    #[error("{incident} joined {into}, which is about the same service: give the command there, as in `ack {into}`")]
    Joined {
        /// Which was asked about.
        incident: IncidentId,
        /// Where its alerts go on.
        into: IncidentId,
    },
    /// It only tells that a rule cannot see.
    #[error(
        "{0} only tells that an alert's rule sees nothing now: nobody is called for it, and there is nothing to diagnose. \
             Mend the rule or its data source; `resolve {0}` closes it"
    )]
    OnlyTold(IncidentId),
    /// Another fix is under way.
    #[error("{0} is under way already: wait for its result, or withdraw it")]
    FixUnderWay(FixName),
    /// Twice without effect.
    #[error("{0} had no effect twice in this incident: the bot will not repeat it; decide with the next level")]
    TriedTwice(FixName),
    /// Writes are off.
    #[error(
        "fixes are switched off: the bot only diagnoses. An approver can say `writes on`, where the configuration \
             allows fixes at all (config: writes)"
    )]
    WritesOff,
    /// Nothing waits for approval.
    #[error("no fix is waiting for approval in {0}: ask for one, as in `fix {0} restart-pod`")]
    NothingToApprove(IncidentId),
    /// The plan changed since the person saw it.
    #[error("that plan is not the one that waits now: look at the newest plan in the thread and decide on that one")]
    OtherPlan,
    /// The plan was drawn again, and the command does not say which one is meant.
    #[error(
        "the plan was drawn again since it was first shown: look at plan {plan} in the thread, then say `{verb} {incident} {plan}`"
    )]
    NamePlan {
        /// Which incident.
        incident: IncidentId,
        /// The newest plan.
        plan: PlanId,
        /// What was asked: approve or reject.
        verb: &'static str,
    },
    /// The vote does not count.
    #[error(transparent)]
    Vote(#[from] VoteRefusal),
    /// Not the requester.
    #[error("only the person who asked for the fix can withdraw it; approvers can reject it")]
    NotYours,
    /// Too late to withdraw.
    #[error("the fix is running already and finishes the step that it started")]
    AlreadyRunning,
    /// Somebody has it already.
    #[error(
        "somebody has acknowledged it already ({0}): the card says who, and `handoff` with your own name takes it over"
    )]
    AlreadyAcknowledged(PersonId),
    /// It was escalated already since the card was drawn.
    #[error("that level was left already: the card shows who is called now")]
    AlreadyEscalated,
    /// There is no higher level.
    #[error("there is no level above {level}: `handoff {incident} {level}` calls that one once more")]
    NoHigherLevel {
        /// Which incident.
        incident: IncidentId,
        /// The highest level, at which it stands.
        level: LevelNumber,
    },
    /// Every level was called.
    #[error(
        "every level of {incident} was called, and all are called again at {until:.0} unless somebody acknowledges"
    )]
    AllCalled {
        /// Which incident.
        incident: IncidentId,
        /// When they are called again.
        until: Timestamp,
    },
    /// No such level.
    #[error("there is no level {wanted} in this incident's escalation policy: it has {}", listed(.known))]
    NoSuchLevel {
        /// Which was asked for.
        wanted: LevelNumber,
        /// Those that exist.
        known: Vec<LevelNumber>,
    },
    /// There is nothing to verify.
    #[error("no fix has run in {0}, so there is nothing to verify: `triage {0}` looks at it afresh")]
    NothingToVerify(IncidentId),
    /// Its effect is proved, so there is nothing to look at again.
    #[error("{fix} was proved to work at {at:.0}: `triage {incident}` looks at the service afresh")]
    ProvedAlready {
        /// Which incident.
        incident: IncidentId,
        /// Which fix.
        fix: FixName,
        at: Timestamp,
    },
    /// Its alert still fires: asked back.
    #[error("{} If you mean that: `resolve {incident} anyway {reason}`", CLOSING_WHILE_IT_FIRES)]
    StillFires {
        /// Which incident.
        incident: IncidentId,
        /// The reason that was given, or the word for it.
        reason: String,
    },
    /// The plan that somebody votes on does not wait for votes.
    #[error("{0}")]
    NotWaiting(Box<PlanFate>),
    /// Several plans begin with what was typed.
    #[error("several plans of this incident begin with {}: type more of the hash", .0.0)]
    PlanNotClear(PlanId),
    /// It worked already, by what is known.
    #[error(
        "{fix} worked at {at:.0}, and nothing was diagnosed since: `triage {incident}` looks whether it is needed \
         again"
    )]
    JustWorked {
        /// Which incident.
        incident: IncidentId,
        /// Which fix.
        fix: FixName,
        at: Timestamp,
    },
    /// The text is empty or too long.
    #[error("a note has 1 to {most} characters, this has {length}")]
    NoteLength {
        /// The longest that is taken.
        most: usize,
        /// What was given.
        length: usize,
    },
    /// The same request was refused before, in these words.
    #[error("{0}")]
    SaidBefore(String),
}

impl Refusal {
    /// The people that its sentence names by their ids: a face shows them as people.
    pub fn people(&self) -> Vec<&PersonId> {
        match self {
            Self::AlreadyAcknowledged(holder) => vec![holder],
            Self::NotWaiting(fate) => fate.people(),
            _ => Vec::new(),
        }
    }
}

fn listed(levels: &[LevelNumber]) -> String {
    let names: Vec<String> = levels.iter().map(ToString::to_string).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
