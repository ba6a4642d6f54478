//! A night without a computer: one incident, a clock that is set by hand, and a list of the effects that were asked for.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::{
    approval::ApprovalRule,
    escalation::{self, LevelNumber, Rung},
    incident::{
        Act, AlertEffect, AlertSighting, AlertStatus, Answer, Command, Destination, Event, Face, Fingerprint,
        FixNumber, Incident, IncidentId, IncidentKey, NewEffect, Outcome, Policy, Refusal, Room, RunNumber,
        SightingContext, Timer, Work, apply, begin, decide, effects, moved, settle, sight, still_wanted,
    },
    mesh::{ControllerRef, Namespace, ObjectName, PodRef, PodUid, TargetRef},
    people::{Actor, Mention, PersonId, Platform, Role},
    remediation::{Operation, Plan, PlanContent, PlanId, PodEviction, StepNumber, StepResult},
    triage::{Confidence, FixName, On, Scenario, Side, VERDICT_SCHEMA, Verdict},
};

pub(super) const MINUTE: SignedDuration = SignedDuration::from_mins(1);

pub(super) fn three_in_the_morning() -> Timestamp {
    "2026-11-24T03:00:00Z".parse().unwrap()
}

pub(super) fn policy() -> Policy {
    let ladder =
        escalation::EscalationPolicy::runbook(["S1", "S2", "S3"].map(|group| Mention::group(Platform::Slack, group)));
    let channel = Destination { face: Face::Slack, channel: "C0INCIDENTS".to_owned() };
    Policy {
        approval: ApprovalRule { needed: 1, expires_after: SignedDuration::from_mins(10) },
        writes_enabled: true,
        ..Policy::usual(ladder, vec![channel])
    }
}

pub(super) fn person(user: &str) -> PersonId {
    PersonId { platform: Platform::Slack, workspace: "T0".to_owned(), user: user.to_owned() }
}

pub(super) fn target() -> TargetRef {
    TargetRef::parse(Namespace::parse("web").unwrap(), "svc/frontend").unwrap()
}

pub(super) fn pod(name: &str) -> PodRef {
    PodRef { namespace: Namespace::parse("web").unwrap(), name: ObjectName::parse(name).unwrap() }
}

pub(super) fn verdict(scenario: Scenario, fixes: Vec<FixName>, at: Timestamp) -> Verdict {
    Verdict {
        schema: VERDICT_SCHEMA.to_owned(),
        target: target(),
        at,
        scenario,
        confidence: Confidence::High,
        on: On { side: Side::Client, pods: vec![pod("frontend-1")], lives: Vec::new(), nodes: Vec::new() },
        reasons: vec!["the SVID ended 40 min ago".into()],
        ruled_out: Vec::new(),
        consequences: Vec::new(),
        checks: Vec::new(),
        not_checked: Vec::new(),
        fixes,
        never: Vec::new(),
        call_at_once: None,
    }
}

pub(super) fn plan(pods: &[&str], at: Timestamp) -> Plan {
    let planned = |name: &&str| {
        Operation::EvictPod(PodEviction {
            pod: pod(name),
            uid: PodUid::parse(&format!("uid-{name}")).unwrap(),
            node: None,
            controller: ControllerRef::new("ReplicaSet", "frontend"),
            workload: ControllerRef::new("deploy", "frontend"),
            because: "its SVID ended".to_owned(),
        })
    };
    Plan::new(PlanContent {
        fix: FixName::RestartPod,
        target: target(),
        drawn_at: at,
        operations: pods.iter().map(planned).collect(),
        ready: (2, 2),
        budgets: Vec::new(),
        warnings: Vec::new(),
        pods_before: Vec::new(),
    })
}

/// A step was seen to work: another pod took the place of the one that it ended.
pub(super) fn replacement(
    plan: PlanId,
    step: StepNumber,
    (pod, uid): (PodRef, PodUid),
    not_after: Timestamp,
) -> Outcome {
    Outcome::StepSettled {
        plan,
        step,
        result: StepResult::Replaced { old: None, pod, uid, not_after: Some(not_after) },
    }
}

