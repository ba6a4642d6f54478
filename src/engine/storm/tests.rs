//! What stands for a storm, while it rages and when it is over.

use jiff::Timestamp;

use super::*;
use crate::{
    engine::{Inbox, tests::TestBot},
    escalation::{self, Ladder},
    incident::{
        AlertDelivery, AlertSighting, AlertStatus, Event, Fingerprint, IncidentKey, Policy, RunNumber, TakeAll, Triage,
    },
    mesh::TargetRef,
};

fn three_in_the_morning() -> Timestamp {
    "2026-11-24T03:00:00Z".parse().unwrap()
}

fn policy() -> Policy {
    let nobody = escalation::EscalationPolicy::of(Vec::new());
    Policy { storm_per_minute: 10, ..Policy::usual(nobody, Vec::new()) }
}

fn bot() -> TestBot {
    TestBot::new().at(three_in_the_morning()).in_cluster("prod").ruled_by(policy())
}

fn alert(service: usize, pod: usize) -> AlertSighting {
    AlertSighting::firing(
        "MTLSHandshakeFailureRateHigh",
        "prod",
        IncidentKey(format!("prod/web/{service}")),
        Fingerprint(format!("{service}-{pod}")),
        three_in_the_morning(),
    )
}

fn body(alerts: impl IntoIterator<Item = AlertSighting>) -> AlertDelivery {
    AlertDelivery {
        group_key: "group".to_owned(),
        status: AlertStatus::Firing,
        alerts: alerts.into_iter().collect(),
        truncated: 0,
    }
}

async fn quiet_and_loud(inbox: &Inbox) -> (usize, usize) {
    let live = inbox.live(1000).await.unwrap();
    let quiet = live.iter().filter(|stored| stored.incident.quiet).count();
    (quiet, live.len() - quiet)
}

