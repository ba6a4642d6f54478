//! The wall clock is set while a window runs.

use std::sync::Mutex;

use super::{
    lessons::{Workspace, alert, bot, with_two_levels},
    *,
};
use crate::{
    clock::Clock,
    escalation::{Ladder, LevelNumber},
    incident::{AlertStatus, Notice, Outcome},
};

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn start() -> Timestamp {
    "2026-11-24T03:00:00Z".parse().unwrap()
}

#[tokio::test]
async fn a_clock_that_is_set_by_an_hour_while_a_window_runs_calls_nobody_late_or_early() {
    for by in [-HOUR, HOUR] {
        let workspace = Arc::new(Workspace::default());
        let bot = bot(&workspace).at(start());
        let (engine, clock) = (bot.started().await, &bot.clock);
        alert(&engine.inbox(), "frontend", AlertStatus::Firing, start()).await;
        engine.settled().await.unwrap();
        clock.advance(MINUTE * 5);
        clock.wall_jumps(by);
        clock.was_set(by).await;
        engine.settled().await.unwrap();
        assert_eq!(clock.now(), start() + MINUTE * 5 + by, "what people are shown is true wall time");
        assert_eq!(workspace.called(), [LevelNumber(1)], "{by}: nobody is called early");
        let stored = engine.inbox().incident(IncidentId::new(1)).await.unwrap().unwrap().incident;
        let Ladder::Running { rung, .. } = stored.ladder else { panic!("a window runs") };
        assert_eq!(rung.until(), start() + MINUTE * 15 + by, "{by}: the card says when, by the new clock");
        assert_eq!(workspace.told_of_the_clock(), [by], "people are told in the thread");
        clock.advance(MINUTE * 10 - SignedDuration::from_secs(1));
        engine.settled().await.unwrap();
        assert_eq!(workspace.called(), [LevelNumber(1)], "{by}");
        clock.advance(SignedDuration::from_secs(1));
        engine.settled().await.unwrap();
        assert_eq!(workspace.called(), [LevelNumber(1), LevelNumber(2)], "{by}: called when the window ends");
        assert_eq!(engine.health().await.unwrap().overdue_since, None);
        engine.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn a_clock_that_was_set_back_while_the_bot_was_away_delays_no_call() {
    let workspace = Arc::new(Workspace::default());
    let bot = bot(&workspace).at(start());
    let (engine, clock) = (bot.started().await, &bot.clock);
    alert(&engine.inbox(), "frontend", AlertStatus::Firing, start()).await;
    engine.settled().await.unwrap();
    clock.advance(MINUTE * 5);
    engine.stop(Duration::from_secs(5)).await;
    drop(engine);

    let later = bot.clone().at(start() + MINUTE * 5 - HOUR);
    let engine = later.started().await;
    later.clock.advance(MINUTE * 10);
    engine.settled().await.unwrap();
    assert_eq!(workspace.called(), [LevelNumber(1), LevelNumber(2)]);
    assert_eq!(engine.clock_jumps().back, 1);
    engine.stop(Duration::from_secs(5)).await;
}

/// What is done before the bot is killed: whatever goes on in it ends at once.
fn until_it_is_killed(night: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(night);
}

#[test]
fn a_clock_that_is_set_back_right_before_the_bot_is_killed_delays_no_call() {
    let workspace = Arc::new(Workspace::default());
    let bot = bot(&workspace).at(start());
    until_it_is_killed(async {
        let (engine, clock) = (bot.started().await, &bot.clock);
        alert(&engine.inbox(), "frontend", AlertStatus::Firing, start()).await;
        engine.settled().await.unwrap();
        let journal = engine.inbox().0.journal.clone();
        let mut changes = journal.changes();
        while journal.mark().await.unwrap().is_none() {
            drop(tokio::time::timeout(Duration::from_millis(10), changes.changed()).await);
        }
        clock.advance(MINUTE * 5);
        clock.wall_jumps(-HOUR);
        clock.was_set(-HOUR).await;
    });
    until_it_is_killed(async {
        let later = bot.clone().at(start() + MINUTE * 5 - HOUR);
        let engine = later.started().await;
        later.clock.advance(MINUTE * 10);
        engine.settled().await.unwrap();
        assert_eq!(workspace.called(), [LevelNumber(1), LevelNumber(2)]);
        assert_eq!(engine.clock_jumps().back, 0, "it was set once, and is moved by once");
    });
}

#[test]
fn a_bot_that_starts_again_and_again_after_the_clock_was_set_back_moves_its_windows_once() {
    let workspace = Arc::new(Workspace::default());
    let bot = bot(&workspace).at(start());
    until_it_is_killed(async {
        let (engine, clock) = (bot.started().await, &bot.clock);
        alert(&engine.inbox(), "frontend", AlertStatus::Firing, start()).await;
        engine.settled().await.unwrap();
        clock.advance(MINUTE * 5);
        engine.stop(Duration::from_secs(5)).await;
    });
    let later = bot.clone().at(start() + MINUTE * 5 - HOUR);
    for _ in 0..2 {
        // Its port is taken, so it ends before it has begun.
        until_it_is_killed(async { drop(later.built().await) });
    }
    until_it_is_killed(async {
        let (engine, clock) = (later.started().await, &later.clock);
        clock.advance(MINUTE * 9);
        engine.settled().await.unwrap();
        assert_eq!(workspace.called(), [LevelNumber(1)], "a minute of the window is left");
        clock.advance(MINUTE);
        engine.settled().await.unwrap();
        assert_eq!(workspace.called(), [LevelNumber(1), LevelNumber(2)]);
    });
}

#[tokio::test]
async fn an_incident_that_is_over_is_told_of_no_clock_that_is_set_night_after_night() {
    let bot = bot(&Arc::default()).at(start());
    let (engine, clock) = (bot.started().await, &bot.clock);
    for status in [AlertStatus::Firing, AlertStatus::Resolved] {
        alert(&engine.inbox(), "frontend", status, start()).await;
    }
    clock.advance(MINUTE * 5);
    engine.settled().await.unwrap();
    assert!(!engine.inbox().incident(IncidentId::new(1)).await.unwrap().unwrap().incident.is_live());
    for nights in 1..=3 {
        clock.advance(HOUR * 24);
        clock.wall_jumps(MINUTE);
        clock.was_set(MINUTE * nights).await;
    }
    let events = engine.inbox().events(IncidentId::new(1)).await.unwrap();
    let told = events.iter().filter(|stored| matches!(stored.event, Event::ClockSet { .. })).count();
    assert_eq!(told, 1, "within a day somebody may still ask about it, and nobody does later");
    engine.stop(Duration::from_secs(5)).await;
}

/// A chat whose mention is under way until it is let go.
#[derive(Default)]
struct Slow {
    asked: Notify,
    go: Notify,
    mentioned: Mutex<u32>,
}

#[async_trait]
impl Perform for Slow {
    async fn perform(&self, task: Task) -> Result<Done, PerformError> {
        let (to, level) = match &task.work {
            Work::Mention { to, level, .. } => (to, level),
            // A call waits for the diagnosis.
            Work::Triage { run } => {
                return Ok(Outcome::TriageFailed { run: *run, reason: "there is no cluster".to_owned() }.into());
            }
            _ => return Ok(Outcome::NoLongerWanted.into()),
        };
        *self.mentioned.lock().unwrap() += 1;
        self.asked.notify_one();
        self.go.notified().await;
        Ok(Outcome::Mentioned { level: *level, to: to.clone(), unexplained: None }.into())
    }
}

#[tokio::test]
async fn a_call_that_is_under_way_when_the_clock_is_set_is_made_once_and_counts() {
    let slow = Arc::new(Slow::default());
    let bot = TestBot::new().at(start()).ruled_by(with_two_levels()).with([CHAT, Room::Cluster], &slow);
    let (engine, clock) = (bot.started().await, &bot.clock);
    let journal = &engine.shared.journal;
    alert(&engine.inbox(), "frontend", AlertStatus::Firing, start()).await;
    slow.asked.notified().await;
    clock.wall_jumps(-HOUR);
    clock.was_set(-HOUR).await;
    slow.go.notify_one();
    let mut changes = journal.changes();
    while !journal
        .incident(IncidentId::new(1))
        .await
        .unwrap()
        .unwrap()
        .incident
        .calls
        .of(LevelNumber(1))
        .unwrap()
        .mentioned
    {
        changes.changed().await.unwrap();
    }
    assert_eq!(*slow.mentioned.lock().unwrap(), 1);
    clock.advance(MINUTE * 15);
    slow.asked.notified().await;
    slow.go.notify_one();
    engine.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_timer_that_is_being_performed_when_the_clock_is_set_still_ends_its_window() {
    let night = night(false).await;
    let shared = night.engine.inbox().0;
    let by = -HOUR;
    let claim = night.journal.claim(CHAT, Timestamp::UNIX_EPOCH, Timestamp::MAX, 1).await.unwrap().remove(0);
    let until = start();
    let timer = crate::incident::Timer::HoldEnds { until };
    let claim = crate::journal::Claim { work: Work::Timer { timer }, ..claim };
    let set = shared.time.set();
    night.clock.wall_jumps(by);
    night.engine.start();
    night.clock.was_set(by).await;
    let moved = shared.time.presently(claim, set, crate::engine::clock_set::claim_moved);
    let Work::Timer { timer: crate::incident::Timer::HoldEnds { until: now } } = moved.work else { panic!() };
    assert_eq!((now, moved.due), (until + by, Timestamp::UNIX_EPOCH + by));
}

impl Workspace {
    fn told_of_the_clock(&self) -> Vec<SignedDuration> {
        let posts = self.posts.lock().unwrap();
        let of_the_clock = posts.iter().filter_map(|notice| match notice {
            Notice::ClockSet { by } => Some(*by),
            _ => None,
        });
        of_the_clock.collect()
    }
}