/// One incident under rehearsal.
pub(super) struct Rehearsal {
    pub(super) now: Timestamp,
    pub(super) policy: Policy,
    pub(super) incident: Option<Incident>,
    pub(super) events: Vec<Event>,
    /// When each of the events happened.
    pub(super) times: Vec<Timestamp>,
    /// Whether more incidents open than people can carry.
    pub(super) storms: bool,
    pub(super) waiting: Vec<NewEffect>,
    /// When the alert was last repeated.
    last_seen: Timestamp,
    keys: BTreeSet<String>,
}

impl Rehearsal {
    pub(super) fn quiet() -> Self {
        Self {
            now: three_in_the_morning(),
            policy: policy(),
            incident: None,
            events: Vec::new(),
            times: Vec::new(),
            storms: false,
            waiting: Vec::new(),
            last_seen: three_in_the_morning(),
            keys: BTreeSet::new(),
        }
    }

    /// A night on which frontend's alert has fired.
    pub(super) fn with_an_alert() -> Self {
        let mut night = Self::quiet();
        night.alert("frontend-1", AlertStatus::Firing);
        night
    }

    /// … and the verdict is an expired certificate.
    pub(super) fn with_a_verdict() -> Self {
        let mut night = Self::with_an_alert();
        let found = verdict(Scenario::ExpiredCertificate, vec![FixName::RestartPod], night.now);
        night.outcome(&Outcome::TriageFinished { run: RunNumber(1), verdict: Box::new(found), evidence: None });
        night
    }

    /// … and on-call has asked for a restart, whose plan waits for approval.
    pub(super) fn with_a_question(pods: &[&str]) -> Self {
        let mut night = Self::with_a_verdict();
        night.says("U0ONCALL", Act::ProposeFix { fix: FixName::RestartPod }).unwrap();
        let drawn = Box::new(plan(pods, night.now));
        night.outcome(&Outcome::PlanDrawn { fix: FixNumber(1), plan: drawn });
        night
    }

    pub(super) fn incident(&self) -> &Incident {
        self.incident.as_ref().expect("an incident is open")
    }

    pub(super) fn sighting(fingerprint: &str, status: AlertStatus) -> AlertSighting {
        AlertSighting {
            status,
            target: Some(target()),
            ..AlertSighting::firing(
                "MTLSHandshakeFailureRateHigh",
                "prod",
                IncidentKey("prod/web/frontend".to_owned()),
                Fingerprint(fingerprint.to_owned()),
                three_in_the_morning(),
            )
        }
    }

    pub(super) fn alert(&mut self, fingerprint: &str, status: AlertStatus) -> AlertEffect {
        let sighting = Self::sighting(fingerprint, status);
        self.sees(&sighting)
    }

    pub(super) fn sees(&mut self, sighting: &AlertSighting) -> AlertEffect {
        let policy = self.policy.clone();
        let context = SightingContext {
            now: self.now,
            policy: &policy,
            fresh: IncidentId::new(1),
            quiet: self.storms,
            group: Some("group"),
        };
        let seen = sight(self.incident.as_ref(), sighting, &context);
        match &seen {
            AlertEffect::Nothing => {}
            AlertEffect::Change(events) => self.record(events),
            AlertEffect::Open(events) => {
                // Another incident: what the first one waited for is its own affair.
                self.incident = None;
                self.keys.clear();
                self.waiting.clear();
                self.events.clear();
                self.times.clear();
                self.record(events);
            }
        }
        seen
    }

    /// Somebody with the rights of this night: U0ONCALL commands, U0NOBODY may nothing, everybody else approves as well.
    pub(super) fn actor(&self, user: &str) -> Actor {
        let roles = match user {
            "U0ONCALL" => BTreeSet::from([Role::Commander]),
            "U0NOBODY" => BTreeSet::new(),
            _ => BTreeSet::from([Role::Commander, Role::Approver]),
        };
        Actor { id: person(user), also: BTreeSet::new(), roles, as_of: self.now }
    }