/// How many opened within the storm, and how many before it: those may have joined it meanwhile.
async fn within_and_before(inbox: &Inbox) -> (usize, usize) {
    let live = inbox.live(1000).await.unwrap();
    let of_services = live.iter().filter(|stored| stored.incident.storm.is_none());
    let (within, before): (Vec<_>, Vec<_>) =
        of_services.partition(|stored| stored.incident.quiet && stored.incident.joined.is_none());
    (within.len(), before.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_services_that_fail_in_one_instant_page_ten_times_and_not_64_times() {
    let bot = bot();
    let engine = bot.built().await;
    let bodies = (0..64).map(|service| {
        let inbox = engine.inbox();
        tokio::spawn(async move { inbox.deliver(&body([alert(service, 0)])).await })
    });
    for accepted in futures::future::join_all(bodies).await {
        accepted.unwrap().unwrap();
    }
    assert_eq!(within_and_before(&engine.inbox()).await, (54, 10));
}

#[tokio::test]
async fn a_body_of_160_alerts_of_one_service_is_one_incident_and_of_160_services_ten_and_a_storm() {
    let bot = bot();
    let engine = bot.built().await;
    let accepted = engine.inbox().deliver(&body((0..160).map(|pod| alert(0, pod)))).await.unwrap();
    assert_eq!(accepted.opened.len(), 1);
    assert_eq!(engine.inbox().live(10).await.unwrap()[0].incident.alerts.len(), 160);
    engine.inbox().deliver(&body((1..160).map(|service| alert(service, 0)))).await.unwrap();
    assert_eq!(within_and_before(&engine.inbox()).await, (150, 10));
}

#[tokio::test]
async fn when_the_storm_is_over_what_still_fires_leaves_it_at_the_pace_of_the_brake_and_the_storm_ends() {
    let bot = bot();
    let (engine, clock) = (bot.built().await, &bot.clock);
    let inbox = engine.inbox();
    inbox.deliver(&body((0..18).map(|service| alert(service, 0)))).await.unwrap();
    assert!(step(&inbox.0).await.unwrap());
    assert_eq!(within_and_before(&inbox).await, (8, 10));
    assert_eq!(quiet_and_loud(&inbox).await, (18, 1), "nobody has heard of the ten yet: one stands for all");
    for (minutes, stand_alone) in [(6, 6), (2, 11), (2, 16), (2, 19)] {
        clock.advance(SignedDuration::from_mins(minutes));
        step(&inbox.0).await.unwrap();
        assert_eq!(quiet_and_loud(&inbox).await, (19 - stand_alone, stand_alone), "five a minute");
    }
    step(&inbox.0).await.unwrap();
    let key = storm_key("prod");
    let live = inbox.live(100).await.unwrap();
    let storm = live.iter().find(|stored| stored.incident.key == key).unwrap();
    assert!(matches!(storm.incident.status, IncidentStatus::Clearing { .. }));
}

#[tokio::test]
async fn a_body_that_comes_whole_again_takes_back_that_targets_are_missing() {
    let bot = bot();
    let engine = bot.built().await;
    let cut = AlertDelivery { truncated: 7, ..body([alert(0, 0)]) };
    engine.inbox().deliver(&cut).await.unwrap();
    assert_eq!(engine.inbox().live(1).await.unwrap()[0].incident.cut_off, 7);
    engine.inbox().deliver(&body([alert(0, 0)])).await.unwrap();
    assert_eq!(engine.inbox().live(1).await.unwrap()[0].incident.cut_off, 0);
}

fn who(user: &str, at: jiff::Timestamp) -> crate::people::Actor {
    use crate::people::{Actor, PersonId, Platform, Role};
    let id = PersonId { platform: Platform::Slack, workspace: "T0".to_owned(), user: user.to_owned() };
    Actor { id, also: [].into(), roles: [Role::Commander].into(), as_of: at }
}

#[tokio::test]
async fn one_command_takes_all_160_of_a_storm_each_as_its_own_event_and_the_answer_counts() {
    let bot = bot();
    let (engine, clock) = (bot.built().await, &bot.clock);
    let inbox = engine.inbox();
    inbox.deliver(&body((0..160).map(|service| alert(service, 0)))).await.unwrap();
    step(&inbox.0).await.unwrap();
    let request = |user: &str, key: &str| TakeAll { actor: who(user, three_in_the_morning()), key: key.to_owned() };
    let answer = inbox.take_all(&request("U0ANNA", "1")).await.unwrap();
    assert!(
        answer.text.starts_with("You have 161 incidents more, 160 of them held back in a storm."),
        "{}",
        answer.text
    );
    for stored in inbox.live(1000).await.unwrap() {
        let events = inbox.events(stored.incident.id).await.unwrap();
        let taken = events.iter().filter(|one| matches!(one.event, Event::Acknowledged { .. })).count();
        assert_eq!(taken, 1, "{}", stored.incident.id);
    }
    assert_eq!(inbox.take_all(&request("U0ANNA", "1")).await.unwrap(), answer, "Slack sends it again");
    let again = inbox.take_all(&request("U0ANNA", "2")).await.unwrap();
    assert_eq!(again.text, "There was nothing to take. 161 yours already.");
    let other = inbox.take_all(&request("U0BEN", "3")).await.unwrap();
    assert_eq!(other.text, "There was nothing to take. 161 somebody else's, who keeps it.");
    let stranger = crate::people::Actor { roles: [].into(), ..who("U0NOBODY", three_in_the_morning()) };
    let refused = inbox.take_all(&TakeAll { actor: stranger, key: "4".to_owned() }).await.unwrap_err();
    assert!(matches!(refused, SubmitError::Refused(crate::incident::Refusal::NotAllowed(_))), "{refused}");
    // The storm is over: those that were held back stand on their own, and who took them has them.
    clock.advance(SignedDuration::from_mins(6));
    step(&inbox.0).await.unwrap();
    let left = inbox.live(1000).await.unwrap();
    let left: Vec<_> = left.iter().filter(|stored| !stored.incident.quiet).collect();
    assert_eq!(left.len(), 6);
    assert!(left.iter().all(|stored| matches!(&stored.incident.ladder, Ladder::Running { holder: Some(_), .. })));
}

#[tokio::test]
async fn the_button_of_the_storms_card_takes_all_as_the_command_does() {
    let bot = bot();
    let engine = bot.built().await;
    let inbox = engine.inbox();
    inbox.deliver(&body((0..12).map(|service| alert(service, 0)))).await.unwrap();
    step(&inbox.0).await.unwrap();
    let live = inbox.live(100).await.unwrap();
    let storm = live.iter().find(|stored| stored.incident.storm.is_some()).unwrap();
    let press = crate::incident::Command {
        incident: storm.incident.id,
        actor: who("U0ANNA", three_in_the_morning()),
        key: "press".to_owned(),
        act: crate::incident::Act::AcknowledgeAll,
    };
    let answer = inbox.submit(&press).await.unwrap();
    assert!(answer.text.starts_with("You have 13 incidents more, 12 of them held back"), "{}", answer.text);
}

#[tokio::test]
async fn a_storm_knows_the_services_of_what_it_holds_back_and_asks_for_their_diagnostics() {
    let bot = bot();
    let engine = bot.built().await;
    let inbox = engine.inbox();
    let aimed = |service: usize| AlertSighting {
        target: Some(TargetRef::parse("web".parse().unwrap(), &format!("svc-{service:02}")).unwrap()),
        ..alert(service, 0)
    };
    inbox.deliver(&body((0..30).map(aimed))).await.unwrap();
    step(&inbox.0).await.unwrap();
    let live = inbox.live(100).await.unwrap();
    let storm = &live.iter().find(|stored| stored.incident.storm.is_some()).unwrap().incident;
    let look = storm.storm_look.as_ref().unwrap();
    assert_eq!((look.services.len(), look.more, look.count), (8, 12, 20));
    assert_eq!(look.services[0].to_string(), "web svc/svc-10", "the oldest of those that are held back");
    assert!(matches!(storm.triage, Triage::Running { run: RunNumber(1), .. }));
}
