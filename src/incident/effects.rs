//! What must now be done because of an event, and when.

use jiff::Timestamp;

use super::{
    CallReason, Event, FixNumber, Incident, NewEffect, Notice, PageEnd, PageState, Policy, Round, Timer, Work,
    calls::{Ways, channels_of_call, due_of_call},
    settle::POLL_EVERY,
    storm::stands_for_a_storm,
};
use crate::{
    escalation::{LevelNumber, Rung},
    remediation::StepNumber,
};

/// What the keys of works begin with, by the kind of the work.
pub(super) mod kinds {
    pub(in crate::incident) const TRIAGE: &str = "triage";
    pub(in crate::incident) const PLAN: &str = "plan";
    pub(in crate::incident) const SAMPLE: &str = "sample";
    pub(in crate::incident) const STEP: &str = "step";
    pub(in crate::incident) const POLL: &str = "poll";
}

/// The effects of `event`, given the incident as it is after it.
pub fn effects(incident: &Incident, event: &Event, at: Timestamp, policy: &Policy) -> Vec<NewEffect> {
    let mut list = List { incident, at, effects: Vec::new() };
    list.timers(event, policy);
    list.follow(event);
    list.effects
}

/// The same of an event that begins no timer, where the policy is not at hand.
pub(super) fn untimed_effects(incident: &Incident, event: &Event, at: Timestamp) -> Vec<NewEffect> {
    let mut list = List { incident, at, effects: Vec::new() };
    list.follow(event);
    list.effects
}

/// Adds effects to others that are not written yet: within a slot the newest takes the place of those before.
pub fn add_effects(asked: &mut Vec<NewEffect>, new: Vec<NewEffect>) {
    for effect in new {
        if effect.slot.is_some() {
            asked.retain(|other| other.slot != effect.slot);
        }
        asked.push(effect);
    }
}

/// Has the card drawn again although nothing has happened, as for the progress of a triage. `stamp` tells the drawings of
/// one version apart.
pub fn redraw(incident: &Incident, at: Timestamp, stamp: &str) -> Vec<NewEffect> {
    if incident.quiet {
        return Vec::new();
    }
    let mut list = List { incident, at, effects: Vec::new() };
    list.cards();
    for effect in &mut list.effects {
        effect.key = format!("{}:{stamp}", effect.key);
    }
    list.effects
}

struct List<'a> {
    incident: &'a Incident,
    at: Timestamp,
    effects: Vec<NewEffect>,
}

