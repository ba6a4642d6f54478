//! Stores what an effect came to: its events, what they ask for, and its end, in one transaction.

use jiff::SignedDuration;

use super::{
    backoff,
    clock_set::claim_moved,
    commit::{Decision, until_stored},
    perform::{Done, PerformError},
    shared::Shared,
};
use crate::{
    incident::{Event, Fix, FixNumber, Incident, IncidentId, Outcome, Policy, Work, moved, settle},
    journal::{Append, AppendError, Claim, Finish, JournalError},
    remediation::StepNumber,
};

/// A call that failed so often is called by the fall-back pager as well.
const DELAYED_AFTER: u32 = 3;
/// The same for one that has waited so long.
const DELAYED_FOR: SignedDuration = SignedDuration::from_secs(60);

/// A message for a chat waits so long for an outage to end, then it is dead and the card says that it could not be posted: what
/// was to be said a day ago stands in the journal, and wakes nobody.
const OUTAGE_MOST: SignedDuration = SignedDuration::from_hours(24);
/// A message that was refused itself so often is dead.
const REFUSALS_MOST: u32 = 10;

/// How long an effect is tried before it is dead.
enum Patience {
    /// So many attempts.
    Attempts(u32),
    /// Until its age and its refusals are too many. An outage uses up neither.
    Message,
    Endless,
}

impl Patience {
    fn of(work: &Work) -> Self {
        match work {
            work if work.never_dies() => Self::Endless,
            Work::Triage { .. } | Work::DrawPlan { .. } => Self::Attempts(3),
            Work::AwaitStep { .. } | Work::Sample { .. } => Self::Attempts(4),
            // Its waits for others do not count among them: see `waits_most`.
            Work::RunStep { .. } => Self::Attempts(8),
            Work::UpdatePage { .. } => Self::Attempts(6),
            // A phone that rings for what is over: an hour, so that a pager may have its own bad night.
            Work::EndPage { .. } => Self::Attempts(45),
            Work::Post { .. } | Work::UpdateMention { .. } => Self::Message,
            Work::Timer { .. } | Work::DrawCard { .. } | Work::Mention { .. } | Work::CallPager { .. } => Self::Endless,
        }
    }
}

/// How long a step waits for what others hold: for the one lock of all agents, until the new agent of another node is seen to
/// work or is given up, and some minutes more for the nodes of a plan and for a disruption budget.
fn waits_most(policy: &Policy) -> SignedDuration {
    policy.settled_within.saturating_add(SignedDuration::from_mins(5))
}

/// How an attempt ended, decided.
enum Ending {
    Fact(Box<Done>),
    /// It is tried again, and something is known of this attempt.
    Again {
        finish: Finish,
        fact: Option<Box<Outcome>>,
    },
    Dead {
        reason: String,
        untouched: bool,
    },
}

/// `set` is by how much the clock had been set in all when the effect began.
pub(super) async fn finish(shared: &Shared, claim: &Claim, set: SignedDuration, result: Result<Done, PerformError>) {
    match until_stored(EndEffect { shared, claim, set, result: &result }).await {
        Ok(Some(())) => {}
        Ok(None) => {
            tracing::error!("an incident moved so often that an outcome could not be stored; its claim runs out");
        }
        Err(NotFinished::Undecided(error)) => {
            tracing::error!(%error, "what an effect came to could not be decided on; its claim runs out");
        }
        Err(NotFinished::NotStored(AppendError::Locked(what))) => {
            tracing::warn!(what, "the claim of an effect ran out before it ended; it is done again");
        }
        Err(NotFinished::NotStored(error)) => {
            tracing::error!(%error, "what an effect came to could not be stored; its claim runs out");
        }
    }
}

/// Why an effect did not end.
enum NotFinished {
    Undecided(JournalError),
    NotStored(AppendError),
}

struct EndEffect<'a> {
    shared: &'a Shared,
    claim: &'a Claim,
    set: SignedDuration,
    result: &'a Result<Done, PerformError>,
}

