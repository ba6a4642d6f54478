//! What people complained of in other tools' trackers, told of this engine.

use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use super::*;
use crate::{
    engine::{Ended, Inbox, Window},
    escalation::{Level, LevelNumber},
    incident::{AlertDelivery, AlertSighting, AlertStatus, Fingerprint, Notice, Outcome},
    mesh::{Namespace, TargetRef},
    people::{Mention, Platform},
};

/// A chat that shows everything at once, but for the edits of cards while they hang, and remembers whom it called.
#[derive(Default)]
pub(super) struct Workspace {
    cards_hang: bool,
    hanging: Mutex<usize>,
    called: Mutex<Vec<LevelNumber>>,
    pub(super) posts: Mutex<Vec<Notice>>,
    more: Notify,
}

impl Workspace {
    pub(super) fn called(&self) -> Vec<LevelNumber> {
        self.called.lock().unwrap().clone()
    }
}

#[async_trait]
impl Perform for Workspace {
    async fn perform(&self, task: Task) -> Result<Done, PerformError> {
        let outcome = match &task.work {
            Work::Mention { to, level, .. } => {
                self.called.lock().unwrap().push(*level);
                self.more.notify_one();
                Outcome::Mentioned { level: *level, to: to.clone(), unexplained: None }
            }
            Work::DrawCard { .. } if self.cards_hang => {
                *self.hanging.lock().unwrap() += 1;
                self.more.notify_one();
                std::future::pending().await
            }
            Work::Post { to, notice } => {
                self.posts.lock().unwrap().push(notice.clone());
                Outcome::Shown { to: to.clone(), first_card: false }
            }
            Work::DrawCard { to } => Outcome::Shown { to: to.clone(), first_card: false },
            Work::Triage { run } => Outcome::TriageFailed { run: *run, reason: "there is no cluster".to_owned() },
            _ => Outcome::NoLongerWanted,
        };
        Ok(outcome.into())
    }
}

pub(super) fn with_two_levels() -> Policy {
    let level = |number: u8, minutes: i64| Level {
        number: LevelNumber(number),
        team: format!("team {number}"),
        window: SignedDuration::from_mins(minutes),
        mentions: vec![Mention::user(Platform::Slack, format!("U{number}"))],
        pager: None,
    };
    let escalation = escalation::EscalationPolicy { levels: vec![level(1, 15), level(2, 30)], ..policy().escalation };
    let to = Destination { face: Face::Slack, channel: "C0".to_owned() };
    Policy { escalation, channels: vec![to], ..policy() }
}

pub(super) fn bot(workspace: &Arc<Workspace>) -> TestBot {
    TestBot::new().ruled_by(with_two_levels()).with([CHAT, Room::Cluster], workspace)
}

pub(super) async fn alert(inbox: &Inbox, service: &str, status: AlertStatus, starts_at: Timestamp) {
    let namespace = Namespace::parse("web").unwrap();
    let sighting = AlertSighting {
        status,
        target: Some(TargetRef::parse(namespace, &format!("svc/{service}")).unwrap()),
        ..AlertSighting::firing(
            "MTLSHandshakeFailureRateHigh",
            "c",
            IncidentKey(format!("c/a/web/{service}")),
            Fingerprint(format!("f-{service}")),
            starts_at,
        )
    };
    let group_key = format!("g-{service}");
    inbox.deliver(&AlertDelivery { group_key, status, alerts: vec![sighting], truncated: 0 }).await.unwrap();
}

/// oncall 1206: a paused escalation never went on after a restart.
#[tokio::test]
async fn an_escalation_that_stood_still_while_the_alert_was_away_goes_on_after_a_restart() {
    let start = Timestamp::UNIX_EPOCH;
    let workspace = Arc::new(Workspace::default());
    let bot = bot(&workspace);
    let (engine, clock) = (bot.started().await, &bot.clock);
    alert(&engine.inbox(), "frontend", AlertStatus::Firing, start).await;
    engine.settled().await.unwrap();
    clock.set(start + SignedDuration::from_mins(5));
    alert(&engine.inbox(), "frontend", AlertStatus::Resolved, start).await;
    engine.settled().await.unwrap();
    engine.stop(Duration::from_secs(5)).await;
    drop(engine);

    let engine = bot.started().await;
    clock.set(start + SignedDuration::from_mins(8));
    alert(&engine.inbox(), "frontend", AlertStatus::Firing, start + SignedDuration::from_mins(8)).await;
    engine.settled().await.unwrap();
    assert_eq!(workspace.called(), [LevelNumber(1)], "ten minutes of the first window are left");
    clock.set(start + SignedDuration::from_mins(8 + 9));
    engine.settled().await.unwrap();
    assert_eq!(workspace.called(), [LevelNumber(1)]);
    clock.set(start + SignedDuration::from_mins(8 + 10));
    engine.settled().await.unwrap();
    assert_eq!(workspace.called(), [LevelNumber(1), LevelNumber(2)]);
    let windows: Vec<_> = engine.windows().into_iter().collect();
    assert_eq!(windows, [((Window::Answer(LevelNumber(1)), Ended::Breached), 1)]);
    engine.stop(Duration::from_secs(5)).await;
}

/// oncall 4087: what a platform is slow to take delays everybody.
#[tokio::test]
async fn cards_that_hang_hold_up_no_call_of_a_person() {
    let start = Timestamp::UNIX_EPOCH;
    let workspace = Arc::new(Workspace { cards_hang: true, ..Workspace::default() });
    let bot = bot(&workspace);
    let engine = bot.started().await;
    for service in ["a", "b", "d", "e", "f"] {
        alert(&engine.inbox(), service, AlertStatus::Firing, start).await;
    }
    while workspace.called().len() < 5 {
        workspace.more.notified().await;
    }
    let hanging = *workspace.hanging.lock().unwrap();
    assert!(hanging <= 3, "{hanging} cards hang, and one way is kept for calls");
    engine.stop(Duration::ZERO).await;
}
