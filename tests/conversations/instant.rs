//! Every ordered pair of acknowledge, resolve, approve and expire in one instant, through the real inbox.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use mtls_medic::{
    clock::{Clock, VirtualClock},
    engine::SubmitError,
    escalation::LevelNumber,
    incident::{Act, Command, Event, FixPhase, HandOffTo, IncidentId},
    people::{Actor, PersonId, Platform, Role},
    remediation::StepNumber,
    simulate::world::Scenario,
};

use crate::{fake_slack::TEAM, night::Night};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Meets {
    Acknowledge,
    Resolve,
    Approve,
    Expire,
}

const ALL: [Meets; 4] = [Meets::Acknowledge, Meets::Resolve, Meets::Approve, Meets::Expire];

struct Instant {
    night: Night,
    clock: Arc<VirtualClock>,
    id: IncidentId,
    expires_at: Timestamp,
}

impl Instant {
    /// An incident whose plan waits for approval, an instant before the question expires.
    async fn before_the_question_expires() -> Self {
        let clock = Arc::new(VirtualClock::starting_at(Timestamp::now()));
        let night = Night::standing_still(Scenario::ExpiredCertificate, clock.clone()).await;
        night.alertmanager_fires().await;
        night.engine.settled().await.unwrap();
        let id = night.incident().await.id;
        let fix = mtls_medic::triage::FixName::RestartPod;
        night.inbox.submit(&command(id, "U0ONCALL", Act::ProposeFix { fix }, clock.now(), "fix")).await.unwrap();
        night.engine.settled().await.unwrap();
        // The person who asked has the incident, and gives it back: nobody has it when the two meet.
        let back = Act::HandOff { to: HandOffTo::Level(LevelNumber::FIRST) };
        night.inbox.submit(&command(id, "U0ONCALL", back, clock.now(), "back")).await.unwrap();
        night.engine.settled().await.unwrap();
        let incident = night.incident().await;
        let FixPhase::Asking { question } = &incident.fix.as_ref().unwrap().phase else { panic!("{incident:?}") };
        let expires_at = question.expires_at;
        clock.set(expires_at - SignedDuration::from_millis(1));
        Self { night, clock, id, expires_at }
    }

    async fn happens(&self, what: Meets, key: &str) -> Result<(), SubmitError> {
        let (who, act) = match what {
            Meets::Acknowledge => ("U0ONCALL", Act::Acknowledge),
            Meets::Resolve => ("U0OTHER", Act::Resolve { reason: None, anyway: true }),
            Meets::Approve => ("U0SEC", Act::Approve { plan: None }),
            Meets::Expire => {
                self.clock.set(self.expires_at);
                return Ok(());
            }
        };
        self.night.inbox.submit(&command(self.id, who, act, self.clock.now(), key)).await.map(drop)
    }
}

fn command(incident: IncidentId, user: &str, act: Act, now: Timestamp, key: &str) -> Command {
    let id = PersonId { platform: Platform::Slack, workspace: TEAM.to_owned(), user: user.to_owned() };
    let roles = [Role::Commander, Role::Approver].into();
    Command { incident, actor: Actor { id, also: [].into(), roles, as_of: now }, key: key.to_owned(), act }
}

async fn meet(first: Meets, second: Meets) {
    let label = format!("{first:?} and {second:?}");
    let instant = Instant::before_the_question_expires().await;
    let (one, two) = tokio::join!(instant.happens(first, "first"), instant.happens(second, "second"));
    for told in [&one, &two] {
        assert!(!matches!(told, Err(SubmitError::Busy | SubmitError::NotStored(_))), "{label}: {told:?}");
    }
    instant.night.engine.settled().await.unwrap();
    // What was begun goes on, and a question that nobody has answered expires.
    for _ in 0..4 {
        instant.clock.advance(SignedDuration::from_secs(5));
        instant.night.engine.settled().await.unwrap();
    }

    let (events, incident) = (instant.night.events().await, instant.night.incident().await);
    let count = |of: fn(&Event) -> bool| events.iter().filter(|event| of(event)).count();
    let place = |of: fn(&Event) -> bool| events.iter().position(of);
    let met = |what| first == what || second == what;

    let approved = count(|event| matches!(event, Event::FixApproved { .. }));
    let ended = count(|event| matches!(event, Event::FixEnded { .. }));
    let decided = if approved == 1 { 1 } else { ended };
    assert!(approved <= 1 && ended <= 1, "{label}: {events:#?}");
    assert_eq!(decided, 1, "{label}: exactly one decision is recorded: {events:#?}");

    let steps = count(|event| matches!(event, Event::StepStarted { step: StepNumber(0), .. }));
    assert_eq!(steps.min(approved), steps, "{label}: only what is approved runs, and once");
    assert_eq!(count(|event| matches!(event, Event::Closed { .. })), usize::from(met(Meets::Resolve)), "{label}");
    assert_eq!(incident.is_live(), !met(Meets::Resolve), "{label}: closed stays closed");
    // Once by asking for the fix, before they met; approving takes it as well.
    let taken = count(|event| matches!(event, Event::Acknowledged { .. })) - 1;
    assert!(taken <= usize::from(met(Meets::Acknowledge) || met(Meets::Approve)), "{label}");
    if let Some(closed) = place(|event| matches!(event, Event::Closed { .. })) {
        let begun = events[closed..].iter().any(|event| {
            matches!(event, Event::StepStarted { .. } | Event::Acknowledged { .. } | Event::FixApproved { .. })
        });
        assert!(!begun, "{label}: nothing begins after it is closed: {events:#?}");
        assert!(incident.ladder.rung().is_none(), "{label}: nobody is called for a closed incident");
    } else if met(Meets::Acknowledge) {
        assert_eq!(taken, 1, "{label}");
    }
    if first == second && first != Meets::Expire {
        assert_eq!([one, two].iter().filter(|told| told.is_ok()).count(), 1, "{label}: one of the two is told no");
    }
    instant.night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_ordered_pair_of_acknowledge_resolve_approve_and_expire_in_one_instant_has_one_outcome() {
    for first in ALL {
        futures::future::join_all(ALL.map(|second| meet(first, second))).await;
    }
}
