//! What the outcomes of a fix's effects mean. Step n+1 exists only through the outcome of step n.

use jiff::Timestamp;

use super::{
    Event, Fix, FixEnd, FixNumber, FixPhase, IncidentStatus, Outcome, Round, Work,
    offer::untouched,
    settle::{POLL_EVERY, SettleContext},
};
use crate::{
    approval::Question,
    escalation::LevelNumber,
    remediation::{Operation, Plan, PlanId, Proof, Sample, StepNumber, StepResult, Verification, verify},
};

/// The events of an outcome that belongs to a fix; none when that fix or plan is not the one under way.
pub(super) fn settle_fix(facts: SettleContext<'_>, outcome: &Outcome) -> Vec<Event> {
    let Some(fix) = &facts.incident.fix else { return Vec::new() };
    let scene = FixFacts { facts, fix };
    match outcome {
        Outcome::PlanDrawn { fix: number, plan } if *number == fix.number => scene.plan_drawn(plan),
        Outcome::PlanRefused { fix: number, reasons } if *number == fix.number => scene.plan_refused(reasons),
        Outcome::StepDone { plan, step } if scene.runs(plan, *step) => scene.step_done(*step),
        Outcome::StepFailed { plan, step, reason } if scene.runs(plan, *step) => {
            vec![scene.ended(FixEnd::Failed { step: *step, reason: reason.clone() })]
        }
        Outcome::PlanMoved { plan, step, what } if scene.runs(plan, *step) => scene.moved(what),
        Outcome::StepAwaited { plan, step, why } if scene.awaits(plan, *step) => scene.awaited(*step, why),
        Outcome::StepSettled { plan, step, result } if scene.awaits(plan, *step) => {
            let settled = Event::StepSettled { fix: fix.number, step: *step, result: result.clone() };
            [settled].into_iter().chain(scene.after_step(*step, result)).collect()
        }
        Outcome::Sampled { fix: number, round, samples, unreadable } if *number == fix.number => {
            scene.sampled(*round, samples, unreadable)
        }
        _ => Vec::new(),
    }
}

/// The question of a fix has expired.
pub(super) fn question_expired(facts: SettleContext<'_>, number: FixNumber, plan: &PlanId) -> Vec<Event> {
    let Some(fix) = &facts.incident.fix else { return Vec::new() };
    let expired = match &fix.phase {
        FixPhase::Asking { question } => facts.now >= question.expires_at,
        _ => false,
    };
    if expired && fix.number == number && fix.plan_id().as_ref() == Some(plan) {
        vec![Event::FixEnded { fix: number, end: FixEnd::Expired }]
    } else {
        Vec::new()
    }
}

/// The end of a fix that has written nothing yet, when its incident closes.
pub(super) fn cancelled_unless_started(facts: SettleContext<'_>) -> Option<Event> {
    let fix = untouched(facts.incident)?;
    Some(Event::FixEnded { fix: fix.number, end: FixEnd::Cancelled })
}

/// An effect of a fix was tried as often as it may be.
pub(super) fn died(facts: SettleContext<'_>, work: &Work, reason: &str, untouched: bool) -> Vec<Event> {
    let Some(fix) = &facts.incident.fix else { return Vec::new() };
    let scene = FixFacts { facts, fix };
    match work {
        Work::DrawPlan { fix: number } if *number == fix.number && fix.phase == FixPhase::Drawing => {
            scene.plan_refused(&[format!("the cluster could not be read: {reason}")])
        }
        Work::RunStep { plan, step, .. } if scene.runs(plan, *step) && untouched => {
            let reason =
                format!("it was not done, because {reason}; nothing was changed, and the fix can be asked for again");
            vec![scene.ended(FixEnd::Failed { step: *step, reason })]
        }
        Work::RunStep { plan, step, .. } if scene.runs(plan, *step) => {
            let what = "it is not known whether the step was done: look at its target before anything else".to_owned();
            vec![Event::CouldNot { what, reason: reason.to_owned() }, scene.ended(FixEnd::Unknown { step: *step })]
        }
        Work::AwaitStep { plan, step, .. } if scene.awaits(plan, *step) => scene.awaited(*step, reason),
        Work::Sample { fix: number, round } if *number == fix.number => {
            scene.sampled(*round, &[], &[reason.to_owned()])
        }
        _ => Vec::new(),
    }
}

#[derive(Clone, Copy)]
struct FixFacts<'a> {
    facts: SettleContext<'a>,
    fix: &'a Fix,
}