    pub(super) fn says(&mut self, user: &str, act: Act) -> Result<Answer, Refusal> {
        let actor = self.actor(user);
        let command = Command { incident: IncidentId::new(1), actor, key: "k".to_owned(), act };
        let (events, answer) = decide(self.incident(), &command, self.now, &self.policy)?;
        self.record(&events);
        Ok(answer)
    }

    pub(super) fn outcome(&mut self, outcome: &Outcome) -> Vec<Event> {
        let events = settle(self.incident(), outcome, self.now, &self.policy);
        self.record(&events);
        events
    }

    pub(super) fn record(&mut self, events: &[Event]) {
        for event in events {
            match self.incident.as_mut() {
                None => self.incident = begin(event, self.now),
                Some(incident) => apply(incident, event, self.now),
            }
            let new = effects(self.incident(), event, self.now, &self.policy);
            for effect in new {
                if !self.keys.insert(effect.key.clone()) {
                    let is_a_call = matches!(effect.work, Work::Mention { .. } | Work::CallPager { .. });
                    assert!(is_a_call, "the key {} came twice", effect.key);
                    // The same effect, brought forward if it still waits.
                    if let Some(known) = self.waiting.iter_mut().find(|known| known.key == effect.key) {
                        known.due = known.due.min(effect.due);
                    }
                    continue;
                }
                if let Some(slot) = &effect.slot {
                    self.waiting.retain(|other| other.slot.as_ref() != Some(slot));
                }
                self.waiting.push(effect);
            }
            self.events.push(event.clone());
            self.times.push(self.now);
        }
    }

    /// Lets time pass, with every timer that comes due on the way, each at its own moment.
    pub(super) fn passes(&mut self, time: SignedDuration) {
        let end = self.now + time;
        while let Some((due, timer)) = self.next_timer(end) {
            self.now = self.now.max(due);
            self.outcome(&Outcome::Elapsed { timer, last_seen: self.last_seen });
        }
        self.now = end;
    }

    /// Somebody sets the clock; what is stored is moved with it, as the journal does.
    pub(super) fn clock_is_set(&mut self, by: SignedDuration) {
        self.now += by;
        self.last_seen += by;
        for effect in &mut self.waiting {
            effect.due += by;
            effect.work = moved(&effect.work, by).unwrap();
        }
        self.record(&[Event::ClockSet { by, told: true }]);
    }

    fn next_timer(&mut self, end: Timestamp) -> Option<(Timestamp, Timer)> {
        let is_due = |effect: &NewEffect| effect.due <= end && matches!(effect.work, Work::Timer { .. });
        let earliest = self.waiting.iter().filter(|effect| is_due(effect)).map(|effect| effect.due).min()?;
        let place = self
            .waiting
            .iter()
            .position(|effect| effect.due == earliest && matches!(effect.work, Work::Timer { .. }))?;
        match self.waiting.remove(place).work {
            Work::Timer { timer } => Some((earliest, timer)),
            _ => None,
        }
    }

    /// The levels that were called since the list was last taken, with when, leaving out calls no longer wanted.
    pub(super) fn takes_calls(&mut self) -> Vec<LevelNumber> {
        let mut calls = Vec::new();
        let incident = self.incident().clone();
        let now = self.now;
        self.waiting.retain(|effect| match &effect.work {
            work @ Work::Mention { level, .. } => {
                if still_wanted(&incident, work, now) {
                    calls.push(*level);
                }
                false
            }
            _ => true,
        });
        calls
    }

    /// What the pagers are asked to do and still should, taken off the list.
    pub(super) fn takes_pager_work(&mut self) -> Vec<Work> {
        let incident = self.incident().clone();
        let now = self.now;
        let (of_pagers, rest) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition::<Vec<_>, _>(|effect| effect.work.room() == Room::Pager);
        self.waiting = rest;
        of_pagers.into_iter().map(|effect| effect.work).filter(|work| still_wanted(&incident, work, now)).collect()
    }

    pub(super) fn writes(&self) -> usize {
        self.waiting.iter().filter(|effect| matches!(effect.work, Work::RunStep { .. })).count()
    }

    pub(super) fn rung(&self) -> Rung {
        *self.incident().ladder.rung().expect("a window runs")
    }
}
