//! The end: whatever hangs, the bot is gone in time, and the next one has what it held.

use std::{
    sync::{Mutex, mpsc},
    time::Instant,
};

use super::*;

/// A chat that never answers: it waits for ever, or holds its thread until the test is over.
struct Silent {
    holds_its_thread: Option<Mutex<mpsc::Receiver<()>>>,
    asked: Notify,
}

#[async_trait]
impl Perform for Silent {
    async fn perform(&self, _task: Task) -> Result<Done, PerformError> {
        self.asked.notify_one();
        match &self.holds_its_thread {
            Some(over) => drop(over.lock().unwrap().recv()),
            None => std::future::pending::<()>().await,
        }
        Err(PerformError::Again { reason: "the test is over".to_owned(), after: None })
    }
}

/// An orchestrator kills ten seconds after it asked; `serve` gives what is under way eight of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_performer_that_never_answers_does_not_hold_up_the_stop_and_is_handed_back() {
    for holds_a_thread in [false, true] {
        let now = Timestamp::UNIX_EPOCH;
        let (over, until_over) = mpsc::channel();
        let holds_its_thread = holds_a_thread.then(|| Mutex::new(until_over));
        let chat = Arc::new(Silent { holds_its_thread, asked: Notify::new() });
        let bot = TestBot::new().with([CHAT], &chat);
        let journal = bot.journal().await;
        opens(&journal, 1, now, vec![card(now)], |_| {}).await;
        let engine = bot.built_on(journal.clone()).await;
        engine.start();
        chat.asked.notified().await;
        let (began, within) = (Instant::now(), Duration::from_millis(100));
        engine.stop(within).await;
        // Two seconds at most beside what it is given: eight make ten.
        assert!(began.elapsed() < within + Duration::from_secs(2), "{:?}", began.elapsed());
        let claims = journal.claim(CHAT, now, now + SignedDuration::from_secs(40), 10).await.unwrap();
        let attempts: Vec<_> = claims.iter().map(|claim| claim.attempt).collect();
        assert_eq!(attempts, [2], "holds a thread: {holds_a_thread}");
        drop(over);
    }
}