impl List<'_> {
    /// All but the timers.
    fn follow(&mut self, event: &Event) {
        // Also in a storm: a page of the opening before may have been taken only then.
        self.ended_pages();
        if self.incident.quiet {
            // Nobody hears of it, and a fix that wrote before the storm goes on: it holds a lock, and its effect is proved.
            self.work(event);
            if matches!(event, Event::JoinedStorm { storm: Some(_) }) {
                self.cards();
            }
            return;
        }
        self.calls(event);
        self.completed_calls();
        self.posts(event);
        self.work(event);
        if draws_the_card(event) {
            self.cards();
        }
    }

    /// Adds an effect. The version makes its key unique: each event has its own.
    fn add(&mut self, kind: &str, due: Timestamp, work: Work) {
        let key = format!("{kind}:{}:{}", self.incident.version, self.effects.len());
        self.effects.push(NewEffect { key, slot: None, due, work });
    }

    fn timer(&mut self, due: Timestamp, timer: Timer) {
        self.add("timer", due, Work::Timer { timer });
    }

    /// One at a time, however often the incident opens again.
    fn stale_check(&mut self, due: Timestamp) {
        let key = format!("stale:{}", self.incident.version);
        let work = Work::Timer { timer: Timer::StaleCheck };
        self.effects.push(NewEffect { key, slot: Some("stale".to_owned()), due, work });
    }

    fn post(&mut self, notice: &Notice) {
        for to in self.incident.channels.clone() {
            self.add("post", self.at, Work::Post { to, notice: notice.clone() });
        }
    }

    fn cards(&mut self) {
        for to in self.incident.channels.clone() {
            let slot = format!("card:{}:{}", to.face, to.channel);
            let key = format!("{slot}:{}", self.incident.version);
            self.effects.push(NewEffect { key, slot: Some(slot), due: self.at, work: Work::DrawCard { to } });
        }
    }

    fn timers(&mut self, event: &Event, policy: &Policy) {
        match event {
            Event::Opened { .. } | Event::StillRepeated | Event::Reopened if !self.is_storm() => {
                self.stale_check(self.at + policy.stale_after);
            }
            Event::RungBegan { .. }
            | Event::Acknowledged { .. }
            | Event::HandedTo { .. }
            | Event::WorkSeen { .. }
            | Event::LeftStorm
            | Event::ClearingEnded => self.rung_timers(),
            Event::ClearingBegan { until } => self.timer(*until, Timer::HoldEnds { until: *until }),
            Event::PlanDrawn { fix, plan, question } => {
                self.timer(question.expires_at, Timer::QuestionExpires { fix: *fix, plan: plan.id() });
            }
            _ => {}
        }
    }

    /// Within a storm nobody would hear that a window ends: it is looked at when the incident leaves it.
    fn rung_timers(&mut self) {
        let Some(rung) = self.incident.ladder.rung().copied().filter(|_| !self.incident.quiet) else { return };
        self.timer(rung.until(), Timer::RungEnds { rung });
        let length = rung.until().duration_since(self.at);
        let remind_at = rung.until() - self.incident.policy.reminder_before_end(length);
        // All-paged windows repeat by themselves, and a reminder at once is no reminder.
        if !matches!(rung, Rung::AllPaged { .. }) && remind_at > self.at && remind_at < rung.until() {
            self.timer(remind_at, Timer::RungReminder { rung });
        }
    }

    fn calls(&mut self, event: &Event) {
        match event {
            Event::RungBegan { rung, call, reason } => {
                for level in call {
                    self.call(*level, reason, *rung, Ways::of(self.incident, *level));
                }
            }
            Event::CalledBeside { level, rung, reason } => {
                self.call(*level, reason, *rung, Ways::of(self.incident, *level));
            }
            Event::ClearingEnded => {
                for asked in self.incident.calls.asked.clone() {
                    let left = Ways::left(self.incident, &asked);
                    if asked.version == self.incident.version {
                        self.call(asked.level, &CallReason::FiringAgain, asked.rung, left);
                    } else if asked.rings_again.is_some() {
                        // In the instant in which it cleared: a mention that is not made yet is still there.
                        let pager = Ways { mention: false, ..left };
                        self.call(asked.level, &CallReason::FiringAgain, asked.rung, pager);
                    }
                }
            }
            Event::FellBack { level, pager, reason, rung } => {
                let (pager, reason) = (pager.clone(), reason.clone());
                let key = format!("fallback:{}:{level}", self.incident.version);
                let work = Work::CallPager { pager, level: *level, reason, rung: *rung };
                self.effects.push(NewEffect { key, slot: None, due: self.at, work });
            }
            Event::TriageFinished { .. } | Event::TriageFailed { .. } | Event::Surveyed { .. } => self.released_calls(),
            _ => {}
        }
    }

    /// The diagnosis has ended: calls that waited for it are made now. Those that were made already have the same keys.
    fn released_calls(&mut self) {
        let waiting = self.incident.calls.asked.iter().filter(|asked| asked.waits.is_some());
        for asked in waiting.cloned().collect::<Vec<_>>() {
            let Some(reason) = &asked.waits else { continue };
            self.call(asked.level, reason, asked.rung, Ways::left(self.incident, &asked));
        }
    }

    /// Pages that this event has ended: nobody is rung for what somebody has, or what is over.
    fn ended_pages(&mut self) {
        let version = self.incident.version;
        let ended = self.incident.calls.pages.iter().filter(|page| page.version == version).cloned();
        for page in ended.collect::<Vec<_>>() {
            let how = match page.state {
                PageState::Ringing => continue,
                PageState::Acknowledged => PageEnd::Acknowledge,
                PageState::Resolved => PageEnd::Resolve,
            };
            let slot = slot_of_page(&page.key);
            self.add_to(slot, Work::EndPage { pager: page.pager, level: page.level, key: page.key, how });
        }
    }

    /// Calls that can say more since this event than when they were made.
    fn completed_calls(&mut self) {
        let version = Some(self.incident.version);
        let calls = &self.incident.calls;
        let pages = calls.pages.iter().filter(|page| page.completed == version && page.state == PageState::Ringing);
        for page in pages.cloned().collect::<Vec<_>>() {
            let slot = slot_of_page(&page.key);
            self.add_to(slot, Work::UpdatePage { pager: page.pager, level: page.level, key: page.key });
        }
        let mentions = calls.unexplained.iter().filter(|mention| mention.completed == version);
        for mention in mentions.cloned().collect::<Vec<_>>() {
            let slot = format!("mention:{}", mention.post.key);
            self.add_to(slot, Work::UpdateMention { to: mention.to, level: mention.level, post: mention.post });
        }
    }

    /// Adds what takes the place of older work of its slot, and never overtakes it.
    fn add_to(&mut self, slot: String, work: Work) {
        let key = format!("{slot}:{}", self.incident.version);
        self.effects.push(NewEffect { key, slot: Some(slot), due: self.at, work });
    }

    /// Makes a call. Its keys name it: who asks for the same call again gets the same effect.
    fn call(&mut self, level: LevelNumber, reason: &CallReason, rung: Rung, ways: Ways) {
        let Some(known) = self.incident.policy.level(level).cloned() else { return };
        let asked = self.incident.calls.of(level);
        let asked_at = asked.map_or(self.incident.version, |asked| asked.version);
        let rung_at = asked.and_then(|asked| asked.rings_again).unwrap_or(asked_at);
        let due = due_of_call(self.incident, level, self.at);
        if let Some(pager) = known.pager.filter(|_| ways.pager) {
            let work = Work::CallPager { pager, level, reason: reason.clone(), rung };
            self.effects.push(NewEffect { key: format!("pager:{rung_at}:{level}"), slot: None, due, work });
        }
        for (at, to, mentions) in channels_of_call(self.incident, level).filter(|_| ways.mention) {
            let work = Work::Mention { to, level, mentions, reason: reason.clone(), rung };
            self.effects.push(NewEffect { key: format!("call:{asked_at}:{level}:{at}"), slot: None, due, work });
        }
    }

    fn posts(&mut self, event: &Event) {
        match event {
            Event::Opened { .. } if self.incident.key.is_of_rule() => self.post(&Notice::RuleUnseeing),
            Event::Opened { target: None, .. } if !self.is_storm() => self.post(&Notice::TargetWanted),
            Event::LeftStorm
                if self.incident.target.is_none() && self.incident.is_live() && !self.incident.is_foreign() =>
            {
                self.post(&Notice::TargetWanted);
            }
            other => {
                if let Some(notice) = notice_of(other, self.incident) {
                    self.post(&notice);
                }
            }
        }
    }

    fn is_storm(&self) -> bool {
        stands_for_a_storm(self.incident)
    }

    fn work(&mut self, event: &Event) {
        match event {
            Event::TriageStarted { run, .. } => self.add(kinds::TRIAGE, self.at, Work::Triage { run: *run }),
            Event::FixProposed { fix, .. } | Event::PlanMoved { fix, .. } | Event::QuestionOutdated { fix } => {
                self.add(kinds::PLAN, self.at, Work::DrawPlan { fix: *fix });
            }
            Event::FixApproved { fix, .. } => {
                self.add(kinds::SAMPLE, self.at, Work::Sample { fix: *fix, round: Round::Before });
            }
            Event::StepStarted { fix, plan, step } => {
                self.add(kinds::STEP, self.at, Work::RunStep { fix: *fix, plan: plan.clone(), step: *step });
            }
            Event::StepDone { fix, step, .. } => self.poll(*fix, *step, self.at + POLL_EVERY),
            Event::StepAwaited { fix, step, again_at } => self.poll(*fix, *step, *again_at),
            Event::VerificationBegan { fix, until: None } => self.sample_start(*fix),
            Event::VerificationAsked { .. } => {
                let fix = self.incident.fix.as_ref().map(|fix| fix.number);
                if let Some(fix) = fix {
                    self.sample_start(fix);
                }
            }
            Event::VerificationBegan { fix, until: Some(until) } => {
                self.add(kinds::SAMPLE, *until, Work::Sample { fix: *fix, round: Round::End });
            }
            _ => {}
        }
    }

    fn sample_start(&mut self, fix: FixNumber) {
        self.add(kinds::SAMPLE, self.at, Work::Sample { fix, round: Round::Start });
    }

    fn poll(&mut self, fix: FixNumber, step: StepNumber, due: Timestamp) {
        let plan = self.incident.fix.as_ref().and_then(super::Fix::plan_id);
        if let Some(plan) = plan {
            self.add(kinds::POLL, due, Work::AwaitStep { fix, plan, step });
        }
    }
}