impl Decision for EndEffect<'_> {
    type Stored = ();
    type Error = NotFinished;

    async fn attempt(&mut self) -> Result<Option<()>, NotFinished> {
        let Self { shared, claim, set, result } = *self;
        // First the turn, then the time, as everywhere: see `Time::still`. Where nothing is decided, nobody is waited for.
        let _turn = if is_uneventful(claim, result) { None } else { Some(shared.turns.of([claim.incident]).await) };
        let _still = shared.time.still().await;
        let claim = &shared.time.presently(claim.clone(), set, claim_moved);
        let ending = decide_ending(shared, claim, shared.time.presently(result.clone(), set, result_moved));
        let append = append_of(shared, claim, &ending).await.map_err(NotFinished::Undecided)?;
        let is_told = !append.changes.is_empty();
        let stored = shared.commit_outcome(append).await.map_err(NotFinished::NotStored)?;
        if stored.is_some() && !is_told {
            shared.listeners.announce([&claim.incident]);
        }
        Ok(stored)
    }
}

/// Whether only the end of the effect is stored, and its message. A step gives its lock back by what its incident knows.
fn is_uneventful(claim: &Claim, result: &Result<Done, PerformError>) -> bool {
    result.as_ref().is_ok_and(|done| only_ends(&claim.work, &done.outcome))
}

fn only_ends(work: &Work, outcome: &Outcome) -> bool {
    outcome.is_uneventful() && !matches!(work, Work::RunStep { .. })
}

/// What an effect came to, by a clock that was set while it was performed.
fn result_moved(result: &Result<Done, PerformError>, by: SignedDuration) -> Result<Done, PerformError> {
    let mut result = result.clone();
    if let Ok(done) = &mut result {
        // It is stored as the same JSON, so it is read again.
        if let Ok(outcome) = moved(&done.outcome, by) {
            done.outcome = outcome;
        }
    }
    result
}

fn decide_ending(shared: &Shared, claim: &Claim, result: Result<Done, PerformError>) -> Ending {
    match result {
        Ok(done) => Ending::Fact(Box::new(done)),
        Err(PerformError::Never { reason }) => Ending::Dead { reason, untouched: false },
        Err(PerformError::Again { reason, after }) => again(shared, claim, reason, after, Failure::Unclear),
        Err(PerformError::Refused { reason }) => again(shared, claim, reason, None, Failure::Refused),
        Err(PerformError::Waiting { reason, after }) => again(shared, claim, reason, after, Failure::Untouched),
    }
}

/// What is known of an attempt that failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// It may have been done all the same.
    Unclear,
    /// Nothing was done, for something has to be waited for.
    Untouched,
    /// This one message was refused.
    Refused,
}

fn again(shared: &Shared, claim: &Claim, reason: String, after: Option<SignedDuration>, failure: Failure) -> Ending {
    let untouched = failure == Failure::Untouched;
    let refused = failure == Failure::Refused;
    // "Come at once" is no time to wait for: taken at its word it would be a loop without a pause.
    let after = after.filter(SignedDuration::is_positive);
    let now = shared.clock.now();
    let age = now.duration_since(claim.wanted);
    // A step is wanted now or not at all, so its attempts count; but only those that may have written: who has waited for a
    // lock knows no more of what became of its pod than at the first look (invariant 4).
    let is_step = matches!(claim.work, Work::RunStep { .. });
    let gives_back = is_step && untouched;
    // What is put off until a time of the other side's choosing is not refused: it never dies of that. A call stays due
    // for ever, also where it is a post.
    let counts = if is_step { !untouched } else { after.is_none() };
    let may_try_again = match Patience::of(&claim.work) {
        _ if gives_back => age < waits_most(&shared.rules.policy()),
        Patience::Attempts(most) => !counts || claim.attempt < most,
        Patience::Message => age < OUTAGE_MOST && claim.refusals.saturating_add(u32::from(refused)) < REFUSALS_MOST,
        Patience::Endless => true,
    };
    if !may_try_again {
        return Ending::Dead { reason, untouched };
    }
    let chance = backoff::chance();
    let own = if gives_back { backoff::look_again(age, chance) } else { backoff::wait(claim.attempt, chance) };
    let wait = after.unwrap_or(own);
    let late = claim.attempt >= DELAYED_AFTER || age >= DELAYED_FOR;
    let fact = match &claim.work {
        work @ Work::Mention { .. } if late => Some(Outcome::Delayed { work: Box::new(work.clone()) }),
        work if failure == Failure::Unclear => unanswered(work, &claim.key),
        _ => None,
    };
    Ending::Again {
        finish: Finish::Again { due: now + wait, error: reason, counts, refused },
        fact: fact.map(Box::new),
    }
}

