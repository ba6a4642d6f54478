//! What an outcome means: facts are always recorded, whatever state the incident is in, and decide what follows.

use jiff::{SignedDuration, Timestamp};

use super::{
    CallReason, Event, EvidenceDigest, Follows, Incident, IncidentStatus, Lacks, LevelCall, Outcome, PageState, Policy,
    RunNumber, Timer, Triage, Work,
    calls::{Ways, call_wanted, page_key},
    escalate::{beside_events, climb_events, follows},
    settle_fix,
    storm::stands_for_a_storm,
};
use crate::{
    escalation::{Climb, Ladder, LevelNumber, PagerName, Rung},
    triage::{CallAtOnce, Scenario, Survey, Verdict},
};

/// What a settlement looks at besides the outcome.
#[derive(Clone, Copy)]
pub(super) struct SettleContext<'a> {
    pub(super) incident: &'a Incident,
    pub(super) now: Timestamp,
    pub(super) policy: &'a Policy,
}

/// The events of an outcome.
pub fn settle(incident: &Incident, outcome: &Outcome, now: Timestamp, policy: &Policy) -> Vec<Event> {
    let facts = SettleContext { incident, now, policy };
    match outcome {
        Outcome::TriageFinished { run, verdict, evidence } => {
            let (verdict, left_out) = (verdict.clone(), policy.left_out.clone());
            let calls = facts.called_by_evidence(&verdict);
            let finished = Event::TriageFinished { run: *run, verdict, evidence: evidence.clone(), left_out };
            let current = matches!(&incident.triage, Triage::Running { run: running, .. } if running == run);
            if current { [finished].into_iter().chain(calls).collect() } else { Vec::new() }
        }
        Outcome::Surveyed { run, survey, evidence } => facts.surveyed(*run, survey, evidence.as_ref()),
        Outcome::TriageFailed { run, reason } => facts.triage_failed(*run, reason),
        Outcome::Elapsed { timer, last_seen } => facts.elapsed(timer, *last_seen),
        uneventful if uneventful.is_uneventful() => Vec::new(),
        Outcome::Shown { to, .. } => vec![Event::CardPosted { to: to.clone(), link: None }],
        Outcome::CardPosted { to, link } => vec![Event::CardPosted { to: to.clone(), link: link.clone() }],
        Outcome::Mentioned { level, to, unexplained } => {
            let mention = unexplained.clone().map(|post| (to.clone(), post));
            vec![Event::LevelCalled { level: *level, by_pager: false, page: None, lacks: Lacks::default(), mention }]
        }
        Outcome::PagerCalled { level, page, lacks } => {
            let (page, lacks) = (page.clone(), *lacks);
            vec![Event::LevelCalled { level: *level, by_pager: true, page, lacks, mention: None }]
        }
        Outcome::PageUnanswered { level, pager, call } => facts.page_unanswered(*level, pager, call),
        Outcome::NobodyBehind { level, why } => facts.way_failed(*level, why),
        Outcome::Delayed { work } => facts.fell_back(work),
        Outcome::Died { work, reason, untouched } => facts.died(work, reason, *untouched),
        of_a_fix => settle_fix::settle_fix(facts, of_a_fix),
    }
}

