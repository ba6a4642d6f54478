//! What an outcome means: facts are always recorded, whatever state the incident is in, and decide what follows.

use jiff::{SignedDuration, Timestamp};

use super::{CallReason, Event, Incident, Life, Outcome, Policy, Timer, Triage, Work, climb::climb_events, settle_fix};
use crate::{
    escalation::{Ladder, LevelNumber, Rung},
    triage::{CallAtOnce, Verdict},
};

/// What a settlement looks at besides the outcome.
#[derive(Clone, Copy)]
pub(super) struct Facts<'a> {
    pub(super) incident: &'a Incident,
    pub(super) now: Timestamp,
    pub(super) policy: &'a Policy,
}

/// The events of an outcome.
pub fn settle(incident: &Incident, outcome: &Outcome, now: Timestamp, policy: &Policy) -> Vec<Event> {
    let facts = Facts { incident, now, policy };
    match outcome {
        Outcome::TriageFinished { run, verdict, evidence } => {
            let finished = Event::TriageFinished { run: *run, verdict: verdict.clone(), evidence: evidence.clone() };
            let current = matches!(&incident.triage, Triage::Running { run: running, .. } if running == run);
            if current { [finished].into_iter().chain(facts.called_by_evidence(verdict)).collect() } else { Vec::new() }
        }
        Outcome::TriageFailed { run, reason } => facts.triage_failed(*run, reason),
        Outcome::Elapsed { timer, last_seen } => facts.elapsed(timer, *last_seen),
        Outcome::Shown { to, first_card: true } => vec![Event::CardPosted { to: to.clone() }],
        Outcome::Shown { first_card: false, .. } | Outcome::NoLongerWanted => Vec::new(),
        Outcome::Mentioned { level, .. } => vec![Event::LevelCalled { level: *level, by_pager: false }],
        Outcome::PagerCalled { level } => vec![Event::LevelCalled { level: *level, by_pager: true }],
        Outcome::NobodyBehind { level, why } => facts.nobody_behind(*level, why),
        Outcome::Died { work, reason } => facts.died(work, reason),
        of_a_fix => settle_fix::settle_fix(facts, of_a_fix),
    }
}