/// Nothing was done at this attempt. What an attempt of a step before this one has done is not known by that.
pub(super) fn not_begun(claim: &Claim, reason: String) -> PerformError {
    let knows_nothing = matches!(claim.work, Work::RunStep { .. }) && claim.attempt > 1;
    if knows_nothing {
        PerformError::Again { reason, after: None }
    } else {
        PerformError::Waiting { reason, after: None }
    }
}

/// A page that may have arrived although nobody said so.
pub(super) fn unanswered(work: &Work, key: &str) -> Option<Outcome> {
    let Work::CallPager { level, pager, .. } = work else { return None };
    Some(Outcome::PageUnanswered { level: *level, pager: pager.clone(), call: key.to_owned() })
}

async fn append_of(shared: &Shared, claim: &Claim, ending: &Ending) -> Result<Append, JournalError> {
    let (outcome, finish) = match ending {
        Ending::Again { finish, fact: None } => {
            return Ok(Append { finish: Some((claim.row, claim.attempt, finish.clone())), ..Append::default() });
        }
        Ending::Again { finish, fact: Some(fact) } => ((**fact).clone(), finish.clone()),
        Ending::Fact(done) => (done.outcome.clone(), Finish::Done),
        Ending::Dead { reason, untouched } => (
            Outcome::Died { work: Box::new(claim.work.clone()), reason: reason.clone(), untouched: *untouched },
            Finish::Dead { error: reason.clone() },
        ),
    };
    let mut append = Append { finish: Some((claim.row, claim.attempt, finish)), ..Append::default() };
    // A timer that was due when it was claimed stays due when the clock is set back meanwhile.
    let now = shared.clock.now().max(claim.due);
    if let Ending::Fact(done) = ending {
        append.delivery = done.delivery.clone().map(|delivery| (claim.incident, delivery));
        append.evidence = done.evidence.clone().map(|body| (claim.incident, crate::journal::digest(&body), body, now));
    }
    if only_ends(&claim.work, &outcome) {
        return Ok(append);
    }
    let Some(stored) = shared.journal.incident(claim.incident).await? else { return Ok(append) };
    let events = settle(&stored.incident, &outcome, now, &shared.rules.policy());
    if !matches!(ending, Ending::Again { .. }) {
        append.unlock = unlocked(&stored.incident, &claim.work, &events);
    }
    if !events.is_empty() {
        append.changes.push(shared.change(stored.incident, events, now));
    }
    Ok(append)
}

/// The lock that a step gives back with these events: at the end of its write, or once its effect was seen or given up.
fn unlocked(incident: &Incident, work: &Work, events: &[Event]) -> Option<(String, IncidentId, FixNumber)> {
    let (Work::RunStep { fix, step, .. } | Work::AwaitStep { fix, step, .. }) = work else { return None };
    let current = incident.fix.as_ref().filter(|current| current.number == *fix);
    let past = || incident.past_fixes.iter().find(|past| past.number == *fix);
    let plan = current.map_or_else(|| past().and_then(|past| past.plan.as_ref()), |current| current.plan.as_ref());
    let operation = plan?.operation(*step)?;
    let at_a_step = current.is_some_and(Fix::is_at_a_step);
    let ends =
        |event: &Event| matches!(event, Event::StepSettled { .. } | Event::FixEnded { .. } | Event::PlanMoved { .. });
    let goes_on = at_a_step && !events.iter().any(ends);
    let held = goes_on && operation.is_locked_until_settled();
    (!held).then(|| (operation.lock(), incident.id, *fix))
}

/// Takes the lock on the object that a step changes, across incidents.
pub(super) async fn take_lock(
    shared: &Shared,
    claim: &Claim,
    incident: &Incident,
    step: StepNumber,
) -> Result<(), PerformError> {
    let Some(fix) = &incident.fix else { return Ok(()) };
    let operation = fix.plan.as_ref().and_then(|plan| plan.operation(step));
    let Some(operation) = operation else { return Ok(()) };
    let append = Append { lock: Some((operation.lock(), incident.id, fix.number)), ..Append::default() };
    let taken = shared.journal.append(append).await;
    taken.map(drop).map_err(|error| not_begun(claim, error.to_string()))
}
