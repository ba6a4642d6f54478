//! Asking for a fix, voting on it, taking it back, and looking at its effect again.

use std::collections::BTreeMap;

use super::{Decided, Scene};
use crate::{
    approval::{Question, Vote, VoteRefusal},
    incident::{Event, Fix, FixEnd, FixPhase, Refusal},
    people::PersonId,
    remediation::{PlanId, Proof},
    triage::{FixName, Verdict},
};

/// After so many runs of one fix without effect in one incident, only people decide (lessons: 39 repeats).
const WITHOUT_EFFECT_MOST: usize = 2;

impl Scene<'_> {
    pub(super) fn propose(&self, fix: FixName) -> Decided {
        self.require_open()?;
        if !self.policy.writes_enabled {
            return Err(Refusal::WritesOff);
        }
        if let Some(under_way) = &self.incident.fix {
            return Err(Refusal::FixUnderWay(under_way.name));
        }
        if self.incident.target.is_none() {
            return Err(super::no_target(self.incident));
        }
        let verdict = self.incident.verdict.as_ref().ok_or(Refusal::NoVerdict(self.incident.id))?;
        fits(verdict, fix)?;
        if !FixName::CARRIED_OUT.contains(&fix) {
            return Err(Refusal::FixNotCarriedOut(fix));
        }
        if self.runs_without_effect(fix) >= WITHOUT_EFFECT_MOST {
            return Err(Refusal::TriedTwice(fix));
        }
        let event = Event::FixProposed { fix: self.incident.next_fix(), name: fix, by: self.actor.id.clone() };
        Ok((vec![event], format!("The plan of {fix} is being drawn; it will be shown in the thread for approval.")))
    }

    fn runs_without_effect(&self, fix: FixName) -> usize {
        let past = self.incident.past_fixes.iter().filter(|past| past.name == fix);
        // A later look at the same write is not another write, and what it says last counts.
        let mut writes: BTreeMap<u32, Proof> = BTreeMap::new();
        for past in past {
            if let FixEnd::Verified { verification } = &past.end {
                writes.insert(past.verifies.unwrap_or(past.number), verification.proof);
            }
        }
        writes.values().filter(|proof| matches!(proof, Proof::NoEffect | Proof::Worse)).count()
    }

    fn asking(&self, plan: Option<&PlanId>, verb: &'static str) -> Result<(&Fix, &Question), Refusal> {
        let nothing = Refusal::NothingToApprove(self.incident.id);
        let fix = self.incident.fix.as_ref().ok_or_else(|| nothing.clone())?;
        let FixPhase::Asking { question } = &fix.phase else { return Err(nothing) };
        if plan.is_some() && plan != fix.plan_id().as_ref() {
            return Err(Refusal::OtherPlan);
        }
        // What was approved is what runs (invariant 4): after a redraw, the plan that the person has read is named.
        if let (None, Some(newest), 2..) = (plan, fix.plan_id(), fix.plans_drawn) {
            return Err(Refusal::NamePlan { incident: self.incident.id, plan: newest, verb });
        }
        Ok((fix, question))
    }

    pub(super) fn approve(&self, plan: Option<&PlanId>) -> Decided {
        self.require_open()?;
        if !self.policy.writes_enabled {
            return Err(Refusal::WritesOff);
        }
        let (fix, question) = self.asking(plan, "approve")?;
        let by = self.actor.id.clone();
        match question.vote(self.actor, self.now)? {
            Vote::Counted { missing } => {
                let event = Event::VoteCounted { fix: fix.number, by };
                Ok((vec![event], format!("Counted. It needs {missing} more.")))
            }
            Vote::Approved => {
                let mut voters: Vec<PersonId> = question.approved_by.iter().cloned().collect();
                voters.push(by);
                let plan = fix.plan_id().ok_or(Refusal::NothingToApprove(self.incident.id))?;
                let event = Event::FixApproved { fix: fix.number, plan, by: voters };
                Ok((vec![event], format!("Approved: {} runs now.", fix.name)))
            }
        }
    }

    pub(super) fn reject(&self, plan: Option<&PlanId>) -> Decided {
        let (fix, question) = self.asking(plan, "reject")?;
        if fix.requester == self.actor.id {
            return Err(Refusal::Vote(VoteRefusal::OwnRequest));
        }
        question.may_vote(self.actor, self.now)?;
        let end = FixEnd::Rejected { by: self.actor.id.clone() };
        Ok((vec![Event::FixEnded { fix: fix.number, end }], format!("Rejected: {} does not run.", fix.name)))
    }

    pub(super) fn withdraw(&self) -> Decided {
        let fix = self.incident.fix.as_ref().ok_or(Refusal::NothingToApprove(self.incident.id))?;
        if fix.requester != self.actor.id {
            return Err(Refusal::NotYours);
        }
        let Some(event) = self.ended_before_a_write(FixEnd::Withdrawn) else { return Err(Refusal::AlreadyRunning) };
        Ok((vec![event], format!("Withdrawn: {} does not run.", fix.name)))
    }

    pub(super) fn verify(&self) -> Decided {
        if let Some(fix) = &self.incident.fix {
            return Err(Refusal::FixUnderWay(fix.name));
        }
        let past = self.incident.past_fixes.iter().rev().find(|past| !past.replacements.is_empty());
        let past = past.ok_or(Refusal::NothingToVerify(self.incident.id))?;
        let event = Event::VerificationAsked { fix: past.number, by: self.actor.id.clone() };
        Ok((vec![event], "The counters are being watched again; the result comes to the thread.".to_owned()))
    }

    /// The end of a fix that has written nothing yet, because the incident ends.
    pub(super) fn cancelled_fix(&self) -> Option<Event> {
        self.ended_before_a_write(FixEnd::Cancelled)
    }

    fn ended_before_a_write(&self, end: FixEnd) -> Option<Event> {
        let fix = self.incident.fix.as_ref()?;
        let untouched = matches!(fix.phase, FixPhase::Drawing | FixPhase::Asking { .. } | FixPhase::Approved { .. });
        untouched.then_some(Event::FixEnded { fix: fix.number, end })
    }
}

fn fits(verdict: &Verdict, fix: FixName) -> Result<(), Refusal> {
    if let Some(never) = verdict.never.iter().find(|never| never.fix == fix) {
        return Err(Refusal::FixDoesNotFit { fix, reason: never.reason.clone() });
    }
    if verdict.fixes.contains(&fix) {
        return Ok(());
    }
    let fitting: Vec<&str> = verdict.fixes.iter().map(|fix| fix.as_str()).collect();
    let fitting = if fitting.is_empty() { "none of the runbook's fixes fits".to_owned() } else { fitting.join(", ") };
    let reason = format!("the verdict is \"{}\"; what fits it: {fitting}", verdict.scenario);
    Err(Refusal::FixDoesNotFit { fix, reason })
}
