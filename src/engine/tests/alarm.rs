//! The journal can no longer be written.

use std::sync::Mutex;

use super::{lessons::with_two_levels, *};
use crate::{
    engine::alarm::Alarm,
    escalation::PagerName,
    incident::{CallReason, Outcome, page_key},
    journal::JournalError,
};

/// A chat and a pager that note what they are asked. The chat may be down; the pager answers as it is told, and then well.
#[derive(Default)]
struct NotedCalls {
    chat_is_down: Mutex<bool>,
    pager_answers: Mutex<Vec<PerformError>>,
    asked: Mutex<Vec<String>>,
}

fn fails() -> PerformError {
    PerformError::Again { reason: "it answered 503".to_owned(), after: None }
}

#[async_trait]
impl Perform for NotedCalls {
    async fn perform(&self, task: Task) -> Result<Done, PerformError> {
        let key = page_key(&task.incident, &task.key);
        let (asked, answer) = match &task.work {
            Work::CallPager { pager: PagerName(name), level, reason, .. } => {
                let CallReason::Evidence { because } = reason else { panic!("{reason:?}") };
                let asked = format!("{level} by {name} as {key} about {}: {because}", task.incident.alert);
                (asked, self.pager_answers.lock().unwrap().pop().map_or(Ok(()), Err))
            }
            Work::Mention { to, level, .. } => {
                let is_down = *self.chat_is_down.lock().unwrap();
                (format!("{level} in {}", to.channel), if is_down { Err(fails()) } else { Ok(()) })
            }
            Work::EndPage { pager: PagerName(name), key, how, .. } => {
                (format!("{how:?} at {name}: {key}"), self.pager_answers.lock().unwrap().pop().map_or(Ok(()), Err))
            }
            other => panic!("{other:?}"),
        };
        let result = if answer.is_ok() { "" } else { " (failed)" };
        self.asked.lock().unwrap().push(format!("{asked}{result}"));
        answer.map(|()| Outcome::NoLongerWanted.into())
    }
}

impl NotedCalls {
    fn was_asked(&self) -> String {
        std::mem::take(&mut *self.asked.lock().unwrap()).join("\n")
    }
}

/// A bot whose first level has nobody but the fall-back pager and the channel.
fn bot(outside: &Arc<NotedCalls>) -> TestBot {
    let mut policy = with_two_levels();
    policy.escalation.fallback_pager = Some(PagerName("fall-back".to_owned()));
    TestBot::new().ruled_by(policy).with([CHAT, Room::Pager], outside)
}

/// So many looks at a journal that fails.
async fn fails_at(looks: usize, alarm: &mut Alarm, engine: &Engine) {
    for _ in 0..looks {
        alarm.failed(&engine.inbox().0, &JournalError::NotWritten("the disk is full".to_owned())).await;
    }
}

