//! Asking for a fix, voting on it, taking it back, and looking at its effect again.

use std::collections::BTreeSet;

use super::{Decided, DecisionContext};
use crate::{
    approval::{Question, Vote, VoteRefusal},
    incident::{Event, Fix, FixEnd, Refusal, offer},
    people::PersonId,
    remediation::{Plan, PlanId},
    triage::FixName,
};

impl DecisionContext<'_> {
    pub(super) fn propose(&self, fix: FixName) -> Decided {
        if !self.policy.writes_enabled {
            return Err(Refusal::WritesOff);
        }
        offer::offer_at(self.incident, fix, self.now)?;
        // The configuration of now: the verdict may be older.
        if self.policy.left_out.contains(&fix) {
            return Err(Refusal::FixLeftOut(fix));
        }
        let event = Event::FixProposed { fix: self.incident.next_fix(), name: fix, by: self.actor.id.clone() };
        Ok((vec![event], format!("The plan of {fix} is being drawn; it will be shown in the thread for approval.")))
    }

    fn asking(&self, plan: Option<&PlanId>, verb: &'static str) -> Result<(&Fix, &Question), Refusal> {
        self.require_clear(plan)?;
        if let Some(fate) = self.incident.fate_of(plan) {
            return Err(Refusal::NotWaiting(Box::new(fate)));
        }
        let nothing = Refusal::NothingToApprove(self.incident.id);
        let (fix, question) = offer::asking(self.incident).ok_or(nothing)?;
        if plan.is_some_and(|plan| !fix.plan_id().is_some_and(|waiting| waiting.is_meant_by(plan))) {
            return Err(Refusal::OtherPlan);
        }
        // What was approved is what runs (invariant 4): after a redraw, the plan that the person has read is named.
        if let (None, Some(newest), 2..) = (plan, fix.plan_id(), fix.plans_drawn) {
            return Err(Refusal::NamePlan { incident: self.incident.id, plan: newest, verb });
        }
        Ok((fix, question))
    }

    /// The first characters of a hash name one plan of this incident, not two.
    fn require_clear(&self, named: Option<&PlanId>) -> Result<(), Refusal> {
        let Some(named) = named else { return Ok(()) };
        let past = self.incident.past_fixes.iter().filter_map(|past| past.plan.as_ref().map(Plan::id));
        let known: BTreeSet<PlanId> = past.chain(self.incident.fix.iter().filter_map(Fix::plan_id)).collect();
        if named.means_several(&known) { Err(Refusal::PlanNotClear(named.clone())) } else { Ok(()) }
    }

    pub(super) fn approve(&self, plan: Option<&PlanId>) -> Decided {
        let (fix, question) = self.asking(plan, "approve")?;
        offer::open(self.incident)?;
        if !self.policy.writes_enabled {
            return Err(Refusal::WritesOff);
        }
        // An older bot's question that lived through the start, as while its alerts were resolved.
        if fix.plan.as_ref().is_some_and(Plan::has_old_hash) {
            let outdated = Event::QuestionOutdated { fix: fix.number };
            let told = "The bot was updated while this plan waited: it is drawn again, and asks for approval again.";
            return Ok((vec![outdated], told.to_owned()));
        }
        let by = self.actor.id.clone();
        match question.vote(self.actor, self.now)? {
            Vote::Counted { missing } => {
                let known = question.counts_as(self.actor).filter(|known| **known != by).cloned();
                let event = Event::VoteCounted { fix: fix.number, by, known_beside_requester: known };
                Ok((vec![event], format!("Counted. It needs {missing} more.")))
            }
            Vote::Approved => {
                let mut voters: Vec<PersonId> = question.approved_by.iter().cloned().collect();
                voters.push(by);
                let plan = fix.plan_id().ok_or(Refusal::NothingToApprove(self.incident.id))?;
                let quorum = Some(question.quorum_with(self.actor));
                let event = Event::FixApproved { fix: fix.number, plan, by: voters, quorum };
                Ok((vec![event], format!("Approved: {} runs now.", fix.name)))
            }
        }
    }

    pub(super) fn reject(&self, plan: Option<&PlanId>) -> Decided {
        let (fix, question) = self.asking(plan, "reject")?;
        if self.actor.is(&fix.requester) {
            return Err(Refusal::Vote(VoteRefusal::OwnRequest));
        }
        question.may_vote(self.actor, self.now)?;
        let end = FixEnd::Rejected { by: self.actor.id.clone() };
        Ok((vec![Event::FixEnded { fix: fix.number, end }], format!("Rejected: {}", stays(fix))))
    }

    pub(super) fn withdraw(&self) -> Decided {
        let over = || self.incident.fate_of(None).map(|fate| Refusal::NotWaiting(Box::new(fate)));
        let nothing = || over().unwrap_or(Refusal::NothingToApprove(self.incident.id));
        let fix = self.incident.fix.as_ref().ok_or_else(nothing)?;
        if !self.actor.is(&fix.requester) {
            return Err(Refusal::NotYours);
        }
        let Some(event) = self.ended_before_a_write(FixEnd::Withdrawn) else { return Err(Refusal::AlreadyRunning) };
        Ok((vec![event], format!("Withdrawn: {}", stays(fix))))
    }

    pub(super) fn verify(&self) -> Decided {
        let past = offer::to_verify(self.incident)?;
        let event = Event::VerificationAsked { fix: past.number, by: self.actor.id.clone() };
        Ok((vec![event], "The counters are being watched again; the result comes to the thread.".to_owned()))
    }

    /// The end of a fix that has written nothing yet, because the incident ends.
    pub(super) fn cancelled_fix(&self) -> Option<Event> {
        self.ended_before_a_write(FixEnd::Cancelled)
    }

    pub(super) fn ended_before_a_write(&self, end: FixEnd) -> Option<Event> {
        let fix = offer::untouched(self.incident)?;
        Some(Event::FixEnded { fix: fix.number, end })
    }
}

/// What follows for a fix whose plan is not carried out: it may have been drawn again after a step.
pub(super) fn stays(fix: &Fix) -> String {
    if fix.run.steps_done == 0 {
        return format!("{} does not run.", fix.name);
    }
    format!("{} does not go on. What was done before stays done.", fix.name)
}
