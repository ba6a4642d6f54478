//! A chat that is out of reach for hours: what waited arrives in its order, the calls first, and only what the chat refuses
//! itself is given up early.

use std::{collections::BTreeMap, sync::Mutex};

use super::*;
use crate::{
    clock::Clock,
    escalation::{Ladder, LevelNumber, Rung},
    incident::{CallReason, Notice, Outcome},
};

/// What the chat answers to a message, by its key; it takes all others.
#[derive(Default)]
struct Moody {
    moods: Mutex<BTreeMap<String, Mood>>,
    is_down: Mutex<bool>,
    taken: Mutex<Vec<String>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Refuses,
    OutOfReach,
}

impl Moody {
    fn is_down(&self, down: bool) {
        *self.is_down.lock().unwrap() = down;
    }

    fn taken(&self) -> Vec<String> {
        self.taken.lock().unwrap().clone()
    }
}

#[async_trait]
impl Perform for Moody {
    async fn perform(&self, task: Task) -> Result<Done, PerformError> {
        let down = self.is_down.lock().unwrap().then_some(Mood::OutOfReach);
        match self.moods.lock().unwrap().get(&task.key).copied().or(down) {
            Some(Mood::Refuses) => Err(PerformError::Refused { reason: "it may not say that".to_owned() }),
            Some(Mood::OutOfReach) => Err(PerformError::Again { reason: "it answered 503".to_owned(), after: None }),
            None => {
                self.taken.lock().unwrap().push(task.key);
                Ok(Outcome::NoLongerWanted.into())
            }
        }
    }
}

fn post(key: &str, channel: &str) -> NewEffect {
    let to = Destination { channel: channel.to_owned(), ..slack() };
    let work = Work::Post { to, notice: Notice::Closed };
    NewEffect { key: key.to_owned(), slot: None, due: Timestamp::UNIX_EPOCH, work }
}

fn call(key: &str, channel: &str) -> NewEffect {
    let work = Work::Mention {
        to: Destination { channel: channel.to_owned(), ..slack() },
        level: LevelNumber(1),
        mentions: Vec::new(),
        reason: CallReason::Opened,
        rung: rung(),
    };
    NewEffect { key: key.to_owned(), slot: None, due: Timestamp::UNIX_EPOCH, work }
}

fn rung() -> Rung {
    Rung::Waiting { level: LevelNumber(1), until: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(100) }
}

struct Night {
    chat: Arc<Moody>,
    engine: Engine,
    clock: Arc<VirtualClock>,
    _bot: TestBot,
}

/// A night of one incident that owes this.
async fn owing(effects: Vec<NewEffect>, chat: Moody) -> Night {
    let chat = Arc::new(chat);
    let bot = TestBot::new().with([CHAT], &chat);
    let journal = bot.journal().await;
    let called = Ladder::Running { rung: rung(), holder: None };
    opens(&journal, 1, Timestamp::UNIX_EPOCH, effects, |one| one.ladder = called).await;
    let engine = bot.built_on(journal).await;
    engine.start();
    Night { chat, engine, clock: bot.clock.clone(), _bot: bot }
}

impl Night {
    async fn passes(&self, hours: i64) {
        let end = self.clock.now() + SignedDuration::from_hours(hours);
        self.engine.settled().await.unwrap();
        while let Some(due) = self.engine.next_due().await.unwrap().filter(|due| *due <= end) {
            self.clock.set(due.max(self.clock.now()));
            self.engine.settled().await.unwrap();
        }
        self.clock.set(end);
        self.engine.settled().await.unwrap();
    }

    async fn could_not(&self) -> usize {
        let events = self.engine.inbox().events(IncidentId::new(1)).await.unwrap();
        events.iter().filter(|stored| matches!(stored.event, Event::CouldNot { .. })).count()
    }
}

#[tokio::test]
async fn what_waited_for_a_chat_for_hours_arrives_in_its_order_and_the_call_first() {
    let down = Moody::default();
    down.is_down(true);
    let posts = (1..=9).map(|number| post(&format!("post-{number}"), "C0"));
    let night = owing(posts.chain([call("call", "C0")]).collect(), down).await;
    night.passes(20).await;
    assert_eq!((night.chat.taken().len(), night.could_not().await), (0, 0));
    night.chat.is_down(false);
    night.passes(1).await;
    let expected: Vec<String> =
        std::iter::once("call".to_owned()).chain((1..=9).map(|number| format!("post-{number}"))).collect();
    // That they are late is told as well, whenever it is noticed.
    let owed: Vec<String> = night.chat.taken().into_iter().filter(|key| !key.contains(':')).collect();
    assert_eq!(owed, expected);
}

#[tokio::test]
async fn a_post_that_waited_for_a_day_is_given_up_which_the_incident_says_and_a_call_never_is() {
    let down = Moody::default();
    down.is_down(true);
    let night = owing(vec![post("post-1", "C0"), call("call", "C1")], down).await;
    night.passes(23).await;
    assert_eq!(night.could_not().await, 0);
    night.passes(2).await;
    assert_eq!(night.could_not().await, 1);
    night.chat.is_down(false);
    night.passes(1).await;
    let taken = night.chat.taken();
    assert!(taken.contains(&"call".to_owned()) && !taken.contains(&"post-1".to_owned()), "{taken:?}");
}

#[tokio::test]
async fn a_post_that_is_refused_itself_holds_up_the_others_for_a_minute_at_most_and_is_given_up() {
    let refuses = Moody::default();
    refuses.moods.lock().unwrap().insert("post-1".to_owned(), Mood::Refuses);
    let night = owing(vec![post("post-1", "C0"), post("post-2", "C0")], refuses).await;
    night.engine.settled().await.unwrap();
    assert!(night.chat.taken().is_empty(), "the second waits for the first");
    for _ in 0..2 {
        let due = night.engine.next_due().await.unwrap().unwrap();
        night.clock.set(due.max(night.clock.now()));
        night.engine.settled().await.unwrap();
    }
    assert_eq!(night.chat.taken(), ["post-2"]);
    assert_eq!(night.could_not().await, 0);
    night.passes(1).await;
    assert_eq!(night.could_not().await, 1);
}

#[tokio::test]
async fn a_channel_that_is_out_of_reach_holds_up_no_other_channel() {
    let moody = Moody::default();
    moody.moods.lock().unwrap().insert("post-1".to_owned(), Mood::OutOfReach);
    let night = owing(vec![post("post-1", "C0"), post("post-2", "C0"), post("post-3", "C1")], moody).await;
    night.passes(1).await;
    assert_eq!(night.chat.taken(), ["post-3"]);
    night.chat.moods.lock().unwrap().clear();
    night.passes(1).await;
    assert_eq!(night.chat.taken(), ["post-3", "post-1", "post-2"]);
}