impl Facts<'_> {
    fn triage_failed(&self, run: u32, reason: &str) -> Vec<Event> {
        let current = matches!(&self.incident.triage, Triage::Running { run: running, .. } if *running == run);
        if current { vec![Event::TriageFailed { run, reason: reason.to_owned() }] } else { Vec::new() }
    }

    fn elapsed(&self, timer: &Timer, last_seen: Timestamp) -> Vec<Event> {
        match timer {
            Timer::RungEnds { rung } => self.rung_ended(rung),
            Timer::RungReminder { rung } => {
                let runs = self.incident.ladder.rung() == Some(rung) && self.now < rung.until();
                if runs { vec![Event::Reminded { rung: *rung }] } else { Vec::new() }
            }
            Timer::HoldEnds { until } => {
                let holds = self.incident.life == Life::Clearing { until: *until } && self.now >= *until;
                if holds { self.closed() } else { Vec::new() }
            }
            Timer::QuestionExpires { fix, plan } => settle_fix::question_expired(*self, *fix, plan),
            Timer::StaleCheck => self.stale_check(last_seen),
        }
    }

    fn closed(&self) -> Vec<Event> {
        let cancelled = settle_fix::cancelled_unless_started(*self);
        cancelled.into_iter().chain([Event::Closed { reason: super::CloseReason::AlertsResolved }]).collect()
    }

    fn stale_check(&self, last_seen: Timestamp) -> Vec<Event> {
        if self.incident.life != Life::Open || self.incident.stale_since.is_some() {
            return Vec::new();
        }
        if self.now.duration_since(last_seen) >= self.policy.stale_after {
            vec![Event::WentStale { last_seen }]
        } else {
            vec![Event::StillRepeated]
        }
    }

    fn rung_ended(&self, ended: &Rung) -> Vec<Event> {
        let Some(running) = self.incident.ladder.rung() else { return Vec::new() };
        let Some(climb) = self.incident.policy.next(running, ended, self.now) else { return Vec::new() };
        let reason = match ended {
            Rung::Waiting { .. } if matches!(climb.rung, Rung::AllPaged { .. }) => CallReason::Repeat,
            Rung::Waiting { .. } => CallReason::Unanswered,
            Rung::AllPaged { .. } => CallReason::Repeat,
            Rung::Acknowledged { .. } => CallReason::Idle,
        };
        let breached = Event::WindowBreached { rung: *ended };
        [breached].into_iter().chain(climb_events(climb, &reason)).collect()
    }

    fn nobody_behind(&self, level: LevelNumber, why: &str) -> Vec<Event> {
        let unreachable = Event::LevelUnreachable { level, why: why.to_owned() };
        let has_pager = self.incident.policy.level(level).is_some_and(|level| level.pager.is_some());
        let waits_for_it = matches!(self.incident.ladder.rung(), Some(Rung::Waiting { level: at, .. }) if *at == level);
        if has_pager || !waits_for_it {
            return vec![unreachable];
        }
        let Some(above) = self.incident.policy.above(level) else { return vec![unreachable] };
        let climb = self.incident.policy.call_from(above.number, self.now);
        [unreachable].into_iter().chain(climb_events(climb, &CallReason::Unanswered)).collect()
    }

    /// The level that the evidence calls for is called without waiting, once, unless it or a higher one has it already.
    fn called_by_evidence(&self, verdict: &Verdict) -> Vec<Event> {
        let Some(call) = verdict.call_at_once else { return Vec::new() };
        let known = self.incident.verdict.as_ref().is_some_and(|before| before.scenario == verdict.scenario);
        if known {
            return Vec::new();
        }
        let level = match call {
            CallAtOnce::L2 => LevelNumber(2),
            CallAtOnce::L3 => LevelNumber(3),
        };
        self.call_at_once(level, &format!("the verdict is \"{}\"", verdict.scenario))
    }

    pub(super) fn call_at_once(&self, level: LevelNumber, because: &str) -> Vec<Event> {
        let stands_at = match &self.incident.ladder {
            Ladder::Running { rung: Rung::Waiting { level, .. } | Rung::Acknowledged { level, .. }, .. } => *level,
            Ladder::Running { rung: Rung::AllPaged { .. }, .. } | Ladder::Paused { .. } | Ladder::Still => {
                return Vec::new();
            }
        };
        if stands_at >= level || self.incident.policy.level(level).is_none() {
            return Vec::new();
        }
        let reason = CallReason::Evidence { because: because.to_owned() };
        climb_events(self.incident.policy.call_from(level, self.now), &reason)
    }

    fn died(&self, work: &Work, reason: &str) -> Vec<Event> {
        let could_not = |what: &str| Event::CouldNot { what: what.to_owned(), reason: reason.to_owned() };
        match work {
            Work::Triage { run } => self.triage_failed(*run, reason),
            // A notice that fails makes no further notice: it is only written on the card.
            Work::Post { .. } => vec![could_not("a message could not be posted")],
            Work::DrawCard { .. } => vec![could_not("the card could not be drawn")],
            Work::Mention { level, .. } | Work::CallPager { level, .. } => {
                vec![could_not(&format!("{level} could not be called"))]
            }
            Work::Timer { .. } => vec![could_not("a timer could not be handled")],
            Work::DrawPlan { .. } | Work::RunStep { .. } | Work::PollReplacement { .. } | Work::Sample { .. } => {
                settle_fix::died(*self, work, reason)
            }
        }
    }
}

/// How often a replacement is looked for.
pub(super) const POLL_EVERY: SignedDuration = SignedDuration::from_secs(3);