impl FixFacts<'_> {
    fn ended(&self, end: FixEnd) -> Event {
        Event::FixEnded { fix: self.fix.number, end }
    }

    fn runs(&self, plan: &PlanId, step: StepNumber) -> bool {
        matches!(&self.fix.phase, FixPhase::Stepping { plan: running, step: at, .. } if running == plan && *at == step)
    }

    fn awaits(&self, plan: &PlanId, step: StepNumber) -> bool {
        matches!(&self.fix.phase, FixPhase::Settling { plan: running, step: at, .. } if running == plan && *at == step)
    }

    fn plan_drawn(&self, plan: &Plan) -> Vec<Event> {
        if self.fix.phase != FixPhase::Drawing {
            return Vec::new();
        }
        if self.facts.incident.status != IncidentStatus::Open {
            return vec![self.ended(FixEnd::Cancelled)];
        }
        let rule = &self.facts.policy.approval;
        let question = Question::ask(rule, self.fix.requester.clone(), self.facts.now);
        vec![Event::PlanDrawn { fix: self.fix.number, plan: Box::new(plan.clone()), question }]
    }

    fn plan_refused(&self, reasons: &[String]) -> Vec<Event> {
        if self.fix.phase != FixPhase::Drawing {
            return Vec::new();
        }
        vec![self.ended(FixEnd::Refused { reasons: reasons.to_vec() })]
    }

    /// What was approved is not what would happen: it is drawn again and asks again (invariant 4).
    fn moved(&self, what: &str) -> Vec<Event> {
        if self.facts.incident.status != IncidentStatus::Open {
            return vec![self.ended(FixEnd::Cancelled)];
        }
        vec![Event::PlanMoved { fix: self.fix.number, what: what.to_owned() }]
    }

    fn step_done(&self, step: StepNumber) -> Vec<Event> {
        let until = self.facts.now + self.facts.policy.settled_within;
        vec![Event::StepDone { fix: self.fix.number, step, until }]
    }

    fn awaited(&self, step: StepNumber, why: &str) -> Vec<Event> {
        let FixPhase::Settling { until, .. } = &self.fix.phase else { return Vec::new() };
        if self.facts.now >= *until {
            let operation = self.fix.plan.as_ref().and_then(|plan| plan.operation(step));
            let what = operation.map_or("the step was done, but its effect is not seen", Operation::not_settled);
            let reason = format!("{what} by {until:.0}: {why}");
            return vec![self.ended(FixEnd::Failed { step, reason })];
        }
        let again_at = self.facts.now + POLL_EVERY;
        vec![Event::StepAwaited { fix: self.fix.number, step, again_at }]
    }

    /// After the effect of a step is seen: the next write, or the watch over the counters. Where pods are left that need
    /// another fix, their counters would only show that: the diagnostics say which one. A step that nobody was
    /// seen to be helped by is not repeated on the next node.
    fn after_step(&self, step: StepNumber, result: &StepResult) -> Vec<Event> {
        let next = step.next();
        let has_next = self.fix.plan.as_ref().is_some_and(|plan| plan.operation(next).is_some());
        let open = self.facts.incident.status == IncidentStatus::Open;
        let helped_nobody = has_next && result.helped_nobody();
        // If the alerts resolved meanwhile, what was started is proved, and the rest is not done.
        if has_next && open && !helped_nobody {
            return vec![self.step(next)];
        }
        let results = self.fix.results.iter().chain([result]);
        let mut reasons: Vec<String> = results.filter_map(StepResult::why_stale).collect();
        if helped_nobody {
            let not_begun = self.fix.plan.as_ref().map_or(0, |plan| plan.operations_from(next));
            reasons.push(format!(
                "as nobody was seen to get a new SVID by it, the other {not_begun} restart(s) of the plan were not begun"
            ));
        }
        if reasons.is_empty() || !open {
            return vec![self.watch(None)];
        }
        let verification = Verification { proof: Proof::Unproven, reasons, rate: None };
        let run = self.facts.incident.next_run();
        vec![self.ended(FixEnd::Verified { verification }), Event::TriageStarted { run, by: None }]
    }

    fn step(&self, step: StepNumber) -> Event {
        match self.fix.plan_id() {
            Some(plan) => Event::StepStarted { fix: self.fix.number, plan, step },
            None => self.ended(FixEnd::Cancelled),
        }
    }

    fn watch(&self, until: Option<Timestamp>) -> Event {
        Event::VerificationBegan { fix: self.fix.number, until }
    }

    fn sampled(&self, round: Round, samples: &[Sample], unreadable: &[String]) -> Vec<Event> {
        let taken =
            Event::Sampled { fix: self.fix.number, round, samples: samples.to_vec(), unreadable: unreadable.to_vec() };
        match (round, &self.fix.phase) {
            (Round::Before, FixPhase::Approved { .. }) if self.facts.incident.status == IncidentStatus::Open => {
                vec![taken, self.step(StepNumber::FIRST)]
            }
            (Round::Before, FixPhase::Approved { .. }) => vec![self.ended(FixEnd::Cancelled)],
            (Round::Start, FixPhase::Verifying { until: None, .. }) => {
                vec![taken, self.watch(Some(self.facts.now + self.facts.policy.verification_window))]
            }
            (Round::End, FixPhase::Verifying { until: Some(_), .. }) => {
                let verification = verify(&self.fix.before, &self.fix.start, samples);
                let worse = verification.proof == Proof::Worse;
                let called =
                    if worse { self.facts.call_at_once(LevelNumber(2), "the fix made it worse") } else { Vec::new() };
                [taken, self.ended(FixEnd::Verified { verification })].into_iter().chain(called).collect()
            }
            _ => Vec::new(),
        }
    }
}
