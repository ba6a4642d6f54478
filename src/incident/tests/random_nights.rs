//! Random nights: what people say, what alerts do, what effects come to and how time passes, in any order.

use super::rehearsal::{MINUTE, Rehearsal, plan, pod, replacement, verdict};
use crate::incident::{
    Act, AlertStatus, FixPhase, HandOffTo, Incident, IncidentStatus, Outcome, Round, Share, Work, leave_storm,
    may_take_all, share,
};
use crate::triage::{FixName, Scenario};
use crate::{
    escalation::{LevelNumber, PagerName},
    incident::{FixNumber, RunNumber},
    remediation::StepNumber,
};
use jiff::Timestamp;
use proptest::prelude::*;

#[derive(Debug, Clone)]
pub(super) enum RandomMove {
    Says(u8, u8),
    Alert(u8, bool),
    Passes(u16),
    Happens(u8),
    /// More incidents open than people can carry, or no longer.
    Storms(bool),
    /// The storm is over, so what fires stands on its own.
    LeavesTheStorm,
    TakesAll(u8),
}

pub(super) fn moves() -> impl Strategy<Value = Vec<RandomMove>> {
    let one = prop_oneof![
        2 => (0_u8..4, 0_u8..14).prop_map(|(who, what)| RandomMove::Says(who, what)),
        1 => (0_u8..2, any::<bool>()).prop_map(|(which, firing)| RandomMove::Alert(which, firing)),
        1 => (0_u16..120).prop_map(RandomMove::Passes),
        4 => (0_u8..18).prop_map(RandomMove::Happens),
        1 => prop_oneof![
            any::<bool>().prop_map(RandomMove::Storms),
            Just(RandomMove::LeavesTheStorm),
            (0_u8..4).prop_map(RandomMove::TakesAll),
        ],
    ];
    proptest::collection::vec(one, 1..80)
}

fn said(night: &Rehearsal, what: u8) -> Act {
    let plan = night.incident().fix.as_ref().and_then(crate::incident::Fix::plan_id);
    match what {
        0 => Act::Acknowledge,
        1 => Act::Resolve { reason: None, anyway: true },
        2 => Act::Approve { plan: None },
        3 => Act::Reject { plan: None },
        4 => Act::ProposeFix { fix: FixName::RestartPod },
        5 => Act::Withdraw,
        6 => Act::Escalate { from: None },
        7 => Act::Note { text: "x".to_owned() },
        8 => Act::Verify,
        9 => Act::HandOff { to: HandOffTo::Level(LevelNumber(3)) },
        10 => Act::HandOff { to: HandOffTo::Person(super::rehearsal::person("U0OTHER")) },
        11 => Act::SetTarget { target: super::rehearsal::target() },
        12 => Act::Approve { plan },
        13 => Act::ProposeFix { fix: FixName::RestartSpireAgent },
        _ => Act::Triage,
    }
}

/// An outcome that could come now: of the step, the plan and the fix that are under way.
fn happened(night: &Rehearsal, what: u8) -> Outcome {
    let incident = night.incident();
    let fix = FixNumber(incident.next_fix().0 - 1);
    let plan_id = incident.fix.as_ref().and_then(crate::incident::Fix::plan_id);
    let step = match incident.fix.as_ref().map(|fix| &fix.phase) {
        Some(FixPhase::Stepping { step, .. } | FixPhase::Settling { step, .. }) => *step,
        _ => StepNumber::FIRST,
    };
    let (at, run) = (night.now, incident.last_run().unwrap_or(RunNumber(0)));
    // As where some pods wait for their agent, and others only for a restart.
    let found = verdict(Scenario::SpireAgent, FixName::CARRIED_OUT.to_vec(), at);
    let sampled = |round| Outcome::Sampled { fix, round, samples: Vec::new(), unreadable: Vec::new() };
    let to = night.policy.channels[0].clone();
    let new = format!("frontend-{}", 7 + step.0);
    let uid = crate::mesh::PodUid::parse(&format!("uid-{new}")).unwrap();
    match (what, plan_id) {
        (0, _) => Outcome::TriageFinished { run, verdict: Box::new(found), evidence: None },
        (1, _) => Outcome::TriageFailed { run, reason: "x".to_owned() },
        (2, _) => Outcome::PlanDrawn { fix, plan: Box::new(plan(&["frontend-1", "frontend-2"], at)) },
        (3, _) => Outcome::PlanRefused { fix, reasons: vec!["x".to_owned()] },
        (4 | 17, Some(plan)) => Outcome::StepDone { plan, step },
        (5, Some(plan)) => Outcome::StepFailed { plan, step, reason: "x".to_owned() },
        (6, Some(plan)) => Outcome::PlanMoved { plan, step, what: "x".to_owned() },
        (7, Some(plan)) => Outcome::StepAwaited { plan, step, why: "x".to_owned() },
        (8 | 16, Some(plan)) => replacement(plan, step, (pod(&new), uid), at + 60 * MINUTE),
        (9, Some(plan)) => {
            let work = Box::new(Work::RunStep { fix, plan, step });
            Outcome::Died { work, reason: "x".to_owned(), untouched: step == StepNumber::FIRST }
        }
        (10, _) => Outcome::NobodyBehind { level: LevelNumber(1), why: "x".to_owned() },
        (11, _) => Outcome::Mentioned { level: LevelNumber(1), to, unexplained: None },
        (12, _) => Outcome::PagerCalled {
            level: LevelNumber(2),
            page: Some((PagerName("p".to_owned()), "k".to_owned())),
            lacks: crate::incident::Lacks::default(),
        },
        (13, _) => sampled(Round::Start),
        (14, _) => sampled(Round::End),
        (_, _) => sampled(Round::Before),
    }
}

