//! Stories of the engine, with a chat that does as it is told, on a clock that stands still.

mod alarm;
mod calling;
mod clock;
mod clusters;
mod joining;
mod keeping;
mod lessons;
mod limits;
mod load;
mod missing;
mod one_node;
mod outage;
mod running;
mod stopping;
mod test_bot;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

pub(crate) use test_bot::TestBot;

use super::{Done, Engine, Perform, PerformError, Task, overdue::OverdueWatch};
use crate::{
    clock::VirtualClock,
    escalation,
    incident::{Destination, Event, Face, Incident, IncidentId, IncidentKey, NewEffect, Policy, Room, Work, begin},
    journal::{Append, Change, Journal},
};

const CHAT: Room = Room::Chat(Face::Slack);

/// A chat that hangs, or is down.
struct Chat {
    hangs: bool,
    asked: Notify,
}

#[async_trait]
impl Perform for Chat {
    async fn perform(&self, _task: Task) -> Result<Done, PerformError> {
        self.asked.notify_one();
        if self.hangs {
            std::future::pending::<()>().await;
        }
        Err(PerformError::Again { reason: "it answered 503".to_owned(), after: None })
    }
}

/// A bot that owes the card of one incident to a chat in trouble.
struct OwedCard {
    journal: Journal,
    clock: Arc<VirtualClock>,
    chat: Arc<Chat>,
    engine: Engine,
    _bot: TestBot,
}

/// Ten incidents may open in a minute before they are a storm: the nights here are about each of them.
fn policy() -> Policy {
    let nobody = Policy::usual(escalation::EscalationPolicy::of(Vec::new()), Vec::new());
    Policy { writes_enabled: true, storm_per_minute: 10, ..nobody }
}

fn slack() -> Destination {
    Destination { face: Face::Slack, channel: "C0".to_owned() }
}

/// A new incident, and what it asks for.
async fn opens(
    journal: &Journal,
    number: u32,
    at: Timestamp,
    owes: Vec<NewEffect>,
    stands: impl FnOnce(&mut Incident),
) {
    let opened = Event::Opened {
        id: IncidentId::new(number),
        key: IncidentKey(format!("k{number}")),
        alert: "a".to_owned(),
        cluster: "c".to_owned(),
        target: None,
        policy: Box::new(policy().escalation),
        channels: vec![slack()],
        quiet: false,
    };
    let mut after = begin(&opened, at).unwrap();
    stands(&mut after);
    let change = Change { read_version: 0, after, events: vec![opened], effects: owes, at };
    journal.append(Append { changes: vec![change], ..Append::default() }).await.unwrap();
}

fn card(due: Timestamp) -> NewEffect {
    let slot = Some("card:Slack:C0".to_owned());
    NewEffect { key: "card-1".to_owned(), slot, due, work: Work::DrawCard { to: slack() } }
}

/// A night in which the card of one incident is owed.
async fn night(hangs: bool) -> OwedCard {
    let chat = Arc::new(Chat { hangs, asked: Notify::new() });
    let bot = TestBot::new().with([CHAT], &chat);
    let (journal, at) = (bot.journal().await, Timestamp::UNIX_EPOCH);
    opens(&journal, 1, at, vec![card(at)], |_| {}).await;
    let engine = bot.built_on(journal.clone()).await;
    OwedCard { journal, clock: bot.clock.clone(), chat, engine, _bot: bot }
}

#[tokio::test]
async fn an_engine_with_nothing_to_do_writes_nothing() {
    let night = night(false).await;
    night.engine.start();
    night.engine.settled().await.unwrap();
    let before = night.journal.transactions();
    for _ in 0..300 {
        night.journal.unfinished(Timestamp::UNIX_EPOCH).await.unwrap();
    }
    let written = night.journal.transactions() - before;
    assert!(written < 20, "{written} transactions while nothing happened");
}

#[tokio::test]
async fn a_card_that_fails_for_a_minute_is_said_to_be_late_once_and_fails_the_health() {
    let night = night(false).await;
    night.engine.start();
    night.engine.settled().await.unwrap();
    night.clock.set(Timestamp::from_second(70).unwrap());
    night.engine.settled().await.unwrap();
    let health = night.engine.health().await.unwrap();
    assert_eq!(health.overdue_since, Some(Timestamp::UNIX_EPOCH), "a failing attempt does not hide that it is late");
    let (inbox, mut late) = (night.engine.inbox(), OverdueWatch::default());
    for seconds in [70, 71, 200, 400] {
        night.clock.set(Timestamp::from_second(seconds).unwrap());
        late.tell(&inbox.0).await.unwrap();
        night.engine.settled().await.unwrap();
    }
    let events = night.journal.events(IncidentId::new(1)).await.unwrap();
    let told = events.iter().filter(|stored| matches!(stored.event, Event::OverdueNoticed { .. })).count();
    assert_eq!(told, 1);
}

#[tokio::test]
async fn what_hangs_when_the_bot_stops_is_at_once_there_for_the_next_one() {
    let night = night(true).await;
    night.engine.start();
    night.chat.asked.notified().await;
    night.engine.stop(Duration::ZERO).await;
    let now = Timestamp::UNIX_EPOCH;
    let claims = night.journal.claim(CHAT, now, now + SignedDuration::from_secs(40), 10).await.unwrap();
    assert_eq!(claims.iter().map(|claim| claim.attempt).collect::<Vec<_>>(), [2], "it counts: its post is looked for");
}