#[tokio::test]
async fn when_the_journal_is_taken_away_people_are_called_past_it_once_and_the_bot_is_not_ready() {
    let outside = Arc::new(NotedCalls::default());
    let bot = bot(&outside);
    let engine = bot.built().await;
    std::fs::remove_file(bot.journal_file()).unwrap();
    assert!(engine.inbox().0.journal.keep_mark(String::new()).await.is_err());
    let error = engine.health().await.unwrap_err();
    assert!(matches!(&error, JournalError::NotWritten(why) if why.contains("was deleted or moved away")), "{error}");

    let mut alarm = Alarm::default();
    fails_at(1, &mut alarm, &engine).await;
    insta::assert_snapshot!(outside.was_asked(), @"");
    fails_at(3, &mut alarm, &engine).await;
    insta::assert_snapshot!(outside.was_asked(), @r"
    L1 by fall-back as mtls-medic/c/INC-0/journal-fails-pager-0 about MtlsMedicJournalFails: the bot itself is in trouble: the journal cannot be written (the disk is full): nothing is taken in, and nobody is called, until it can be again
    L1 in C0
    ");
}

#[tokio::test]
async fn a_pager_that_fails_at_first_is_rung_by_one_page_beside_the_channel_and_the_page_ends_with_the_trouble() {
    let outside = Arc::new(NotedCalls::default());
    let bot = bot(&outside);
    let engine = bot.built().await;
    let mut alarm = Alarm::default();
    *outside.pager_answers.lock().unwrap() = vec![fails(), fails()];
    fails_at(5, &mut alarm, &engine).await;
    insta::assert_snapshot!(outside.was_asked(), @r"
    L1 by fall-back as mtls-medic/c/INC-0/journal-fails-pager-0 about MtlsMedicJournalFails: the bot itself is in trouble: the journal cannot be written (the disk is full): nothing is taken in, and nobody is called, until it can be again (failed)
    L1 in C0
    L1 by fall-back as mtls-medic/c/INC-0/journal-fails-pager-0 about MtlsMedicJournalFails: the bot itself is in trouble: the journal cannot be written (the disk is full): nothing is taken in, and nobody is called, until it can be again (failed)
    L1 by fall-back as mtls-medic/c/INC-0/journal-fails-pager-0 about MtlsMedicJournalFails: the bot itself is in trouble: the journal cannot be written (the disk is full): nothing is taken in, and nobody is called, until it can be again
    ");
    // A look that went well between others is not the end of it, and rings nobody again.
    alarm.works(&engine.inbox().0).await;
    fails_at(2, &mut alarm, &engine).await;
    insta::assert_snapshot!(outside.was_asked(), @"");
    for _ in 0..6 {
        alarm.works(&engine.inbox().0).await;
    }
    insta::assert_snapshot!(outside.was_asked(), @"Resolve at fall-back: mtls-medic/c/INC-0/journal-fails-pager-0");
    fails_at(1, &mut alarm, &engine).await;
    insta::assert_snapshot!(outside.was_asked(), @"");
}

#[tokio::test]
async fn an_end_that_does_not_get_through_is_tried_again_and_what_the_pager_refused_is_not_ended() {
    let outside = Arc::new(NotedCalls::default());
    let bot = bot(&outside);
    let engine = bot.built().await;
    let shared = engine.inbox().0;
    tokio::time::pause();
    let mut alarm = Alarm::default();
    fails_at(2, &mut alarm, &engine).await;
    outside.was_asked();
    outside.pager_answers.lock().unwrap().push(fails());
    for _ in 0..8 {
        alarm.works(&shared).await;
        tokio::time::advance(std::time::Duration::from_secs(20)).await;
    }
    insta::assert_snapshot!(outside.was_asked(), @r"
    Resolve at fall-back: mtls-medic/c/INC-0/journal-fails-pager-0 (failed)
    Resolve at fall-back: mtls-medic/c/INC-0/journal-fails-pager-0
    ");

    let refused = || PerformError::Waiting { reason: "it answered 401".to_owned(), after: None };
    *outside.pager_answers.lock().unwrap() = vec![refused(), refused()];
    *outside.chat_is_down.lock().unwrap() = true;
    fails_at(3, &mut alarm, &engine).await;
    for _ in 0..8 {
        alarm.works(&shared).await;
    }
    insta::assert_snapshot!(outside.was_asked(), @r"
    L1 by fall-back as mtls-medic/c/INC-0/journal-fails-pager-0 about MtlsMedicJournalFails: the bot itself is in trouble: the journal cannot be written (the disk is full): nothing is taken in, and nobody is called, until it can be again (failed)
    L1 in C0 (failed)
    L1 by fall-back as mtls-medic/c/INC-0/journal-fails-pager-0 about MtlsMedicJournalFails: the bot itself is in trouble: the journal cannot be written (the disk is full): nothing is taken in, and nobody is called, until it can be again (failed)
    L1 in C0 (failed)
    ");
}

#[tokio::test]
async fn a_page_of_a_bot_that_was_started_again_while_the_journal_failed_is_ended_by_the_next_one_and_an_ordinary_start_ends_none()
 {
    let outside = Arc::new(NotedCalls::default());
    let bot = bot(&outside);
    let engine = bot.built().await;
    let shared = engine.inbox().0;
    fails_at(2, &mut Alarm::after_start(&shared).await, &engine).await;
    outside.was_asked();

    let mut next = Alarm::after_start(&shared).await;
    for _ in 0..2 {
        next.works(&shared).await;
    }
    insta::assert_snapshot!(outside.was_asked(), @"");
    // It fails on: the same page is sent again, since the last bot may have died before it was through.
    fails_at(2, &mut next, &engine).await;
    insta::assert_snapshot!(outside.was_asked(), @r"
    L1 by fall-back as mtls-medic/c/INC-0/journal-fails-pager-0 about MtlsMedicJournalFails: the bot itself is in trouble: the journal cannot be written (the disk is full): nothing is taken in, and nobody is called, until it can be again
    L1 in C0
    ");
    let mut third = Alarm::after_start(&shared).await;
    for _ in 0..4 {
        third.works(&shared).await;
    }
    insta::assert_snapshot!(outside.was_asked(), @"Resolve at fall-back: mtls-medic/c/INC-0/journal-fails-pager-0");

    let mut ordinary = Alarm::after_start(&shared).await;
    for _ in 0..5 {
        ordinary.works(&shared).await;
    }
    insta::assert_snapshot!(outside.was_asked(), @"");
}