impl SettleContext<'_> {
    fn surveyed(&self, run: RunNumber, survey: &Survey, evidence: Option<&EvidenceDigest>) -> Vec<Event> {
        let current = matches!(&self.incident.triage, Triage::Running { run: running, .. } if *running == run);
        if !current {
            return Vec::new();
        }
        let done = Event::Surveyed { run, survey: Box::new(survey.clone()), evidence: evidence.cloned() };
        let open = self.incident.status == IncidentStatus::Open;
        let call = if open { survey_call(self.incident, survey, self.now) } else { Vec::new() };
        [done].into_iter().chain(call).collect()
    }

    fn triage_failed(&self, run: RunNumber, reason: &str) -> Vec<Event> {
        let current = matches!(&self.incident.triage, Triage::Running { run: running, .. } if *running == run);
        if current { vec![Event::TriageFailed { run, reason: reason.to_owned() }] } else { Vec::new() }
    }

    /// Said once as long as the page may ring. When it was ended meanwhile, it may have arrived after that: it is ended
    /// again.
    fn page_unanswered(&self, level: LevelNumber, pager: &PagerName, call: &str) -> Vec<Event> {
        let key = page_key(self.incident, call);
        if self.incident.calls.page(&key).is_some_and(|page| page.state == PageState::Ringing) {
            return Vec::new();
        }
        vec![Event::PageUncertain { level, pager: pager.clone(), key }]
    }

    fn elapsed(&self, timer: &Timer, last_seen: Timestamp) -> Vec<Event> {
        match timer {
            Timer::RungEnds { rung } => self.rung_ended(rung),
            Timer::RungReminder { rung } => {
                let runs = self.runs(rung) && self.now < rung.until();
                if runs && self.busy_with_a_fix(rung).is_none() {
                    vec![Event::Reminded { rung: *rung }]
                } else {
                    Vec::new()
                }
            }
            Timer::HoldEnds { until } => {
                let holds = self.incident.status == IncidentStatus::Clearing { until: *until } && self.now >= *until;
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
        if !self.incident.is_live() || self.incident.stale_since.is_some() || stands_for_a_storm(self.incident) {
            return Vec::new();
        }
        // While it clears nothing is repeated; it is looked at again in case it fires again.
        let clearing = self.incident.status != IncidentStatus::Open;
        if !clearing && self.now.duration_since(last_seen) >= self.policy.stale_after {
            vec![Event::WentStale { last_seen }]
        } else {
            vec![Event::StillRepeated]
        }
    }

    /// Whether this window runs. No window runs where nobody would hear of its end: within a storm, or for what only tells
    /// that a rule sees nothing. An earlier version began some there.
    fn runs(&self, rung: &Rung) -> bool {
        let heard = !self.incident.quiet && !self.incident.key.is_of_rule();
        heard && self.incident.ladder.rung() == Some(rung)
    }

    fn rung_ended(&self, ended: &Rung) -> Vec<Event> {
        let Some(running) = self.incident.ladder.rung().filter(|running| self.runs(running)) else {
            return Vec::new();
        };
        let Some(climb) = self.incident.policy.next(running, ended, self.now) else { return Vec::new() };
        if let Some(level) = self.busy_with_a_fix(ended) {
            return vec![Event::WorkSeen { rung: self.incident.policy.idle(level, self.now) }];
        }
        let reason = match ended {
            Rung::Waiting { .. } if matches!(climb.rung, Rung::AllPaged { .. }) => CallReason::Repeat,
            Rung::Waiting { .. } => CallReason::Unanswered,
            Rung::AllPaged { .. } => CallReason::Repeat,
            Rung::Acknowledged { .. } => CallReason::Idle,
        };
        let calls = &self.incident.calls;
        let is_new =
            |level: &LevelNumber| reason != CallReason::Unanswered || !calls.just_reached_beside(*level, self.now);
        let call = climb.call.iter().copied().filter(is_new).collect();
        let climb = Climb { call, ..climb };
        let breached = Event::WindowBreached { rung: *ended };
        [breached].into_iter().chain(climb_events(climb, &reason)).collect()
    }

    /// The level on whose behalf somebody has it, who waits for an approver or for the bot: that is work and not
    /// idleness, and every phase of a fix ends by itself.
    fn busy_with_a_fix(&self, rung: &Rung) -> Option<LevelNumber> {
        match rung {
            Rung::Acknowledged { level, .. } => self.incident.fix.as_ref().map(|_| *level),
            Rung::Waiting { .. } | Rung::AllPaged { .. } => None,
        }
    }

    /// One way of calling a level came to nothing, for good. With no other way left, the next level is called at once.
    fn way_failed(&self, level: LevelNumber, why: &str) -> Vec<Event> {
        let unreachable = |follows| Event::LevelUnreachable { level, why: why.to_owned(), follows };
        let asked = self.incident.calls.of(level);
        let got_through = asked.is_some_and(LevelCall::got_through);
        let refused = asked.map_or(0, |asked| asked.refused).saturating_add(1);
        let ways = u32::try_from(Ways::of(self.incident, level).count(self.incident, level)).unwrap_or(u32::MAX);
        if got_through || refused < ways {
            return vec![unreachable(Follows::OtherWay)];
        }
        if let Some(asked) = asked.filter(|asked| asked.beside.is_some()) {
            return self.next_beside(asked, why);
        }
        let waits_for_it = matches!(self.incident.ladder.rung(), Some(Rung::Waiting { level: at, .. }) if *at == level);
        if !waits_for_it {
            return vec![unreachable(Follows::Nothing)];
        }
        let (climb, reason) = match self.incident.policy.above(level) {
            Some(above) => (self.incident.policy.call_from(above.number, self.now), CallReason::Unanswered),
            None => (self.incident.policy.call_all(self.now), CallReason::Repeat),
        };
        let said = unreachable(follows(&climb));
        [said].into_iter().chain(climb_events(climb, &reason)).collect()
    }

    /// A level that was called beside the window cannot be reached: the one above it is called beside it instead.
    fn next_beside(&self, asked: &LevelCall, why: &str) -> Vec<Event> {
        let policy = &self.incident.policy;
        let reason = CallReason::Evidence { because: format!("{} cannot be reached", asked.level) };
        let above = policy.above(asked.level).map(|above| beside_events(policy, above.number, asked.rung, &reason));
        let above = above.unwrap_or_default();
        let called = above.iter().any(|event| matches!(event, Event::CalledBeside { .. }));
        let follows = if called { Follows::NextLevel } else { Follows::Nothing };
        let said = Event::LevelUnreachable { level: asked.level, why: why.to_owned(), follows };
        [said].into_iter().chain(above).collect()
    }

    /// The chat cannot be reached: a level without a pager of its own is called by the fall-back pager meanwhile, once.
    fn fell_back(&self, work: &Work) -> Vec<Event> {
        let Work::Mention { level, rung, reason, .. } = work else { return Vec::new() };
        let has_pager = self.incident.policy.level(*level).is_some_and(|level| level.pager.is_some());
        let waits = self.incident.calls.of(*level).is_some_and(|asked| !asked.fell_back && !asked.mentioned);
        let Some(pager) = self.incident.policy.fallback_pager.clone() else { return Vec::new() };
        if has_pager || !waits || !call_wanted(self.incident, *level, rung) {
            return Vec::new();
        }
        vec![Event::FellBack { level: *level, pager, reason: reason.clone(), rung: *rung }]
    }

    /// The level that the evidence calls for is called without waiting, once an opening, unless it or a higher one has
    /// it already.
    fn called_by_evidence(&self, verdict: &Verdict) -> Vec<Event> {
        if self.incident.status != IncidentStatus::Open {
            return Vec::new();
        }
        evidence_call(self.incident, verdict, self.now)
    }

    pub(super) fn call_at_once(&self, level: LevelNumber, because: &str) -> Vec<Event> {
        if matches!(self.incident.ladder, Ladder::Paused { .. }) {
            return Vec::new();
        }
        call_at_once(self.incident, level, because, self.now)
    }

    /// A call that was refused for good is said aloud, and what follows depends on who else could be reached.
    fn call_died(&self, level: LevelNumber, rung: &Rung, pager: Option<&PagerName>, reason: &str) -> Vec<Event> {
        let could_not = Event::CouldNot { what: format!("{level} could not be called"), reason: reason.to_owned() };
        let own = self.incident.policy.level(level).and_then(|level| level.pager.as_ref());
        let fallback = pager.is_some() && own != pager;
        if fallback || !call_wanted(self.incident, level, rung) {
            return vec![could_not];
        }
        [could_not].into_iter().chain(self.way_failed(level, reason)).collect()
    }

    fn died(&self, work: &Work, reason: &str, untouched: bool) -> Vec<Event> {
        let could_not = |what: &str| Event::CouldNot { what: what.to_owned(), reason: reason.to_owned() };
        match work {
            Work::Triage { run } => self.triage_failed(*run, reason),
            // A notice that fails makes no further notice: it is only written on the card.
            Work::Post { .. } => vec![could_not("a message could not be posted")],
            Work::DrawCard { .. } => vec![could_not("the card could not be drawn")],
            Work::Mention { level, rung, .. } => self.call_died(*level, rung, None, reason),
            Work::CallPager { level, rung, pager, .. } => self.call_died(*level, rung, Some(pager), reason),
            Work::EndPage { level, .. } => vec![could_not(&format!("a page of {level} could not be ended"))],
            Work::UpdatePage { level, .. } | Work::UpdateMention { level, .. } => {
                vec![could_not(&format!("the call of {level} could not be completed with the cause"))]
            }
            Work::Timer { .. } => vec![could_not("a timer could not be handled")],
            Work::DrawPlan { .. } | Work::RunStep { .. } | Work::AwaitStep { .. } | Work::Sample { .. } => {
                settle_fix::died(*self, work, reason, untouched)
            }
        }
    }
}

/// How often the effect of a step is looked for.
pub(super) const POLL_EVERY: SignedDuration = SignedDuration::from_secs(3);

/// The call that a verdict asks for. While the alerts are resolved for now it is asked of the ladder that waits, for the
/// moment at which they fire again.
pub(super) fn evidence_call(incident: &Incident, verdict: &Verdict, now: Timestamp) -> Vec<Event> {
    let Some(call) = verdict.call_at_once else { return Vec::new() };
    called_for(incident, call, verdict.scenario, now)
}

/// The same of a look at several services of a storm.
pub(super) fn survey_call(incident: &Incident, survey: &Survey, now: Timestamp) -> Vec<Event> {
    let wanted = survey.causes().find_map(|finding| Some((finding.call_at_once?, finding.scenario)));
    wanted.map(|(call, scenario)| called_for(incident, call, scenario, now)).unwrap_or_default()
}

fn called_for(incident: &Incident, call: CallAtOnce, scenario: Scenario, now: Timestamp) -> Vec<Event> {
    let wanted = match call {
        CallAtOnce::L2 => LevelNumber(2),
        CallAtOnce::L3 => LevelNumber(3),
    };
    call_at_once(incident, wanted, &format!("the verdict is \"{scenario}\""), now)
}

/// Calls `wanted`, or the highest level below it that there is, *beside* the windows: nobody is called later because of
/// it, and the person who has the incident keeps it. Not where that level or a higher one was called already, nor about one that a
/// storm holds back: it calls when it stands on its own.
fn call_at_once(incident: &Incident, wanted: LevelNumber, because: &str, now: Timestamp) -> Vec<Event> {
    let known = incident.policy.levels.iter().map(|level| level.number).filter(|number| *number <= wanted).max();
    // While it clears, this is asked for the moment at which the window goes on.
    let running = incident.ladder.clone().resumed(now).rung().copied();
    let (Some(level), Some(rung)) = (known, running) else { return Vec::new() };
    let Some(stands_at) = rung.level() else { return Vec::new() };
    if stands_at >= level || incident.calls.by_evidence >= Some(level) || incident.quiet {
        return Vec::new();
    }
    beside_events(&incident.policy, level, rung, &CallReason::Evidence { because: because.to_owned() })
}