pub(super) fn play(night: &mut Rehearsal, one: &RandomMove) {
    match one {
        RandomMove::Says(who, what) => {
            let who = SPEAKERS[usize::from(*who)];
            let act = said(night, *what);
            let closed = !night.incident().is_live();
            let done = night.says(who, act);
            assert!(!closed || done.is_err(), "what is closed takes no command, an acknowledgement least of all");
        }
        RandomMove::Alert(which, firing) => {
            let status = if *firing { AlertStatus::Firing } else { AlertStatus::Resolved };
            night.alert(["frontend-1", "frontend-2"][usize::from(*which)], status);
        }
        RandomMove::Passes(minutes) => night.passes(i32::from(*minutes) * MINUTE),
        RandomMove::Happens(what) => {
            let outcome = happened(night, *what);
            night.outcome(&outcome);
        }
        RandomMove::Storms(storms) => night.storms = *storms,
        RandomMove::LeavesTheStorm => {
            let incident = night.incident();
            if incident.status == IncidentStatus::Open && incident.is_firing() {
                let events = leave_storm(incident, night.now);
                night.record(&events);
            }
        }
        RandomMove::TakesAll(who) => {
            let actor = night.actor(SPEAKERS[usize::from(*who)]);
            if may_take_all(&actor, night.now).is_ok()
                && let Share::Taken(events) = share(night.incident(), &actor, night.now, &night.policy)
            {
                night.record(&events);
            }
        }
    }
}

/// Where a random night stands, and who may speak in it.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) incident: Incident,
    pub(crate) now: Timestamp,
    pub(crate) policy: crate::incident::Policy,
    pub(crate) people: Vec<crate::people::Actor>,
}

pub(crate) fn random_nights() -> impl Strategy<Value = Standing> {
    // Most of what can be offered lies behind a diagnosis, a question, or a fix that was watched to its end.
    (0..4, moves()).prop_map(|(begins, moves)| {
        let mut night = match begins {
            0 => Rehearsal::with_a_verdict(),
            1 => Rehearsal::with_a_question(&["frontend-1"]),
            2 => left_out(),
            _ => verified(),
        };
        for one in &moves {
            play(&mut night, one);
        }
        let people = SPEAKERS.map(|user| night.actor(user)).into();
        Standing { incident: night.incident().clone(), now: night.now, policy: night.policy.clone(), people }
    })
}

const SPEAKERS: [&str; 4] = ["U0ONCALL", "U0SECURITY", "U0OTHER", "U0NOBODY"];

/// A bot without the rights for one of the two fixes that fit.
fn left_out() -> Rehearsal {
    let mut night = Rehearsal::with_an_alert();
    night.policy.left_out = vec![FixName::RestartSpireAgent];
    play(&mut night, &RandomMove::Happens(0));
    night
}

/// A night whose fix was watched to its end, by moves of the random nights.
pub(super) fn verified() -> Rehearsal {
    let mut night = Rehearsal::with_an_alert();
    let moves = [(0, 0, true), (0, 4, false), (0, 2, true), (1, 2, false), (0, 15, true), (0, 4, true), (0, 8, true)];
    for (who, what, happens) in moves {
        play(&mut night, &if happens { RandomMove::Happens(what) } else { RandomMove::Says(who, what) });
    }
    for what in [4, 8, 13, 14] {
        play(&mut night, &RandomMove::Happens(what));
    }
    night
}
