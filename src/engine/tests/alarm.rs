//! The journal can no longer be written.

use std::sync::Mutex;

use super::{lessons::with_two_levels, *};
use crate::{
    engine::alarm::Alarm,
    escalation::PagerName,
    incident::{CallReason, Outcome},
    journal::JournalError,
};

/// A chat and a pager that note what they are asked, and may be down.
#[derive(Default)]
struct Outside {
    is_down: Mutex<bool>,
    called: Mutex<Vec<String>>,
}

#[async_trait]
impl Perform for Outside {
    async fn perform(&self, task: Task) -> Result<Done, PerformError> {
        if *self.is_down.lock().unwrap() {
            return Err(PerformError::Again { reason: "it answered 503".to_owned(), after: None });
        }
        let (way, level, reason) = match &task.work {
            Work::CallPager { pager: PagerName(name), level, reason, .. } => (name.clone(), level, reason),
            Work::Mention { to, level, reason, .. } => (to.channel.clone(), level, reason),
            other => panic!("{other:?}"),
        };
        let CallReason::Evidence { because } = reason else { panic!("{reason:?}") };
        self.called.lock().unwrap().push(format!("{level} by {way} about {}: {because}", task.incident.alert));
        Ok(Outcome::NoLongerWanted.into())
    }
}

#[tokio::test]
async fn when_the_journal_is_taken_away_people_are_called_past_it_once_and_the_bot_is_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j.sqlite");
    let journal = Journal::open(&path).await.unwrap();
    let outside = Arc::new(Outside::default());
    let mut policy = with_two_levels();
    policy.escalation.fallback_pager = Some(PagerName("fall-back".to_owned()));
    let clock = Arc::new(VirtualClock::starting_at(Timestamp::UNIX_EPOCH));
    let builder = Engine::builder(journal, clock, "c", policy);
    let engine =
        builder.performer(CHAT, outside.clone()).performer(Room::Pager, outside.clone()).build().await.unwrap();
    let shared = engine.inbox().0;
    std::fs::remove_file(&path).unwrap();
    assert!(shared.journal.keep_mark(String::new()).await.is_err());
    let error = engine.health().await.unwrap_err();
    assert!(matches!(&error, JournalError::NotWritten(why) if why.contains("was deleted or moved away")), "{error}");

    let mut alarm = Alarm::default();
    *outside.is_down.lock().unwrap() = true;
    for _ in 0..3 {
        alarm.failed(&shared, &JournalError::NotWritten("the disk is full".to_owned())).await;
    }
    assert!(outside.called.lock().unwrap().is_empty());
    *outside.is_down.lock().unwrap() = false;
    for _ in 0..3 {
        alarm.failed(&shared, &JournalError::NotWritten("the disk is full".to_owned())).await;
    }
    insta::assert_snapshot!(outside.called.lock().unwrap().join("\n"), @r"
    L1 by fall-back about MtlsMedicJournalFails: the bot itself is in trouble: the journal cannot be written (the disk is full): nothing is taken in, and nobody is called, until it can be again
    L1 by C0 about MtlsMedicJournalFails: the bot itself is in trouble: the journal cannot be written (the disk is full): nothing is taken in, and nobody is called, until it can be again
    ");
    alarm.over();
    alarm.failed(&shared, &JournalError::NotWritten("once more".to_owned())).await;
    assert_eq!(outside.called.lock().unwrap().len(), 2, "one failed look alone calls nobody");
}
