//! Ten services fall at once: what looks at them holds up no call of a person, and no fix that is under way.

use std::sync::Mutex;

use super::*;
use crate::{
    engine::limits::TRIAGES_MOST,
    escalation::LevelNumber,
    incident::{CallReason, Fix, FixNumber, FixPhase, Outcome, Run, RunNumber, Triage},
    people::{PersonId, Platform},
    remediation::{PlanId, StepNumber},
    triage::FixName,
};

/// A cluster and a chat in which triages never end, and everything else is noted and done.
#[derive(Default)]
struct SlowRooms {
    triages: Mutex<u32>,
    done: Mutex<Vec<&'static str>>,
    more: Notify,
}

#[async_trait]
impl Perform for SlowRooms {
    async fn perform(&self, task: Task) -> Result<Done, PerformError> {
        let what = match &task.work {
            Work::Triage { .. } => {
                *self.triages.lock().unwrap() += 1;
                self.more.notify_one();
                return std::future::pending().await;
            }
            Work::Mention { .. } => "page",
            Work::RunStep { .. } => "eviction",
            Work::AwaitStep { .. } => "look for the new pod",
            _ => "other",
        };
        self.done.lock().unwrap().push(what);
        self.more.notify_one();
        Ok(Outcome::NoLongerWanted.into())
    }
}

fn owed(key: &str, work: Work) -> NewEffect {
    NewEffect { key: key.to_owned(), slot: None, due: Timestamp::UNIX_EPOCH, work }
}

fn plan() -> PlanId {
    PlanId("abcdef0123456789".to_owned())
}

fn fix(phase: FixPhase) -> Fix {
    Fix {
        number: FixNumber(1),
        name: FixName::RestartPod,
        requester: PersonId { platform: Platform::Slack, workspace: "T0".to_owned(), user: "U0".to_owned() },
        plan: None,
        plans_drawn: 1,
        verifies: None,
        phase,
        run: Run::default(),
        results: Vec::new(),
        before: Vec::new(),
        start: Vec::new(),
    }
}

#[tokio::test]
async fn ten_triages_that_hang_hold_up_neither_a_page_nor_an_eviction_nor_what_follows_it() {
    let hands = Arc::new(SlowRooms::default());
    let bot = TestBot::new().with([Room::Cluster, Room::Execute, CHAT], &hands);
    let (journal, now) = (bot.journal().await, Timestamp::UNIX_EPOCH);
    for number in 1..=10 {
        let triage = vec![owed("triage-1", Work::Triage { run: RunNumber(1) })];
        opens(&journal, number, now, triage, |one| one.triage = Triage::Running { run: RunNumber(1), since: now })
            .await;
    }
    let engine = bot.built_on(journal.clone()).await;
    engine.start();
    while *hands.triages.lock().unwrap() < TRIAGES_MOST {
        hands.more.notified().await;
    }

    let rung = crate::escalation::Rung::Waiting { level: LevelNumber(1), until: now + SignedDuration::from_mins(15) };
    let page =
        Work::Mention { to: slack(), level: LevelNumber(1), mentions: Vec::new(), reason: CallReason::Opened, rung };
    let called = crate::escalation::Ladder::Running { rung, holder: None };
    opens(&journal, 11, now, vec![owed("page-1", page)], |one| one.ladder = called).await;
    let step = Work::RunStep { fix: FixNumber(1), plan: plan(), step: StepNumber(0) };
    let stepping = FixPhase::Stepping { plan: plan(), by: Vec::new(), step: StepNumber(0), since: now };
    opens(&journal, 12, now, vec![owed("step-1", step)], |one| one.fix = Some(fix(stepping))).await;
    let poll = Work::AwaitStep { fix: FixNumber(1), plan: plan(), step: StepNumber(0) };
    let replacing = FixPhase::Settling { plan: plan(), by: Vec::new(), step: StepNumber(0), until: now };
    opens(&journal, 13, now, vec![owed("poll-1", poll)], |one| one.fix = Some(fix(replacing))).await;

    let everything = async {
        while hands.done.lock().unwrap().len() < 3 {
            hands.more.notified().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), everything).await.expect("something waits for the triages");
    let mut done = hands.done.lock().unwrap().clone();
    done.sort_unstable();
    assert_eq!(done, ["eviction", "look for the new pod", "page"]);
    assert_eq!(*hands.triages.lock().unwrap(), TRIAGES_MOST, "the rest waits its turn");
    engine.stop(Duration::ZERO).await;
}
