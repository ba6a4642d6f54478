//! Changes the fix of an incident by one event.

use jiff::Timestamp;

use super::{Event, Fix, FixNumber, FixPhase, Incident, PastFix, Round, Run};

pub(super) fn apply_fix(incident: &mut Incident, event: &Event, at: Timestamp) {
    match event {
        Event::FixProposed { fix, name, by } => {
            incident.fix = Some(Fix {
                number: *fix,
                name: *name,
                requester: by.clone(),
                plan: None,
                plans_drawn: 0,
                verifies: None,
                phase: FixPhase::Drawing,
                run: Run::default(),
                results: Vec::new(),
                before: Vec::new(),
                start: Vec::new(),
            });
        }
        Event::VerificationAsked { fix, by } => ask_again(incident, *fix, by, at),
        Event::FixEnded { fix, end } => {
            if let Some(ended) = incident.fix.take_if(|current| current.number == *fix) {
                incident.past_fixes.push(PastFix {
                    number: ended.number,
                    name: ended.name,
                    requester: Some(ended.requester),
                    run: ended.run,
                    plan: ended.plan,
                    results: ended.results,
                    verifies: ended.verifies,
                    end: end.clone(),
                    at,
                });
            }
        }
        other => {
            if let Some(fix) = incident.fix.as_mut() {
                advance(fix, other, at);
            }
        }
    }
}

fn ask_again(incident: &mut Incident, number: FixNumber, by: &crate::people::PersonId, at: Timestamp) {
    let Some(past) = incident.past_fixes.iter().find(|past| past.number == number) else { return };
    let plan = past.plan.as_ref().map(crate::remediation::Plan::id);
    let Some(plan_id) = plan else { return };
    incident.fix = Some(Fix {
        number: incident.next_fix(),
        name: past.name,
        requester: by.clone(),
        plan: past.plan.clone(),
        plans_drawn: 1,
        verifies: Some(past.verifies.unwrap_or(past.number)),
        phase: FixPhase::Verifying { plan: plan_id, until: None },
        run: Run { since: Some(at), ..past.run.clone() },
        results: past.results.clone(),
        before: Vec::new(),
        start: Vec::new(),
    });
}

fn advance(fix: &mut Fix, event: &Event, at: Timestamp) {
    match event {
        Event::PlanDrawn { plan, question, .. } => {
            fix.plan = Some((**plan).clone());
            fix.plans_drawn = fix.plans_drawn.saturating_add(1);
            fix.phase = FixPhase::Asking { question: question.clone() };
        }
        Event::VoteCounted { by, known_beside_requester, .. } => {
            if let FixPhase::Asking { question } = &mut fix.phase {
                question.approved_by.insert(by.clone());
                question.known_beside_requester.extend(known_beside_requester.clone());
            }
        }
        Event::FixApproved { plan, by, quorum, .. } => {
            fix.phase = FixPhase::Approved { plan: plan.clone(), by: by.clone() };
            fix.run = Run {
                approved_by: by.clone(),
                since: fix.run.since.or(Some(at)),
                steps_done: fix.run.steps_done,
                quorum: quorum.clone(),
            };
        }
        Event::PlanMoved { .. } | Event::QuestionOutdated { .. } => fix.phase = FixPhase::Drawing,
        Event::Sampled { round: Round::Before, samples, .. } => fix.before.clone_from(samples),
        Event::Sampled { round: Round::Start, samples, .. } => fix.start.clone_from(samples),
        Event::StepStarted { plan, step, .. } => {
            let by = fix.approved_by();
            fix.phase = FixPhase::Stepping { plan: plan.clone(), by, step: *step, since: at };
        }
        Event::StepDone { step, until, .. } => {
            fix.run.steps_done = fix.run.steps_done.saturating_add(1);
            if let FixPhase::Stepping { plan, by, .. } = fix.phase.clone() {
                fix.phase = FixPhase::Settling { plan, by, step: *step, until: *until };
            }
        }
        Event::StepSettled { result, .. } => fix.results.push(result.clone()),
        Event::VerificationBegan { until, .. } => {
            if let Some(plan) = fix.plan_id() {
                fix.phase = FixPhase::Verifying { plan, until: *until };
            }
        }
        _ => {}
    }
}