/// What is told of one page goes out one after the other: after its end, an update would make it ring anew.
fn slot_of_page(key: &str) -> String {
    format!("page:{key}")
}

fn notice_of(event: &Event, incident: &Incident) -> Option<Notice> {
    Some(match event {
        Event::OfAnotherCluster { ours, first: true } => Notice::OtherCluster { ours: ours.clone() },
        Event::StormGrew { count: 1 } => Notice::Storm { count: 1 },
        Event::WentStale { last_seen } => Notice::Stale { last_seen: *last_seen },
        Event::ClearingBegan { until } => Notice::Clearing { until: *until },
        Event::ClearingEnded => Notice::FiringAgain,
        Event::Closed { .. } => Notice::Closed,
        Event::Reopened => Notice::Reopened,
        Event::Reminded { rung } => Notice::Reminder { level: rung.level(), until: rung.until() },
        Event::LevelUnreachable { level, why, follows } => {
            Notice::Unreachable { level: *level, why: why.clone(), follows: *follows }
        }
        Event::FellBack { level, pager, .. } => Notice::FellBack { level: *level, pager: pager.0.clone() },
        Event::NoticedLate { seconds } => Notice::MissedWindow { seconds: *seconds },
        Event::Acknowledged { by, rung } => Notice::Acknowledged { by: by.clone(), until: rung.until() },
        Event::HandedTo { to, by, .. } => Notice::HandedTo { to: to.clone(), by: by.clone() },
        Event::TriageFinished { run, .. } | Event::Surveyed { run, .. } => Notice::Verdict { run: *run },
        Event::TriageFailed { reason, .. } => Notice::TriageFailed { reason: reason.clone() },
        Event::PlanDrawn { plan, .. } => Notice::ApprovalWanted { plan: plan.id() },
        Event::PlanMoved { what, .. } => Notice::PlanMoved { what: what.clone() },
        Event::QuestionOutdated { .. } => Notice::QuestionOutdated,
        Event::FixApproved { by, .. } => Notice::FixStarted { fix: incident.fix.as_ref()?.name, by: by.clone() },
        Event::StepSettled { step, result, .. } => {
            let plan = incident.fix.as_ref()?.plan.as_ref()?;
            Notice::StepSettled { target: plan.operation(*step)?.target(), result: result.clone() }
        }
        Event::FixEnded { fix, end } => {
            let past = incident.past_fixes.iter().find(|past| past.number == *fix)?;
            Notice::FixEnded { fix: past.name, end: end.clone() }
        }
        Event::WritesSwitched { on, by, reason } => {
            Notice::WritesSwitched { on: *on, by: by.clone(), reason: reason.clone() }
        }
        Event::OverdueNoticed { what, since } => Notice::Overdue { what: what.clone(), since: *since },
        Event::ClockSet { by, told: true } => Notice::ClockSet { by: *by },
        Event::IncidentJoined { incident, by } => Notice::IncidentJoined { incident: *incident, by: by.clone() },
        Event::NoteAdded { by, text } => Notice::Note { by: by.clone(), text: text.clone() },
        _ => return None,
    })
}

/// Whether the card looks different after this event. The answers of our own deliveries are left out: a card that is
/// drawn because a card was drawn would never end.
fn draws_the_card(event: &Event) -> bool {
    !matches!(
        event,
        Event::CardPosted { .. }
            | Event::StillRepeated
            | Event::StepAwaited { .. }
            | Event::ClockSet { told: false, .. }
    )
}
